"""Transactions that wait for each other on different shards: one is ended, the other goes on."""

import threading
from contextlib import ExitStack

import psycopg2
import pytest

from braid import Braid, sharded_topology
from cluster import Cluster
from waiting import wait_until
from wire import ServerError, query

TOLD = "SELECT count(*) FROM pgbraid.waiting"


def add(key):
    return f"UPDATE customers SET balance = balance + 1 WHERE id = {key}"


class Waits(threading.Thread):
    """Runs a statement on a thread of its own; outcome is None, or the error's SQLSTATE."""

    def __init__(self, run, sql):
        super().__init__(daemon=True)
        self.run_statement, self.sql, self.outcome = run, sql, None
        self.start()

    def run(self):
        try:
            self.run_statement(self.sql)
        except ServerError as error:
            self.outcome = error.sqlstate

    def done(self):
        self.join(30)
        assert not self.is_alive(), "it waits for ever"
        return self.outcome


@pytest.fixture(scope="module")
def second(cluster):
    """Another instance before the same servers, of which `braid` knows nothing."""
    with Braid(sharded_topology(cluster)) as process:
        yield process


def begun(stack, instance, *keys):
    """A client whose transaction has written these keys."""
    client = stack.enter_context(instance.raw())
    client.query("BEGIN")
    for key in keys:
        client.query(add(key))
    return client


def locked(stack, server, *keys):
    """A session of the server's own that has these keys locked."""
    connection = server.connect(autocommit=False)
    stack.callback(connection.close)
    for key in keys:
        connection.cursor().execute(add(key))
    return connection


def nobody_is_told_of(cluster):
    """What is told of those who wait is taken back when they wait no more."""
    for shard in cluster.shards:
        wait_until(lambda: shard.primary.value(TOLD) == 0, 10, f"nothing is left on {shard.name}")


@pytest.mark.parametrize("extended", [False, True])
def test_the_youngest_is_ended(cluster, braid, keys, extended):
    before = [cluster.shards[i].primary.value("SELECT balance FROM customers WHERE id = %s", (keys[i][0],)) for i in range(2)]
    with braid.raw() as old, braid.raw() as young:
        for number, client in enumerate((old, young)):
            client.query("BEGIN")
            client.query(add(keys[number][0]))
        waiting = [Waits(client.extended if extended else client.query, add(keys[1 - number][0]))
                   for number, client in enumerate((old, young))]
        assert [w.done() for w in waiting] == [None, "40P01"]
        assert (old.status, young.status) == ("T", "E")
        old.query("COMMIT")
        young.query("ROLLBACK")
        assert young.value("SELECT 1") == "1"
    after = [cluster.shards[i].primary.value("SELECT balance FROM customers WHERE id = %s", (keys[i][0],)) for i in range(2)]
    assert after == [b + 1 for b in before]


def test_others_may_stand_in_between(cluster, braid, keys):
    """old waits for a session of the server's own, which waits for young, which waits for old."""
    direct = cluster.shards[1].primary.connect()
    direct.autocommit = False
    with braid.raw() as old, braid.raw() as young, direct.cursor() as cursor:
        old.query("BEGIN")
        old.query(add(keys[0][0]))
        young.query("BEGIN")
        young.query(add(keys[1][0]))
        cursor.execute(add(keys[1][1]))

        def run(sql):
            try:
                cursor.execute(sql)
            except psycopg2.Error as error:
                raise ServerError({"C": error.pgcode, "M": str(error)}) from error

        waiting = [Waits(run, add(keys[1][0])), Waits(old.query, add(keys[1][1])), Waits(young.query, add(keys[0][0]))]
        assert waiting[2].done() == "40P01"
        young.query("ROLLBACK")
        assert waiting[0].done() is None
        direct.rollback()
        assert waiting[1].done() is None
        old.query("ROLLBACK")
    direct.close()


def test_who_only_waits_is_left_alone(cluster, braid, keys):
    """Two wait, over two shards each, for locks that are given up in the end."""
    holders = [shard.primary.connect() for shard in cluster.shards]
    for holder, key in zip(holders, keys):
        holder.autocommit = False
        holder.cursor().execute(add(key[0]))
    with braid.raw() as one, braid.raw() as two:
        for number, client in enumerate((one, two)):
            client.query("BEGIN")
            client.query(add(keys[1 - number][1]))
        waiting = [Waits(client.query, add(keys[number][0])) for number, client in enumerate((one, two))]
        waiting[0].join(3)
        assert all(w.is_alive() for w in waiting)
        for holder in holders:
            holder.rollback()
            holder.close()
        assert [w.done() for w in waiting] == [None, None]
        for client in (one, two):
            client.query("ROLLBACK")


@pytest.mark.parametrize("young_on_the_second", [True, False])
def test_the_youngest_is_ended_over_two_instances(cluster, braid, second, keys, young_on_the_second):
    with ExitStack() as stack:
        instances = (braid, second) if young_on_the_second else (second, braid)
        clients = [begun(stack, instance, keys[number][0]) for number, instance in enumerate(instances)]
        waiting = [Waits(client.query, add(keys[1 - number][0])) for number, client in enumerate(clients)]
        assert [w.done() for w in waiting] == [None, "40P01"]
        old, young = clients
        assert (old.status, young.status) == ("T", "E")
        old.query("COMMIT")
        young.query("ROLLBACK")
        assert young.value("SELECT 1") == "1"
    nobody_is_told_of(cluster)


