"""Transactions between replica and primary, settings that stay with their client, and reads after one's own writes."""

import psycopg2
import psycopg2.errors
import pytest

from braid import plain_topology, sharded_topology
from waiting import wait_until
from wire import (ServerError, bind, describe_portal, describe_statement, error_fields, execute, kinds, parse, query, rows, sync,
                  tags)

WHO = "SELECT current_setting('cluster_name') FROM customers WHERE id = {}"


def who(client, key):
    return client.value(WHO.format(key))


def write(client, key):
    return client.value(f"UPDATE customers SET balance = balance + 1 WHERE id = {key} RETURNING current_setting('cluster_name')")


# Read/write splitting inside transactions


def test_reads_before_the_first_write_use_the_replica(cluster, braid, keys):
    """psycopg2 opens a transaction around everything; its reads leave the primary all the same."""
    connection = braid.connect()
    with connection, connection.cursor() as cursor:
        for shard in range(2):
            cursor.execute("SELECT current_setting('cluster_name') FROM customers WHERE id = %s", (keys[shard][0],))
            assert cursor.fetchone() == (f"s{shard}-replica",)
    connection.close()


def test_the_first_write_moves_to_the_primary(client, keys):
    key = keys[0][0]
    client.query("BEGIN")
    assert who(client, key) == "s0-replica"
    assert write(client, key) == "s0-primary"
    assert who(client, key) == "s0-primary"
    assert client.status == "T"
    client.query("ROLLBACK")
    assert client.status == "I"


def test_own_writes_are_seen_inside_the_transaction(client, keys):
    key = keys[0][0]
    client.query("BEGIN")
    client.query(f"SELECT 1 FROM customers WHERE id = {key}")
    client.query(f"UPDATE customers SET name = 'changed' WHERE id = {key}")
    assert client.value(f"SELECT name FROM customers WHERE id = {key}") == "changed"
    client.query("ROLLBACK")
    assert client.value(f"SELECT name FROM customers WHERE id = {key}") == f"customer {key}"


def test_locking_reads_go_to_the_primary(client, keys):
    for clause in ("FOR UPDATE", "FOR NO KEY UPDATE", "FOR SHARE", "FOR KEY SHARE"):
        assert client.value(WHO.format(keys[1][0]) + " " + clause) == "s1-primary"


def test_isolation_levels_and_where_they_read(client, keys):
    key = keys[0][0]
    for begin, where in [
            ("BEGIN", "s0-replica"),
            ("BEGIN ISOLATION LEVEL READ COMMITTED", "s0-replica"),
            ("BEGIN READ ONLY", "s0-replica"),
            ("BEGIN ISOLATION LEVEL REPEATABLE READ", "s0-primary"),
            ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "s0-replica"),
            ("BEGIN ISOLATION LEVEL SERIALIZABLE", "s0-primary"),
            ("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", "s0-primary"),
            ("START TRANSACTION READ ONLY", "s0-replica")]:
        client.query(begin)
        assert who(client, key) == where, begin
        client.query("COMMIT")


def test_set_transaction_before_the_first_statement(client, keys):
    client.query("BEGIN")
    client.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    assert who(client, keys[0][0]) == "s0-primary"
    assert client.value("SHOW transaction_isolation") == "repeatable read"
    client.query("COMMIT")


def test_write_in_a_read_only_transaction(client, keys):
    client.query("BEGIN READ ONLY")
    assert who(client, keys[0][0]) == "s0-replica"
    with pytest.raises(ServerError) as refused:
        write(client, keys[0][0])
    assert refused.value.sqlstate == "25006" and client.status == "E"
    client.query("ROLLBACK")


def test_repeatable_read_stays_on_one_shard(client, keys):
    for level in ("REPEATABLE READ", "SERIALIZABLE"):
        client.query(f"BEGIN ISOLATION LEVEL {level}")
        who(client, keys[0][0])
        with pytest.raises(ServerError) as refused:
            who(client, keys[1][0])
        assert refused.value.sqlstate == "0A000" and client.status == "E"
        client.query("ROLLBACK")
        assert client.status == "I"


