"""What one client can cost: results and copies of any size pass through at constant memory, however slowly one side takes
them."""

import os
import select
import signal
import socket
import time

import pytest

from braid import plain_topology
from waiting import wait_until
from wire import bind, execute, message, parse, query, sync, tags

MEGABYTE = 1 << 20
MEGABYTES_A_SECOND = 2
ROWS, WIDTH = 50_000, 4000
BIG = f"SELECT repeat('x', {WIDTH}) FROM generate_series(1, {ROWS})"


@pytest.fixture
def bound(memory_bound):
    """Most that the tests' 40 to 200 MB may take of memory."""
    return memory_bound(1)


@pytest.fixture
def primary(cluster):
    return cluster.shards[0].primary


@pytest.fixture
def braid(primary, start_braid):
    return start_braid(plain_topology([primary], pool={"mode": "transaction", "size": 4}, workers=1))


class Memory:
    """The growth of a process's resident memory since it was first looked at; `most` is the most that was seen."""

    def __init__(self, pid):
        self.path, self.most = f"/proc/{pid}/statm", 0
        self.base = self.now()

    def now(self):
        with open(self.path) as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def look(self):
        self.most = max(self.most, self.now() - self.base)


def narrow(client):
    """Little fits between it and pgbraid."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    return client


def warm_up(braid):
    """A client that does a little of everything, so that what is taken once is taken."""
    with braid.raw() as client:
        client.query("SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
        client.extended("SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
        client.send(query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 2000)) TO STDOUT"))
        client.until_ready()


def waits_to_write(primary, pid):
    return primary.value("SELECT wait_event FROM pg_stat_activity WHERE pid = %s", (pid,)) == "ClientWrite"


def read_away(client, memory):
    """Reads up to ReadyForQuery and throws it away; the number of bytes."""
    total, tail = 0, b""
    while not tail.endswith(b"Z\0\0\0\5I"):
        data = client.socket.recv(MEGABYTE)
        assert data
        total += len(data)
        tail = (tail + data)[-16:]
        if total % 7 == 0:
            memory.look()
    return total


@pytest.mark.parametrize("how", ["simple", "extended", "copy", "one row"])
def test_a_client_that_stops_reading(primary, braid, how, bound):
    warm_up(braid)
    client = narrow(braid.raw())
    client.query("BEGIN")
    pid = int(client.value("SELECT pg_backend_pid()"))
    memory = Memory(braid.process.pid)
    if how == "extended":
        client.send(parse(BIG), bind(), execute(), parse("COMMIT"), bind(), execute(), sync())
    elif how == "copy":
        client.send(query(f"COPY ({BIG}) TO STDOUT; COMMIT"))
    elif how == "one row":
        client.send(query(f"SELECT repeat('x', {ROWS * WIDTH}); COMMIT"))
    else:
        client.send(query(f"{BIG}; COMMIT"))
    wait_until(lambda: waits_to_write(primary, pid), what="the server cannot go on")
    memory.look()
    assert memory.most < bound
    assert read_away(client, memory) > ROWS * WIDTH
    assert memory.most < bound
    assert client.value("SELECT 1") == "1"
    client.close()


def test_a_client_that_reads_slowly(braid, bound):
    """At 2 MB/s for three seconds: the pace is the client's, and sets the server's."""
    warm_up(braid)
    client = narrow(braid.raw())
    memory = Memory(braid.process.pid)
    client.send(query(BIG))
    begin = time.monotonic()
    got = 0
    while (spent := time.monotonic() - begin) < 3:
        due = int(spent * MEGABYTES_A_SECOND * MEGABYTE) - got
        if due <= 0:
            time.sleep(0.005)  # the pace itself: nothing is waited for
            continue
        got += len(client.socket.recv(due))
        memory.look()
    assert memory.most < bound
    assert got + read_away(client, memory) > ROWS * WIDTH
    assert memory.most < bound
    client.close()


def test_a_client_that_leaves_in_the_middle_of_a_result(primary, braid, bound):
    warm_up(braid)
    memory = Memory(braid.process.pid)
    for _ in range(3):
        client = narrow(braid.raw())
        pid = int(client.value("SELECT pg_backend_pid()"))
        client.send(query(BIG))
        wait_until(lambda pid=pid: waits_to_write(primary, pid), what="the server cannot go on")
        client.vanish()
        wait_until(lambda pid=pid: primary.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", (pid,)) == 0,
                   what="the server's process has ended")
    memory.look()
    assert memory.most < bound


@pytest.mark.parametrize("chunk", [8 * 1024, 20 * MEGABYTE])
def test_a_server_that_stops_taking_a_copy(primary, braid, chunk, bound):
    """In messages of many sizes: none is kept until it is whole."""
    warm_up(braid)
    client = braid.raw()
    client.query("BEGIN")
    client.query("CREATE TEMP TABLE taken (word text) ON COMMIT DROP")
    pid = int(client.value("SELECT pg_backend_pid()"))
    client.send(query("COPY taken FROM STDIN"))
    client.receive_until("G")
    line = b"y" * 1023 + b"\n"
    data = message("d", line * (chunk // len(line)))
    memory = Memory(braid.process.pid)
    client.socket.setblocking(False)
    sent, total = 0, 40 * MEGABYTE // chunk * len(data)
    stream = data * 2
    stopped = False
    os.kill(pid, signal.SIGSTOP)
    try:
        while sent < total:
            at = sent % len(data)
            try:
                sent += client.socket.send(stream[at:at + min(MEGABYTE, total - sent)])
                memory.look()
            except BlockingIOError:
                if not select.select([], [client.socket], [], 0.5)[1] and not stopped:
                    # Nothing moves any more.
                    stopped = True
                    memory.look()
                    os.kill(pid, signal.SIGCONT)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert stopped
    client.socket.settimeout(60)
    client.send(message("c"))
    assert tags(client.until_ready()) == [f"COPY {total // len(data) * (chunk // len(line))}"]
    memory.look()
    assert memory.most < bound
    client.query("ROLLBACK")
    client.close()
