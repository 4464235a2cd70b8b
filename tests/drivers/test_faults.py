"""Backends are ended and clients die at random while drivers work: nobody ever sees another's state, every answer is that
of its own question, and every error of a server reaches the client that it belongs to.

PGBRAID_FAULT_SEED repeats a run; each run is bounded by its number of steps, not by time.
"""

import os
import random
import select
import socket
import subprocess
import threading

import psycopg
import psycopg2
import pytest

from clients import CLIENTS, conninfo, environment, pool_holds
from waiting import wait_until

SEED = int(os.environ.get("PGBRAID_FAULT_SEED", "20240229"))
STEPS = 20
# What a lost server connection may be told as: the server's own word, or ours.
LOST = {"57P01", "08006", "08003", "57P02", "53300", "40003", None}


class Client:
    """One client with a tag that nobody else has: a setting, prepared statements under shared names, rows of its own."""

    def __init__(self, braid, number):
        self.braid, self.number, self.random = braid, number, random.Random(f"{SEED}.{number}")
        self.connection, self.lost, self.done = None, 0, 0

    def connect(self):
        made = psycopg.connect(conninfo(self.braid, application_name=f"fault-{self.number}"), autocommit=True, prepare_threshold=1)
        self.tag = f"{self.number}.{self.done}.{self.random.random()}"
        try:
            made.execute(f"SET fault.tag = '{self.tag}'")
        except psycopg.OperationalError:
            made.close()
            raise
        self.connection = made

    def run(self):
        while self.done < STEPS:
            try:
                if self.connection is None:
                    self.connect()
                self.random.choice([self.ask, self.transaction, self.pipeline, self.fail, self.copy, self.cursor])()
            except psycopg.OperationalError as e:
                assert e.sqlstate in LOST, f"{self.number}: {e.sqlstate} {e}"
                self.lost += 1
                self.go()
            self.done += 1
            if self.random.random() < 0.05:
                self.die()
        if self.connection is not None:
            self.check()
            self.connection.close()

    def go(self):
        """After an error of the connection: a transaction that was open is over; the session may live on."""
        if self.connection is None:
            return
        if self.connection.closed or self.connection.broken:
            self.connection = None
            return
        if self.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            try:
                self.connection.rollback()
            except psycopg.OperationalError:
                self.connection = None
                return
        try:
            self.check()
        except psycopg.OperationalError:
            self.connection = None

    def check(self):
        row = self.connection.execute("SELECT current_setting('fault.tag', true), current_setting('application_name'), %s::int", (self.number,)).fetchone()
        assert row == (self.tag, f"fault-{self.number}", self.number), (row, self.tag)

    def die(self):
        """The socket is closed without a word, at times in the middle of an answer."""
        if self.connection is None:
            return
        if self.random.random() < 0.5:
            self.connection.pgconn.send_query(b"SELECT n, repeat('x', 1000) FROM generate_series(1, 20000) n")
            self.connection.pgconn.flush()
            if self.random.random() < 0.5:
                select.select([self.connection.fileno()], [], [], 1)
        with socket.socket(fileno=os.dup(self.connection.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)
        self.connection.pgconn.finish()
        self.connection = None

    def ask(self):
        self.check()

    def transaction(self):
        value = self.random.randrange(10**9)
        with self.connection.transaction():
            self.connection.execute("SET LOCAL fault.local = %s" % value)
            self.connection.execute("INSERT INTO faults VALUES (%s, %s)", (self.number, value))
            rows = self.connection.execute("SELECT current_setting('fault.local'), current_setting('fault.tag'), count(*) FROM faults WHERE owner = %s "
                                           "AND value = %s", (self.number, value)).fetchone()
            assert rows == (str(value), self.tag, 1), rows

    def pipeline(self):
        try:
            self.rows_of_a_pipeline()
        except psycopg.OperationalError:
            # The library does not get out of a pipeline whose connection goes on after such an error.
            self.connection.close()
            raise

    def rows_of_a_pipeline(self):
        with self.connection.pipeline():
            rows = [self.connection.execute("SELECT %s::int, current_setting('fault.tag')", (i + self.number * 100,)) for i in range(8)]
            assert [r.fetchone() for r in rows] == [(i + self.number * 100, self.tag) for i in range(8)]

    def fail(self):
        with pytest.raises(psycopg.DataError) as error:
            self.connection.execute("SELECT %s::text::int", (f"x{self.tag}",))
        assert f"x{self.tag}" in str(error.value)

    def copy(self):
        with self.connection.cursor().copy("COPY (SELECT current_setting('fault.tag'), n FROM generate_series(1, 500) n) TO STDOUT") as copy:
            rows = list(copy.rows())
        assert rows == [(self.tag, str(n)) for n in range(1, 501)]

    def cursor(self):
        with self.connection.transaction(), self.connection.cursor(name="same_name") as c:
            c.execute("SELECT n, current_setting('fault.tag') FROM generate_series(1, 30) n")
            assert c.fetchmany(10) == [(n, self.tag) for n in range(1, 11)]
            assert c.fetchmany(5) == [(n, self.tag) for n in range(11, 16)]


@pytest.fixture(scope="module", autouse=True)
def tables(cluster):
    primary = cluster.shards[0].primary
    primary.query("CREATE TABLE faults (owner int, value bigint); GRANT ALL ON faults TO app")


def test_random_faults(braid, cluster):
    servers, stop, killed = cluster.shards[0].servers, threading.Event(), []

    def kill():
        dice = random.Random(SEED)
        connections = [s.connect() for s in servers]
        while not stop.wait(0.05):
            with dice.choice(connections).cursor() as c:
                c.execute("SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app' AND pid <> pg_backend_pid() "
                          "ORDER BY md5(pid::text || %s) LIMIT 1", (str(dice.random()),))
                killed.extend(c.fetchall())
        for connection in connections:
            connection.close()

    clients, wrong = [Client(braid, i) for i in range(CLIENTS)], []

    def run(client):
        try:
            client.run()
        except BaseException as e:  # noqa: BLE001 told below
            wrong.append((client.number, client.done, repr(e)))

    killer = threading.Thread(target=kill)
    threads = [threading.Thread(target=run, args=(c,)) for c in clients]
    killer.start()
    for t in threads:
        t.start()
    for t in threads:
        t.join(200)
    stop.set()
    killer.join(30)
    assert not any(t.is_alive() for t in threads), f"seed {SEED}: clients hang: {[c.number for c, t in zip(clients, threads) if t.is_alive()]}"
    assert not wrong, f"seed {SEED}: {wrong[:5]}"
    assert len(killed) > 10 and sum(c.lost for c in clients) > 0
    braid.must_run()
    # Processes that were told to end may still be about it.
    wait_until(lambda: pool_holds(servers[0]), 30, "no more connections than the pool may have")


def test_killed_processes_leave_nothing_behind(braid, primary):
    """psql processes, killed with SIGKILL at random points of a transaction, a COPY or a long answer."""
    dice = random.Random(SEED)
    scripts = ["BEGIN; INSERT INTO faults VALUES (-1, 1); SELECT pg_sleep(2);", "SET fault.tag = 'dead'; BEGIN; SELECT pg_advisory_lock(4711); SELECT pg_sleep(2);",
               "COPY faults FROM STDIN;\n-1\t1\n", "SELECT repeat('x', 100000) FROM generate_series(1, 100000);",
               "CREATE TEMP TABLE dead (n int); LISTEN dead; SELECT pg_sleep(2);"]
    for turn in range(10):
        process = subprocess.Popen(["psql", "-X", "-q"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(braid))
        process.stdin.write(scripts[turn % len(scripts)].encode() + b"\n")
        process.stdin.flush()
        select.select([process.stdout], [], [], dice.random() / 4)
        process.kill()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()
    idle = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND (state <> 'idle' OR backend_xid IS NOT NULL)"
    wait_until(lambda: primary.value(idle) == 0, 30, "nothing of the dead is left running")
    assert primary.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    assert primary.value("SELECT count(*) FROM faults WHERE owner = -1") == 0
    connection = psycopg2.connect(conninfo(braid))
    with connection, connection.cursor() as c:
        for _ in range(4):
            c.execute("SELECT current_setting('fault.tag', true), to_regclass('pg_temp.dead'), (SELECT count(*) FROM pg_listening_channels())")
            assert c.fetchone() in ((None, None, 0), ("", None, 0))
    connection.close()
