"""What reads must see: tokens carried from one session to another, waiting for replicas, and writes of all sessions."""

import threading

import psycopg2
import pytest

import wire
from braid import Braid, plain_topology, sharded_topology
from waiting import wait_until

WHO = "SELECT name, current_setting('cluster_name') FROM customers WHERE id = %s"
QUICK = {"user": "postgres", "password_env": "PGBRAID_MONITOR_PASSWORD", "interval": "50ms"}


class Paused:
    """Replay stands still inside `with`."""

    def __init__(self, *replicas):
        self.replicas = replicas

    def __enter__(self):
        for replica in self.replicas:
            replica.query("SELECT pg_wal_replay_pause()")
            wait_until(lambda r=replica: r.value("SELECT pg_get_wal_replay_pause_state()") == "paused", 20, "replay stands still")
        return self

    def __exit__(self, *_):
        for replica in self.replicas:
            replica.query("SELECT pg_wal_replay_resume()")


def ask(connection, sql, arguments=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, arguments)
        return cursor.fetchone() if cursor.description else None


def before(start_braid, shard, **changes):
    """A pgbraid that knows the shard's replicas."""
    braid = start_braid(plain_topology(shard.servers, monitor=QUICK, **changes))
    wait_until(lambda: all(f"{r.address} is a replica, usable" in braid.log() for r in shard.replicas), 20, "replicas are known")
    return braid


def on_replica(connection, shard, key=1):
    return lambda: ask(connection, WHO, (key,))[1] in {r.name for r in shard.replicas}


def test_a_token_is_good_in_another_process(shard, start_braid):
    """Replay stands still: who has the token reads what was written, through another pgbraid too, who has none does not."""
    first, second = before(start_braid, shard), before(start_braid, shard)
    writer, reader, other = first.connect(autocommit=True), second.connect(autocommit=True), second.connect(autocommit=True)
    for connection in (reader, other):
        wait_until(on_replica(connection, shard), 20, "reads go to the replica")
    assert ask(writer, "SHOW pgbraid.consistency_token") == ("",)
    old = ask(reader, WHO, (1,))[0]
    with Paused(*shard.replicas):
        ask(writer, "UPDATE customers SET name = 'carried' WHERE id = 1")
        token, = ask(writer, "SHOW pgbraid.consistency_token")
        assert token.startswith("pgb1.")
        ask(reader, "SET pgbraid.consistency_token = %s", (token,))
        assert ask(reader, WHO, (1,)) == ("carried", shard.primary.name)
        assert ask(other, WHO, (1,)) == (old, shard.replicas[0].name)
        # It is handed on by whoever has it.
        assert ask(reader, "SHOW pgbraid.consistency_token") == (token,)
        ask(other, "SET pgbraid.consistency_token = %s", (token,))
        assert ask(other, WHO, (1,)) == ("carried", shard.primary.name)
        with second.connect(autocommit=True, options=f"-c pgbraid.consistency_token={token}") as begun_with_it:
            assert ask(begun_with_it, WHO, (1,)) == ("carried", shard.primary.name)
        ask(other, "RESET pgbraid.consistency_token")
        assert ask(other, WHO, (1,)) == (old, shard.replicas[0].name)
    wait_until(on_replica(reader, shard), 20, "the replica has what the token asks for")
    assert ask(reader, WHO, (1,)) == ("carried", shard.replicas[0].name)
    for connection in (writer, reader, other):
        connection.close()


def test_a_token_in_transactions(shard, start_braid):
    """As psycopg2 has them by default, READ COMMITTED and REPEATABLE READ."""
    braid = before(start_braid, shard)
    writer, reader, snapshot = braid.connect(), braid.connect(), braid.connect()
    snapshot.set_session(isolation_level="REPEATABLE READ", readonly=True)
    for connection in (reader, snapshot):
        wait_until(lambda c=connection: (on_replica(c, shard, 2)(), c.commit())[0], 20, "reads go to the replica")
    old = ask(reader, WHO, (2,))[0]
    assert ask(snapshot, WHO, (2,))[0] == old
    with Paused(*shard.replicas):
        ask(writer, "UPDATE customers SET name = 'in a transaction' WHERE id = 2")
        with pytest.raises(psycopg2.Error) as early:
            ask(writer, "SHOW pgbraid.consistency_token")
        assert early.value.pgcode == "25001" and "COMMIT" in early.value.diag.message_hint
        writer.rollback()
        ask(writer, "UPDATE customers SET name = 'in a transaction' WHERE id = 2")
        writer.commit()
        token, = ask(writer, "SHOW pgbraid.consistency_token")
        writer.commit()
        # Its transaction is on the replica already.
        assert ask(reader, WHO, (2,)) == (old, shard.replicas[0].name)
        ask(reader, "SET pgbraid.consistency_token = %s", (token,))
        assert ask(reader, WHO, (2,)) == ("in a transaction", shard.primary.name)
        reader.commit()
        assert ask(reader, WHO, (2,)) == ("in a transaction", shard.primary.name)
        reader.commit()
        with pytest.raises(psycopg2.Error) as late:
            ask(snapshot, "SET pgbraid.consistency_token = %s", (token,))
        assert late.value.pgcode == "25001"
        snapshot.rollback()
        ask(snapshot, "SET pgbraid.consistency_token = %s", (token,))
        assert ask(snapshot, WHO, (2,)) == ("in a transaction", shard.primary.name)
    for connection in (writer, reader, snapshot):
        connection.close()


