"""Primaries that die, are replaced and come back: what waits, what fails and with which SQLSTATE, and what must not happen."""

import signal
import subprocess
import os
import re
import threading

import psycopg2
import pytest

from braid import plain_topology, sharded_topology
from cluster import ROLES, Cluster
from waiting import wait_until
from writers import TABLE, Writers


@pytest.fixture
def shard():
    """One shard of a primary and two replicas, for tests that end them."""
    servers = Cluster(shards=1, replicas=2)
    try:
        yield servers.start().shards[0]
    finally:
        for server in servers.servers:
            if server.running:
                server.process.send_signal(signal.SIGCONT)
        servers.stop()


class Later(threading.Thread):
    """Runs `what` on a thread; result() is what it gave, or raises what it raised."""

    def __init__(self, what):
        super().__init__(daemon=True)
        self.what, self.value, self.error = what, None, None
        self.start()

    def run(self):
        try:
            self.value = self.what()
        except BaseException as e:  # noqa: BLE001 raised by result()
            self.error = e

    def result(self):
        self.join(60)
        assert not self.is_alive(), "still waiting"
        if self.error is not None:
            raise self.error
        return self.value


def lost(braid, server):
    return lambda: f"no primary: {server.address} is lost" in braid.log()


def who(connection, sql="UPDATE customers SET name = name WHERE id = 1 RETURNING current_setting('cluster_name')"):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]




def test_statements_wait_for_the_new_primary(shard, start_braid):
    """Those outside a transaction, the first ones of one, prepared ones, and settings come along."""
    primary, replica = shard.primary, shard.replicas[0]
    braid = start_braid(plain_topology(shard.servers, failover={"hold": "60s"}))
    plain, block, prepared = braid.connect(autocommit=True), braid.connect(), braid.connect(autocommit=True)
    with plain.cursor() as c:
        c.execute("SET work_mem TO '7MB'")
    with prepared.cursor() as c:
        c.execute("PREPARE change(text) AS UPDATE customers SET name = $1 WHERE id = 1 RETURNING current_setting('cluster_name')")
        c.execute("EXECUTE change('before')")
        assert c.fetchone() == (primary.name,)
    shard.wait_for_replay()
    primary.stop("immediate")
    wait_until(lost(braid, primary), 20, "the primary's end is seen")

    asked = [Later(lambda: who(plain, "UPDATE customers SET name = current_setting('work_mem') WHERE id = 2 RETURNING name")),
             Later(lambda: (who(block), block.commit())),
             Later(lambda: who(prepared, "EXECUTE change('after')"))]
    # Meanwhile the replicas answer.
    with braid.connect(autocommit=True) as reader, reader.cursor() as c:
        c.execute("SELECT name FROM customers WHERE id = 1")
        assert c.fetchone() == ("before",)
    assert all(a.is_alive() for a in asked)
    replica.promote()
    assert [asked[0].result(), asked[1].result()[0], asked[2].result()] == ["7MB", replica.name, replica.name]
    assert replica.query("SELECT name FROM customers WHERE id < 3 ORDER BY id") == [("after",), ("7MB",)]
    for connection in (plain, block, prepared):
        connection.close()


def test_what_waits_is_bounded(shard, start_braid):
    """In time, number and bytes; each refusal says that nothing was sent."""
    primary = shard.primary
    topology = plain_topology(shard.servers, failover={"hold": "300ms", "max_held": 1, "max_held_bytes": "1kB"})
    braid = start_braid(topology)
    connection, other = braid.connect(autocommit=True), braid.connect(autocommit=True)
    primary.stop("immediate")
    wait_until(lost(braid, primary), 20, "the primary's end is seen")
    with pytest.raises(psycopg2.OperationalError) as late:
        who(connection)
    assert late.value.pgcode == "08006" and "no primary of shard" in late.value.diag.message_primary
    assert "failover.hold" in late.value.diag.message_detail and "not been sent" in late.value.diag.message_detail
    with pytest.raises(psycopg2.Error) as large:
        who(connection, f"UPDATE customers SET name = '{'x' * 2000}' RETURNING 1")
    assert large.value.pgcode == "53400" and "failover.max_held_bytes" in large.value.diag.message_hint

    topology["failover"]["hold"] = "60s"
    braid.write(topology)
    mark = braid.log_mark()
    braid.reload()
    wait_until(lambda: braid.log(mark).rstrip().endswith("reloaded"), 20, "the longer time is in force")
    # Whichever comes first waits, and the other is told at once that there is no more room.
    asked = [Later(lambda c=c: who(c)) for c in (connection, other)]
    refused = wait_until(lambda: next((a for a in asked if a.error is not None), None), 20, "one of them is refused")
    assert refused.error.pgcode == "53400" and "max_held" in refused.error.diag.message_hint, refused.error
    asked.remove(refused)
    shard.replicas[0].promote()
    assert asked[0].result() == shard.replicas[0].name
    connection.close()
    other.close()


