"""What the monitor sees: failover, replicas that lag or stop, servers that come late, rows on the wrong shard, and
definitions that change."""

import psycopg2
import psycopg2.errors
import pytest

from braid import plain_topology, sharded_topology
from cluster import PG_BIN, run, _as_account
from waiting import wait_until
from wire import ServerError

WHO = "SELECT current_setting('cluster_name') FROM customers WHERE id = {}"


def promote(server):
    run(PG_BIN / "pg_ctl", "promote", "-D", server.folder, "-w", **_as_account())


def answered_by(braid, key):
    return braid.psql(WHO.format(key))


def write(braid, key, name):
    return braid.psql(f"UPDATE customers SET name = '{name}' WHERE id = {key} RETURNING current_setting('cluster_name')")


def test_failover(fresh_cluster, start_braid):
    shard, key, other = fresh_cluster.shards[0], fresh_cluster.keys_of(0, 1)[0], fresh_cluster.keys_of(1, 1)[0]
    primary, replica = shard.servers
    braid = start_braid(sharded_topology(fresh_cluster, failover={"hold": "0"}))
    braid.wait_replicas(fresh_cluster)
    assert write(braid, key, "before") == primary.name
    shard.wait_for_replay()

    primary.stop("immediate")
    wait_until(lambda: f"no primary: {primary.address}" in braid.log(), 10, "the primary's end is seen")
    # Reads of this shard go on, and all of the other shard; writes say why they cannot.
    assert answered_by(braid, key) == replica.name
    assert write(braid, other, "other") == fresh_cluster.shards[1].primary.name
    refused = braid.psql(f"UPDATE customers SET name = 'x' WHERE id = {key}", check=False)
    assert refused.returncode != 0 and "08006" in refused.stderr, refused.stderr

    promote(replica)
    wait_until(lambda: write(braid, key, "after") == replica.name, 15, "writes go to the promoted server")

    # The old primary comes back and still takes itself for one: it gets neither writes nor reads.
    mark = braid.log_mark()
    primary.start()
    wait_until(lambda: f"{primary.address} is out: it claims to be primary on timeline 1" in braid.log(mark), 15,
               "the old primary is seen and left out")
    for i in range(20):
        assert write(braid, key, f"later {i}") == replica.name
        assert answered_by(braid, key) == replica.name
    assert primary.value(f"SELECT name FROM customers WHERE id = {key}") == "before"


def test_two_primaries_at_start_are_not_written(fresh_cluster, start_braid):
    shard, key = fresh_cluster.shards[0], fresh_cluster.keys_of(0, 1)[0]
    promote(shard.replicas[0])
    braid = start_braid(plain_topology(shard.servers, failover={"hold": "0"}), wait=False)
    wait_until(lambda: "two primaries" in braid.log(), 10, "both are seen")
    with pytest.raises((psycopg2.OperationalError, psycopg2.DatabaseError)) as refused:
        connection = braid.connect(autocommit=True)
        connection.cursor().execute(f"UPDATE customers SET name = 'lost' WHERE id = {key}")
    assert "primary" in str(refused.value)
    for server in shard.servers:
        assert server.value(f"SELECT name FROM customers WHERE id = {key}") != "lost"
    shard.replicas[0].stop()
    wait_until(lambda: write(braid, key, "one again") == shard.primary.name, 15, "writes go on with one of them")