def test_a_token_by_the_extended_protocol(shard, start_braid):
    braid = before(start_braid, shard)
    with braid.raw() as writer, braid.raw() as reader, Paused(*shard.replicas):
        writer.extended("UPDATE customers SET name = 'extended' WHERE id = 3")
        writer.send(wire.parse("SHOW pgbraid.consistency_token", "s"), wire.describe_statement("s"), wire.bind(statement="s"), wire.execute(), wire.sync())
        answer = writer.until_ready()
        assert wire.kinds(answer) == "1tT2DCZ"
        token, = wire.rows(answer)[0]
        reader.send(wire.parse(f"SET pgbraid.consistency_token = '{token.decode()}'"), wire.bind(), wire.execute(), wire.sync())
        assert wire.tags(reader.until_ready()) == ["SET"]
        assert reader.extended("SELECT name FROM customers WHERE id = 3") == [["extended"]]


def test_bad_tokens_are_refused(shard, start_braid, cluster):
    """Not one, cut short, of another system, and of a pgbraid before other servers."""
    braid = before(start_braid, shard)
    other = start_braid(plain_topology(cluster.shards[0].servers))
    stranger = other.connect(autocommit=True)
    ask(stranger, "UPDATE customers SET name = name WHERE id = %s", (cluster.keys_of(0, 1)[0],))
    foreign, = ask(stranger, "SHOW pgbraid.consistency_token")
    stranger.close()
    connection = braid.connect(autocommit=True)
    ask(connection, "UPDATE customers SET name = name WHERE id = 1")
    own, = ask(connection, "SHOW pgbraid.consistency_token")
    for bad, words in [("nonsense", "invalid value"), (own[:-1], "invalid value"), (own + "0", "invalid value"), ("0/16B374D8", "invalid value"),
                       (foreign, "is not of database \"shop\"")]:
        with pytest.raises(psycopg2.Error) as refused:
            ask(connection, "SET pgbraid.consistency_token = %s", (bad,))
        assert refused.value.pgcode == "22023" and words in refused.value.diag.message_primary, bad
        assert refused.value.diag.message_hint
    with pytest.raises(psycopg2.Error) as together:
        ask(connection, f"SET pgbraid.consistency_token = '{own}'; SELECT 1")
    assert together.value.pgcode == "0A000"
    assert ask(connection, "SELECT 1") == (1,)
    connection.close()


def test_a_token_over_shards(cluster, start_braid):
    """A position for each shard that was written, and reads of the others stay on their replicas."""
    braid = start_braid(sharded_topology(cluster, monitor=QUICK))
    braid.wait_replicas(cluster)
    writer, reader = braid.connect(autocommit=True), braid.connect(autocommit=True)
    (here, untouched), (there, _) = cluster.keys_of(0, 2), cluster.keys_of(1, 2)
    with Paused(*(s.replicas[0] for s in cluster.shards)):
        ask(writer, "UPDATE customers SET name = 'here' WHERE id = %s", (here,))
        one, = ask(writer, "SHOW pgbraid.consistency_token")
        ask(writer, "UPDATE customers SET name = 'there' WHERE id = %s", (there,))
        both, = ask(writer, "SHOW pgbraid.consistency_token")
        assert one.count("_") == 0 and both.count("_") == 1
        ask(reader, "SET pgbraid.consistency_token = %s", (one,))
        assert ask(reader, WHO, (here,)) == ("here", cluster.shards[0].primary.name)
        assert ask(reader, WHO, (untouched,))[1] == cluster.shards[0].primary.name
        assert ask(reader, WHO, (there,))[1] == cluster.shards[1].replicas[0].name
        ask(reader, "SET pgbraid.consistency_token = %s", (both,))
        assert ask(reader, WHO, (there,)) == ("there", cluster.shards[1].primary.name)
        with reader.cursor() as cursor:
            cursor.execute("SELECT name FROM customers WHERE name IN ('here', 'there') ORDER BY name")
            assert cursor.fetchall() == [("here",), ("there",)]
    # As others expect them.
    for key in (here, there):
        ask(writer, "UPDATE customers SET name = %s WHERE id = %s", (f"customer {key}", key))
    writer.close()
    reader.close()


