"""A small raw client of the PostgreSQL protocol 3.0, for what drivers hide: pipelines, portals, single messages.

Source: the manual's chapter "Frontend/Backend Protocol".
"""

import base64
import hashlib
import hmac
import os
import socket
import struct


class ServerError(Exception):
    """An ErrorResponse; fields by their one-letter codes."""

    def __init__(self, fields):
        self.fields, self.sqlstate, self.severity = fields, fields.get("C"), fields.get("V", fields.get("S"))
        super().__init__(f"{self.severity} {self.sqlstate}: {fields.get('M')}")


def refusal(call, *arguments):
    """The SQLSTATE with which `call` is refused, or None when it is not: for conditions that are waited for."""
    try:
        call(*arguments)
    except ServerError as error:
        return error.sqlstate
    return None


def message(kind, payload=b""):
    return kind.encode() + struct.pack("!I", len(payload) + 4) + payload


def text(value):
    return value.encode() + b"\0"


def startup(**parameters):
    body = struct.pack("!I", 196608) + b"".join(text(k) + text(v) for k, v in parameters.items()) + b"\0"
    return struct.pack("!I", len(body) + 4) + body


def parse(sql, name="", types=()):
    return message("P", text(name) + text(sql) + struct.pack("!H", len(types)) + b"".join(struct.pack("!I", t) for t in types))


def bind(values=(), statement="", portal="", formats=(), result_formats=()):
    """Values: None, bytes (as they are) or anything else as text."""
    body = text(portal) + text(statement) + struct.pack("!H", len(formats)) + b"".join(struct.pack("!H", f) for f in formats)
    body += struct.pack("!H", len(values))
    for value in values:
        if value is None:
            body += struct.pack("!i", -1)
        else:
            data = value if isinstance(value, bytes) else str(value).encode()
            body += struct.pack("!i", len(data)) + data
    return message("B", body + struct.pack("!H", len(result_formats)) + b"".join(struct.pack("!H", f) for f in result_formats))


def describe_statement(name=""):
    return message("D", b"S" + text(name))


def describe_portal(name=""):
    return message("D", b"P" + text(name))


def execute(portal="", limit=0):
    return message("E", text(portal) + struct.pack("!I", limit))


def close_statement(name=""):
    return message("C", b"S" + text(name))


def close_portal(name=""):
    return message("C", b"P" + text(name))


def sync():
    return message("S")


def flush():
    return message("H")


def query(sql):
    return message("Q", text(sql))


def rows(messages):
    """The DataRows among messages, each a list of bytes or None."""
    return [decode_row(body) for kind, body in messages if kind == "D"]


def decode_row(body):
    count, at, values = struct.unpack_from("!H", body)[0], 2, []
    for _ in range(count):
        length = struct.unpack_from("!i", body, at)[0]
        at += 4
        values.append(None if length < 0 else body[at:at + length])
        at += max(length, 0)
    return values


def kinds(messages):
    """The types of messages as one string, without what may come at any time (notices, parameters)."""
    return "".join(kind for kind, _ in messages if kind not in "NSA")


def error_fields(body):
    return {part[:1].decode(): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}


def errors(messages):
    return [error_fields(body) for kind, body in messages if kind == "E"]


def tags(messages):
    return [body[:-1].decode() for kind, body in messages if kind == "C"]


class Client:
    """One connection. send() and receive() are the protocol as it is; the rest are shorthands."""

    def __init__(self, port, user="app", password="secret", database="shop", host="127.0.0.1", timeout=15, **parameters):
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.port, self.parameters, self.key, self.status = port, {}, None, None
        if user is not None:
            self.login(user, password, database, **parameters)

    def send(self, *messages):
        self.socket.sendall(b"".join(messages))

    def _read(self, count):
        while len(self._buffer) < count:
            data = self.socket.recv(max(65536, count - len(self._buffer)))
            if not data:
                raise ConnectionError("connection closed by the other side")
            self._buffer += data
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def receive(self):
        """The next message: (kind, body)."""
        head = self._read(5)
        kind, length = chr(head[0]), struct.unpack("!I", head[1:])[0]
        body = self._read(length - 4)
        if kind == "S":
            name, value = body[:-1].split(b"\0")
            self.parameters[name.decode()] = value.decode()
        elif kind == "Z":
            self.status = body.decode()
        elif kind == "K":
            self.key = struct.unpack("!II", body)
        return kind, body

    def receive_until(self, last):
        """Messages up to and including the first of the kinds in `last`."""
        got = []
        while True:
            got.append(self.receive())
            if got[-1][0] in last:
                return got

    def until_ready(self):
        return self.receive_until("Z")

    def query(self, sql):
        """A simple query; its rows as lists of str or None. Raises ServerError, in step."""
        self.send(query(sql))
        return self.result()

    def extended(self, sql, values=(), **kw):
        """Parse, Bind, Describe, Execute, Sync of the unnamed statement; rows as for query()."""
        self.send(parse(sql), bind(values, **kw), describe_portal(), execute(), sync())
        return self.result()

    def result(self):
        got = self.until_ready()
        if found := errors(got):
            raise ServerError(found[0])
        return [[None if v is None else v.decode() for v in row] for row in rows(got)]

    def value(self, sql):
        return self.query(sql)[0][0]

    def close(self):
        try:
            self.send(message("X"))
        except OSError:
            pass
        self.socket.close()

    def vanish(self):
        """Closes with a reset and without Terminate."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def cancel(self):
        """Sends a CancelRequest for this connection on one of its own, and waits for that to close."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as other:
            other.sendall(struct.pack("!IIII", 16, 80877102, *self.key))
            while other.recv(1024):
                pass

    def closed(self):
        """True when the other side closes; reads away what comes before that."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        return True

    def login(self, user, password, database, **parameters):
        self.send(startup(user=user, database=database, **parameters))
        while True:
            kind, body = self.receive()
            if kind == "E":
                raise ServerError(error_fields(body))
            if kind == "R":
                self._authenticate(struct.unpack_from("!I", body)[0], body[4:], user, password)
            elif kind == "Z":
                return self

    def _authenticate(self, method, body, user, password):
        if method == 3:
            self.send(message("p", text(password)))
        elif method == 5:
            inner = hashlib.md5((password + user).encode()).hexdigest().encode()
            self.send(message("p", b"md5" + hashlib.md5(inner + body[:4]).hexdigest().encode() + b"\0"))
        elif method == 10:
            self._nonce = base64.b64encode(os.urandom(18)).decode()
            first = f"n,,n=,r={self._nonce}".encode()
            self.send(message("p", text("SCRAM-SHA-256") + struct.pack("!I", len(first)) + first))
        elif method == 11:
            self._scram_final(body.decode(), password)
        elif method == 12:
            assert body.decode() == f"v={self._server_signature}"

    def _scram_final(self, server_first, password):
        fields = dict(part.split("=", 1) for part in server_first.split(","))
        assert fields["r"].startswith(self._nonce)
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = f"c=biws,r={fields['r']}"
        signed = f"n=,r={self._nonce},{server_first},{without_proof}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature))).decode()
        self._server_signature = base64.b64encode(
            hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")).decode()
        self.send(message("p", f"{without_proof},p={proof}".encode()))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()
