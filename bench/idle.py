"""What a client costs that is logged in and does nothing: the slope of the proxy's memory between two numbers of clients."""

import resource
import socket
import struct
from pathlib import Path

from peers import USER, BenchError

FEW, MANY = 1_000, 10_000
SPARE_DESCRIPTORS = 200


def allow_descriptors():
    """Raises this process's limit, which the proxies started later inherit; says whether MANY clients fit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard == resource.RLIM_INFINITY or hard >= MANY + SPARE_DESCRIPTORS


def resident_bytes(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise BenchError(f"process {pid} has no VmRSS")


def receive(s, count):
    out = b""
    while len(out) < count:
        part = s.recv(count - len(out))
        if not part:
            raise BenchError("the proxy closed a connection at login")
        out += part
    return out


def log_in(port):
    """A connection at ReadyForQuery, by protocol 3.0, without a password."""
    s = socket.create_connection(("127.0.0.1", port), timeout=10)
    words = f"user\0{USER}\0database\0{USER}\0\0".encode()
    s.sendall(struct.pack("!ii", 8 + len(words), 196608) + words)
    while True:
        kind, length = struct.unpack("!ci", receive(s, 5))
        body = receive(s, length - 4)
        if kind == b"E":
            raise BenchError(f"login refused: {body.decode(errors='replace')}")
        if kind == b"Z":
            return s


def bytes_a_client(port, pid):
    clients, resident = [], {}
    try:
        for wanted in (FEW, MANY):
            while len(clients) < wanted:
                clients.append(log_in(port))
            resident[wanted] = resident_bytes(pid)
    finally:
        for s in clients:
            s.close()
    return (resident[MANY] - resident[FEW]) / (MANY - FEW)