def test_a_cancel_ends_the_wait(shard, start_braid):
    braid = start_braid(plain_topology(shard.servers, failover={"hold": "60s"}))
    connection = braid.connect(autocommit=True)
    shard.primary.stop("immediate")
    wait_until(lost(braid, shard.primary), 20, "the primary's end is seen")
    asked = Later(lambda: who(connection))

    def cancelled():
        connection.cancel()
        asked.join(0.1)
        return not asked.is_alive()
    wait_until(cancelled, 20, "the statement has come to its wait and is cancelled")
    with pytest.raises(psycopg2.errors.QueryCanceled):
        asked.result()
    connection.close()


def test_without_a_wait_the_error_comes_at_once(shard, start_braid):
    braid = start_braid(plain_topology(shard.servers, failover={"hold": "0"}))
    connection = braid.connect(autocommit=True)
    shard.primary.stop("immediate")
    wait_until(lost(braid, shard.primary), 20, "the primary's end is seen")
    with pytest.raises(psycopg2.OperationalError) as refused:
        who(connection)
    assert refused.value.pgcode == "08006"
    connection.close()


def test_a_killed_primary_under_load(shard, start_braid):
    """kill -9, then promotion of the synchronous replica: only what is open fails, nothing acknowledged is lost."""
    primary, replica = shard.primary, shard.replicas[0]
    primary.query(TABLE)
    shard.commit_on_replica()
    braid = start_braid(plain_topology(shard.servers[:2], failover={"hold": "60s"}))
    with Writers(braid, 8) as writers:
        wait_until(writers.all_write(), 30, "all write")
        primary.process.kill()
        wait_until(lost(braid, primary), 20, "the primary's end is seen")
        replica.promote()
        wait_until(writers.all_write(), 30, "all write again")
    told = writers.check(replica)
    assert set(told) <= {"40003", "08006"}, told
    # No client had more under way than one statement or transaction.
    assert sum(told.values()) <= 8, told


