"""Histories of clients under faults, and proof that the checker sees what it is there for.

PGBRAID_HISTORY_SECONDS is the length of the run (20), PGBRAID_HISTORY_SEED repeats its faults and operations.
"""

import os
import threading
import time

import pytest

from braid import plain_topology
from clients import CUT_SHORT, SCHEMA, HistoryClient, final_state
from cluster import Cluster
from history import Event, Final, check
from injector import Injector
from waiting import wait_until

SECONDS = float(os.environ.get("PGBRAID_HISTORY_SECONDS") or "20")
SEED = os.environ.get("PGBRAID_HISTORY_SEED") or str(time.time_ns() % 1_000_000)
CLIENTS = 8


@pytest.fixture
def servers():
    """A primary and two replicas with the tables of a history."""
    cluster = Cluster(shards=1, replicas=2)
    try:
        shard = cluster.start().shards[0]
        shard.primary.query(SCHEMA)
        shard.wait_for_replay()
        yield shard.servers
    finally:
        cluster.stop()


@pytest.fixture
def start_braid_before(start_braid, fault_proxy):
    """start(servers, **): pgbraid before the servers, each behind a proxy that can fail. Gives both."""

    def start(servers, **changes):
        proxies = [fault_proxy(s.port) for s in servers]
        monitor = {"user": "postgres", "password_env": "PGBRAID_MONITOR_PASSWORD", "interval": "50ms", "timeout": "500ms"}
        changes = {"monitor": monitor, "failover": {"hold": "60s"}, "timeouts": {"connect": "1s"}, **changes}
        return start_braid(plain_topology(proxies, **changes)), proxies

    return start


class Running:
    """Clients at work; afterwards events() has all that they did."""

    def __init__(self, braid, primaries, pause, seed=SEED):
        self.stopped = threading.Event()
        self.all = [HistoryClient(braid, i, seed, primaries, self.stopped, pause) for i in range(CLIENTS)]

    def __enter__(self):
        for client in self.all:
            client.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for client in self.all:
            client.join(90)

    def must_live(self):
        assert not [c.wrong for c in self.all if c.wrong]
        return True

    def advance(self):
        """A condition: every client has done something since."""
        before = [len(c.events) for c in self.all]
        return lambda: self.must_live() and all(len(c.events) > b for c, b in zip(self.all, before))

    def events(self):
        assert not any(c.is_alive() for c in self.all), "a client hangs"
        self.must_live()
        return [e for c in self.all for e in c.events]

    def errors(self):
        total = {}
        for client in self.all:
            for state, count in client.errors.items():
                total[state] = total.get(state, 0) + count
        return total


@pytest.mark.parametrize("consistency", ["session", "global"])
def test_under_faults(servers, start_braid_before, consistency):
    print(f"\nseed {SEED} (PGBRAID_HISTORY_SEED), {SECONDS} s, {consistency}")
    braid, proxies = start_braid_before(servers, reads={"consistency": consistency, "treat_as_read": ["current_setting"]})
    injector = Injector(servers, proxies, SEED, braid)
    injector.wait_for_replicas()
    with Running(braid, injector.primaries, pause=0.01) as running:
        wait_until(running.advance(), 60, "all work")
        end = time.monotonic() + SECONDS
        injector.fail_over()
        while time.monotonic() < end:
            injector.one()
            wait_until(running.advance(), 90, f"seed {SEED}: all go on after {injector.told[-1]}")
        injector.fail_over()
        wait_until(running.advance(), 90, f"seed {SEED}: all go on after the last failover")
    events = running.events()
    found = check(events, final_state(injector.primary), among_all=consistency == "global")
    assert not found, f"seed {SEED}, faults {injector.told}: {len(found)} violations of {len(events)} operations: {found[:10]}"
    on_replicas = sum(e.replica for e in events)
    print(f"{len(events)} operations, {on_replicas} reads on servers that were never primary, errors {running.errors()}, faults {injector.told}")
    assert set(running.errors()) <= {"40003", "08006", "57P01", CUT_SHORT}, running.errors()


