"""psycopg2: transactions around everything, server-side cursors, COPY, settings, SQL-level PREPARE."""

import io
import threading
import uuid

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras
import pytest

from clients import at_once, conninfo, pool_holds
from waiting import wait_until


@pytest.fixture
def connection(braid):
    made = psycopg2.connect(conninfo(braid))
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def tables(cluster):
    with cluster.shards[0].primary.connect(user="app") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE p2 (id int PRIMARY KEY, name text NOT NULL, body bytea, at timestamptz, tags text[])")
    connection.close()


def test_values_go_round(connection):
    psycopg2.extras.register_uuid(conn_or_curs=connection)
    key = uuid.uuid4()
    with connection, connection.cursor() as c:
        c.execute("SELECT %s, %s, %s::bytea, %s::uuid, %s::jsonb, %s::numeric, %s::int[]",
                  (1, "ä 'quoted' \\ %", b"\x00\xff", key, psycopg2.extras.Json({"a": [1, None]}), "1.50", [1, 2, None]))
        row = c.fetchone()
    assert row[:2] == (1, "ä 'quoted' \\ %")
    assert bytes(row[2]) == b"\x00\xff"
    assert row[3:] == (key, {"a": [1, None]}, row[5], [1, 2, None]) and str(row[5]) == "1.50"


def test_transaction_commits_and_rolls_back(connection, primary):
    with connection, connection.cursor() as c:
        c.execute("INSERT INTO p2 (id, name) VALUES (1, 'kept')")
    with pytest.raises(ZeroDivisionError), connection, connection.cursor() as c:
        c.execute("INSERT INTO p2 (id, name) VALUES (2, 'gone')")
        raise ZeroDivisionError
    assert primary.query("SELECT id, name FROM p2 WHERE id IN (1, 2)") == [(1, "kept")]
    assert connection.status == psycopg2.extensions.STATUS_READY


def test_errors_carry_sqlstate_and_fields(connection):
    with connection.cursor() as c:
        with pytest.raises(psycopg2.errors.NotNullViolation) as error:
            c.execute("INSERT INTO p2 (id, name) VALUES (3, NULL)")
        assert error.value.pgcode == "23502" and error.value.diag.column_name == "name"
        with pytest.raises(psycopg2.errors.InFailedSqlTransaction):
            c.execute("SELECT 1")
        connection.rollback()
        with pytest.raises(psycopg2.errors.UndefinedTable) as error:
            c.execute("SELECT * FROM nowhere")
        assert error.value.diag.statement_position == "15"
        connection.rollback()
        c.execute("SELECT 1")
        assert c.fetchone() == (1,)
    connection.rollback()


def test_savepoints(connection):
    with connection.cursor() as c:
        c.execute("INSERT INTO p2 (id, name) VALUES (10, 'a')")
        c.execute("SAVEPOINT s")
        with pytest.raises(psycopg2.errors.UniqueViolation):
            c.execute("INSERT INTO p2 (id, name) VALUES (10, 'b')")
        assert connection.get_transaction_status() == psycopg2.extensions.TRANSACTION_STATUS_INERROR
        c.execute("ROLLBACK TO SAVEPOINT s")
        c.execute("RELEASE SAVEPOINT s")
        c.execute("SELECT name FROM p2 WHERE id = 10")
        assert c.fetchone() == ("a",)
    connection.rollback()


def test_named_cursor_fetches_in_parts(connection):
    with connection, connection.cursor("parts") as c:
        c.itersize = 7
        c.execute("SELECT n FROM generate_series(1, 100) n")
        assert [r[0] for r in c] == list(range(1, 101))
    with connection, connection.cursor("scrolls", scrollable=True) as c:
        c.execute("SELECT n FROM generate_series(1, 10) n")
        c.scroll(5)
        assert c.fetchone() == (6,)
        c.scroll(-2)
        assert c.fetchone() == (5,)


def test_with_hold_cursor_outlives_its_transaction(connection):
    c = connection.cursor("held", withhold=True)
    c.execute("SELECT n FROM generate_series(1, 10) n")
    assert c.fetchmany(3) == [(1,), (2,), (3,)]
    connection.commit()
    assert c.fetchmany(2) == [(4,), (5,)]
    c.close()
    connection.commit()