def run_pgbench(braid, clients, transactions, *arguments):
    environment = {**os.environ, "PGPASSWORD": ROLES["app"][1]}
    return subprocess.Popen(["pgbench", "-h", "127.0.0.1", "-p", str(braid.port), "-U", "app", "-n", "-c", str(clients), "-j", "2",
                             "-t", str(transactions), *arguments, "shop"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def test_planned_switchover_under_load(shard, start_braid, tmp_path):
    """The primary is drained by the topology, stopped, replaced: nobody notices but by the time it takes."""
    primary, replica = shard.servers[:2]
    primary.query("CREATE TABLE counters (id int PRIMARY KEY, n int); INSERT INTO counters SELECT g, 0 FROM generate_series(1, 16) g; "
                  "GRANT ALL ON counters TO app")
    shard.wait_for_replay()
    script = tmp_path / "load.sql"
    script.write_text("BEGIN;\nUPDATE counters SET n = n + 1 WHERE id = :client_id + 1;\nSELECT n FROM counters WHERE id = :client_id + 1;\n"
                      "COMMIT;\nSELECT n FROM counters WHERE id = :client_id + 1;\n\\sleep 2 ms\n")
    topology = plain_topology(shard.servers[:2], failover={"hold": "60s"})
    braid = start_braid(topology)
    load = run_pgbench(braid, 16, 300, "-M", "prepared", "-f", script)
    written = lambda server: server.value("SELECT sum(n) FROM counters")  # noqa: E731
    wait_until(lambda: written(primary) > 200, 30, "the load runs")

    first = topology["databases"]["shop"]["servers"][0]
    topology["databases"]["shop"]["servers"][0] = {"host": "127.0.0.1", "port": primary.port, "drain": True}
    braid.write(topology)
    braid.reload()
    connections = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'"
    wait_until(lambda: primary.value(connections) == 0, 30, "the primary has nothing of the clients' left")
    assert load.poll() is None, load.stdout.read()
    primary.stop("fast")
    replica.promote()
    topology["databases"]["shop"]["servers"][0] = first
    braid.write(topology)
    out, _ = load.communicate(timeout=120)
    assert load.returncode == 0, out
    assert "number of transactions actually processed: 4800/4800" in out and "number of failed transactions: 0" in out, out
    assert written(replica) == 4800
    assert re.search(f"{replica.address} is primary .timeline 2", braid.log())


def test_a_primary_that_was_only_asleep(shard, start_braid):
    """Another took its place meanwhile: what was open on it must not end well there, and nothing new reaches it."""
    primary, replica = shard.servers[:2]
    braid = start_braid(plain_topology(shard.servers[:2], monitor={"user": "postgres", "password_env": "PGBRAID_MONITOR_PASSWORD", "timeout": "300ms"},
                                       failover={"hold": "60s"}))
    block, other = braid.connect(), braid.connect(autocommit=True)
    assert who(block, "UPDATE customers SET name = 'open' WHERE id = 1 RETURNING current_setting('cluster_name')") == primary.name
    primary.process.send_signal(signal.SIGSTOP)
    for child in children(primary):
        os.kill(child, signal.SIGSTOP)
    wait_until(lost(braid, primary), 20, "the primary is taken for lost")
    replica.promote()
    assert who(other) == replica.name
    for child in [*children(primary), primary.process.pid]:
        os.kill(child, signal.SIGCONT)
    wait_until(lambda: f"{primary.address} is out: it claims to be primary on timeline 1" in braid.log(), 20, "it is seen and kept out")
    with pytest.raises(psycopg2.OperationalError) as refused:
        block.commit()
    assert refused.value.pgcode == "08006"
    block.rollback()
    for _ in range(10):
        assert who(other) == replica.name
        assert who(block) == replica.name
        block.commit()
    assert primary.value("SELECT count(*) FROM customers WHERE name = 'open'") == 0
    block.close()
    other.close()


def children(server):
    with open(f"/proc/{server.process.pid}/task/{server.process.pid}/children") as listed:
        return [int(pid) for pid in listed.read().split()]


def test_a_replica_that_stops_answering(shard, start_braid):
    """Reads that were under way there are run again elsewhere, later ones go elsewhere, and it comes back."""
    replica = shard.replicas[0]
    braid = start_braid(plain_topology([shard.primary, replica], monitor={"user": "postgres", "password_env": "PGBRAID_MONITOR_PASSWORD", "timeout": "300ms"}))
    name = "SELECT current_setting('cluster_name') FROM customers WHERE id = 1"
    connection = braid.connect(autocommit=True)
    wait_until(lambda: who(connection, name) == replica.name, 20, "reads go to the replica")
    for pid in [replica.process.pid, *children(replica)]:
        os.kill(pid, signal.SIGSTOP)
    assert who(connection, name) == shard.primary.name
    wait_until(lambda: f"{replica.address} is out: timed out" in braid.log(), 20, "the replica is out")
    assert who(connection, name) == shard.primary.name
    for pid in [replica.process.pid, *children(replica)]:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: who(connection, name) == replica.name, 20, "reads come back")
    connection.close()


def test_reads_on_a_killed_replica_are_run_again(shard, start_braid):
    replica = shard.replicas[0]
    braid = start_braid(plain_topology([shard.primary, replica], reads={"treat_as_read": ["current_setting", "pg_sleep"]}))
    connection = braid.connect(autocommit=True)
    slow = "SELECT current_setting('cluster_name') FROM (SELECT pg_sleep(0.5) OFFSET 0) s"
    wait_until(lambda: who(connection, slow) == replica.name, 20, "reads go to the replica")
    mark = replica.log_mark()
    asked = Later(lambda: who(connection, slow))
    wait_until(lambda: "pg_sleep" in replica.log(mark), 20, "the read runs there")
    replica.process.kill()
    assert asked.result() == shard.primary.name
    connection.close()


def test_two_primaries_on_one_timeline_are_both_left_alone(shard, start_braid):
    """A standby that was started without its signal file is a second primary of the same history: no write is safe."""
    primary, twin = shard.servers[:2]
    braid = start_braid(plain_topology(shard.servers[:2], failover={"hold": "0"}))
    connection = braid.connect(autocommit=True)
    assert who(connection) == primary.name
    open_block = braid.connect()
    assert who(open_block, "UPDATE customers SET name = 'open' WHERE id = 2 RETURNING current_setting('cluster_name')") == primary.name
    twin.stop()
    (twin.folder / "standby.signal").unlink()
    twin.start()
    wait_until(lambda: "two primaries: " in braid.log() and "on one timeline" in braid.log(), 20, "both are seen")
    with pytest.raises(psycopg2.OperationalError) as refused:
        who(connection)
    assert refused.value.pgcode == "08006" and "two primaries" in refused.value.diag.message_primary
    with pytest.raises(psycopg2.OperationalError) as undone:
        open_block.commit()
    assert undone.value.pgcode == "08006"
    twin.stop()
    wait_until(lambda: who(connection) == primary.name, 20, "writes go on when one is left")
    assert primary.value("SELECT count(*) FROM customers WHERE name = 'open'") == 0
    connection.close()
    open_block.close()


def test_a_primary_of_another_cluster_takes_no_place(shard, start_braid):
    """Its system identifier gives it away."""
    strangers = Cluster(shards=1, replicas=0)
    try:
        stranger = strangers.start().shards[0].primary
        primary = shard.primary
        braid = start_braid(plain_topology([primary, stranger], failover={"hold": "0"}), wait=False)
        wait_until(lambda: "two primaries" in braid.log(), 20, "at the start nobody knows which")
        stranger.stop()
        braid.wait_ready()
        connection = braid.connect(autocommit=True)
        assert who(connection) == primary.name
        primary.stop("immediate")
        wait_until(lost(braid, primary), 20, "the primary's end is seen")
        mark = braid.log_mark()
        stranger.start()
        wait_until(lambda: "system identifier" in braid.log(mark), 20, "the other cluster is seen")
        with pytest.raises(psycopg2.OperationalError) as refused:
            who(connection)
        assert refused.value.pgcode == "08006"
        primary.start()
        wait_until(lambda: who(connection) == primary.name, 20, "the primary is back")
        connection.close()
    finally:
        strangers.stop()


def test_one_shard_fails_over_while_the_others_work(fresh_cluster, start_braid):
    """Statements of the other shard, and reads, do not wait for it."""
    primary, replica = fresh_cluster.shards[0].servers
    mine, others = fresh_cluster.keys_of(0, 1)[0], fresh_cluster.keys_of(1, 1)[0]
    change = "UPDATE customers SET name = 'changed' WHERE id = {} RETURNING current_setting('cluster_name')"
    braid = start_braid(sharded_topology(fresh_cluster, failover={"hold": "60s"}))
    connection, other = braid.connect(autocommit=True), braid.connect(autocommit=True)
    primary.stop("immediate")
    wait_until(lost(braid, primary), 20, "the primary's end is seen")
    asked = Later(lambda: who(connection, change.format(mine)))
    assert who(other, change.format(others)) == fresh_cluster.shards[1].primary.name
    assert who(other, f"SELECT current_setting('cluster_name') FROM customers WHERE id = {mine}") == replica.name
    assert asked.is_alive()
    replica.promote()
    assert asked.result() == replica.name
    connection.close()
    other.close()


def test_a_replica_that_lacks_too_much_is_no_primary(shard, start_braid):
    """failover.max_loss: what the last primary had flushed is held against where the new timeline begins."""
    primary, replica = shard.servers[:2]
    topology = plain_topology(shard.servers[:2], failover={"hold": "0", "max_loss": "0B"})
    braid = start_braid(topology)
    connection = braid.connect(autocommit=True)
    replica.stop()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE customers SET name = 'lost' WHERE id = 1 RETURNING clock_timestamp()")
        written = cursor.fetchone()[0]
    seen = "SELECT max(query_start) > %s FROM pg_stat_activity WHERE application_name = 'pgbraid_monitor' AND query LIKE '%%insert_lsn%%'"
    wait_until(lambda: primary.value(seen, (written,), dbname="postgres"), 20, "the monitor has looked since")
    primary.stop("immediate")
    wait_until(lost(braid, primary), 20, "the primary's end is seen")
    replica.start()
    replica.promote()
    wait_until(lambda: re.search(rf"{replica.address} is out: it lacks \d+ bytes of the last primary's WAL", braid.log()), 20, "it is judged")
    with pytest.raises(psycopg2.OperationalError) as refused:
        who(connection)
    assert refused.value.pgcode == "08006" and "max_loss" in refused.value.diag.message_primary
    del topology["failover"]["max_loss"]
    braid.write(topology)
    braid.reload()
    wait_until(lambda: who(connection) == replica.name, 20, "any loss will do")
    assert re.search(rf"{replica.address} lacks \d+ bytes", braid.log())
    connection.close()


def test_a_login_waits_too(start_braid):
    """A client with settings nobody has used yet comes while no server is there: it is let in when one is."""
    servers = Cluster(shards=1, replicas=0)
    try:
        primary = servers.start().shards[0].primary
        braid = start_braid(plain_topology([primary], failover={"hold": "60s"}))
        braid.connect().close()
        primary.stop("immediate")
        wait_until(lost(braid, primary), 20, "the primary's end is seen")
        coming = Later(lambda: braid.connect(autocommit=True, options="-c work_mem=5MB", connect_timeout=60))
        # It stands in line like a statement of somebody who is there already would; who may not wait is told at once.
        assert coming.is_alive()
        primary.start()
        connection = coming.result()
        assert who(connection, "SHOW work_mem") == "5MB"
        connection.close()

        topology = braid.topology
        topology["failover"]["hold"] = 0
        braid.write(topology)
        mark = braid.log_mark()
        braid.reload()
        wait_until(lambda: braid.log(mark).rstrip().endswith("reloaded"), 20, "nothing is held any more")
        mark = braid.log_mark()
        primary.stop("immediate")
        wait_until(lambda: "is lost" in braid.log(mark), 20, "its end is seen again")
        with pytest.raises(psycopg2.OperationalError, match="cannot log in: no primary of shard"):
            braid.connect(options="-c work_mem=6MB")
    finally:
        servers.stop()
