"""Upkeep over several shards: what cannot run in a transaction goes over one shard after the other, says so, and is taken up
again where it was cut short; LOCK TABLE and ANALYZE in a transaction hold on all of them."""

import threading

import psycopg2
import pytest

from braid import sharded_topology
from cluster import MONITOR_PASSWORD
from waiting import wait_until
from wire import ServerError, bind, describe_portal, describe_statement, error_fields, errors, execute, parse, query, sync, tags

CREATE = "CREATE UNIQUE INDEX CONCURRENTLY kept_note ON kept (note)"
DROP = "DROP INDEX CONCURRENTLY kept_note"
STANDS = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('public.kept_note')"
AT_WORK = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'app'"


@pytest.fixture(autouse=True)
def kept(cluster):
    """A table of the clients' own on both shards, each with the notes 1 to 9."""
    primaries = [shard.primary for shard in cluster.shards]
    for primary in primaries:
        primary.query("CREATE TABLE public.kept (id bigint, note text); ALTER TABLE kept OWNER TO app; "
                      "INSERT INTO kept SELECT n, n::text FROM generate_series(1, 9) AS n")
    yield primaries
    for primary in primaries:
        primary.query("DROP TABLE public.kept")


@pytest.fixture
def admin(braid):
    with braid.raw("postgres", MONITOR_PASSWORD) as connection:
        yield connection


def answer(client, *messages):
    """All that is said until the server is ready: texts of notices, tags, the error's fields."""
    client.send(*messages)
    got = client.until_ready()
    notices = [error_fields(body)["M"] for kind, body in got if kind == "N"]
    return notices, tags(got), (errors(got) or [None])[0]


def stands(primaries):
    return [(primary.query(STANDS) or [(None,)])[0][0] for primary in primaries]


def seen(primaries, marks, sql):
    """How often each server has been sent the statement since."""
    return [primary.count_log(": " + sql, mark) for primary, mark in zip(primaries, marks)]


def marks(primaries):
    return [primary.log_mark() for primary in primaries]


class held:
    """The table on one server is locked by somebody else."""

    def __init__(self, primary, mode="ACCESS EXCLUSIVE"):
        self.primary, self.mode = primary, mode

    def __enter__(self):
        self.connection = self.primary.connect(autocommit=False)
        self.connection.cursor().execute(f"LOCK TABLE kept IN {self.mode} MODE")
        return self

    def __exit__(self, kind, value, trace):
        self.connection.rollback()
        self.connection.close()


def wait_for_work(primary):
    wait_until(lambda: primary.value(AT_WORK) == 1, 20, "it waits for the lock")


def progress(*steps):
    return [f'shard "s{i}": {what} ({i + 1} of 2)' for i, what in enumerate(steps)]


# One shard after the other


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("sql, tag", [
    ("VACUUM kept", "VACUUM"),
    ("VACUUM (FULL, ANALYZE) kept", "VACUUM"),
    ("VACUUM (ANALYZE) kept (note)", "VACUUM"),
    ("ANALYZE kept", "ANALYZE"),
    ("REINDEX TABLE kept", "REINDEX"),
    ("REINDEX TABLE CONCURRENTLY kept", "REINDEX"),
])
def test_every_shard_is_done(client, kept, sql, tag, extended):
    since = marks(kept)
    messages = (parse(sql), describe_statement(), bind(), describe_portal(), execute(), sync()) if extended else (query(sql),)
    notices, done, error = answer(client, *messages)
    assert error is None
    assert [n for n in notices if n.startswith("shard")] == progress("done", "done")
    assert done == [tag]
    assert client.status == "I"
    assert seen(kept, since, sql) == [1, 1]


def test_a_servers_own_messages_stand_before_its_end(client):
    notices, _, error = answer(client, query("VACUUM (VERBOSE) kept"))
    assert error is None
    ends = [i for i, text in enumerate(notices) if text.startswith("shard")]
    assert len(ends) == 2 and ends[0] > 0 and ends[1] == len(notices) - 1 and ends[1] > ends[0] + 1
    client.query("SET client_min_messages TO warning")
    assert answer(client, query("VACUUM kept")) == ([], ["VACUUM"], None)