@pytest.mark.parametrize("first", ["SHOW server_version", "SELECT 1", "SELECT count(*) FROM countries", "SET LOCAL work_mem = '1MB'",
                                   "SELECT set_config('app.tenant', '1', true)", "SAVEPOINT a"])
@pytest.mark.parametrize("shard", range(2))
def test_what_any_shard_could_answer_does_not_tie_a_transaction(braid, client, keys, first, shard):
    """Whichever of its servers was asked. And what was committed since is not seen, as on one server."""
    key = keys[shard][1]
    client.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
    answers = [client.query(first) for _ in range(2)]
    assert answers[0] == answers[1]
    with braid.raw() as other:
        other.query(f"UPDATE customers SET balance = balance + 1 WHERE id = {key}")
        after = other.value(f"SELECT balance FROM customers WHERE id = {key} FOR SHARE")
    seen = client.value(f"SELECT balance FROM customers WHERE id = {key}")
    assert (seen != after) == first.startswith("SELECT")
    assert client.value(f"SELECT balance FROM customers WHERE id = {key}") == seen
    with pytest.raises(ServerError) as refused:
        who(client, keys[1 - shard][0])
    assert refused.value.sqlstate == "0A000"
    client.query("ROLLBACK")


def test_a_statement_that_depends_on_the_transaction_start(client, keys):
    client.query("BEGIN")
    who(client, keys[0][0])
    first = client.value("SELECT now()")
    write(client, keys[0][0])
    assert client.value("SELECT now()") == first
    assert client.value(f"SELECT now() FROM customers WHERE id = {keys[0][0]}") == first
    client.query("ROLLBACK")


# Savepoints and aborted transactions


def test_savepoints(client, keys):
    key = keys[0][0]
    before = client.value(f"SELECT balance FROM customers WHERE id = {key}")
    client.query("BEGIN")
    who(client, key)
    client.query("SAVEPOINT a")
    write(client, key)
    client.query("SAVEPOINT b")
    write(client, key)
    client.query("ROLLBACK TO b")
    assert float(client.value(f"SELECT balance FROM customers WHERE id = {key}")) == float(before) + 1
    with pytest.raises(ServerError):
        client.query("SELECT 1/0")
    assert client.status == "E"
    client.query("ROLLBACK TO SAVEPOINT a")
    assert client.status == "T"
    assert client.value(f"SELECT balance FROM customers WHERE id = {key}") == before
    client.query("RELEASE a")
    with pytest.raises(ServerError) as gone:
        client.query("ROLLBACK TO a")
    assert gone.value.sqlstate == "3B001"
    client.query("ROLLBACK")


def test_savepoints_over_shards(client, keys):
    """A savepoint that was set before a shard was first touched holds there too."""
    client.query("BEGIN")
    client.query("SAVEPOINT a")
    write(client, keys[1][0])
    who(client, keys[0][0])
    client.query("ROLLBACK TO a")
    assert client.status == "T"
    assert who(client, keys[0][0]) in ("s0-replica", "s0-primary")
    client.query("COMMIT")
    assert client.status == "I"


def test_aborted_transaction(client, keys):
    client.query("BEGIN")
    write(client, keys[0][0])
    with pytest.raises(ServerError):
        client.query("SELECT 1/0")
    assert client.status == "E"
    for sql in ("SELECT 1", f"SELECT * FROM customers WHERE id = {keys[0][0]}", f"SELECT * FROM customers WHERE id = {keys[1][0]}",
                "SAVEPOINT x"):
        with pytest.raises(ServerError) as ignored:
            client.query(sql)
        assert ignored.value.sqlstate == "25P02" and client.status == "E"
    client.send(query("COMMIT"))
    assert tags(client.until_ready()) == ["ROLLBACK"] and client.status == "I"


