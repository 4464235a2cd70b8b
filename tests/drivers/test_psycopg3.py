"""psycopg 3: server-side binding, prepared statements, pipeline mode, binary values, COPY, asynchronous connections."""

import asyncio
from datetime import datetime, timezone

import psycopg
import pytest
from psycopg import errors, pq, sql

from clients import CLIENTS, at_once, conninfo, pool_holds


@pytest.fixture
def connection(braid):
    with psycopg.connect(conninfo(braid), autocommit=True) as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def tables(cluster):
    with cluster.shards[0].primary.connect(user="app") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE p3 (id int PRIMARY KEY, name text NOT NULL)")
    connection.close()


def test_binary_parameters_and_results(connection):
    now = datetime(2024, 2, 29, 12, 30, 1, 5, tzinfo=timezone.utc)
    with connection.cursor(binary=True) as c:
        row = c.execute("SELECT %b::int8, %b::text, %b::bytea, %b::timestamptz, %b::int4[], %b::float8",
                        (2**40, "ä", b"\0\1", now, [1, 2, 3], 1.5)).fetchone()
    assert row == (2**40, "ä", b"\0\1", now, [1, 2, 3], 1.5)


def test_prepared_statements_cross_their_threshold(connection):
    """psycopg prepares a statement when it sees it for the sixth time."""
    for i in range(20):
        assert connection.execute("SELECT %s::int + 1", (i,)).fetchone() == (i + 1,)
    for i in range(3):
        assert connection.execute("SELECT %s::text || 'x'", (str(i),), prepare=True).fetchone() == (f"{i}x",)
    connection.prepared_max = 2
    for turn in range(2):
        for i in range(10):
            assert connection.execute(sql.SQL("SELECT {} + %s").format(i), (turn,), prepare=True).fetchone() == (i + turn,)
    connection.execute("DEALLOCATE ALL")
    with pytest.raises(errors.InvalidSqlStatementName):
        connection.execute("EXECUTE _pg3_0(1)")


def test_pipeline_results_and_order(connection):
    with connection.pipeline(), connection.cursor() as c:
        futures = [connection.execute("SELECT %s::int", (i,)) for i in range(200)]
        c.executemany("INSERT INTO p3 VALUES (%s, %s)", [(i, f"row {i}") for i in range(100, 150)])
        assert [f.fetchone()[0] for f in futures] == list(range(200))
    assert connection.execute("SELECT count(*), min(name), max(name) FROM p3 WHERE id BETWEEN 100 AND 149").fetchone() == \
        (50, "row 100", "row 149")


def test_pipeline_error_aborts_up_to_its_sync(connection):
    with connection.pipeline() as pipeline:
        before = connection.execute("INSERT INTO p3 VALUES (200, 'before')")
        pipeline.sync()
        failed = connection.execute("INSERT INTO p3 VALUES (200, 'twice')")
        aborted = connection.execute("INSERT INTO p3 VALUES (201, 'never')")
        with pytest.raises(errors.UniqueViolation):
            pipeline.sync()
        assert aborted.pgresult is None or aborted.pgresult.status == pq.ExecStatus.PIPELINE_ABORTED
        after = connection.execute("SELECT 'after'")
        assert after.fetchone() == ("after",)
        assert before.rowcount == 1 and failed.rowcount == -1
    assert [r[0] for r in connection.execute("SELECT id FROM p3 WHERE id IN (200, 201)")] == [200]


def test_pipeline_in_a_transaction(connection):
    with pytest.raises(errors.DivisionByZero):
        with connection.pipeline(), connection.transaction():
            connection.execute("INSERT INTO p3 VALUES (210, 'x')")
            connection.execute("SELECT 1/0")
            connection.execute("INSERT INTO p3 VALUES (211, 'x')")
    assert connection.info.transaction_status == pq.TransactionStatus.IDLE
    assert connection.execute("SELECT count(*) FROM p3 WHERE id IN (210, 211)").fetchone() == (0,)


def test_nested_transactions(connection):
    with connection.transaction():
        connection.execute("INSERT INTO p3 VALUES (220, 'outer')")
        with pytest.raises(errors.UniqueViolation), connection.transaction():
            connection.execute("INSERT INTO p3 VALUES (220, 'inner')")
        with connection.transaction(force_rollback=True):
            connection.execute("INSERT INTO p3 VALUES (221, 'thrown away')")
    assert connection.execute("SELECT id, name FROM p3 WHERE id IN (220, 221)").fetchall() == [(220, "outer")]


