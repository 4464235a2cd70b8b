"""pool.mode: a session that keeps its server connection, and statements that keep none."""

import pytest

from braid import plain_topology
from waiting import wait_until
from wire import Client, ServerError, bind, errors, execute, kinds, parse, query, sync, tags

PID = "SELECT pg_backend_pid()"


@pytest.fixture
def started(cluster, start_braid):
    """started(mode, size): pgbraid before the first shard's servers, one worker."""
    def start(mode, size=1, **changes):
        return start_braid(plain_topology(cluster.shards[0].servers, pool={"mode": mode, "size": size}, workers=1, **changes))
    return start


def ask(client, sql):
    """The SQLSTATE of a refused simple query; None when it succeeds."""
    client.send(query(sql))
    found = errors(client.receive_until("Z"))
    return found[0]["C"] if found else None


def batch(client, *messages):
    """What the messages up to a Sync are answered."""
    client.send(*messages)
    return client.until_ready()


# --- session -----------------------------------------------------------------------------------------------------------


def test_a_session_keeps_its_connection(started):
    braid = started("session", 2)
    with braid.raw() as first, braid.raw() as second:
        pids = {first.value(PID), second.value(PID)}
        assert len(pids) == 2
        for client in (first, second):
            mine = client.value(PID)
            client.query("BEGIN")
            assert client.value(PID) == mine
            client.query("COMMIT")
            # Reads too: what a session left on its connection is nowhere else.
            client.query("CREATE TEMP TABLE IF NOT EXISTS kept (n int)")
            assert client.value("SELECT count(*) FROM kept") == "0"
            client.query("SELECT setseed(0.5)")
            assert ask(client, "CREATE TEMP SEQUENCE s") is None
            assert client.value("SELECT nextval('pg_temp.s')") == "1"
            assert client.value("SELECT currval('pg_temp.s')") == "1"
            assert client.value(PID) == mine


def test_what_a_session_left_is_gone_and_its_connection_is_not(started):
    braid = started("session")
    with braid.raw() as client:
        pid = client.value(PID)
        for sql in ("SET work_mem TO '1MB'", "SET ROLE app", "LISTEN ears",
                    "SELECT pg_advisory_lock(4711)", "PREPARE p AS SELECT 1", "DECLARE c CURSOR WITH HOLD FOR SELECT 1"):
            assert ask(client, sql) is None, sql
        batch(client, parse("SELECT 2", "named"), sync())
    with braid.raw() as client:
        assert client.value(PID) == pid
        assert client.value("SHOW work_mem") == "4MB"
        assert client.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0"
        assert client.value("SELECT count(*) FROM pg_listening_channels()") == "0"
        assert client.value("SELECT count(*) FROM pg_cursors WHERE is_holdable") == "0"
        assert client.value("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''") == "0"
        assert ask(client, "EXECUTE p") == "26000"
        assert errors(batch(client, bind(statement="named"), sync()))[0]["C"] == "26000"


@pytest.mark.parametrize("leave", ["transaction", "batch", "seed", "temporary schema"])
def test_a_connection_that_cannot_be_cleaned_is_closed(started, leave):
    braid = started("session")
    with braid.raw() as client:
        pid = client.value(PID)
        if leave == "transaction":
            client.query("BEGIN")
            client.query("SELECT 1")
        elif leave == "batch":
            client.send(parse("SELECT 1") + bind() + execute())
        elif leave == "seed":
            client.query("SELECT setseed(0.25)")
        else:
            client.query("CREATE TEMP TABLE t (n int)")
            client.query("DROP TABLE t")
    with braid.raw() as client:
        assert client.value(PID) != pid


def test_a_session_waits_for_one_that_ends(started):
    braid = started("session", timeouts={"checkout": "300ms"})
    first, second = braid.raw(), braid.raw()
    assert first.value("SELECT 1") == "1"
    assert ask(second, "SELECT 1") == "53300"
    first.close()
    wait_until(lambda: ask(second, "SELECT 1") is None, what="the connection is free")
    second.close()


def test_discard_all_does_not_end_it(started):
    braid = started("session", 2)
    with braid.raw() as client:
        pid = client.value(PID)
        client.query("CREATE TEMP TABLE t (n int)")
        client.query("DISCARD ALL")
        assert client.value(PID) == pid
        assert ask(client, "SELECT * FROM pg_temp.t") == "42P01"


def test_a_session_whose_connection_is_lost_ends(cluster, started):
    braid = started("session")
    client = braid.raw()
    pid = client.value(PID)
    cluster.shards[0].primary.query("SELECT pg_terminate_backend(%s)", (int(pid),))
    assert errors(client.receive_until("E"))[0]["C"] == "57P01"
    assert client.closed()


# --- statement ---------------------------------------------------------------------------------------------------------


def test_no_transaction_in_statement_mode(started):
    braid = started("statement")
    with braid.raw() as client, braid.raw() as other:
        assert ask(client, "BEGIN") == "0A000"
        assert ask(client, "START TRANSACTION ISOLATION LEVEL SERIALIZABLE") == "0A000"
        assert client.status == "I"
        answer = batch(client, parse("BEGIN"), bind(), execute(), sync())
        assert kinds(answer) == "EZ" and errors(answer)[0]["C"] == "0A000"
        # Whoever asks next has the one connection there is.
        for each in (client, other, client):
            assert each.value("SELECT 1") == "1"
            each.query("SET work_mem TO '3MB'")
            assert each.value("SHOW work_mem") == "3MB"


def test_several_statements_in_one_text(started):
    braid = started("statement")
    with braid.raw() as client:
        client.send(query("BEGIN; SELECT 1; COMMIT"))
        assert tags(client.receive_until("Z")) == ["BEGIN", "SELECT 1", "COMMIT"]
        client.send(query("INSERT INTO countries VALUES ('Y1', 'never'); BEGIN"))
        assert errors(client.receive_until("E"))[0]["C"] == "0A000"
        assert client.closed()
    with Client(braid.port) as client:
        assert client.value("SELECT count(*) FROM countries WHERE code = 'Y1'") == "0"


def test_the_mode_changes_on_reload(started):
    braid = started("statement")
    topology = braid.topology
    topology["databases"]["shop"]["pool"]["mode"] = "transaction"
    with braid.raw() as client:
        assert ask(client, "BEGIN") == "0A000"
        braid.write(topology)
        braid.reload()
        wait_until(lambda: ask(client, "BEGIN") is None, what="transactions are allowed")
        assert ask(client, "COMMIT") is None


def test_a_refusal_says_what_to_do(started):
    braid = started("statement")
    with pytest.raises(ServerError) as error, braid.raw() as client:
        client.query("BEGIN")
    assert "pool.mode" in error.value.fields["H"]