def test_an_error_on_one_shard_aborts_the_whole_transaction(client, keys):
    client.query("BEGIN")
    write(client, keys[0][0])
    with pytest.raises(ServerError):
        client.query(f"SELECT 1/(id - id) FROM customers WHERE id = {keys[1][0]}")
    assert client.status == "E"
    with pytest.raises(ServerError) as ignored:
        who(client, keys[0][0])
    assert ignored.value.sqlstate == "25P02"
    client.query("ROLLBACK")
    assert client.status == "I"


def test_warnings_of_transaction_commands(client):
    client.query("COMMIT")
    client.query("ROLLBACK")
    assert client.status == "I"
    client.query("BEGIN")
    client.query("BEGIN")
    assert client.status == "T"
    client.query("ROLLBACK")


BROKEN = ["BEGIN foo", "BEGIN ISOLATION LEVEL nonsense", "BEGIN ISOLATION LEVEL", "START TRANSACTION foo", "SAVEPOINT", "SAVEPOINT a b"]


@pytest.mark.parametrize("sql", BROKEN)
def test_transaction_control_that_is_no_statement(client, sql):
    for block in (False, True):
        if block:
            client.query("BEGIN")
        for send in (client.query, client.extended):
            with pytest.raises(ServerError) as wrong:
                send(sql)
            assert wrong.value.sqlstate == "42601" and client.status == ("E" if block else "I")
    client.query("ROLLBACK")
    assert client.query("SELECT 1") == [["1"]]


@pytest.mark.parametrize("first", ["SELECT 1 / 0", "SELECT 1 / 0 FROM customers", "CREATE TEMP TABLE refused (n int)"])
def test_what_is_no_statement_in_a_failed_transaction(client, first):
    client.query("BEGIN")
    with pytest.raises(ServerError):
        client.query(first)
    for send in (client.query, client.extended):
        for sql, sqlstate in (("SELEC", "42601"), ("SELECT 1", "25P02")):
            with pytest.raises(ServerError) as wrong:
                send(sql)
            assert wrong.value.sqlstate == sqlstate and client.status == "E"
    client.query("ROLLBACK")


@pytest.mark.parametrize("control, kind, sqlstate", [
    ("COMMIT", "N", "25P01"), ("ROLLBACK", "N", "25P01"), ("RELEASE x", "E", "25P01"), ("ROLLBACK TO x", "E", "25P01"),
    ("SAVEPOINT x", "E", "25P01")])
def test_control_behind_a_write_of_a_pipeline_without_begin(client, control, kind, sqlstate):
    client.send(parse("UPDATE customers SET name = name WHERE id < 50"), bind(), execute(), parse(control), bind(), execute(), sync())
    told = [error_fields(body)["C"] for k, body in client.until_ready() if k == kind]
    assert told == [sqlstate] and client.status == "I"


def test_formats_of_another_number_of_parameters(client, keys):
    client.send(parse("SELECT id FROM customers WHERE id IN ($1, $2, $3)"), bind([1, 2, 3], formats=[0, 0]), execute(), sync())
    messages = client.until_ready()
    assert kinds(messages) == "1EZ"
    fields = error_fields(dict(messages)["E"])
    assert (fields["C"], fields["M"]) == ("08P01", "bind message has 2 parameter formats but 3 parameters")
    assert client.query("SELECT 1") == [["1"]]


def test_commit_and_chain(client, keys):
    client.query("BEGIN")
    write(client, keys[0][0])
    client.query("ROLLBACK AND CHAIN")
    assert client.status == "T"
    who(client, keys[0][0])
    client.query("COMMIT")
    assert client.status == "I"


# Several shards in a transaction


def test_many_shards_read_one_written(cluster, client, keys):
    client.query("BEGIN")
    assert who(client, keys[1][0]) == "s1-replica"
    assert write(client, keys[0][0]) == "s0-primary"
    assert who(client, keys[1][0]) in ("s1-replica", "s1-primary")
    before = cluster.shards[0].primary.value("SELECT balance FROM customers WHERE id = %s", (keys[0][0],))
    client.query("COMMIT")
    assert cluster.shards[0].primary.value("SELECT balance FROM customers WHERE id = %s", (keys[0][0],)) == before + 1


