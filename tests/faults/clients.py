"""Clients of a history: each with a connection of its own through pgbraid, a dice of its own, and a record of what it saw."""

import random
import threading
import time

import psycopg2

from history import Event, Final

SCHEMA = """
CREATE TABLE registers (id int PRIMARY KEY, value bigint NOT NULL DEFAULT 0);
CREATE TABLE lists (id int PRIMARY KEY, items bigint[] NOT NULL DEFAULT '{}');
INSERT INTO registers SELECT g FROM generate_series(0, 31) g;
INSERT INTO lists SELECT g FROM generate_series(0, 255) g;
GRANT ALL ON registers, lists TO app;
"""
LISTS = 256
# All clients work on four lists at a time, and go on to the next when they have added so many items: rows stay small.
WINDOW, ITEMS = 4, 50
# What a client sees when its connection is closed because half a message had been passed on when the server was lost.
CUT_SHORT = "server closed the connection unexpectedly"
# Of these nobody knows whether they were done; all other errors say that they were not.
UNKNOWN = {"40003", "08007", None}
SERVER = "current_setting('cluster_name')"


def final_state(server):
    return Final(dict(server.query("SELECT id, value FROM registers")), dict(server.query("SELECT id, items FROM lists")))


class HistoryClient(threading.Thread):
    """Works until `stopped`; what it did is in `events`. `pause`: seconds between two operations."""

    def __init__(self, braid, number, seed, primaries, stopped, pause):
        super().__init__(daemon=True)
        self.braid, self.number, self.dice = braid, number, random.Random(f"{seed}.{number}")
        self.primaries, self.stopped, self.pause = primaries, stopped, pause
        self.events, self.errors, self.wrong = [], {}, None
        self.value, self.items = 0, 0
        self.connection = None

    def run(self):
        try:
            while not self.stopped.is_set():
                try:
                    if self.connection is None:
                        # Half of them as psycopg2 has it by default: a transaction around everything.
                        self.connection = self.braid.connect(autocommit=self.number % 2 == 0)
                    self.dice.choice([self.write, self.append, self.read_own, self.read_own, self.read_register, self.read_list, self.read_list])()
                except psycopg2.Error as e:
                    self.failed(e)
                self.stopped.wait(self.pause * self.dice.random() * 2)
            if self.connection is not None:
                self.connection.close()
        except BaseException as e:  # noqa: BLE001 told by whoever stops it
            self.wrong = repr(e)

    def failed(self, error):
        told = error.pgcode or str(error).split("\n")[0].strip()
        self.errors[told] = self.errors.get(told, 0) + 1
        if self.connection is None:
            return
        if self.connection.closed:
            self.connection = None
            return
        try:
            self.connection.rollback()
        except psycopg2.Error:
            self.connection = None

    def note(self, kind, key, value, outcome="ok", server="", began=0.0):
        replica = bool(server) and server not in self.primaries
        self.events.append(Event(self.number, kind, key, value, outcome, server, replica, len(self.events), began, time.monotonic()))

    def change(self, kind, key, value, sql, arguments):
        committing = False
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(sql, arguments)
                committing = True
            if not self.connection.autocommit:
                self.connection.commit()
        except psycopg2.Error as e:
            undone = e.pgcode not in UNKNOWN or (not committing and not self.connection.autocommit)
            self.note(kind, key, value, "failed" if undone else "unknown")
            raise
        self.note(kind, key, value)

    def list(self):
        return (self.items // ITEMS * WINDOW + self.dice.randrange(WINDOW)) % LISTS

    def write(self):
        self.value += 1
        self.change("write", self.number, self.value, "UPDATE registers SET value = %s WHERE id = %s", (self.value, self.number))

    def append(self):
        self.items += 1
        item, key = self.number * 1_000_000 + self.items, self.list()
        self.change("append", key, item, "UPDATE lists SET items = items || %s::bigint WHERE id = %s", (item, key))

    def ask(self, kind, key, sql):
        began = time.monotonic()
        with self.connection.cursor() as cursor:
            cursor.execute(sql, (key,))
            value, server = cursor.fetchone()
        if not self.connection.autocommit:
            self.connection.commit()
        self.note(kind, key, value, server=server, began=began)

    def read_own(self):
        self.ask("read register", self.number, f"SELECT value, {SERVER} FROM registers WHERE id = %s")

    def read_register(self):
        self.ask("read register", self.dice.randrange(8), f"SELECT value, {SERVER} FROM registers WHERE id = %s")

    def read_list(self):
        self.ask("read list", self.list(), f"SELECT items, {SERVER} FROM lists WHERE id = %s")