def test_the_table_is_made_where_it_is_missing(cluster, start_braid):
    """As where an older version has made the rest of the schema; by two at once."""
    for shard in cluster.shards:
        shard.primary.query("DROP TABLE pgbraid.waiting")
    started = [start_braid(sharded_topology(cluster), wait=False) for _ in range(2)]
    for shard in cluster.shards:
        wait_until(lambda: shard.primary.value("SELECT to_regclass('pgbraid.waiting') IS NOT NULL"), 20, "it is made")
    for process in started:
        process.wait_ready()
        assert "may not be found" not in process.log()


def test_a_circle_of_three_over_two_instances(cluster, braid, second, keys):
    with ExitStack() as stack:
        first = begun(stack, braid, keys[0][0])
        other = begun(stack, second, keys[1][0])
        third = begun(stack, braid, keys[1][1], keys[0][1])
        waiting = [Waits(first.query, add(keys[1][0])), Waits(other.query, add(keys[0][1])), Waits(third.query, add(keys[0][0]))]
        assert waiting[2].done() == "40P01"
        assert waiting[1].done() is None
        other.query("COMMIT")
        assert waiting[0].done() is None
        first.query("COMMIT")
        third.query("ROLLBACK")
    nobody_is_told_of(cluster)


def test_a_circle_over_shards_where_the_victims_instance_has_nothing():
    """first waits on s1 for second, second on s2 for third, third on s0 for first: each instance knows two shards of its
    own client, and must be told of the rest."""
    servers = Cluster(shards=3, replicas=0)
    with ExitStack() as stack:
        stack.callback(servers.stop)
        servers.start()
        here, there = [stack.enter_context(Braid(sharded_topology(servers))) for _ in range(2)]
        key = [servers.keys_of(i, 1)[0] for i in range(3)]
        second, third, first = begun(stack, there, key[1]), begun(stack, there, key[2]), begun(stack, here, key[0])
        waiting = [Waits(second.query, add(key[2])), Waits(third.query, add(key[0])), Waits(first.query, add(key[1]))]
        assert waiting[2].done() == "40P01"
        assert waiting[1].done() is None
        third.query("COMMIT")
        assert waiting[0].done() is None
        nobody_is_told_of(servers)


def test_who_only_waits_on_two_instances_is_left_alone(cluster, braid, second, keys):
    with ExitStack() as stack:
        holders = [locked(stack, shard.primary, key[0]) for shard, key in zip(cluster.shards, keys)]
        clients = [begun(stack, instance, keys[1 - number][1]) for number, instance in enumerate((braid, second))]
        waiting = [Waits(client.query, add(keys[number][0])) for number, client in enumerate(clients)]
        for shard in cluster.shards:
            wait_until(lambda: shard.primary.value(TOLD) == 2, 10, "both are told of")
        waiting[0].join(3)
        assert all(w.is_alive() for w in waiting)
        for holder in holders:
            holder.rollback()
        assert [w.done() for w in waiting] == [None, None]
        for client in clients:
            client.query("ROLLBACK")
    nobody_is_told_of(cluster)


@pytest.mark.parametrize("told", ["truly", "of a transaction that is over", "by one who is gone"])
def test_what_is_told_counts_while_it_holds(cluster, braid, keys, told):
    """ours waits on s0 for a session there, and a session on s1 waits for ours. Were the two sessions one transaction, as
    is said of them, it would be a circle, and ours the youngest."""
    with ExitStack() as stack:
        sessions = [locked(stack, shard.primary, key[0]) for shard, key in zip(cluster.shards, keys)]
        ours = begun(stack, braid, keys[1][1])
        behind = Waits(sessions[1].cursor().execute, add(keys[1][1]))
        for shard, session in zip(cluster.shards, sessions):
            teller = shard.primary.connect()
            stack.callback(teller.close)
            teller.cursor().execute(
                "INSERT INTO pgbraid.waiting SELECT 'forged', 1, pid, extract(epoch FROM xact_start) * 1000000 + %s, "
                "pg_backend_pid(), (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()) "
                "FROM pg_stat_activity WHERE pid = %s", (int(told.startswith("of")), session.info.backend_pid))
            if told.startswith("by"):
                teller.close()
        waiting = Waits(ours.query, add(keys[0][0]))
        if told == "truly":
            assert waiting.done() == "40P01"
        else:
            waiting.join(3)
            assert waiting.is_alive()
            if told.startswith("by"):
                forged = "SELECT count(*) FROM pgbraid.waiting WHERE transaction = 'forged'"
                assert [shard.primary.value(forged) for shard in cluster.shards] == [0, 0]
            sessions[0].rollback()
            assert waiting.done() is None
        ours.query("ROLLBACK")
        assert behind.done() is None


def test_an_instance_that_is_killed_leaves_nothing(cluster, braid, start_braid, keys):
    with ExitStack() as stack:
        holder = locked(stack, cluster.shards[1].primary, keys[1][0])
        killed = start_braid(sharded_topology(cluster))
        lost = begun(stack, killed, keys[0][0])
        lost.send(query(add(keys[1][0])))
        for shard in cluster.shards:
            wait_until(lambda: shard.primary.value(TOLD) == 1, 10, "it is told of")
        name = cluster.shards[0].primary.value("SELECT transaction FROM pgbraid.waiting")
        killed.kill()
        killed.process = None
        client = begun(stack, braid, keys[0][0])
        waiting = Waits(client.query, add(keys[1][0]))
        names = "SELECT array_agg(transaction <> %s) FROM pgbraid.waiting"
        for shard in cluster.shards:
            wait_until(lambda: shard.primary.value(names, (name,)) == [True], 10, "who lives is told of, and nobody else")
        waiting.join(2)
        assert waiting.is_alive()
        holder.rollback()
        assert waiting.done() is None
        client.query("ROLLBACK")
    nobody_is_told_of(cluster)