def test_a_token_of_what_a_promotion_lost(fresh_shard, start_braid):
    """Replay and reception stop, the primary dies with a write that no replica has: its token says so."""
    replica = fresh_shard.replicas[0]
    braid = before(start_braid, fresh_shard)
    connection = braid.connect(autocommit=True)
    ask(connection, "UPDATE customers SET name = 'kept' WHERE id = 1")
    kept, = ask(connection, "SHOW pgbraid.consistency_token")
    fresh_shard.wait_for_replay()
    # The replica goes on with a primary that does not exist.
    replica.configure(1)
    replica.restart()
    ask(connection, "UPDATE customers SET name = 'lost' WHERE id = 1")
    lost, = ask(connection, "SHOW pgbraid.consistency_token")
    fresh_shard.primary.stop("immediate")
    replica.promote()
    wait_until(lambda: f"{replica.address} is primary" in braid.log(), 20, "the replica is the primary")
    reader = wait_until(lambda: braid.connect(autocommit=True), 20, "a client is let in")
    ask(reader, "SET pgbraid.consistency_token = %s", (kept,))
    assert ask(reader, WHO, (1,)) == ("kept", replica.name)
    with pytest.raises(psycopg2.Error) as refused:
        ask(reader, "SET pgbraid.consistency_token = %s", (lost,))
    assert refused.value.pgcode == "22023" and "was lost when a server was promoted" in refused.value.diag.message_primary
    reader.close()
    connection.close()


def test_waiting_for_a_replica(shard, start_braid):
    """wait_for_replica: a read of what was just written is answered by the replica once that has it, or by the primary."""
    braid = before(start_braid, shard, reads={"treat_as_read": ["current_setting"], "wait_for_replica": "10s"})
    connection = braid.connect(autocommit=True)
    wait_until(on_replica(connection, shard, 4), 20, "reads go to the replica")
    answer = []
    with Paused(*shard.replicas):
        ask(connection, "UPDATE customers SET name = 'waited for' WHERE id = 4")
        reading = threading.Thread(target=lambda: answer.append(ask(connection, WHO, (4,))), daemon=True)
        reading.start()
        # Others are not held up by it, and it waits.
        with braid.connect(autocommit=True) as other:
            assert on_replica(other, shard, 4)()
        assert reading.is_alive()
    reading.join(30)
    assert answer == [("waited for", shard.replicas[0].name)]

    topology = plain_topology(shard.servers, monitor=QUICK, reads={"treat_as_read": ["current_setting"], "wait_for_replica": "100ms"},
                              listen={"port": braid.port})
    braid.write(topology)
    mark = braid.log_mark()
    braid.reload()
    wait_until(lambda: braid.log(mark).rstrip().endswith("reloaded"), 20, "the shorter time is in force")
    with Paused(*shard.replicas):
        ask(connection, "UPDATE customers SET name = 'not waited for' WHERE id = 4")
        assert ask(connection, WHO, (4,)) == ("not waited for", shard.primary.name)
        # A cancel ends the waiting; what waits when its client leaves is forgotten.
        ask(connection, "UPDATE customers SET name = 'not waited for' WHERE id = 4")
    connection.close()
    assert ask(braid.connect(autocommit=True), "SELECT 1") == (1,)


# --- consistency: global

CODE = """
CREATE TABLE plain (id int PRIMARY KEY, value int); CREATE TABLE audited (id int PRIMARY KEY, value int);
CREATE TABLE audit (value int); CREATE TABLE parents (id int PRIMARY KEY); CREATE TABLE untouched (id int PRIMARY KEY);
CREATE TABLE children (id int REFERENCES parents ON DELETE CASCADE); CREATE VIEW seen AS SELECT value FROM plain;
CREATE TABLE measures (id int, value int) PARTITION BY LIST (id); CREATE TABLE measures_1 PARTITION OF measures FOR VALUES IN (1);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit VALUES (new.value); RETURN new; END $$;
CREATE TRIGGER noted AFTER INSERT OR UPDATE ON audited FOR EACH ROW EXECUTE FUNCTION note();
CREATE FUNCTION raise_all(int) RETURNS void LANGUAGE sql AS 'UPDATE plain SET value = value + $1';
CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT sum(value) FROM plain); END $$;
INSERT INTO plain VALUES (1, 0); INSERT INTO parents VALUES (1); INSERT INTO children VALUES (1); INSERT INTO measures VALUES (1, 0);
GRANT ALL ON ALL TABLES IN SCHEMA public TO app;
"""