def test_no_open_transaction_is_left_on_any_server(cluster, client, keys):
    client.query("BEGIN")
    who(client, keys[0][0])
    who(client, keys[1][0])
    write(client, keys[0][0])
    client.query("COMMIT")
    for server in cluster.servers:
        wait_until(lambda s=server: s.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state LIKE "
                                            "'idle in transaction%%'") == 0, 5, "no transaction is open")


# Settings


def test_set_does_not_leak(braid):
    with braid.raw() as one, braid.raw() as two:
        one.query("SET DateStyle = 'German'")
        one.query("SET statement_timeout = '77s'")
        for _ in range(5):
            assert two.value("SHOW statement_timeout") == "0"
            assert one.value("SHOW statement_timeout") == "77s"
            assert two.value("SELECT DATE '2024-02-29'") == "2024-02-29"
            assert one.value("SELECT DATE '2024-02-29'") == "29.02.2024"
        one.query("RESET statement_timeout")
        assert one.value("SHOW statement_timeout") == "0"
        one.query("RESET ALL")
        assert one.value("SELECT DATE '2024-02-29'") == "2024-02-29"
    with braid.raw() as three:
        assert three.value("SELECT DATE '2024-02-29'") == "2024-02-29"


def test_settings_hold_on_every_server_that_a_client_meets(client, keys):
    client.query("SET application_name = 'wanderer'")
    for key in (keys[0][0], keys[1][0], keys[0][1]):
        for suffix in ("", " FOR SHARE"):
            assert client.value(f"SELECT current_setting('application_name') FROM customers WHERE id = {key}{suffix}") == "wanderer"


def test_set_that_is_rolled_back(client):
    client.query("SET statement_timeout = '11s'")
    client.query("BEGIN")
    client.query("SET statement_timeout = '22s'")
    assert client.value("SHOW statement_timeout") == "22s"
    client.query("ROLLBACK")
    assert client.value("SHOW statement_timeout") == "11s"
    client.query("BEGIN")
    client.query("SET statement_timeout = '33s'")
    client.query("COMMIT")
    assert client.value("SHOW statement_timeout") == "33s"
    client.query("BEGIN")
    client.query("SAVEPOINT a")
    client.query("SET statement_timeout = '44s'")
    client.query("ROLLBACK TO a")
    assert client.value("SHOW statement_timeout") == "33s"
    client.query("COMMIT")
    assert client.value("SHOW statement_timeout") == "33s"


def test_set_local(client, keys):
    key = keys[0][0]
    sql = f"SELECT current_setting('statement_timeout') FROM customers WHERE id = {key}"
    client.query("BEGIN")
    client.query("SET LOCAL statement_timeout = '12s'")
    assert client.value(sql) == "12s"
    write(client, key)
    assert client.value(sql) == "12s"
    client.query("COMMIT")
    assert client.value(sql) == "0" and client.value(sql + " FOR SHARE") == "0"


SETTING = "SELECT current_setting('{}', true) FROM customers WHERE id = {}"


