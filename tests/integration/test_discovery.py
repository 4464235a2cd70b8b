"""What Patroni says of who is primary, against what the servers say: who is believed, and what bad answers do."""

import threading

import psycopg2
import pytest

from braid import plain_topology
from fake_patroni import FakePatroni, http
from waiting import wait_until

WRITE = "UPDATE customers SET name = name WHERE id = 1 RETURNING current_setting('cluster_name')"
READ = "SELECT current_setting('cluster_name') FROM customers WHERE id = 1"
stopped = threading.Event()  # for answers that go on until the test is over


@pytest.fixture
def fake():
    stopped.clear()
    patroni = FakePatroni()
    yield patroni
    stopped.set()
    patroni.close()


@pytest.fixture
def start(shard, start_braid, fake):
    """start(**): pgbraid before the shard's servers, with the fake for its discovery."""
    def run(wait=True, **kw):
        discovery = {"discovery": {"patroni": [f"127.0.0.1:{fake.port}"]}}
        return start_braid(plain_topology(shard.servers, **(discovery | {"failover": {"hold": "60s"}} | kw)), wait=wait)
    return run


def ask(braid, sql):
    connection = braid.connect(autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0]
    finally:
        connection.close()


def lasting_write(braid):
    """A write on a thread of its own; its answer comes with .result()."""
    class Write(threading.Thread):
        value = error = None

        def run(self):
            try:
                self.value = ask(braid, WRITE)
            except psycopg2.Error as e:
                self.error = e

        def result(self):
            self.join(60)
            assert not self.is_alive() and self.error is None, self.error
            return self.value
    thread = Write(daemon=True)
    thread.start()
    return thread


def test_only_the_leader_that_patroni_names_is_written_to(shard, fake, start):
    """A primary that loses Patroni's favour is none any more, though it answers as one; writes wait until it is back."""
    fake.name(shard.primary)
    braid = start()
    assert ask(braid, WRITE) == shard.primary.name
    fake.name(shard.replicas[0])
    wait_until(lambda: f"no primary: {shard.primary.address} is lost: it answers as primary, and by Patroni the leader is "
               f"{shard.replicas[0].name}" in braid.log(), 20, "the primary is none any more")
    waiting = lasting_write(braid)
    assert ask(braid, READ) == shard.replicas[0].name
    assert waiting.is_alive()
    fake.name(shard.primary)
    assert waiting.result() == shard.primary.name


def test_a_lease_that_has_run_out_stops_writes_and_a_paused_patroni_does_not(shard, fake, start):
    fake.name(shard.primary)
    braid = start()
    fake.name(None)
    wait_until(lambda: "by Patroni nobody is the leader" in braid.log(), 20, "nobody leads")
    waiting = lasting_write(braid)
    fake.name(shard.primary)
    assert waiting.result() == shard.primary.name
    # Maintenance: the lease goes with its Patroni, and the primary is to go on.
    mark = braid.log_mark()
    fake.name(None, pause=True)
    wait_until(lambda: "nobody is the leader now" in braid.log(mark), 20, "the lease is gone")
    assert ask(braid, WRITE) == shard.primary.name
    assert "no primary" not in braid.log(mark)


def test_a_leader_that_is_not_listed_is_said(shard, fake, start):
    """Where Patroni knows a server by another address, its `member` says so."""
    class Elsewhere:
        name, host, port = "pg-one", "192.0.2.1", 5432
    fake.name(Elsewhere)
    braid = start(wait=False)
    wait_until(lambda: "the leader is pg-one (192.0.2.1:5432), none of the servers listed" in braid.log(), 20, "it is said")
    first = {"host": shard.primary.host, "port": shard.primary.port, "member": "pg-one"}
    topology = dict(braid.topology)
    topology["databases"]["shop"]["servers"] = [first, shard.replicas[0].address]
    braid.write(topology)
    braid.reload()
    assert ask(braid, WRITE) == shard.primary.name


def endless(connection):
    connection.sendall(http(b""))
    while not stopped.is_set():
        connection.sendall(b"[" * 65536)


def trickle(connection):
    connection.sendall(http(b""))
    while not stopped.wait(0.05):
        connection.sendall(b" ")


BAD = {
    "garbage": (b"\x00\xff garbage\r\n\r\n" * 10, "its answer is not HTTP"),
    "a page": (http(b"<html>login</html>"), "its answer is not Patroni's list of a cluster's members"),
    "an error": (http(b"{}", b"503 Service Unavailable"), "its answer has status 503"),
    "nothing": (b"", "its answer is not HTTP, or is cut off"),
    "100 MB": (http(b"[" * (100 << 20)), "its answer is longer than 1048576 bytes"),
    "no end": (endless, "its answer is longer than 1048576 bytes"),
    "slowly": (trickle, "timed out"),
    "silence": (lambda connection: stopped.wait(60), "timed out"),
    "a long header": (b"HTTP/1.0 200 OK\r\nX: " + b"x" * 200_000, "the header of its answer is too long"),
    "two leaders": (http(b'{"members":[{"name":"a","role":"leader"},{"name":"b","role":"leader"}]}'), "it names two leaders"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_answer_is_said_once_and_harms_nobody(what, shard, fake, start):
    fake.say, told = BAD[what]
    braid = start(monitor={"user": "postgres", "password_env": "PGBRAID_MONITOR_PASSWORD", "timeout": "500ms"})
    wait_until(lambda: told in braid.log(), 20, "it is said")
    assert ask(braid, WRITE) == shard.primary.name
    asked = fake.asked
    wait_until(lambda: fake.asked >= asked + 2, 20, "it is asked again")
    assert braid.log().count("so the servers' own answers decide") == 1
    fake.name(shard.primary)
    wait_until(lambda: f"it answers; {shard.primary.name}" in braid.log(), 20, "it is heard again")
    assert ask(braid, WRITE) == shard.primary.name


def test_a_name_that_is_not_found_and_a_port_that_nobody_has_are_said(shard, fake, start):
    closed = FakePatroni()
    closed.close()
    braid = start(discovery={"patroni": ["no-such-host.invalid", f"127.0.0.1:{closed.port}"]})
    wait_until(lambda: "cannot resolve host \"no-such-host.invalid\"" in braid.log() and "Connection refused" in braid.log(), 20,
               "both are said")
    assert ask(braid, WRITE) == shard.primary.name


def test_one_that_answers_is_enough(shard, fake, start):
    """The first of two is silent: the second is asked without waiting for the first one's time-out."""
    fake.say = lambda connection: stopped.wait(60)
    other = FakePatroni()
    try:
        other.name(shard.primary)
        braid = start(discovery={"patroni": [f"127.0.0.1:{fake.port}", f"127.0.0.1:{other.port}"]},
                      monitor={"user": "postgres", "password_env": "PGBRAID_MONITOR_PASSWORD", "timeout": "60s"})
        assert ask(braid, WRITE) == shard.primary.name
        assert f"{shard.primary.name} ({shard.primary.address}) is the leader" in braid.log()
    finally:
        other.close()