def test_without_tables(admin, kept):
    for sql in ("VACUUM", "ANALYZE", "CLUSTER", "REINDEX SCHEMA public"):
        since = marks(kept)
        notices, done, error = answer(admin, query(sql))
        assert error is None and done == [sql.split()[0]]
        assert seen(kept, since, sql) == [1, 1]


def test_a_table_of_one_shard_alone(admin, kept):
    since = marks(kept)
    assert answer(admin, query("VACUUM settings")) == ([], ["VACUUM"], None)
    assert seen(kept, since, "VACUUM settings") == [1, 0]
    name = "CREATE INDEX CONCURRENTLY settings_value ON settings (value)"
    assert answer(admin, query(name)) == ([], ["CREATE INDEX"], None)
    since = marks(kept)
    for sql, tag in (("REINDEX INDEX settings_value", "REINDEX"), ("DROP INDEX CONCURRENTLY settings_value", "DROP INDEX")):
        assert answer(admin, query(sql)) == ([], [tag], None)
        assert seen(kept, since, sql) == [1, 0]


@pytest.mark.parametrize("sql, told", [
    ("VACUUM kept", "VACUUM"),
    (CREATE, "CREATE INDEX CONCURRENTLY"),
    (DROP, "DROP INDEX CONCURRENTLY"),
    ("REINDEX SCHEMA public", "REINDEX SCHEMA"),
])
def test_within_a_transaction(client, sql, told):
    for messages in ((query(sql),), (parse(sql), bind(), execute(), sync())):
        client.query("BEGIN")
        _, done, error = answer(client, *messages)
        assert (error["C"], error["M"]) == ("25001", f"{told} cannot run inside a transaction block")
        assert client.status == "E"
        client.query("ROLLBACK")


def test_behind_a_write_in_a_pipeline(client, kept, keys):
    update = f"UPDATE customers SET balance = balance WHERE id = {keys[0][0]}"
    _, done, error = answer(client, parse(update), bind(), execute(), parse("VACUUM kept"), bind(), execute(), sync())
    assert done == ["UPDATE 1"] and error["C"] == "25001"
    assert client.status == "I"


def test_several_in_one_text(client):
    with pytest.raises(ServerError) as refused:
        client.query("VACUUM kept; VACUUM kept")
    assert refused.value.sqlstate == "25001"


# Indexes


def test_an_index_is_made_and_dropped(client, kept):
    notices, done, error = answer(client, query(CREATE))
    assert (notices, done, error) == (progress("done", "done"), ["CREATE INDEX"], None)
    assert stands(kept) == [True, True]
    assert answer(client, query(CREATE))[2]["C"] == "42P07"
    again = CREATE.replace("CONCURRENTLY", "CONCURRENTLY IF NOT EXISTS")
    notices, done, error = answer(client, query(again))
    assert error is None and done == ["CREATE INDEX"] and "already exists, skipping" in notices[0]
    notices, done, error = answer(client, query("REINDEX INDEX CONCURRENTLY kept_note"))
    assert (notices, done, error) == (progress("done", "done"), ["REINDEX"], None)
    notices, done, error = answer(client, parse(DROP), bind(), execute(), sync())
    assert (notices, done, error) == (progress("done", "done"), ["DROP INDEX"], None)
    assert stands(kept) == [None, None]
    assert answer(client, query(DROP))[2]["C"] == "42704"
    assert answer(client, query(DROP.replace("CONCURRENTLY", "CONCURRENTLY IF EXISTS")))[1:] == (["DROP INDEX"], None)


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("behind", ["(note)", "(lower(note) DESC, id) INCLUDE (note) WHERE id > 0 AND note <> 'a;b' -- some\n;"])
def test_a_failure_is_mended_and_taken_up(client, kept, behind, extended):
    create = f"CREATE UNIQUE INDEX CONCURRENTLY kept_note ON public.kept {behind}"
    messages = (parse(create), bind(), execute(), sync()) if extended else (query(create),)
    kept[1].query("INSERT INTO kept VALUES (9, '9')")
    notices, done, error = answer(client, *messages)
    assert notices == progress("done", "")[:1] and done == []
    assert error["C"] == "23505"
    assert error["D"].endswith("is duplicated.\nThis is shard s1; it is done on: s0.")
    assert "Run the statement again" in error["H"]
    assert client.status == "I"
    assert stands(kept) == [True, False]
    kept[1].query("DELETE FROM kept WHERE ctid = (SELECT max(ctid) FROM kept)")
    since = marks(kept)
    notices, done, error = answer(client, *messages)
    assert (notices, done, error) == (progress("the index is there already", "done"), ["CREATE INDEX"], None)
    assert stands(kept) == [True, True]
    assert seen(kept, since, "CREATE UNIQUE INDEX CONCURRENTLY") == [0, 1]
    # The comparison has left nothing.
    assert all(primary.value("SELECT to_regclass('public.pgbraid_compared') IS NULL") for primary in kept)


