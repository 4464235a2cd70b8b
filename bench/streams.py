"""Big results and copies through one peer: the CPU time of the proxy's process for each GB that it passes on.

The client is a socket that speaks just enough of the protocol: it looks for the end of an answer and at nothing in between,
so that the proxy, not the client, is what is measured.
"""

import socket
import struct
from dataclasses import dataclass

from measure import cpu_microseconds
from peers import USER, BenchError

MEGABYTES = 512  # of payload in each run
READY = b"Z\0\0\0\x05I"
TABLE = "stream_target"


@dataclass(frozen=True)
class Stream:
    name: str
    title: str
    row_bytes: int
    kind: str  # result | copy_out | copy_in


STREAMS = (
    Stream("result", "SELECT, rows of 100 bytes", 100, "result"),
    Stream("wide", "SELECT, rows of 8 kB", 8192, "result"),
    Stream("copy_out", "COPY TO STDOUT, 100 bytes", 100, "copy_out"),
    Stream("copy_in", "COPY FROM STDIN, 100 bytes", 100, "copy_in"),
)


class Client:
    """A connection without a password. run() of one statement at a time."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = struct.pack("!i", 196608) + b"user\0" + USER.encode() + b"\0database\0" + USER.encode() + b"\0\0"
        self.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        self.buffer = bytearray(1 << 18)
        self.until_ready()

    def until_ready(self):
        """Bytes up to ReadyForQuery. An ErrorResponse at the beginning is raised; what looks like the end within a row is not
        met in what these tests ask for."""
        total, tail, first = 0, b"", b""
        while not tail.endswith(READY):
            got = self.socket.recv_into(self.buffer)
            if got == 0:
                raise BenchError("the server ended the connection")
            first = first or bytes(self.buffer[:200])
            total += got
            tail = (tail + bytes(self.buffer[max(0, got - 6):got]))[-6:]
        if first[:1] == b"E":
            raise BenchError(first.decode(errors="replace"))
        return total

    def query(self, sql):
        text = sql.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!i", len(text) + 4) + text)

    def copy_in(self, rows, row_bytes):
        """COPY of `rows` rows, one CopyData message each, as libpq's clients send them."""
        self.query(f"COPY {TABLE} FROM STDIN")
        self.socket.recv_into(self.buffer)
        row = b"x" * (row_bytes - 1) + b"\n"
        message = b"d" + struct.pack("!i", len(row) + 4) + row
        many = max(1, (1 << 16) // len(message))
        block = message * many
        sent = 0
        for _ in range(rows // many):
            self.socket.sendall(block)
            sent += len(block)
        self.socket.sendall(b"c" + struct.pack("!i", 4))
        self.until_ready()
        return sent

    def close(self):
        self.socket.sendall(b"X" + struct.pack("!i", 4))
        self.socket.close()


def prepare(server_port):
    client = Client(server_port)
    client.query(f"DROP TABLE IF EXISTS {TABLE}; CREATE UNLOGGED TABLE {TABLE} (line text); "
                 f"CREATE OR REPLACE FUNCTION drop_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
                 f"CREATE TRIGGER drop_row BEFORE INSERT ON {TABLE} FOR EACH ROW EXECUTE FUNCTION drop_row()")
    client.until_ready()
    client.close()


def run(port, proxy, stream, megabytes=MEGABYTES):
    """CPU seconds of the proxy for each GB (10^9 bytes) of messages."""
    client = Client(port)
    try:
        rows = megabytes * 1_000_000 // stream.row_bytes
        read = f"SELECT repeat('x', {stream.row_bytes}) FROM generate_series(1, {rows})"
        before = cpu_microseconds(proxy.pid)
        if stream.kind == "copy_in":
            size = client.copy_in(rows, stream.row_bytes)
        else:
            client.query(read if stream.kind == "result" else f"COPY ({read}) TO STDOUT")
            size = client.until_ready()
        proxy.check()
        return (cpu_microseconds(proxy.pid) - before) / 1e6 / (size / 1e9)
    finally:
        client.close()
