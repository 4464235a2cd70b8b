"""The extended protocol in transaction pooling: pipelines, portals, named statements over several server connections."""

import struct
import threading

import pytest

from braid import plain_topology
from wire import (ServerError, bind, close_portal, close_statement, describe_portal, describe_statement, errors, execute,
                  flush, kinds, parse, query, rows, sync, tags)


@pytest.fixture
def client(plain):
    connection = plain.raw()
    yield connection
    connection.close()


def first_int(messages):
    return int(rows(messages)[0][0])


def test_unnamed_statement(client):
    assert client.extended("SELECT $1::int * 2, $2::text", [21, None]) == [["42", None]]


def test_binary_parameters_and_results(client):
    client.send(parse("SELECT $1::int4 + 1, $2::int8", types=(23, 20)),
                bind([struct.pack("!i", 41), struct.pack("!q", 7)], formats=[1], result_formats=[1]), execute(), sync())
    got = client.until_ready()
    assert kinds(got) == "12DCZ" and rows(got) == [[struct.pack("!i", 42), struct.pack("!q", 7)]]


def test_pipeline_of_many_statements(client):
    for i in range(100):
        client.send(parse("SELECT $1::int"), bind([i]), execute())
    client.send(sync())
    got = client.until_ready()
    assert [int(r[0]) for r in rows(got)] == list(range(100)) and kinds(got) == "12DC" * 100 + "Z"


def test_pipeline_of_many_syncs(client):
    client.send(*[m for i in range(200) for m in (parse("SELECT $1::int"), bind([i]), execute(), sync())])
    for i in range(200):
        got = client.until_ready()
        assert kinds(got) == "12DCZ" and first_int(got) == i


def test_simple_and_extended_in_one_burst(client):
    client.send(query("SELECT 1"), parse("SELECT 2"), bind(), execute(), sync(), query("SELECT 3"), query("SELECT 4"))
    assert [first_int(client.until_ready()) for _ in range(4)] == [1, 2, 3, 4]


def test_error_skips_to_sync(client):
    client.send(parse("SELECT 1"), bind(), execute(), parse("SELECT 1/0"), bind(), execute(), parse("SELECT 2"), bind(),
                execute(), sync(), parse("SELECT 3"), bind(), execute(), sync())
    got = client.until_ready()
    assert kinds(got) in ("12DC12EZ", "12DC1EZ") and errors(got)[0]["C"] == "22012"
    got = client.until_ready()
    assert kinds(got) == "12DCZ" and first_int(got) == 3
    assert client.status == "I"


def test_parse_error_skips_to_sync(client):
    client.send(parse("SELEC nonsense", "bad"), bind(statement="bad"), describe_portal(), execute(), sync())
    got = client.until_ready()
    assert kinds(got) == "EZ" and errors(got)[0]["C"] == "42601"
    client.send(bind(statement="bad"), execute(), sync())
    got = client.until_ready()
    assert kinds(got) == "EZ" and errors(got)[0]["C"] == "26000"


def test_an_error_rolls_back_the_pipeline_before_it(client):
    client.send(parse("INSERT INTO countries VALUES ('P1', 'pipelined')"), bind(), execute(),
                parse("SELECT 1/0"), bind(), execute(), sync())
    assert errors(client.until_ready())[0]["C"] == "22012"
    assert client.value("SELECT count(*) FROM countries WHERE code = 'P1'") == "0"


def test_a_simple_query_behind_flush(client):
    """As asyncpg sends COPY behind the description of the table."""
    client.send(parse("SELECT 1", "f"), describe_statement("f"), flush(), query("SELECT 2"))
    got = client.until_ready()
    assert kinds(got) == "1tTTDCZ" and rows(got) == [[b"2"]]
    client.send(parse("SELECT nothing", "g"), flush(), query("SELECT 3"), sync())
    assert kinds(client.until_ready()) == "EZ", "behind an error nothing is done up to Sync"
    client.query("BEGIN")
    client.send(parse("SELECT 4", "h"), bind([], "h"), execute(), flush(), query("SELECT 5"))
    got = client.until_ready()
    assert rows(got) == [[b"4"], [b"5"]] and client.status == "T"
    client.query("COMMIT")


def test_flush_without_sync(client):
    client.send(parse("SELECT $1::int", "f"), flush())
    assert kinds(client.receive_until("1E")) == "1"
    client.send(describe_statement("f"), flush())
    assert kinds(client.receive_until("TE")) == "tT"
    client.send(bind([5], "f"), execute(), flush())
    got = client.receive_until("CE")
    assert kinds(got) == "2DC" and first_int(got) == 5
    client.send(sync())
    assert kinds(client.until_ready()) == "Z"


def test_sync_alone(client):
    client.send(sync(), sync())
    assert kinds(client.until_ready()) == "Z" and kinds(client.until_ready()) == "Z"


def test_portal_with_row_limit(client):
    client.send(parse("SELECT n FROM generate_series(1, 10) AS n"), bind(), execute(limit=4), execute(limit=4),
                execute(limit=4), sync())
    got = client.until_ready()
    assert kinds(got) == "12DDDDsDDDDsDDCZ" and [int(r[0]) for r in rows(got)] == list(range(1, 11))