@pytest.mark.parametrize("other", ["CREATE INDEX kept_note ON kept (note)", "CREATE UNIQUE INDEX kept_note ON kept (id)",
                                   "CREATE UNIQUE INDEX kept_note ON kept (note) WHERE id > 3", "CREATE TABLE public.kept_note ()"])
def test_another_of_its_name(client, kept, other):
    kept[1].query(other)
    try:
        _, done, error = answer(client, query(CREATE))
        assert (done, error["C"]) == ([], "42P07")
        assert stands(kept)[0] is None, "nothing has been done"
    finally:
        if "TABLE" in other:
            kept[1].query("DROP TABLE public.kept_note")


def test_an_index_that_another_builds_is_no_leftover(client, kept):
    """It is invalid while it is built; who wants it too waits, and is told that it is there. Each of the two waits for the
    other then, which the server sees, as it does without pgbraid."""
    ended, since = [], marks(kept)

    def build():
        try:
            kept[1].query(CREATE)
        except psycopg2.Error as error:
            ended.append(error.pgcode)

    with held(kept[1], "ROW EXCLUSIVE"):
        made = threading.Thread(target=build)
        made.start()
        wait_until(lambda: stands(kept)[1] is False, 20, "it is being built")
        client.send(query(CREATE))
        wait_for_work(kept[1])
    ended += [error["C"] for error in errors(client.until_ready())]
    made.join()
    assert ended in (["42P07"], ["40P01"])
    assert stands(kept)[0] is None and seen(kept, since, "DROP INDEX") == [0, 0]


def test_an_index_that_is_gone_from_one(client, kept):
    client.query(CREATE)
    kept[0].query("DROP INDEX kept_note")
    notices, done, error = answer(client, query(DROP))
    assert (notices, done, error) == (progress("there is no such index", "done"), ["DROP INDEX"], None)
    assert stands(kept) == [None, None]


def test_an_index_without_a_name(client):
    with pytest.raises(ServerError) as refused:
        client.query("CREATE INDEX CONCURRENTLY ON kept (note)")
    assert refused.value.sqlstate == "0A000" and "name" in refused.value.fields["H"]


# Cut short


@pytest.mark.parametrize("extended", [False, True])
def test_a_client_cancels(client, kept, extended):
    with held(kept[1]):
        client.send(*((parse("VACUUM kept"), bind(), execute(), sync()) if extended else (query("VACUUM kept"),)))
        wait_for_work(kept[1])
        client.cancel()
        error = errors(client.until_ready())[0]
    assert error["C"] == "57014" and error["D"] == "This is shard s1; it is done on: s0."
    assert client.status == "I"
    assert answer(client, query("VACUUM kept"))[1:] == (["VACUUM"], None)


def test_a_timeout_of_the_clients(client, kept):
    client.query("SET statement_timeout = '300ms'")
    with held(kept[1]):
        _, _, error = answer(client, query("VACUUM kept"))
    assert error["C"] == "57014" and "it is done on: s0" in error["D"]
    client.query("RESET statement_timeout")
    assert answer(client, query("VACUUM kept"))[1:] == (["VACUUM"], None)


