"""Plain pooling before one primary and its replica: logins, simple queries, transactions, COPY, large results."""

import io
import threading

import psycopg2
import psycopg2.errors
import pytest

from braid import plain_topology
from cluster import ROLES, STORED_SECRET
from wire import ServerError, kinds, refusal, tags

import wire


# Logins


@pytest.mark.parametrize("method", ["trust", "password", "md5", "scram-sha-256"])
def test_client_login(cluster, start_braid, method):
    braid = start_braid(plain_topology(cluster.shards[0].servers, auth={"method": method}))
    with braid.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_database()")
        assert cursor.fetchone() == ("app", "shop")
    connection.close()
    if method != "trust":
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            braid.connect(password="wrong")
    assert braid.psql("SELECT 1") == "1"


@pytest.mark.parametrize("user", list(ROLES))
def test_server_login(plain, user):
    """The server asks each of these roles for another method."""
    with plain.connect(user) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == (user,)
    connection.close()


def test_stored_scram_secret(cluster, start_braid):
    """A stored secret is enough: it proves the client, and the client's proof gives the key for the server's login."""
    braid = start_braid(plain_topology(cluster.shards[0].servers, users={"app_stored": {"password": STORED_SECRET}}),
                        wait=False)
    braid.wait_listening()
    with pytest.raises(ServerError) as refused:
        braid.raw("app_stored", "wrong")
    assert refused.value.sqlstate == "28P01"
    with braid.raw("app_stored") as client:
        assert client.value("SELECT current_user") == "app_stored"


def test_wrong_password(plain):
    with pytest.raises(ServerError) as refused:
        plain.raw(password="wrong")
    assert refused.value.sqlstate == "28P01" and refused.value.severity == "FATAL"


def test_unknown_user_looks_like_a_wrong_password(plain):
    with pytest.raises(ServerError) as refused:
        plain.raw(user="nobody", password="secret")
    assert refused.value.sqlstate == "28P01"


def test_unknown_database(plain):
    with pytest.raises(ServerError) as refused:
        plain.raw(dbname="nosuch")
    assert refused.value.sqlstate == "3D000"


def test_parameter_status(plain):
    with plain.raw() as client:
        assert client.parameters["server_version"].startswith("15")
        assert client.parameters["server_encoding"] == "UTF8"
        assert client.parameters["client_encoding"] == "UTF8"
        assert client.parameters["integer_datetimes"] == "on"
        assert client.parameters["standard_conforming_strings"] == "on"
        assert client.parameters["TimeZone"] == "UTC"
        assert client.parameters["in_hot_standby"] == "off"
        assert client.key is not None and client.status == "I"


def test_startup_parameters_reach_the_server(plain):
    with plain.raw(application_name="mine", DateStyle="German, DMY", options="-c statement_timeout=12345") as client:
        assert client.query("SHOW DateStyle") == [["German, DMY"]]
        assert client.query("SHOW application_name") == [["mine"]]
        assert client.query("SHOW statement_timeout") == [["12345ms"]]
        assert client.parameters["DateStyle"] == "German, DMY"
        client.query("SET statement_timeout = 1000")
        client.query("RESET statement_timeout")
        assert client.query("SHOW statement_timeout") == [["12345ms"]]
    with plain.raw() as other:
        assert other.query("SHOW statement_timeout") == [["0"]]


# Simple queries


def test_psql(plain):
    assert plain.psql("SELECT 1 + 1") == "2"
    assert plain.psql("SELECT count(*) FROM countries") == "10"
    assert plain.psql(["BEGIN", "SELECT 2", "COMMIT"]) == "2"
    failed = plain.psql("SELECT nonsense", check=False)
    assert failed.returncode != 0 and "42703" in failed.stderr


def test_psql_describes_tables(plain):
    assert "balance|numeric(12,2)" in plain.psql("\\d customers")
    assert "countries" in plain.psql("\\dt")


def test_types_and_nulls(plain):
    with plain.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1::int2, 2::int8, 1.50::numeric, 'é€'::text, true, NULL, '{1,2}'::int[], DATE '2024-02-29'")
        row = cursor.fetchone()
        assert row[0:2] == (1, 2) and str(row[2]) == "1.50" and row[3:6] == ("é€", True, None) and row[6] == [1, 2]
        assert row[7].isoformat() == "2024-02-29"
    connection.close()


