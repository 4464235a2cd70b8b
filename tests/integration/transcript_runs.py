"""How a script of tests/transcripts is run, and what is written down of it.

Three ways: by psql, by the simple protocol and by the extended one, the latter two message by message.
"""

import os
import re
import struct
import subprocess

import wire
from cluster import MONITOR_PASSWORD, ROLES
from transcript_script import Entry, entries, header, step_messages

WAYS = ("psql", "simple", "extended")

# What must differ between two runs: process ids, temporary schemas, the numbers that name objects, the time.
_DIFFERS = [
    (re.compile(r"(server process with PID) \d+"), r"\1 PID"),
    (re.compile(r"pg_temp_\d+"), "pg_temp_N"),
    (re.compile(r"pg_toast_\d+"), "pg_toast_N"),
    (re.compile(r"(lo_import|lo_unlink) \d+"), r"\1 OID"),
    (re.compile(r"(large object) \d{5,}"), r"\1 OID"),
    (re.compile(r"(Process) \d+ (waits for|holds)"), r"\1 PID \2"),
    (re.compile(r"^.* \(every 0\.\d+s\)$", re.MULTILINE), "WATCH"),
    (re.compile(r'on port "\d+"|at port "\d+"'), "PORT"),
    (re.compile(r"(connection to server at .*), port \d+"), r"\1, PORT"),
]


def normal(text, database):
    for pattern, replacement in _DIFFERS:
        text = pattern.sub(replacement, text)
    return text.replace(database, "DATABASE")


def credentials(path):
    user = header(path, "user") or "app"
    return user, MONITOR_PASSWORD if user == "postgres" else ROLES[user][1]


def by_psql(path, port, database, folder, text=None):
    """Everything that psql says, in the order in which it says it."""
    user, password = credentials(path)
    script = folder / path.name
    script.write_text(path.read_text() if text is None else text)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    environment |= {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": user, "PGPASSWORD": password,
                    "PGDATABASE": database, "PGCONNECT_TIMEOUT": "10", "PAGER": "cat", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run(["psql", "-X", "-a", "-f", script.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          cwd=folder, env=environment, timeout=30)
    return normal(done.stdout.decode(errors="replace"), database)


def _fields(body):
    """Name, type, size, modifier and format of each column; types and tables of users' making have other numbers."""
    count, at, out = struct.unpack_from("!H", body)[0], 2, []
    for _ in range(count):
        end = body.index(b"\0", at)
        table, column, kind, size, modifier, form = struct.unpack_from("!IhIhih", body, end + 1)
        out.append(f"{body[at:end].decode()}:{table > 0}.{column}:{kind if kind < 16384 else 'OWN'}:{size}:{modifier}:{form}")
        at = end + 19
    return " ".join(out)


def rendered(kind, body, client):
    """One message as a line."""
    if kind == "T":
        return f"T {_fields(body)}"
    if kind == "D":
        return f"D {wire.decode_row(body)}"
    if kind in "EN":
        # Where in its sources PostgreSQL said so is not for anybody else to say.
        return f"{kind} { {k: v for k, v in wire.error_fields(body).items() if k not in 'FLR'} }"
    if kind == "A":
        pid = struct.unpack_from("!I", body)[0]
        return f"A {'own' if pid == client.key[0] else 'other'} {body[4:]}"
    if kind == "t":
        types = struct.unpack_from(f"!{(len(body) - 2) // 4}I", body, 2)
        return f"t {[t if t < 16384 else 'OWN' for t in types]}"
    return f"{kind} {body!r}"


class Driver:
    """Runs a script over one connection and writes down every message."""

    def __init__(self, client, extended):
        self.client, self.extended, self.lines = client, extended, []

    def until_ready(self, copy_data=b"", resync=False):
        """Takes down what comes, feeding a COPY that asks for data; `resync`: the extended protocol wants a Sync then."""
        while True:
            kind, body = self.client.receive()
            self.lines.append(rendered(kind, body, self.client))
            if kind == "G":
                self.client.send(wire.message("d", copy_data), wire.message("c"))
                if resync:
                    self.client.send(wire.sync())
            if kind == "Z":
                return

    def statements(self, entry):
        if not self.extended:
            self.client.send(wire.query("; ".join(entry.statements)))
            self.until_ready(entry.copy_data)
            return
        if entry.copy_data and len(entry.statements) > 1:
            # While data is expected, messages of other statements would be a violation of the protocol.
            for sql in entry.statements:
                self.statements(Entry([sql], entry.copy_data))
            return
        messages = []
        for sql in entry.statements:
            messages += [wire.parse(sql), wire.bind(), wire.describe_portal(), wire.execute()]
        # As libpq does: Sync comes at once, and once more behind the data of a COPY.
        self.client.send(*messages, wire.sync())
        self.until_ready(entry.copy_data, resync=True)

    def run(self, script):
        pending = []
        for entry in script:
            if not entry.step:
                self.lines.append("> " + " \\; ".join(entry.statements))
                self.statements(entry)
                continue
            self.lines.append("> " + entry.step)
            pending += step_messages(entry.step)
            if entry.step == "flush":
                # The answers come with the Sync: that they come before it is another test's business.
                continue
            if entry.step == "sync":
                self.client.send(*pending)
                pending = []
                self.until_ready()
        return "\n".join(self.lines) + "\n"


def by_protocol(path, port, database, extended, text=None):
    user, password = credentials(path)
    with wire.Client(port, user, password, database) as client:
        script = entries(path.read_text() if text is None else text)
        return normal(Driver(client, extended).run(script), database)


def run(way, path, port, database, folder, text=None):
    if way == "psql":
        return by_psql(path, port, database, folder, text)
    return by_protocol(path, port, database, way == "extended", text)