def test_copy_both_ways(connection, primary):
    rows = "".join(f"{i}\trow {i}\t\\N\t\\N\t{{x,\"y z\"}}\n" for i in range(1000, 3000))
    with connection, connection.cursor() as c:
        c.copy_expert("COPY p2 FROM STDIN", io.StringIO(rows))
        assert c.rowcount == 2000
    out = io.StringIO()
    with connection, connection.cursor() as c:
        c.copy_expert("COPY (SELECT * FROM p2 WHERE id BETWEEN 1000 AND 2999 ORDER BY id) TO STDOUT", out)
    assert out.getvalue() == rows
    with connection.cursor() as c, pytest.raises(psycopg2.errors.BadCopyFileFormat) as error:
        c.copy_expert("COPY p2 (id, name) FROM STDIN", io.StringIO("5000\tgood\n5001\n"))
    assert "line 2" in error.value.diag.context
    connection.rollback()
    assert primary.value("SELECT count(*) FROM p2 WHERE id >= 5000") == 0


def test_settings_survive_transactions(connection):
    with connection, connection.cursor() as c:
        c.execute("SET search_path TO pg_catalog, public")
        c.execute("SET application_name TO 'p2 settings'")
    with pytest.raises(ZeroDivisionError), connection, connection.cursor() as c:
        c.execute("SET application_name TO 'rolled back'")
        raise ZeroDivisionError
    with connection, connection.cursor() as c:
        c.execute("SELECT current_setting('search_path'), current_setting('application_name')")
        assert c.fetchone() == ("pg_catalog, public", "p2 settings")
    connection.set_client_encoding("LATIN1")
    with connection, connection.cursor() as c:
        c.execute("SELECT 'é'")
        assert c.fetchone() == ("é",)
    assert connection.encoding == "LATIN1"


def test_isolation_and_read_only(connection):
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
    with connection.cursor() as c:
        c.execute("SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')")
        assert c.fetchone() == ("repeatable read", "on")
        with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
            c.execute("INSERT INTO p2 (id, name) VALUES (20, 'no')")
    connection.rollback()
    connection.set_session(isolation_level="READ COMMITTED", readonly=False, autocommit=True)
    with connection.cursor() as c:
        c.execute("INSERT INTO p2 (id, name) VALUES (20, 'yes') RETURNING id")
        assert c.fetchone() == (20,)


def test_prepare_in_sql(connection):
    connection.autocommit = True
    with connection.cursor() as c:
        c.execute("PREPARE twice(int) AS SELECT $1 * 2")
        for n in range(3):
            c.execute("EXECUTE twice(%s)", (n,))
            assert c.fetchone() == (2 * n,)
        c.execute("DEALLOCATE twice")
        with pytest.raises(psycopg2.errors.InvalidSqlStatementName):
            c.execute("EXECUTE twice(1)")


def test_large_object(connection):
    big = connection.lobject(0, "wb")
    number = big.oid
    big.write(b"pgbraid" * 10000)
    big.seek(7)
    big.close()
    connection.commit()
    again = connection.lobject(number, "rb")
    assert len(again.read()) == 70000
    again.unlink()
    connection.commit()


def test_cancel_hits_its_own_statement(braid):
    victim = psycopg2.connect(conninfo(braid))
    seen = []

    def sleep():
        try:
            with victim.cursor() as c:
                c.execute("SELECT pg_sleep(60)")
        except psycopg2.Error as e:
            seen.append(e.pgcode)

    thread = threading.Thread(target=sleep)
    thread.start()

    def cancelled():
        victim.cancel()
        thread.join(0.05)
        return not thread.is_alive()
    wait_until(cancelled, what="the statement is cancelled")
    assert seen == ["57014"]
    victim.rollback()
    victim.close()


def test_two_phase_commit(connection, primary):
    xid = connection.xid(7, f"braid-{uuid.uuid4()}", "branch")
    connection.tpc_begin(xid)
    with connection.cursor() as c:
        c.execute("INSERT INTO p2 (id, name) VALUES (30, 'two phases')")
    connection.tpc_prepare()
    connection.tpc_commit()
    assert primary.value("SELECT name FROM p2 WHERE id = 30") == "two phases"


def test_fifty_clients_on_two_connections(braid, primary):
    """Each with its own settings, in its own transactions; a sum that must come out."""
    primary.query("CREATE TABLE p2_counter AS SELECT 0 AS n; GRANT ALL ON p2_counter TO app")

    def work(i):
        connection = psycopg2.connect(conninfo(braid, application_name=f"p2-{i}"))
        try:
            for turn in range(8):
                with connection, connection.cursor() as c:
                    c.execute(f"SET p2.tag = '{i}.{turn}'")
                    c.execute("UPDATE p2_counter SET n = n + 1")
                with connection, connection.cursor() as c:
                    c.execute("SELECT current_setting('p2.tag'), current_setting('application_name')")
                    assert c.fetchone() == (f"{i}.{turn}", f"p2-{i}")
        finally:
            connection.close()
        return True

    assert all(at_once(work))
    assert primary.value("SELECT n FROM p2_counter") == 400
    assert pool_holds(primary)