def test_empty_query(plain):
    with plain.raw() as client:
        for sql in ("", ";", "  -- only a comment"):
            client.send(wire.query(sql))
            assert kinds(client.until_ready()) == "IZ"
        assert client.value("SELECT 1") == "1"


def test_several_statements_in_one_query(plain):
    with plain.raw() as client:
        client.send(wire.query("SELECT 1; SELECT 2, 3"))
        got = client.until_ready()
        assert kinds(got) == "TDCTDCZ" and tags(got) == ["SELECT 1", "SELECT 1"]
        client.send(wire.query("SELECT 1; SELECT nonsense; SELECT 3"))
        assert kinds(client.until_ready()) == "TDCEZ"
        assert client.status == "I"


def test_several_statements_are_one_transaction(plain):
    with plain.raw() as client:
        client.send(wire.query("INSERT INTO countries VALUES ('X1', 'one'); INSERT INTO countries VALUES ('X1', 'two')"))
        client.until_ready()
        assert client.value("SELECT count(*) FROM countries WHERE code = 'X1'") == "0"


def test_errors_keep_the_protocol_in_step(plain):
    with plain.raw() as client:
        for i in range(50):
            with pytest.raises(ServerError) as error:
                client.query("SELECT 1/0")
            assert error.value.sqlstate == "22012" and client.status == "I"
            assert client.value(f"SELECT {i}") == str(i)


def test_server_errors_come_unchanged(cluster, plain):
    with cluster.shards[0].primary.connect(user="app") as direct, plain.connect() as through:
        fields = []
        for connection in (direct, through):
            with connection.cursor() as cursor:
                with pytest.raises(psycopg2.errors.UniqueViolation) as error:
                    cursor.execute("INSERT INTO countries VALUES ('DE', 'again')")
            connection.rollback()
            d = error.value.diag
            fields.append((d.sqlstate, d.severity, d.message_primary, d.message_detail, d.constraint_name, d.table_name,
                           d.source_function))
        assert fields[0] == fields[1]
    direct.close(), through.close()


def test_notices(plain):
    with plain.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS never_there")
        assert any("never_there" in notice for notice in connection.notices)
        cursor.execute("DO $$ BEGIN FOR i IN 1..100 LOOP RAISE NOTICE 'notice %', i; END LOOP; END $$")
        assert "notice 100" in connection.notices[-1]
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    connection.close()


# Transactions


def test_transaction_commit_and_rollback(plain):
    with plain.raw() as client:
        client.query("BEGIN")
        assert client.status == "T"
        client.query("INSERT INTO countries VALUES ('T1', 'test')")
        client.query("ROLLBACK")
        assert client.status == "I" and client.value("SELECT count(*) FROM countries WHERE code = 'T1'") == "0"
        client.query("BEGIN")
        client.query("INSERT INTO countries VALUES ('T1', 'test')")
        client.query("COMMIT")
        assert client.value("SELECT count(*) FROM countries WHERE code = 'T1'") == "1"
        client.query("DELETE FROM countries WHERE code = 'T1'")
        assert client.value("SELECT count(*) FROM countries WHERE code = 'T1'") == "0"


def test_transactions_do_not_share_a_backend(plain):
    with plain.raw() as one, plain.raw() as two:
        one.query("BEGIN")
        one.query("INSERT INTO countries VALUES ('T2', 'test')")
        two.query("BEGIN")
        assert two.value("SELECT count(*) FROM countries WHERE code = 'T2'") == "0"
        assert one.value("SELECT pg_backend_pid()") != two.value("SELECT pg_backend_pid()")
        one.query("ROLLBACK")
        two.query("ROLLBACK")


def test_client_that_leaves_in_a_transaction(cluster, plain):
    client = plain.raw()
    client.query("BEGIN")
    client.query("INSERT INTO countries VALUES ('T3', 'gone')")
    client.vanish()
    with plain.raw() as other:
        other.query("SET statement_timeout = '10s'")
        other.query("INSERT INTO countries VALUES ('T3', 'kept')")
        assert other.value("SELECT name FROM countries WHERE code = 'T3'") == "kept"
        other.query("DELETE FROM countries WHERE code = 'T3'")