def test_without_epochs_it_finds_stale_reads(servers, start_braid_before):
    """With consistency: eventual and a replica that stands still the promise is broken, and the checker says so."""
    braid, _ = start_braid_before(servers, reads={"consistency": "eventual", "treat_as_read": ["current_setting"]})
    servers[1].query("SELECT pg_wal_replay_pause()")
    with Running(braid, {servers[0].name}, pause=0.005, seed="blind") as running:
        def found():
            running.must_live()
            done = [e for c in running.all for e in list(c.events)]
            kinds = {line.split(":")[0] for line in check(done, Final(), among_all=True)}
            return {"stale own read", "non-monotonic read", "stale read among all"} <= kinds
        wait_until(found, 60, "stale and non-monotonic reads are found", every=0.5)
    servers[1].query("SELECT pg_wal_replay_resume()")


@pytest.mark.parametrize("consistency", ["session", "global"])
def test_with_epochs_there_are_none(servers, start_braid_before, consistency):
    """The same with the promise, and reads do go to the replicas."""
    braid, _ = start_braid_before(servers, reads={"consistency": consistency, "treat_as_read": ["current_setting"]})
    servers[1].query("SELECT pg_wal_replay_pause()")
    with Running(braid, {servers[0].name}, pause=0.02, seed="paused") as running:
        wait_until(lambda: running.must_live() and sum(len(c.events) for c in running.all) > 2000, 60, "enough is done")
        servers[1].query("SELECT pg_wal_replay_resume()")
        wait_until(running.advance(), 30, "all go on")
    events = running.events()
    assert check(events, final_state(servers[0]), among_all=consistency == "global") == []
    assert sum(e.replica for e in events) > 100
    assert running.errors() == {}


def events_of(*rows):
    return [Event(client=0, kind=kind, key=1, value=value, outcome=outcome, server="r", replica=replica, number=i)
            for i, (kind, value, outcome, replica) in enumerate(rows)]


@pytest.mark.parametrize("words, events, final", [
    ("stale own read", events_of(("write", 1, "ok", False), ("read register", 0, "ok", False)), Final({1: 1})),
    ("stale own read", events_of(("append", 5, "ok", False), ("read list", [], "ok", False)), Final({}, {1: [5]})),
    ("non-monotonic read", events_of(("read register", 2, "ok", True), ("read register", 1, "ok", True)), Final()),
    ("non-monotonic read", events_of(("read list", [1, 2], "ok", True), ("read list", [1], "ok", False)), Final({}, {1: [1, 2]})),
    ("acknowledged write lost", events_of(("write", 1, "ok", False), ("write", 2, "ok", False)), Final({1: 1})),
    ("acknowledged write lost", events_of(("append", 5, "ok", False)), Final({}, {1: []})),
    ("done twice", events_of(("append", 5, "unknown", False)), Final({}, {1: [5, 5]})),
    ("undone write done", events_of(("append", 5, "failed", False)), Final({}, {1: [5]})),
    ("history rewritten", events_of(("read list", [1, 2], "ok", True)), Final({}, {1: [1, 3, 2]})),
    ("write out of nothing", events_of(("write", 1, "unknown", False)), Final({1: 2})),
])
def test_each_violation_is_seen(words, events, final):
    assert [line for line in check(events, final) if line.startswith(words)]


def test_reads_that_miss_others_writes_are_seen():
    """The write of another client was acknowledged before the read began, or after: only the first is a violation."""
    write = Event(1, "write", 1, 4, began=1.0, ended=2.0)
    append = Event(1, "append", 7, 40, number=1, began=2.0, ended=3.0)
    def stale(kind, key, value, began):
        return check([write, append, Event(2, kind, key, value, began=began, ended=9.0)], Final({1: 4}, {7: [40]}), among_all=True)
    assert stale("read register", 1, 3, began=2.5)[0].startswith("stale read among all")
    assert stale("read list", 7, [], began=3.5)[0].startswith("stale read among all")
    assert stale("read register", 1, 3, began=1.5) == stale("read list", 7, [], began=2.5) == []
    assert stale("read register", 1, 4, began=2.5) == stale("read list", 7, [40], began=3.5) == []


def test_what_is_right_is_not_complained_of():
    events = events_of(("write", 1, "ok", False), ("write", 2, "unknown", False), ("read register", 1, "ok", True), ("read register", 2, "ok", True),
                       ("append", 5, "unknown", False), ("append", 6, "failed", False), ("append", 7, "ok", False), ("read list", [7], "ok", True))
    assert check(events, Final({1: 2}, {1: [7]})) == []
