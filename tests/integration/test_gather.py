"""Reads that no shard can answer alone: their rows are gathered and one server answers over them."""

import pytest

from braid import sharded_topology
from wire import ServerError, bind, close_portal, describe_portal, describe_statement, errors, execute, kinds, message, parse, query, rows, sync, tags

# A type, and values that must come out as they went in.
TYPES = {
    "int2": "(-32768)", "int8": "9223372036854775807", "numeric": "'123456789012345678901234567890.000'", "numeric(6, 2)": "1234.5",
    "float4": "'1.17549435e-38'", "float8": "'0.1'::float8 + '0.2'", "money": "12.34::numeric::money", "boolean": "true",
    "text": r"E'quote \" back \\ tab \t line \n end'", "varchar(7)": "'abc'", "char(5)": "'ab'", '"char"': "'x'", "name": "'a name'",
    "bytea": r"'\x00ff10'", "date": "'infinity'", "time": "'23:59:59.999999'", "timetz": "'01:02:03+05'", "timestamp": "'-infinity'",
    "timestamptz": "'1999-12-31 23:59:59.123456+00'", "interval": "'-1 year 2 days 03:04:05.6'", "uuid": "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
    "json": """'{"a" : [1, null], "b": "\\u00e4"}'""", "jsonb": """'{"b": 1, "a": "x"}'""", "inet": "'10.1.2.3/8'", "cidr": "'10.0.0.0/8'",
    "macaddr": "'08:00:2b:01:02:03'", "bit(3)": "B'101'", "varbit": "B'1'", "point": "'(1.5,-2)'", "int4range": "'[1,5)'", "tsvector": "'a:1 b:2A'",
    "int4[]": "'{{1,2},{3,NULL}}'", "text[]": r"""ARRAY['a "b"', '\', NULL, 'NULL', '']""", "xml": "'<a>&lt;</a>'"}


def on_all(cluster, sql):
    for shard in cluster.shards:
        shard.primary.query(sql)


def whole(cluster, sql):
    """The rows of every shard put together."""
    return [row for shard in cluster.shards for row in shard.primary.query(sql)]


def test_simple_and_extended_answer_alike(cluster, client):
    amounts = whole(cluster, "SELECT amount FROM orders WHERE customer_id <= 1000")
    total = sum(a for a, in amounts)
    sql = "SELECT count(*), sum(amount) FROM orders WHERE customer_id <= 1000"
    assert client.query(sql) == client.extended(sql) == [[str(len(amounts)), str(total)]]
    assert client.extended("SELECT count(*), sum(amount) FROM orders WHERE customer_id <= $1", [1000]) == [[str(len(amounts)), str(total)]]
    client.send(query("SELECT max(id) AS top, min(id) FROM customers WHERE id <= 1000"))
    got = client.until_ready()
    assert kinds(got) == "TDCZ" and rows(got) == [[b"1000", b"1"]] and tags(got) == ["SELECT 1"]


def test_named_statements_portals_and_binary_results(client):
    client.send(parse("SELECT id, name FROM customers WHERE id BETWEEN $1 AND $2 ORDER BY id DESC", "top", [20, 20]), describe_statement("top"), sync())
    assert kinds(client.until_ready()) == "1tTZ"
    for first in (1, 101):
        client.send(bind([first, first + 9], statement="top", portal="p", result_formats=[1, 0]), describe_portal("p"), execute("p", 4), execute("p", 4),
                    execute("p", 4), close_portal("p"), sync())
        got = client.until_ready()
        assert kinds(got) == "2TDDDDsDDDDsDDC3Z"
        assert [int.from_bytes(r[0], "big") for r in rows(got)] == list(range(first + 9, first - 1, -1))
    client.send(bind([1], statement="top"), execute(), sync())
    assert errors(client.until_ready())[0]["C"] == "08P01" and client.status == "I"


def test_a_portal_of_concatenated_rows_that_is_fetched_in_parts(client):
    client.query("BEGIN")
    client.send(parse("SELECT id FROM customers WHERE id <= 10", "few"), bind(statement="few", portal="p"), execute("p", 4), sync())
    got = client.until_ready()
    assert kinds(got) == "12DDDDsZ"
    seen = rows(got)
    for limit, expected in ((4, "DDDDsZ"), (4, "DDCZ")):
        client.send(execute("p", limit), sync())
        got = client.until_ready()
        assert kinds(got) == expected
        seen += rows(got)
    assert sorted(int(n) for n, in seen) == list(range(1, 11))
    client.query("COMMIT")
    # An Execute of all rows needs no gathering, whatever their number.
    client.send(bind(statement="few"), execute(), sync())
    assert len(rows(client.until_ready())) == 10


def test_in_a_transaction_it_sees_what_the_transaction_wrote(cluster, client):
    key = cluster.keys_of(1, 1)[0]
    client.query("BEGIN")
    before = int(client.value("SELECT count(*) FROM orders"))
    client.query(f"INSERT INTO orders (customer_id, amount) VALUES ({key}, 1), ({key}, 2)")
    assert int(client.value("SELECT count(*) FROM orders")) == before + 2
    assert client.status == "T"
    client.query("ROLLBACK")
    assert int(client.value("SELECT count(*) FROM orders")) == before