def test_more_clients_than_pooled_connections(cluster, start_braid):
    backends = "SELECT pid FROM pg_stat_activity WHERE usename = 'app'"
    before = {server.name: set(server.query(backends)) for server in cluster.servers}
    braid = start_braid(plain_topology(cluster.shards[0].servers, workers=2, pool={"mode": "transaction", "size": 3}))
    failures = []

    def work(n):
        try:
            connection = braid.connect()
            for i in range(20):
                with connection, connection.cursor() as cursor:
                    cursor.execute("SELECT %s, pg_backend_pid()", (n * 1000 + i,))
                    assert cursor.fetchone()[0] == n * 1000 + i
            connection.close()
        except Exception as e:  # noqa: BLE001 told below
            failures.append(e)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert set(cluster.shards[0].primary.query(backends)) - before["s0-primary"]
    for server in cluster.shards[0].servers:
        assert len(set(server.query(backends)) - before[server.name]) <= 3


def test_a_login_over_a_lent_connection_is_told_all_parameters(cluster, start_braid):
    """One connection for two workers: one of them logs its clients in over a connection that it never opened."""
    braid = start_braid(plain_topology(cluster.shards[0].servers[:1], workers=2, pool={"mode": "transaction", "size": 1}))
    clients = []
    for _ in range(4):
        clients.append(braid.raw())
        assert clients[-1].query("SELECT 1") == [["1"]]
    for client in clients:
        assert client.parameters["client_encoding"] == "UTF8"
        assert client.parameters == clients[0].parameters
        client.close()


def test_a_custom_setting_stays_with_its_session(cluster, start_braid):
    """pg_settings does not list them, so nothing but the same connection can keep them."""
    braid = start_braid(plain_topology(cluster.shards[0].servers[:1], pool={"mode": "transaction", "size": 3}))
    with braid.raw() as one, braid.raw() as other:
        assert one.extended("SELECT set_config('app.tenant', $1, false)", ["first"]) == [["first"]]
        assert other.query("SELECT set_config('app.tenant', 'sec' || 'ond', false)") == [["second"]]
        for _ in range(5):
            assert one.value("SELECT current_setting('app.tenant', true)") == "first"
            assert other.value("SELECT current_setting('app.tenant', true)") == "second"
        with braid.raw() as third:
            assert third.extended("SELECT set_config('app.tenant', $1, true)", ["gone"]) == [["gone"]]
            assert third.value("SELECT coalesce(nullif(current_setting('app.tenant', true), ''), 'none')") == "none"


def test_what_a_sequence_last_gave_is_told_where_it_gave_it(cluster, plain):
    cluster.shards[0].primary.query("CREATE SEQUENCE told; GRANT ALL ON told TO app")
    try:
        with plain.raw() as client:
            for sql in ("SELECT lastval()", "SELECT currval('told')"):
                assert refusal(client.query, sql) == refusal(client.extended, sql) == "55000"
            given = client.value("SELECT nextval('told')")
            for sql in ("SELECT lastval()", "SELECT currval('told')"):
                assert client.value(sql) == client.extended(sql)[0][0] == given
            client.query("BEGIN")
            given = client.value("SELECT nextval('told')")
            assert client.value("SELECT lastval()") == client.extended("SELECT currval('told')")[0][0] == given
            client.query("COMMIT")
            client.query("CREATE TEMP TABLE keeps (n int)")
            given = client.value("SELECT nextval('told')")
            assert client.value("SELECT lastval()") == given
    finally:
        cluster.shards[0].primary.query("DROP SEQUENCE told")


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers(cluster, start_braid, workers):
    braid = start_braid(plain_topology(cluster.shards[0].servers, workers=workers))
    clients = [braid.raw() for _ in range(12)]
    for round_ in range(5):
        for i, client in enumerate(clients):
            client.send(wire.query(f"SELECT {i}, {round_}"))
        for i, client in enumerate(clients):
            assert client.result() == [[str(i), str(round_)]]
    for client in clients:
        client.close()


# Size