def test_portal_over_several_flushes(client):
    client.send(query("BEGIN"))
    client.until_ready()
    client.send(parse("SELECT n FROM generate_series(1, 6) AS n"), bind(portal="p"), execute("p", 2), sync())
    assert kinds(client.until_ready()) == "12DDsZ"
    client.send(execute("p", 2), sync())
    got = client.until_ready()
    assert kinds(got) == "DDsZ" and first_int(got) == 3
    client.send(close_portal("p"), sync())
    assert kinds(client.until_ready()) == "3Z"
    client.send(execute("p", 2), sync())
    assert errors(client.until_ready())[0]["C"] == "34000" and client.status == "E"
    client.query("ROLLBACK")
    assert client.status == "I"


def test_describe_statement_only(client):
    client.send(parse("SELECT id, name FROM customers WHERE id = $1", "d"), describe_statement("d"), sync())
    got = client.until_ready()
    assert kinds(got) == "1tTZ"
    assert dict(got)["t"] == struct.pack("!HI", 1, 20)
    assert struct.unpack("!H", dict(got)["T"][:2]) == (2,)
    client.send(describe_statement("d"), sync())
    assert kinds(client.until_ready()) == "tTZ"


def test_describe_of_a_statement_without_rows(client):
    client.send(parse("INSERT INTO countries VALUES ($1, $2)", "ins"), describe_statement("ins"), sync())
    assert kinds(client.until_ready()) == "1tnZ"


def test_empty_statement(client):
    client.send(parse(""), bind(), describe_portal(), execute(), sync())
    assert kinds(client.until_ready()) == "12nIZ"


def test_close(client):
    client.send(parse("SELECT 1", "c"), close_statement("c"), close_statement("never there"), sync())
    assert kinds(client.until_ready()) == "133Z"
    client.send(bind(statement="c"), execute(), sync())
    assert errors(client.until_ready())[0]["C"] == "26000"
    client.send(parse("SELECT 2", "c"), bind(statement="c"), execute(), sync())
    got = client.until_ready()
    assert kinds(got) == "12DCZ" and first_int(got) == 2


def test_named_statement_twice_is_an_error(client):
    client.send(parse("SELECT 1", "twice"), sync())
    assert kinds(client.until_ready()) == "1Z"
    client.send(parse("SELECT 2", "twice"), sync())
    assert errors(client.until_ready())[0]["C"] == "42P05"
    client.send(bind(statement="twice"), execute(), sync())
    assert first_int(client.until_ready()) == 1


def test_unnamed_statement_is_replaced(client):
    client.send(parse("SELECT 1"), parse("SELECT 2"), bind(), execute(), sync())
    got = client.until_ready()
    assert kinds(got) == "112DCZ" and first_int(got) == 2
    client.send(bind(), execute(), sync())
    assert first_int(client.until_ready()) == 2


def test_wrong_number_of_parameters(client):
    client.send(parse("SELECT $1::int", "n"), bind([1, 2], "n"), execute(), sync())
    got = client.until_ready()
    assert kinds(got) == "1EZ" and errors(got)[0]["C"] == "08P01"
    assert client.value("SELECT 1") == "1"


def test_same_name_on_two_clients(plain):
    with plain.raw() as one, plain.raw() as two:
        one.send(parse("SELECT 'one'", "s"), sync())
        two.send(parse("SELECT 'two'", "s"), sync())
        one.until_ready(), two.until_ready()
        for _ in range(10):
            for client, word in ((one, b"one"), (two, b"two")):
                client.send(bind(statement="s"), execute(), sync())
                assert rows(client.until_ready()) == [[word]]


@pytest.mark.parametrize("size", [1, 2])
def test_named_statements_over_few_server_connections(cluster, start_braid, size):
    braid = start_braid(plain_topology(cluster.shards[0].servers, workers=2, pool={"mode": "transaction", "size": size}))
    failures = []

    def work(n):
        try:
            with braid.raw() as client:
                client.send(parse(f"SELECT $1::int + {n}", "mine"), parse("SELECT $1::int * 2", "shared"), sync())
                assert kinds(client.until_ready()) == "11Z"
                for i in range(25):
                    client.send(bind([i], "mine"), execute(), bind([i], "shared"), execute(), sync())
                    got = client.until_ready()
                    assert [int(r[0]) for r in rows(got)] == [i + n, i * 2], errors(got)
        except Exception as e:  # noqa: BLE001 told below
            failures.append((n, e))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures


def test_more_statements_than_a_server_connection_keeps(cluster, start_braid):
    braid = start_braid(plain_topology(cluster.shards[0].servers, workers=1,
                                       pool={"mode": "transaction", "size": 1, "prepared_statements": 10}))
    with braid.raw() as client:
        for i in range(40):
            client.send(parse(f"SELECT {i} + $1::int", f"s{i}"), sync())
            assert kinds(client.until_ready()) == "1Z"
        for _ in range(2):
            for i in range(40):
                client.send(bind([1], f"s{i}"), execute(), sync())
                assert first_int(client.until_ready()) == i + 1
        # All of them in one pipeline: more than the connection keeps between two Syncs.
        client.send(*[m for i in range(40) for m in (bind([2], f"s{i}"), execute())], sync())
        assert [int(r[0]) for r in rows(client.until_ready())] == [i + 2 for i in range(40)]


def test_statement_is_gone_after_disconnect(plain):
    with plain.raw() as one:
        one.send(parse("SELECT 1", "mine"), sync())
        one.until_ready()
    with plain.raw() as two:
        two.send(bind(statement="mine"), execute(), sync())
        assert errors(two.until_ready())[0]["C"] == "26000"
        two.send(parse("SELECT 2", "mine"), bind(statement="mine"), execute(), sync())
        assert first_int(two.until_ready()) == 2


def test_deallocate_all_and_discard_all(plain):
    with plain.raw() as one, plain.raw() as two:
        for client in (one, two):
            client.send(parse("SELECT 7", "s"), sync())
            client.until_ready()
        for command in ("DEALLOCATE ALL", "DISCARD ALL"):
            one.query(command)
            one.send(bind(statement="s"), execute(), sync())
            assert errors(one.until_ready())[0]["C"] == "26000"
            two.send(bind(statement="s"), execute(), sync())
            assert first_int(two.until_ready()) == 7
            one.send(parse("SELECT 7", "s"), sync())
            assert kinds(one.until_ready()) == "1Z"


def test_sql_prepare_and_execute_by_protocol(plain):
    """SQL-level PREPARE and the protocol's statements share their names, or SQL-level PREPARE is refused; never mixed up."""
    with plain.raw() as client:
        try:
            client.query("PREPARE p (int) AS SELECT $1 + 1")
        except ServerError as refused:
            assert refused.sqlstate == "0A000"
            return
        for i in range(10):
            assert client.value(f"EXECUTE p({i})") == str(i + 1)
    with plain.raw() as other:
        with pytest.raises(ServerError) as gone:
            other.query("EXECUTE p(1)")
        assert gone.value.sqlstate == "26000"


def test_ddl_between_executions(plain):
    with plain.raw() as client:
        client.query("CREATE TABLE shape (a int)")
        client.query("INSERT INTO shape VALUES (1)")
        try:
            client.send(parse("SELECT * FROM shape WHERE a > $1 FOR UPDATE", "s"), describe_statement("s"), bind([0], "s"),
                        execute(), sync())
            assert rows(client.until_ready()) == [[b"1"]]
            client.query("ALTER TABLE shape ADD COLUMN b int DEFAULT 2")
            client.send(bind([0], "s"), execute(), sync())
            got = client.until_ready()
            assert errors(got) and errors(got)[0]["C"] == "0A000", "the client was told one column"
            assert client.value("SELECT b FROM shape FOR UPDATE") == "2"
        finally:
            client.query("DROP TABLE shape")


def test_reads_by_named_statement_use_the_replica(cluster, plain):
    key = cluster.keys_of(0, 1)[0]
    with plain.raw() as client:
        client.send(parse("SELECT current_setting('cluster_name') FROM customers WHERE id = $1", "r"), sync())
        client.until_ready()
        for _ in range(5):
            client.send(bind([key], "r"), execute(), sync())
            assert rows(client.until_ready()) == [[b"s0-replica"]]
        client.query("BEGIN")
        client.send(parse("UPDATE customers SET balance = balance WHERE id = $1", "w"), bind([key], "w"), execute(), sync())
        assert tags(client.until_ready()) == ["UPDATE 1"]
        client.send(bind([key], "r"), execute(), sync())
        assert rows(client.until_ready()) == [[b"s0-primary"]]
        client.query("COMMIT")


def test_copy_by_the_extended_protocol(client):
    client.query("BEGIN")
    client.query("CREATE TABLE copy_probe (n int)")
    client.send(parse("COPY copy_probe FROM STDIN"), bind(), execute())
    client.send(flush())
    assert kinds(client.receive_until("GE")) == "12G"
    client.send(b"d\0\0\0\x06" + b"1\n", b"c\0\0\0\x04", sync())
    assert kinds(client.until_ready()) == "CZ"
    client.send(parse("COPY copy_probe TO STDOUT"), bind(), execute(), sync())
    got = client.until_ready()
    assert kinds(got) == "12HdcCZ" and dict(got)["d"] == b"1\n"
    client.query("ROLLBACK")


def test_function_call(client):
    oid = int(client.value("SELECT 'int4pl(int4,int4)'::regprocedure::oid"))
    body = struct.pack("!IHHHiiiiH", oid, 1, 1, 2, 4, 20, 4, 22, 1)
    client.send(b"F" + struct.pack("!I", len(body) + 4) + body)
    got = client.until_ready()
    assert kinds(got) == "VZ" and dict(got)["V"] == struct.pack("!ii", 4, 42)