@pytest.fixture(scope="module")
def world(shard):
    """Tables with all that makes a write reach further than its own words, and pgbraid before them."""
    shard.primary.query(CODE)
    shard.wait_for_replay()

    with Braid(plain_topology(shard.servers, monitor=QUICK, workers=2, reads={"treat_as_read": ["current_setting"], "consistency": "global"})) as braid:
        wait_until(lambda: f"{shard.replicas[0].address} is a replica, usable" in braid.log(), 20, "the replica is known")
        yield braid


WRITES = [
    ("UPDATE plain SET value = value + 1", "SELECT value FROM plain", True),
    ("UPDATE plain SET value = value + 1", "SELECT value FROM seen", True),
    ("UPDATE plain SET value = value + 1", "SELECT total()", True),
    ("UPDATE seen SET value = value + 1", "SELECT value FROM plain", False),
    ("INSERT INTO audited SELECT coalesce(max(id), 0) + 1, 7 FROM audited", "SELECT count(*) FROM audit", False),
    ("WITH one AS (INSERT INTO parents SELECT max(id) + 1 FROM parents RETURNING id) SELECT id FROM one", "SELECT count(*) FROM parents", False),
    ("DELETE FROM parents WHERE id = 1", "SELECT count(*) FROM children", False),
    ("UPDATE measures SET value = value + 1", "SELECT value FROM measures_1", False),
    ("UPDATE measures_1 SET value = value + 1", "SELECT value FROM measures", False),
    ("SELECT raise_all(1)", "SELECT value FROM plain", False),
    ("DO 'BEGIN UPDATE plain SET value = value + 1; END'", "SELECT value FROM plain", False),
    ("UPDATE plain SET value = value + 1; SELECT 1", "SELECT value FROM plain", True),
    ("BEGIN; UPDATE plain SET value = value + 1; COMMIT", "SELECT value FROM plain", True),
    ("TRUNCATE audit", "SELECT count(*) FROM audit", False),
    ("CREATE TABLE IF NOT EXISTS made AS SELECT 1 AS a", "SELECT count(*) FROM pg_class WHERE relname = 'made'", False),
]


@pytest.mark.parametrize("write, read, others_stay", WRITES)
def test_everybody_sees_what_anybody_has_written(world, shard, write, read, others_stay):
    """Replay stands still. Sessions of all workers read what one has written; other tables are read on the replica, where
    it is known which those are."""
    sessions = [world.connect(autocommit=True) for _ in range(4)]
    where = "SELECT current_setting('cluster_name') FROM untouched RIGHT JOIN (SELECT 1 AS one) o ON true"
    for session in sessions:
        wait_until(lambda s=session: ask(s, where)[0] == shard.replicas[0].name, 20, "reads go to the replica")
        wait_until(lambda s=session: ask(s, read.replace("SELECT ", "SELECT current_setting('cluster_name'), ", 1))[0] == shard.replicas[0].name, 20,
                   "so do those of what will be written")
    with Paused(*shard.replicas):
        before = shard.primary.value(read)
        ask(sessions[0], write)
        now = shard.primary.value(read)
        assert now != before
        for session in sessions:
            assert ask(session, read) == (now,)
            if others_stay:
                assert ask(session, where) == (shard.replicas[0].name,)
    for session in sessions:
        session.close()


def test_a_transaction_on_the_replica_moves_when_somebody_writes(world, shard):
    """READ COMMITTED sees with each statement what has been committed by then; a snapshot keeps to what it has seen."""
    writer, reader, snapshot = world.connect(autocommit=True), world.connect(), world.connect()
    snapshot.set_session(isolation_level="REPEATABLE READ", readonly=True)
    where = "SELECT value, current_setting('cluster_name') FROM plain"
    for session in (reader, snapshot):
        wait_until(lambda s=session: (ask(s, where)[1] == shard.replicas[0].name, s.commit())[0], 20, "reads go to the replica")
    with Paused(*shard.replicas):
        old, server = ask(reader, where)
        assert server == shard.replicas[0].name and ask(snapshot, where) == (old, server)
        ask(writer, "UPDATE plain SET value = value + 1")
        assert ask(reader, where) == (old + 1, shard.primary.name)
        assert ask(snapshot, where) == (old, shard.replicas[0].name)
        snapshot.commit()
        # The next snapshot must not be one of before the write, whatever it reads first.
        assert ask(snapshot, "SELECT current_setting('cluster_name') FROM parents LIMIT 1") == (shard.primary.name,)
    for session in (writer, reader, snapshot):
        session.close()