def test_a_pipeline_with_writes_is_one_transaction(cluster, client):
    key = cluster.keys_of(0, 1)[0]
    before = int(client.value("SELECT count(*) FROM orders"))
    client.send(parse(f"INSERT INTO orders (customer_id, amount) VALUES ({key}, 1)"), bind(), execute(), parse("SELECT count(*) FROM orders"), bind(), execute(),
                parse("SELECT 1/0"), bind(), execute(), sync())
    got = client.until_ready()
    assert kinds(got).startswith("12C12DC") and rows(got) == [[str(before + 1).encode()]] and errors(got)[0]["C"] == "22012"
    assert int(client.value("SELECT count(*) FROM orders")) == before


def test_errors_are_the_servers_own(client):
    for sql, sqlstate in (("SELECT count(*), 1 / (count(*) - count(*)) FROM orders", "22012"), ("SELECT count(nonsense) FROM orders", "42703"),
                          ("SELECT name, count(*) FROM customers", "42803"), ("SELECT count(*) FROM orders ORDER BY 1 LIMIT -1", "2201W")):
        for ask in (client.query, client.extended):
            with pytest.raises(ServerError) as failed:
                ask(sql)
            assert failed.value.sqlstate == sqlstate and client.status == "I"
    client.query("BEGIN")
    with pytest.raises(ServerError):
        client.query("SELECT 1 / (count(*) - count(*)) FROM orders")
    assert client.status == "E"
    with pytest.raises(ServerError) as failed:
        client.query("SELECT count(*) FROM orders")
    assert failed.value.sqlstate == "25P02"
    client.query("ROLLBACK")
    assert client.value("SELECT 1") == "1"


def test_what_means_more_than_its_rows_is_refused(client):
    """A primary key lets columns stand beside GROUP BY; rows have none, and grouping sets cannot be helped."""
    for ask in (client.query, client.extended):
        with pytest.raises(ServerError) as refused:
            ask("SELECT c.name, count(*) FROM customers c JOIN orders o ON o.note = c.name GROUP BY GROUPING SETS ((c.id), (c.id, o.note))")
        assert refused.value.sqlstate == "0A000" and client.status == "I"


def test_more_than_may_be_gathered_is_refused(cluster, start_braid):
    braid = start_braid(sharded_topology(cluster, limits={"max_gather": "20kB"}))
    with braid.raw() as client:
        assert int(client.value("SELECT count(*) FROM customers WHERE id <= 100")) == 100
        for ask in (client.query, client.extended):
            with pytest.raises(ServerError) as refused:
                ask("SELECT count(DISTINCT note), max(name) FROM orders, customers")
            assert refused.value.sqlstate == "53400" and "public.orders" in str(refused.value) and client.status == "I"
        client.query("BEGIN")
        with pytest.raises(ServerError):
            client.query("SELECT count(DISTINCT note) FROM orders")
        assert client.status == "E"
        client.query("ROLLBACK")
        assert client.value("SELECT 1") == "1"


def test_what_all_statements_together_may_gather(cluster, start_braid):
    braid = start_braid(sharded_topology(cluster, limits={"max_gather_total": "128kB"}))
    with braid.raw() as client, braid.raw() as other:
        for ask in (client.query, client.extended):
            with pytest.raises(ServerError) as refused:
                ask("SELECT count(DISTINCT note), max(name) FROM orders, customers")
            assert refused.value.sqlstate == "53400" and "max_gather_total" in refused.value.fields["H"]
            # What it had is free again.
            assert int(other.value("SELECT count(DISTINCT name) FROM customers WHERE id <= 100")) == 100


def test_every_type_comes_out_as_it_went_in(cluster, start_braid):
    columns = ", ".join(f"c{i} {name}" for i, name in enumerate(TYPES))
    on_all(cluster, f"CREATE TABLE typed (id bigint PRIMARY KEY, {columns}); GRANT ALL ON typed TO app")
    try:
        keys = [cluster.keys_of(i, 1)[0] for i in range(2)]
        for shard, key in zip(cluster.shards, keys):
            shard.primary.query(f"INSERT INTO typed VALUES ({key}, {', '.join(TYPES.values())})")
        cluster.wait_for_replay()
        sharding = sharded_topology(cluster)["databases"]["shop"]["sharding"]
        braid = start_braid(sharded_topology(cluster, sharding=sharding | {"tables": sharding["tables"] | {"typed": {"key": "id"}}}))
        with braid.raw() as client, cluster.shards[0].primary.connect(user="app", password="secret") as direct:
            with direct.cursor() as cursor:
                cursor.execute("SELECT " + ", ".join(f"c{i}::text" for i in range(len(TYPES))) + " FROM typed")
                expected = list(cursor.fetchone())
            for name, i in zip(TYPES, range(len(TYPES))):
                got = client.query(f"SELECT c{i}::text, count(*) OVER () FROM typed ORDER BY id")
                assert got == [[expected[i], "2"]] * 2, name
    finally:
        on_all(cluster, "DROP TABLE typed")


def test_text_in_the_clients_encoding(braid):
    with braid.raw(client_encoding="LATIN1") as client:
        client.send(message("Q", b"SELECT DISTINCT '\xe4'::text FROM orders\0"))
        assert rows(client.until_ready()) == [[b"\xe4"]]