@pytest.mark.parametrize("how", ["simple", "extended"])
def test_set_config_holds_on_every_server(client, keys, how):
    """As one server's: canonical values, is_local, NULL and roll back, whatever server is asked next."""
    def change(name, value, local):
        if how == "extended":
            return client.extended("SELECT set_config($1, $2, $3)", [name, value, local])[0][0]
        written = "NULL" if value is None else "'" + value.replace("'", "''") + "'"
        return client.value(f"SELECT set_config('{name}', {written}, {local})")

    def seen(name):
        found = {client.value(SETTING.format(name, keys[shard][0]) + suffix) for shard in range(2) for suffix in ("", " FOR SHARE")}
        assert len(found) == 1
        return found.pop()

    assert change("statement_timeout", "90000", "false") == "90s" and seen("statement_timeout") == "90s"
    assert change("statement_timeout", "5s", "true") == "5s" and seen("statement_timeout") == "90s"
    assert change("app.tenant", "it's", "false") == "it's" and seen("app.tenant") == "it's"
    client.query("BEGIN")
    client.value(WHO.format(keys[0][0]))
    assert change("app.tenant", "local", "true") == "local" and seen("app.tenant") == "local"
    client.query("SAVEPOINT a")
    assert change("app.tenant", "later", "false") == "later" and seen("app.tenant") == "later"
    client.query("ROLLBACK TO a")
    assert seen("app.tenant") == "local"
    client.query("COMMIT")
    assert seen("app.tenant") == "it's"
    client.query("BEGIN")
    assert change("app.tenant", "gone", "false") == "gone" and seen("app.tenant") == "gone"
    client.query("ROLLBACK")
    assert seen("app.tenant") == "it's"
    assert change("statement_timeout", None, "false") == "0" and seen("statement_timeout") == "0"
    with pytest.raises(ServerError) as wrong:
        change("statement_timeout", "nonsense", "false")
    assert wrong.value.sqlstate == "22023" and client.status == "I"
    with pytest.raises(ServerError) as unknown:
        change("no_such_setting", "1", "false")
    assert unknown.value.sqlstate == "42704" and seen("statement_timeout") == "0"
    with pytest.raises(ServerError) as own:
        change("pgbraid.shard", "s0", "false")
    assert own.value.sqlstate == "0A000"


def test_set_config_decides_what_names_mean(client, keys):
    """As the first line of a dump does."""
    assert client.value("SELECT pg_catalog.set_config('search_path', '', false)") == ""
    with pytest.raises(ServerError) as gone:
        client.query(f"SELECT name FROM customers WHERE id = {keys[0][0]}")
    assert gone.value.sqlstate == "42P01"
    assert client.value("SELECT set_config('search_path', 'public', false)") == "public"
    assert client.query(f"SELECT id FROM customers WHERE id = {keys[1][0]}") == [[str(keys[1][0])]]
    client.query("RESET search_path")


def test_set_config_in_a_pipeline(client, keys):
    """For the transaction: up to Sync."""
    for _ in range(3):
        client.send(parse("SELECT set_config('app.tenant', $1, true)"), bind(["7"]), describe_portal(), execute(),
                    *(m for shard in range(2) for m in (parse(SETTING.format("app.tenant", keys[shard][0])), bind(), execute())), sync())
        messages = client.until_ready()
        assert kinds(messages) == "12TDC" + "12DC" * 2 + "Z" and rows(messages) == [[b"7"]] * 3
        assert client.value(SETTING.format("app.tenant", keys[1][0])) in (None, "")
    client.send(parse("SELECT set_config('app.tenant', $1, false)"), bind(["8"]), execute(), parse("SELECT 1 / 0"), bind(), execute(), sync())
    assert kinds(client.until_ready()) == "12DC1EZ"
    assert client.value(SETTING.format("app.tenant", keys[0][0])) in (None, "")


def test_set_config_of_a_described_statement(client):
    client.send(parse("SELECT set_config('app.tenant', $1, $2) AS tenant", "s"), describe_statement("s"), sync())
    messages = client.until_ready()
    assert kinds(messages) == "1tTZ" and b"tenant\0" in dict(messages)["T"]
    for tenant in ("1", "2"):
        client.send(bind([tenant, b"\0"], "s", formats=[0, 1], result_formats=[1]), execute(), sync())
        assert rows(client.until_ready()) == [[tenant.encode()]]
        assert client.value("SHOW app.tenant") == tenant


def test_wrong_setting_is_an_error(client):
    with pytest.raises(ServerError) as wrong:
        client.query("SET statement_timeout = 'nonsense'")
    assert wrong.value.sqlstate == "22023"
    with pytest.raises(ServerError) as unknown:
        client.query("SET no_such_setting = 1")
    assert unknown.value.sqlstate == "42704"
    assert client.value("SHOW statement_timeout") == "0"


