"""Which replica a read goes to: by policy and weight, never back in time, and not to one that is being drained."""

from collections import Counter

import pytest

from braid import plain_topology
from cluster import Cluster, free_port
from waiting import wait_until

NAME = "SELECT current_setting('cluster_name') FROM customers WHERE id = 1"


@pytest.fixture(scope="module")
def shard():
    """One primary and two replicas."""
    servers = Cluster(shards=1, replicas=2)
    try:
        yield servers.start().shards[0]
    finally:
        servers.stop()


def ask(connection, sql=NAME):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def usable(braid, shard):
    return lambda: all(f"{r.address} is a replica, usable" in braid.log() for r in shard.replicas)


def weighted(shard, choose):
    """One worker, so that what its policy does can be counted; the second replica has three times the first's weight."""
    topology = plain_topology(shard.servers, workers=1, reads={"treat_as_read": ["current_setting"], "choose": choose, "consistency": "eventual"})
    topology["databases"]["shop"]["servers"][2] = {"host": "127.0.0.1", "port": shard.replicas[1].port, "weight": 3}
    return topology


@pytest.mark.parametrize("choose, reads, fewest, most", [("round_robin", 40, 10, 10), ("random", 400, 50, 150), ("least_outstanding", 40, 10, 10)])
def test_policies(shard, start_braid, choose, reads, fewest, most):
    braid = start_braid(weighted(shard, choose))
    wait_until(usable(braid, shard), 20, "both replicas are known")
    connection = braid.connect(autocommit=True)
    light, heavy = (r.name for r in shard.replicas)
    counts = Counter(ask(connection) for _ in range(reads))
    assert set(counts) == {light, heavy} and fewest <= counts[light] <= most, counts
    connection.close()


def test_busy_replicas_are_spared(shard, start_braid):
    """least_outstanding: while a read runs on one replica, the others go to the other."""
    braid = start_braid(plain_topology(shard.servers, workers=1, reads={"treat_as_read": ["current_setting", "pg_sleep"]}))
    wait_until(usable(braid, shard), 20, "both replicas are known")
    busy, idle = braid.connect(autocommit=True), [braid.connect(autocommit=True) for _ in range(6)]
    with busy.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(NAME)
        first = cursor.fetchone()[0]
    assert {ask(c) for c in idle} == {r.name for r in shard.replicas} - {first}
    for c in (busy, *idle):
        c.close()


def test_what_was_seen_on_one_replica_does_not_vanish_on_another(shard, start_braid):
    """One replica stands still: who has seen a change on the other never reads the old state again."""
    behind = shard.replicas[0]
    braid = start_braid(plain_topology(shard.servers))
    wait_until(usable(braid, shard), 20, "both replicas are known")
    both = lambda sql: f"SELECT name || '@' || current_setting('cluster_name') FROM customers WHERE id = {sql}"  # noqa: E731
    writer, readers = braid.connect(autocommit=True), [braid.connect(autocommit=True) for _ in range(8)]
    seen = set()
    behind.query("SELECT pg_wal_replay_pause()")
    try:
        wait_until(lambda: behind.value("SELECT pg_get_wal_replay_pause_state()") == "paused", 20, "replay stands still")
        with writer.cursor() as cursor:
            cursor.execute("UPDATE customers SET name = 'changed' WHERE id = 3")
        for turn in range(30):
            for reader in readers:
                name, server = ask(reader, both(3)).split("@")
                if name == "changed":
                    seen.add(reader)
                assert reader not in seen or name == "changed", f"turn {turn}: {server} shows {name} to who has seen the change"
        assert seen, "nobody was sent to the replica that is up to date"
    finally:
        behind.query("SELECT pg_wal_replay_resume()")
    for c in (writer, *readers):
        c.close()


def test_a_drained_replica_loses_no_read(shard, start_braid):
    """Its connections are closed as they become free, open transactions end there, and it comes back by the same way."""
    replica = shard.replicas[0]
    topology = plain_topology([shard.primary, replica])
    braid = start_braid(topology)
    connection, block = braid.connect(autocommit=True), braid.connect()
    wait_until(lambda: ask(connection) == replica.name, 20, "reads go to the replica")
    assert ask(block) == replica.name
    listed = topology["databases"]["shop"]["servers"][1]
    topology["databases"]["shop"]["servers"][1] = {"host": "127.0.0.1", "port": replica.port, "drain": True}
    braid.write(topology)
    braid.reload()
    wait_until(lambda: ask(connection) == shard.primary.name, 20, "nothing new begins there")
    connections = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'"
    wait_until(lambda: replica.value(connections) == 1, 20, "the open transaction alone is left")
    assert ask(block) == replica.name
    block.commit()
    wait_until(lambda: replica.value(connections) == 0, 20, "it has ended")
    assert ask(block) == shard.primary.name
    block.commit()
    topology["databases"]["shop"]["servers"][1] = listed
    braid.write(topology)
    braid.reload()
    wait_until(lambda: ask(connection) == replica.name, 20, "it is read again")
    connection.close()
    block.close()