def test_a_server_is_lost(client, kept):
    with held(kept[1]):
        client.send(query("VACUUM kept"))
        wait_for_work(kept[1])
        kept[1].query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'app'")
        error = errors(client.until_ready())[0]
    assert error["C"] == "40003" and "it is done on: s0" in error["D"]
    assert client.status == "I"
    assert answer(client, query("VACUUM kept"))[1:] == (["VACUUM"], None)


def test_a_client_leaves(cluster, kept, start_braid):
    braid = start_braid(sharded_topology(cluster, reads={"replicas": "off"}, pool={"mode": "transaction", "size": 1}))
    with held(kept[0]):
        gone = braid.raw()
        gone.send(query("VACUUM kept"))
        wait_for_work(kept[0])
        gone.vanish()
    # There is room for one connection to a server: it is free again when the server has done its part.
    with braid.raw() as client:
        assert answer(client, query("VACUUM kept"))[1:] == (["VACUUM"], None)


# In a transaction


def test_analyze_in_a_transaction(client, kept):
    client.query("BEGIN")
    since = marks(kept)
    assert answer(client, query("ANALYZE kept")) == ([], ["ANALYZE"], None)
    assert client.extended("ANALYZE kept") == []
    assert seen(kept, since, "ANALYZE kept") == [2, 2]
    client.query("COMMIT")
    assert client.status == "I"


@pytest.mark.parametrize("mode", ["ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE",
                                  "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"])
def test_locks_of_all_shards(client, kept, mode):
    client.query("BEGIN")
    assert answer(client, query(f"LOCK TABLE kept IN {mode} MODE")) == ([], ["LOCK TABLE"], None)
    held_there = "SELECT mode FROM pg_locks WHERE relation = 'public.kept'::regclass AND granted"
    assert [primary.query(held_there) for primary in kept] == [[(mode.title().replace(" ", "") + "Lock",)]] * 2
    client.query("COMMIT")
    assert [primary.query(held_there) for primary in kept] == [[], []]


def test_two_lock_one_table(braid, client, kept):
    """Both ask the first shard first: who has it there gets the others."""
    with braid.raw() as other:
        client.query("BEGIN")
        client.query("LOCK TABLE kept")
        other.query("BEGIN")
        with pytest.raises(ServerError) as taken:
            other.query("LOCK TABLE kept NOWAIT")
        assert taken.value.sqlstate == "55P03"
        other.query("ROLLBACK")
        other.query("BEGIN")
        other.send(query("LOCK TABLE kept"))
        wait_for_work(kept[0])
        client.query("COMMIT")
        assert errors(other.until_ready()) == []
        other.query("COMMIT")


def test_a_lock_of_one_shard_is_waited_for(braid, client, kept):
    with held(kept[1]):
        client.query("BEGIN")
        client.send(query("LOCK TABLE kept"))
        wait_for_work(kept[1])
    assert errors(client.until_ready()) == []
    client.query("ROLLBACK")


def test_a_lock_outside_of_a_transaction(client):
    for messages in ((query("LOCK TABLE kept"),), (parse("LOCK TABLE kept"), bind(), execute(), sync())):
        error = answer(client, *messages)[2]
        assert (error["C"], error["M"]) == ("25P01", "LOCK TABLE can only be used in transaction blocks")
        assert client.status == "I"


def test_an_extension(admin, kept):
    there = "SELECT count(*) FROM pg_extension WHERE extname = 'hstore'"
    admin.query("BEGIN")
    admin.query("CREATE EXTENSION hstore")
    admin.query("ROLLBACK")
    assert [primary.value(there) for primary in kept] == [0, 0]
    assert answer(admin, query("CREATE EXTENSION hstore SCHEMA public VERSION '1.4'"))[1:] == (["CREATE EXTENSION"], None)
    assert answer(admin, query("ALTER EXTENSION hstore UPDATE"))[1:] == (["ALTER EXTENSION"], None)
    assert [primary.value(there) for primary in kept] == [1, 1]
    assert answer(admin, query("DROP EXTENSION hstore"))[1:] == (["DROP EXTENSION"], None)
    assert [primary.value(there) for primary in kept] == [0, 0]