@pytest.mark.parametrize("binary", [False, True])
def test_copy_both_ways(connection, binary):
    kind = "(FORMAT binary)" if binary else ""
    base = 10000 if binary else 20000
    with connection.cursor() as c:
        with c.copy(f"COPY p3 FROM STDIN {kind}") as copy:
            copy.set_types(["int4", "text"])
            for i in range(3000):
                copy.write_row((base + i, f"copied {i}"))
        assert c.rowcount == 3000
        with c.copy(f"COPY (SELECT * FROM p3 WHERE id >= {base} AND id < {base + 3000} ORDER BY id) TO STDOUT {kind}") as copy:
            copy.set_types(["int4", "text"])
            rows = list(copy.rows())
    assert rows == [(base + i, f"copied {i}") for i in range(3000)]


def test_copy_given_up_half_way(connection):
    with pytest.raises(errors.QueryCanceled), connection.cursor().copy("COPY p3 FROM STDIN") as copy:
        copy.write_row((30000, "x"))
        raise errors.QueryCanceled("no more")
    assert connection.execute("SELECT count(*) FROM p3 WHERE id = 30000").fetchone() == (0,)
    with connection.cursor() as c:
        with pytest.raises(ZeroDivisionError), c.copy("COPY (SELECT n, repeat('x', 1000) FROM generate_series(1, 5000) n) TO STDOUT") as copy:
            next(copy.rows())
            raise ZeroDivisionError
    assert connection.execute("SELECT 'in step'").fetchone() == ("in step",)


def test_server_cursor_and_stream(connection):
    with connection.transaction(), connection.cursor(name="server") as c:
        c.execute("SELECT n FROM generate_series(1, 50) n")
        assert c.fetchmany(5) == [(1,), (2,), (3,), (4,), (5,)]
        c.scroll(10)
        assert c.fetchone() == (16,)
    assert [r[0] for r in connection.cursor().stream("SELECT n FROM generate_series(1, %s) n", (1000,))] == list(range(1, 1001))


def test_notifications_and_notices(braid, connection):
    notices = []
    connection.add_notice_handler(lambda d: notices.append((d.sqlstate, d.message_primary)))
    connection.execute("DO $$BEGIN RAISE NOTICE 'hello %', 1; END$$")
    assert notices == [("00000", "hello 1")]
    connection.execute("LISTEN p3_channel")
    with psycopg.connect(conninfo(braid), autocommit=True) as other:
        other.execute("NOTIFY p3_channel, 'payload'")
    note = next(connection.notifies())
    assert (note.channel, note.payload) == ("p3_channel", "payload")
    connection.execute("UNLISTEN *")


def test_errors_and_their_diagnostics(connection):
    with pytest.raises(errors.CheckViolation) as error:
        connection.execute("DO $$BEGIN RAISE check_violation USING DETAIL = 'why', HINT = 'how', TABLE = 't'; END$$")
    diag = error.value.diag
    assert (diag.sqlstate, diag.message_detail, diag.message_hint, diag.table_name) == ("23514", "why", "how", "t")
    with pytest.raises(errors.SyntaxError):
        connection.execute("SELEC %s", (1,))
    with pytest.raises(errors.UndefinedFunction):
        connection.execute("SELECT nothing(%s)", (1,), prepare=True)


def test_asynchronous_clients(braid):
    async def one(i):
        async with await psycopg.AsyncConnection.connect(conninfo(braid, application_name=f"async-{i}")) as connection:
            for turn in range(4):
                async with connection.transaction():
                    await connection.execute(f"SET LOCAL p3.tag = '{i}-{turn}'")
                    row = await (await connection.execute("SELECT current_setting('p3.tag'), %s::int", (turn,))).fetchone()
                    assert row == (f"{i}-{turn}", turn)
            row = await (await connection.execute("SELECT current_setting('application_name')")).fetchone()
            assert row == (f"async-{i}",)

    async def all_of_them():
        await asyncio.gather(*(one(i) for i in range(CLIENTS)))

    asyncio.run(all_of_them())


def test_fifty_clients_with_the_same_statement_names(braid, primary):
    """All prepare statements of the same names with different texts, in pipelines with an error now and then."""
    def work(i):
        with psycopg.connect(conninfo(braid), autocommit=True, prepare_threshold=0) as c:
            for turn in range(6):
                with c.pipeline():
                    rows = [c.execute(f"SELECT %s::int + {i}, '{n}'", (n,)) for n in range(5)]
                    assert [r.fetchone() for r in rows] == [(n + i, str(n)) for n in range(5)]
                if turn % 3 == i % 3:
                    with pytest.raises(errors.DivisionByZero):
                        c.execute("SELECT 1 / (%s::int - %s::int)", (i, i))
        return True

    assert all(at_once(work))
    assert pool_holds(primary)