def test_own_writes_in_default_transactions(shard, start_braid):
    """psycopg2 opens a transaction around everything: what one has committed the next one reads, wherever that is."""
    braid = start_braid(plain_topology(shard.servers, monitor={"user": "postgres", "password_env": "PGBRAID_MONITOR_PASSWORD", "interval": "20ms"}))
    wait_until(usable(braid, shard), 20, "both replicas are known")
    connection = braid.connect()
    answered = Counter()
    with connection.cursor() as cursor:
        for i in range(600):
            if i % 200 == 0:
                shard.replicas[0].query("SELECT pg_wal_replay_pause()")
            if i % 200 == 120:
                shard.replicas[0].query("SELECT pg_wal_replay_resume()")
            if i % 3 == 0:
                cursor.execute("UPDATE customers SET name = %s WHERE id = 5", (f"turn {i}",))
                connection.commit()
                written = f"turn {i}"
            cursor.execute("SELECT name, current_setting('cluster_name') FROM customers WHERE id = 5")
            name, server = cursor.fetchone()
            connection.commit()
            assert name == written, f"turn {i}: {server} shows {name}"
            answered[server] += 1

        def on_a_replica():
            cursor.execute("SELECT name, current_setting('cluster_name') FROM customers WHERE id = 5")
            name, server = cursor.fetchone()
            connection.commit()
            assert name == written
            return server != shard.primary.name
        wait_until(on_a_replica, 20, "reads leave the primary when a replica has caught up")
    assert answered[shard.primary.name] > 0
    connection.close()


@pytest.mark.parametrize("out", [False, True])
def test_a_read_that_no_replica_is_safe_for_has_them_asked(shard, start_braid, out):
    """Not only in their turn, which is an hour away here; nor does a server that is out keep the others from it."""
    topology = plain_topology(shard.servers, monitor={"user": "postgres", "password_env": "PGBRAID_MONITOR_PASSWORD", "interval": "1h"},
                              reads={"treat_as_read": ["current_setting"]})
    if out:
        topology["databases"]["shop"]["servers"].append({"host": "127.0.0.1", "port": free_port()})
    braid = start_braid(topology)
    wait_until(usable(braid, shard), 20, "both replicas are known")
    connection = braid.connect(autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE customers SET name = 'asked' WHERE id = 5")
    wait_until(lambda: ask(connection) != shard.primary.name, 20, "reads go to a replica again")
    connection.close()


def test_the_own_zone_comes_first(shard, start_braid):
    """Reads stay in pgbraid's own zone while a replica there will do."""
    topology = plain_topology(shard.servers, zone="east", reads={"treat_as_read": ["current_setting"], "consistency": "eventual", "choose": "round_robin"})
    listed = topology["databases"]["shop"]["servers"]
    for place, (server, zone) in enumerate(zip(shard.replicas, ("west", "east")), 1):
        listed[place] = {"host": "127.0.0.1", "port": server.port, "zone": zone}
    braid = start_braid(topology)
    wait_until(usable(braid, shard), 20, "both replicas are known")
    connection = braid.connect(autocommit=True)
    assert {ask(connection) for _ in range(10)} == {shard.replicas[1].name}
    listed[2]["drain"] = True
    braid.write(topology)
    braid.reload()
    wait_until(lambda: ask(connection) == shard.replicas[0].name, 20, "another zone is better than none")
    connection.close()


def test_a_slow_replica_gets_less(shard, start_braid, fault_proxy):
    """least_outstanding: a replica that takes much longer to answer is asked when the other has more to do."""
    proxy = fault_proxy(shard.replicas[0].port)
    proxy.delay(0.1)
    braid = start_braid(plain_topology([shard.primary, proxy, shard.replicas[1]], workers=1,
                                       reads={"treat_as_read": ["current_setting"], "consistency": "eventual"}))
    both = lambda: all(f"{s.address} is a replica, usable" in braid.log() for s in (proxy, shard.replicas[1]))  # noqa: E731
    wait_until(both, 20, "both replicas are known")
    connection = braid.connect(autocommit=True)
    fast, slow = shard.replicas[1].name, shard.replicas[0].name
    # The mean of its answers must have come so far first.
    wait_until(lambda: {ask(connection) for _ in range(8)} == {fast}, 20, "reads go to the fast one")
    proxy.delay(0)
    wait_until(lambda: {ask(connection) for _ in range(8)} == {fast, slow}, 20, "both are used again")
    connection.close()