def test_large_result(plain):
    with plain.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT n, repeat('x', 100) FROM generate_series(1, 200000) AS n")
        total = 0
        for n, filler in cursor:
            total += n
            assert len(filler) == 100
        assert total == 200000 * 200001 // 2
    connection.close()


def test_large_row(plain):
    with plain.raw() as client:
        assert len(client.value("SELECT repeat('0123456789', 2000000)")) == 20_000_000
        assert client.value("SELECT 1") == "1"


def test_many_columns(plain):
    with plain.raw() as client:
        row = client.query("SELECT " + ", ".join(f"{i} AS c{i}" for i in range(1600)))[0]
        assert row == [str(i) for i in range(1600)]


def test_large_parameter(plain):
    with plain.raw() as client:
        assert client.extended("SELECT length($1::text)", ["y" * 5_000_000]) == [["5000000"]]


# COPY


def test_copy_in_and_out(plain):
    with plain.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE copy_probe (n int PRIMARY KEY, t text)")
        data = "".join(f"{n}\tline {n}\n" for n in range(20000))
        cursor.copy_expert("COPY copy_probe FROM STDIN", io.StringIO(data))
        assert cursor.rowcount == 20000
        out = io.StringIO()
        cursor.copy_expert("COPY (SELECT * FROM copy_probe ORDER BY n) TO STDOUT", out)
        assert out.getvalue() == data
        connection.rollback()
    connection.close()


def test_copy_that_fails_on_the_server(plain):
    with plain.raw() as client:
        client.query("BEGIN")
        client.query("CREATE TABLE copy_probe (n int)")
        client.send(wire.query("COPY copy_probe FROM STDIN"))
        assert kinds(client.receive_until("GE")) == "G"
        client.send(wire.message("d", b"1\n"), wire.message("d", b"not a number\n"), wire.message("c"))
        got = client.until_ready()
        assert kinds(got) == "EZ" and wire.errors(got)[0]["C"] == "22P02" and client.status == "E"
        client.query("ROLLBACK")
        assert client.value("SELECT 1") == "1"


def test_copy_that_the_client_ends(plain):
    with plain.raw() as client:
        client.query("BEGIN")
        client.query("CREATE TABLE copy_probe (n int)")
        client.send(wire.query("COPY copy_probe FROM STDIN"))
        client.receive_until("G")
        client.send(wire.message("d", b"1\n"), wire.message("f", wire.text("changed my mind")))
        assert wire.errors(client.until_ready())[0]["C"] == "57014"
        client.query("ROLLBACK")
        assert client.value("SELECT 2") == "2"


def test_client_that_vanishes_in_copy(plain):
    client = plain.raw()
    client.query("BEGIN")
    client.query("CREATE TABLE copy_probe (n int)")
    client.send(wire.query("COPY copy_probe FROM STDIN"))
    client.receive_until("G")
    client.send(wire.message("d", b"1\n2\n"))
    client.vanish()
    with plain.raw() as other:
        for i in range(30):
            assert other.value(f"SELECT {i}") == str(i)
        assert other.value("SELECT to_regclass('copy_probe') IS NULL") == "t"


def test_client_that_vanishes_in_a_large_result(plain):
    clients = [plain.raw() for _ in range(4)]
    for client in clients:
        client.send(wire.query("SELECT n, repeat('x', 1000) FROM generate_series(1, 500000) AS n"))
        client.receive_until("D")
        client.vanish()
    with plain.raw() as other:
        for i in range(50):
            assert other.value(f"SELECT {i}") == str(i)


def test_reads_go_to_the_replica_and_writes_to_the_primary(cluster, plain):
    key = cluster.keys_of(0, 1)[0]
    with plain.connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('cluster_name') FROM customers WHERE id = %s", (key,))
        assert cursor.fetchone() == ("s0-replica",)
        cursor.execute("UPDATE customers SET balance = balance WHERE id = %s RETURNING current_setting('cluster_name')", (key,))
        assert cursor.fetchone() == ("s0-primary",)
        cursor.execute("SELECT current_setting('cluster_name') FROM customers WHERE id = %s FOR UPDATE", (key,))
        assert cursor.fetchone() == ("s0-primary",)
    connection.close()