def test_search_path(cluster, start_braid):
    """Two clients with other search paths share server connections and never each other's tables."""
    primary = cluster.shards[0].primary
    primary.query("CREATE SCHEMA IF NOT EXISTS one; CREATE SCHEMA IF NOT EXISTS two; GRANT USAGE ON SCHEMA one, two TO app;"
                  "CREATE TABLE IF NOT EXISTS one.who AS SELECT 'one' AS name; CREATE TABLE IF NOT EXISTS two.who AS SELECT 'two' AS name;"
                  "GRANT SELECT ON one.who, two.who TO app")
    cluster.shards[0].wait_for_replay()
    braid = start_braid(plain_topology(cluster.shards[0].servers, pool={"mode": "transaction", "size": 1}))
    with braid.raw() as one, braid.raw() as two:
        one.query("SET search_path = one")
        two.query("SET search_path = two")
        for _ in range(5):
            assert one.value("SELECT name FROM who") == "one"
            assert two.value("SELECT name FROM who") == "two"
            assert one.extended("SELECT name FROM who") == [["one"]]
            assert two.extended("SELECT name FROM who") == [["two"]]
    primary.query("DROP SCHEMA one, two CASCADE")


# Reads after one's own writes


def test_read_your_own_writes_while_replay_is_paused(cluster, start_braid, keys):
    key = keys[0][0]
    braid = start_braid(sharded_topology(cluster))
    braid.wait_replicas(cluster)
    replica = cluster.shards[0].replicas[0]
    replica.query("SELECT pg_wal_replay_pause()")
    try:
        wait_until(lambda: replica.value("SELECT pg_get_wal_replay_pause_state()") == "paused", 10, "replay is paused")
        with braid.raw() as client:
            for i in range(10):
                client.query(f"UPDATE customers SET name = 'version {i}' WHERE id = {key}")
                assert client.value(f"SELECT name FROM customers WHERE id = {key}") == f"version {i}"
                assert who(client, key) == "s0-primary"
            client.query("BEGIN")
            assert client.value(f"SELECT name FROM customers WHERE id = {key}") == "version 9"
            client.query("COMMIT")
            assert who(client, keys[1][0]) == "s1-replica"
            replica.query("SELECT pg_wal_replay_resume()")
            wait_until(lambda: who(client, key) == "s0-replica", 15, "the replica has caught up and is read again")
            assert client.value(f"SELECT name FROM customers WHERE id = {key}") == "version 9"
    finally:
        replica.query("SELECT pg_wal_replay_resume()")
        cluster.shards[0].primary.query("UPDATE customers SET name = %s WHERE id = %s", (f"customer {key}", key))


def test_read_your_own_committed_transaction(cluster, braid, keys):
    """Many quick write-then-read pairs with psycopg2's default transactions: never a stale answer."""
    key = keys[1][1]
    connection = braid.connect()
    for i in range(100):
        with connection, connection.cursor() as cursor:
            cursor.execute("UPDATE customers SET name = %s WHERE id = %s", (f"v{i}", key))
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT name FROM customers WHERE id = %s", (key,))
            assert cursor.fetchone() == (f"v{i}",)
    connection.close()
    cluster.shards[1].primary.query("UPDATE customers SET name = %s WHERE id = %s", (f"customer {key}", key))


def test_psycopg2_transaction_settings(braid, keys):
    connection = braid.connect()
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
    with connection, connection.cursor() as cursor:
        cursor.execute(WHO.format(keys[0][0]))
        assert cursor.fetchone() == ("s0-replica",)
        with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
            cursor.execute("UPDATE customers SET name = 'x' WHERE id = %s", (keys[0][0],))
    connection.close()


@pytest.mark.parametrize("how", ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET transaction_isolation = 'repeatable read'",
                                 "SET LOCAL transaction_isolation TO 'repeatable read'"])
def test_one_snapshot_stays_on_one_shard_however_it_is_asked_for(client, keys, how):
    client.query("BEGIN")
    client.query(how)
    who(client, keys[0][0])
    with pytest.raises(ServerError) as refused:
        who(client, keys[1][0])
    assert refused.value.sqlstate == "0A000"
    client.query("ROLLBACK")
    client.query("BEGIN")
    assert client.value("SHOW transaction_isolation") == "read committed"
    client.query("ROLLBACK")
