"""EXPLAIN over several shards: pgbraid's own steps, then the plan of each shard under its name."""

import json

import psycopg2
import pytest


@pytest.fixture
def cursor(braid):
    connection = braid.connect(autocommit=True)
    yield connection.cursor()
    connection.close()


def lines(cursor, sql, args=None):
    cursor.execute(sql, args)
    return [row[0] for row in cursor.fetchall()]


def test_each_shard_under_its_name(cluster, cursor):
    got = lines(cursor, "EXPLAIN SELECT * FROM customers")
    assert got[0] == "pgbraid: the shards' rows, one behind the other"
    heads = [i for i, line in enumerate(got) if line.startswith("Shard ")]
    assert [got[i] for i in heads] == [f"Shard {shard.name}:" for shard in cluster.shards]
    assert all("Scan on customers" in got[i + 1] for i in heads)


def test_one_shard_as_it_comes(cluster, cursor):
    key = cluster.keys_of(1, 1)[0]
    sql = f"EXPLAIN (COSTS off) SELECT * FROM customers WHERE id = {key}"
    assert lines(cursor, sql) == [row[0] for row in cluster.shards[1].primary.query(sql)]


@pytest.mark.parametrize("sql, how, pushed", [
    ("SELECT id, name FROM customers ORDER BY id LIMIT 3", "come sorted and are merged", "Limit"),
    ("SELECT count(*) FROM orders", "in two steps", "Aggregate"),
    ("SELECT DISTINCT name FROM customers WHERE id > 5", "rows are gathered", "Filter|Cond"),
])
def test_how_it_is_done(cursor, sql, how, pushed):
    got = lines(cursor, "EXPLAIN " + sql)
    assert how in got[0]
    assert any(word in line for word in pushed.split("|") for line in got)
    if "gathered" in how:
        assert any(line.startswith("  Asked of each shard: SELECT") for line in got)


def test_analyze_tells_times_and_rows(cluster, cursor):
    got = lines(cursor, "EXPLAIN (ANALYZE) SELECT * FROM customers")
    assert sum("Execution Time" in line for line in got) == len(cluster.shards)
    got = lines(cursor, "EXPLAIN ANALYZE SELECT DISTINCT name FROM customers WHERE id <> %s", (3,))
    assert sum("Execution Time" in line for line in got) == len(cluster.shards)


def test_analyze_of_a_write_writes(cluster, braid):
    connection = braid.connect()
    cursor = connection.cursor()
    cursor.execute("SELECT count(*) FROM orders WHERE note = 'explained'")
    keys = [cluster.keys_of(i, 1)[0] for i in range(2)]
    for key in keys:
        cursor.execute("INSERT INTO orders (customer_id, amount, note) VALUES (%s, 1, 'explained')", (key,))
    got = lines(cursor, "EXPLAIN UPDATE orders SET note = 'changed' WHERE note = 'explained'")
    assert "each shard writes" in got[0]
    cursor.execute("SELECT count(*) FROM orders WHERE note = 'changed'")
    assert cursor.fetchone() == (0,)
    lines(cursor, "EXPLAIN (ANALYZE) UPDATE orders SET note = 'changed' WHERE note = 'explained'")
    cursor.execute("SELECT count(*) FROM orders WHERE note = 'changed'")
    assert cursor.fetchone() == (2,)
    connection.rollback()
    connection.close()


def test_json_is_json(cluster, cursor):
    for sql in ("SELECT * FROM customers", "SELECT DISTINCT name FROM customers"):
        got = lines(cursor, "EXPLAIN (FORMAT JSON) " + sql)
        assert len(got) == 1
        told = (got[0] if isinstance(got[0], list) else json.loads(got[0]))[0]
        assert [entry["shard"] for entry in told["shards"]] == [shard.name for shard in cluster.shards]
        assert all("Plan" in entry["explain"][0] for entry in told["shards"])
    with pytest.raises(psycopg2.Error) as failed:
        cursor.execute("EXPLAIN (FORMAT YAML) SELECT * FROM customers")
    assert failed.value.pgcode == "0A000"


def test_route_tells_the_same(braid, cursor):
    sql = "SELECT DISTINCT name FROM customers"
    told = braid.command("route", sql).stdout
    for line in lines(cursor, "EXPLAIN " + sql)[:1]:
        assert line in told