def test_a_session_reads_its_own_writes_while_the_replica_stands_still(fresh_cluster, start_braid):
    shard, key = fresh_cluster.shards[0], fresh_cluster.keys_of(0, 1)[0]
    replica = shard.replicas[0]
    braid = start_braid(plain_topology(shard.servers))
    wait_until(lambda: answered_by(braid, key) == replica.name, 15, "reads go to the replica")
    replica.query("SELECT pg_wal_replay_pause()")
    # Not `with connection`: psycopg2 would open a transaction, which stays on the primary once it has written.
    connection = braid.connect(autocommit=True)
    cursor = connection.cursor()
    for i in range(30):
        cursor.execute("UPDATE customers SET name = %s WHERE id = %s", (f"version {i}", key))
        cursor.execute("SELECT name FROM customers WHERE id = %s", (key,))
        assert cursor.fetchone() == (f"version {i}",)
    replica.query("SELECT pg_wal_replay_resume()")

    def back():
        cursor.execute(f"SELECT name, current_setting('cluster_name') FROM customers WHERE id = {key}")
        name, server = cursor.fetchone()
        assert name == "version 29"
        return server == replica.name
    wait_until(back, 15, "the replica has caught up and is read again")
    connection.close()


def test_a_lagging_replica_is_left_alone(fresh_cluster, start_braid):
    shard, key = fresh_cluster.shards[0], fresh_cluster.keys_of(0, 1)[0]
    replica = shard.replicas[0]
    braid = start_braid(plain_topology(shard.servers, reads={"max_lag": "256kB", "consistency": "eventual",
                                                             "treat_as_read": ["current_setting"]}))
    wait_until(lambda: answered_by(braid, key) == replica.name, 15, "reads go to the replica")
    replica.query("SELECT pg_wal_replay_pause()")
    shard.primary.query("CREATE TABLE ballast AS SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
    wait_until(lambda: answered_by(braid, key) == shard.primary.name, 15, "reads leave the replica")
    replica.query("SELECT pg_wal_replay_resume()")
    wait_until(lambda: answered_by(braid, key) == replica.name, 15, "reads come back")


def test_servers_that_come_late(fresh_cluster, start_braid):
    shard, key = fresh_cluster.shards[0], fresh_cluster.keys_of(0, 1)[0]
    for server in shard.servers:
        server.stop()
    braid = start_braid(sharded_topology(fresh_cluster), wait=False)
    braid.wait_listening()
    shard.primary.start()
    wait_until(lambda: write(braid, key, "late") == shard.primary.name, 20, "the late primary is written")
    shard.replicas[0].start()
    wait_until(lambda: answered_by(braid, key) == shard.replicas[0].name, 20, "the late replica is read")


def test_rows_on_the_wrong_shard(fresh_cluster, start_braid):
    """The database is refused with the row named, and served when the row is gone."""
    stranger = fresh_cluster.keys_of(1, 1, above=1_000_000)[0]
    wrong = fresh_cluster.shards[0]
    wrong.primary.query("INSERT INTO customers (id, name) VALUES (%s, 'astray')", (stranger,))
    braid = start_braid(sharded_topology(fresh_cluster), wait=False)
    braid.wait_listening()

    def refused():
        try:
            braid.raw().close()
        except ServerError as e:
            return e if f"'{stranger}'" in str(e) else None
        return None
    error = wait_until(refused, 15, "the row is found")
    assert error.sqlstate == "57P03"
    assert "public.customers" in str(error) and "shard s0" in str(error) and "belongs on shard s1" in str(error)
    wrong.primary.query("DELETE FROM customers WHERE id = %s", (stranger,))
    braid.wait_ready(30)


def test_a_function_that_becomes_volatile(fresh_cluster, start_braid):
    """The catalog is read again by itself; and at once when the DDL passes through."""
    shard = fresh_cluster.shards[0]
    shard.primary.query("CREATE FUNCTION who() RETURNS text STABLE LANGUAGE sql AS $$SELECT current_setting('cluster_name')$$")
    shard.wait_for_replay()
    braid = start_braid(plain_topology(shard.servers))
    who = lambda: braid.psql("SELECT who()")  # noqa: E731
    wait_until(lambda: who() == shard.replicas[0].name, 15, "a stable function is a read")
    shard.primary.query("ALTER FUNCTION who() VOLATILE")
    wait_until(lambda: who() == shard.primary.name, 15, "a volatile function is a write")
    assert [who() for _ in range(5)] == [shard.primary.name] * 5
