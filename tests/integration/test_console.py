"""The console: who may open it, what it tells, and switching over by PAUSE and RESUME."""

import threading

import psycopg2
import pytest

import wire
from braid import plain_topology, sharded_topology
from cluster import MONITOR_PASSWORD
from waiting import wait_until
from writers import TABLE, Writers

ADMIN = {"admin": {"users": ["postgres"]}}


class Console:
    """Rows of SHOW as dictionaries."""

    def __init__(self, braid, user="postgres"):
        self.connection = braid.connect(user=user, dbname="pgbraid", autocommit=True)

    def __call__(self, command):
        with self.connection.cursor() as cursor:
            cursor.execute(command)
            if cursor.description is None:
                return cursor.statusmessage
            return [dict(zip([c.name for c in cursor.description], row)) for row in cursor.fetchall()]


def test_what_it_tells(cluster, start_braid):
    braid = start_braid(sharded_topology(cluster, **ADMIN))
    braid.wait_replicas(cluster)
    console = Console(braid)
    assert console("SHOW DATABASES") == [{"database": "shop", "served": "t", "shards": "2", "reason": ""}]
    servers = {s["server"]: s for s in console("show servers;")}
    for shard in cluster.shards:
        assert servers[shard.primary.address]["role"] == "primary" and servers[shard.primary.address]["shard"] == shard.name
        assert servers[shard.replicas[0].address]["role"] == "replica"
    assert all(s["usable"] == "t" and s["paused"] == "f" and s["timeline"] == "1" for s in servers.values())

    idle, busy = braid.connect(autocommit=True), braid.connect()
    with idle.cursor() as cursor:
        cursor.execute("SELECT 1")
    (key,) = cluster.keys_of(1, 1)
    with busy.cursor() as cursor:
        cursor.execute("UPDATE customers SET name = name WHERE id = %s", (key,))
    clients = {c["pid"]: c for c in console("SHOW CLIENTS")}
    mine = clients[str(idle.info.backend_pid)], clients[str(busy.info.backend_pid)]
    assert [(c["user"], c["database"], c["state"], c["wrote"]) for c in mine] == [("app", "shop", "idle", "f"), ("app", "shop", "in transaction", "t")]
    assert mine[0]["servers"] == "" and cluster.shards[1].primary.address in mine[1]["servers"]
    assert [t["pid"] for t in console("SHOW TRANSACTIONS")] == [str(busy.info.backend_pid)]
    busy.rollback()
    assert console("SHOW TRANSACTIONS") == []

    for wrong, state in (("SELECT 1", "42601"), ("PAUSE nowhere", "42704"), ("PAUSE shop.nowhere", "42704")):
        with pytest.raises(psycopg2.Error) as refused:
            console(wrong)
        assert refused.value.pgcode == state
    assert braid.psql("SHOW DATABASES", user="postgres", password=MONITOR_PASSWORD, dbname="pgbraid") == "shop|t|2|"
    assert len(console("SHOW DATABASES")) == 1
    for connection in (idle, busy):
        connection.close()


def test_who_may_open_it(cluster, start_braid):
    braid = start_braid(plain_topology(cluster.shards[0].servers, **ADMIN))
    with pytest.raises(psycopg2.OperationalError, match='user "app" may not open the console'):
        Console(braid, user="app")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        braid.connect(user="postgres", password="wrong", dbname="pgbraid")


def test_the_extended_protocol_is_refused_in_step(cluster, start_braid):
    braid = start_braid(plain_topology(cluster.shards[0].servers, auth={"method": "trust"}, **ADMIN))
    with braid.raw(user="postgres", dbname="pgbraid") as client:
        client.send(wire.parse("SHOW CLIENTS"), wire.bind(), wire.execute(), wire.sync())
        answer = client.until_ready()
        assert wire.kinds(answer) == "EZ" and wire.errors(answer)[0]["C"] == "42601"
        assert client.query("SHOW DATABASES") == [["shop", "t", "1", ""]]
        client.send(wire.query(""))
        assert wire.kinds(client.until_ready()) == "IZ"


def test_a_switchover(fresh_shard, start_braid):
    """PAUSE waits for open transactions, everybody else waits for RESUME, and in between the primary is replaced: nobody
    sees an error and nothing is lost."""
    primary, replica = fresh_shard.primary, fresh_shard.replicas[0]
    primary.query(TABLE)
    fresh_shard.wait_for_replay()
    braid = start_braid(plain_topology(fresh_shard.servers, failover={"hold": "60s"}, **ADMIN))
    console, block = Console(braid), braid.connect()
    with block.cursor() as cursor:
        cursor.execute("UPDATE customers SET name = 'before' WHERE id = 1")
    with Writers(braid, 8) as writers:
        wait_until(lambda: writers.acknowledged() > 50, 30, "all write")
        said = []
        pausing = threading.Thread(target=lambda: said.append(console("PAUSE shop.default")), daemon=True)
        pausing.start()
        wait_until(lambda: "paused: shop/default" in braid.log(), 20, "nobody is given the primary any more")
        assert said == []
        block.commit()
        pausing.join(30)
        assert said == ["PAUSE"]
        assert [s["paused"] for s in console("SHOW SERVERS")].count("t") == 1
        before = writers.acknowledged()
        # Reads go on.
        with braid.connect(autocommit=True) as reader, reader.cursor() as cursor:
            cursor.execute("SELECT current_setting('cluster_name') FROM customers LIMIT 1")
            assert cursor.fetchone() == (replica.name,)
        primary.stop("fast")
        replica.promote()
        wait_until(lambda: f"{replica.address} is primary" in braid.log(), 20, "the replica is the primary")
        assert writers.acknowledged() == before
        assert console("RESUME shop") == "RESUME"
        wait_until(lambda: writers.acknowledged() > before + 50, 30, "all go on")
    assert not [w.wrong for w in writers.all if w.wrong] and not [w.failed for w in writers.all if w.failed]
    found = set(replica.query("SELECT client, number FROM journal"))
    assert found == {(w.client, n) for w in writers.all for n in w.acknowledged}
    block.close()


def test_a_pause_that_does_not_come_about(fresh_shard, start_braid):
    """A transaction that stays open for longer than failover.hold: the primary is given out again, and the console says why."""
    braid = start_braid(plain_topology(fresh_shard.servers, failover={"hold": "300ms"}, **ADMIN))
    console, block, other = Console(braid), braid.connect(), braid.connect(autocommit=True)
    with block.cursor() as cursor:
        cursor.execute("UPDATE customers SET name = 'open' WHERE id = 1")
    with pytest.raises(psycopg2.Error) as busy:
        console("PAUSE")
    assert busy.value.pgcode == "55006"
    with other.cursor() as cursor:
        cursor.execute("UPDATE customers SET name = 'goes on' WHERE id = 2")
    block.commit()
    # With nothing open it is paused, and who waits for longer than failover.hold is told why.
    assert console("PAUSE") == "PAUSE"
    with pytest.raises(psycopg2.Error) as waited, other.cursor() as cursor:
        cursor.execute("UPDATE customers SET name = 'waits' WHERE id = 2")
    assert waited.value.pgcode == "08006" and "it is paused" in waited.value.diag.message_primary
    # Sessions that log in with settings of their own find a server all the same.
    braid.connect(autocommit=True, options="-c work_mem=3MB").close()
    assert console("RESUME") == "RESUME"
    with other.cursor() as cursor:
        cursor.execute("UPDATE customers SET name = 'goes on' WHERE id = 2")
    for connection in (block, other):
        connection.close()
