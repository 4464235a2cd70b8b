"""Where rows live: keys of every spelling find their shard, and what cannot be answered right is refused."""

import re
import struct
import uuid

import psycopg2
import psycopg2.errors
import pytest

from braid import sharded_topology
from cluster import bucket_sql
from waiting import wait_until
from wire import (ServerError, bind, close_portal, close_statement, describe_portal, errors, execute, kinds, parse, refusal,
                  rows, sync, tags)

FIRST = 1_000_001
COUNT = 10_000


@pytest.fixture(scope="module")
def keys(cluster):
    """Keys of the demonstration on each shard: keys[shard][i]."""
    return [cluster.keys_of(i, 5) for i in range(2)]


def test_customers_land_where_the_hash_says(cluster, braid):
    """10,000 customers, one transaction each, with psycopg2's default transactions."""
    connection = braid.connect()
    try:
        with connection.cursor() as cursor:
            for key in range(FIRST, FIRST + COUNT):
                cursor.execute("INSERT INTO customers (id, name, country) VALUES (%s, %s, 'DE')", (key, f"new {key}"))
                connection.commit()
        total = 0
        for shard in cluster.shards:
            found, right = shard.primary.query(
                f"SELECT count(*), count(*) FILTER (WHERE {bucket_sql('id')} BETWEEN %s AND %s) FROM customers "
                "WHERE id >= %s", (*shard.buckets, FIRST))[0]
            assert found == right and found > COUNT / 3
            total += found
        assert total == COUNT
        # The same, said by PostgreSQL's own partitioning rather than by the formula.
        for shard in cluster.shards:
            low, high = shard.buckets
            admin = shard.primary.connect()
            with admin.cursor() as cursor:
                cursor.execute("CREATE TEMPORARY TABLE parent (k bigint) PARTITION BY HASH (k)")
                cursor.execute("SELECT count(*) FROM customers WHERE id >= %s AND NOT EXISTS (SELECT FROM "
                               "generate_series(%s, %s) AS b WHERE satisfies_hash_partition('parent'::regclass, 4096, b, id)) "
                               "AND id < %s", (FIRST, low, high, FIRST + 200))
                assert cursor.fetchone() == (0,)
            admin.close()
        with connection.cursor() as cursor:
            for key in range(FIRST, FIRST + COUNT, 97):
                cursor.execute("SELECT name FROM customers WHERE id = %s", (key,))
                assert cursor.fetchone() == (f"new {key}",)
                connection.commit()
    finally:
        connection.close()
        for shard in cluster.shards:
            shard.primary.query("DELETE FROM customers WHERE id >= %s", (FIRST,))


def test_a_read_by_key_asks_one_replica(cluster, braid, keys):
    marks = {server.name: server.log_mark() for server in cluster.servers}
    connection = braid.connect()
    for i in range(20):
        with connection, connection.cursor() as cursor:
            cursor.execute("/* one replica */ SELECT name FROM customers WHERE id = %s", (keys[1][i % 5],))
            assert cursor.fetchone() == (f"customer {keys[1][i % 5]}",)
    connection.close()
    asked = {server.name: server.count_log("/* one replica */ SELECT", marks[server.name]) for server in cluster.servers}
    assert asked == {"s0-primary": 0, "s0-replica": 0, "s1-primary": 0, "s1-replica": 20}


def test_a_write_goes_to_one_primary(cluster, braid, keys):
    marks = {server.name: server.log_mark() for server in cluster.servers}
    with braid.raw() as client:
        for i in range(5):
            client.query(f"/* one primary */ UPDATE customers SET balance = balance WHERE id = {keys[0][i]}")
    asked = {server.name: server.count_log("/* one primary */ UPDATE", marks[server.name]) for server in cluster.servers}
    assert asked == {"s0-primary": 5, "s0-replica": 0, "s1-primary": 0, "s1-replica": 0}


@pytest.mark.parametrize("spelling", [
    "id = {}", "{} = id", "customers.id = {}", "id = '{}'", "id = {}::bigint", "id = ({})", "id IN ({})",
    "id = {} AND name LIKE 'customer%'", "(id = {}) AND true", "id = CAST({} AS bigint)", "id = '{}'::int8"])
def test_spellings_of_a_key(client, keys, spelling):
    for shard in range(2):
        for key in keys[shard][:3]:
            sql = f"SELECT name, current_setting('cluster_name') FROM customers WHERE {spelling.format(key)}"
            assert client.query(sql) == [[f"customer {key}", f"s{shard}-replica"]]


@pytest.mark.parametrize("condition, count", [
    ("id = ANY (ARRAY[{0}::bigint, {1}])", 2), ("id IN ({0}, {1})", 2), ("id IN ({0}, {0})", 1), ("id IN ({0}, NULL)", 1),
    ("id = {0} OR id = {1}", 2), ("(id) IN (({0}), ({1}))", 2), ("id IN ({0}, {1} + 0)", 2), ("id = NULL", 0),
    ("id = {0} AND id = {1}", 0), ("id = -{0}", 0), ("NOT id = {0} AND id IN ({0}, {1})", 1), ("id = {0} + 0", 1),
    ("id = ('{{{0}}}'::bigint[])[1]", 1), ("id BETWEEN {0} AND {0}", 1), ("id = 4.2e1", 1), ("id = +{0}", 1), ("id = (SELECT {0})", 1)])
def test_answer_or_refusal(cluster, client, keys, condition, count):
    """Right over any number of shards, or refused: never a part of the rows."""
    a, b = keys[0][0], keys[1][0]
    sql = f"SELECT id FROM customers WHERE {condition.format(a, b)}"
    assert_right_or_refused(client, sql, count)


def assert_right_or_refused(client, sql, count):
    try:
        got = client.query(sql)
    except ServerError as refused:
        assert refused.sqlstate == "0A000" and refused.fields.get("H"), refused
        assert client.status == "I"
        return
    assert len(got) == count, got


def test_bound_arrays(client, keys):
    """In text and in binary: only the shards of the elements are asked."""
    own, other = keys[1][:2], keys[0][0]
    text_array = "{" + ", ".join(map(str, own)) + ", NULL}"
    wide = struct.pack("!iiiii", 1, 0, 20, len(own), 1) + b"".join(struct.pack("!iq", 8, key) for key in own)
    sql = "SELECT id, current_setting('cluster_name') FROM customers WHERE id = ANY ($1) ORDER BY id"
    expected = [[str(key), "s1-replica"] for key in sorted(own)]
    for types, value, formats in (((), text_array, []), ((1016,), text_array, []), ((1016,), wide, [1]), ((), wide, [1])):
        client.send(parse(sql, types=types), bind([value], formats=formats), execute(), sync())
        assert client.result() == expected
    client.send(parse(sql), bind([f"{{{own[0]},{other}}}"]), execute(), sync())
    assert [row[0] for row in client.result()] == [str(key) for key in sorted([own[0], other])]
    for value, sqlstate in (("{1,x}", "22P02"), ("{1", "22P02")):
        client.send(parse(sql), bind([value]), execute(), sync())
        with pytest.raises(ServerError) as failed:
            client.result()
        assert failed.value.sqlstate == sqlstate
    client.send(parse(sql), bind(["{}"]), execute(), sync())
    assert client.result() == []


def test_bound_parameters(client, keys):
    for shard in range(2):
        for key in keys[shard]:
            for sql, types, values, formats in [
                    ("SELECT name, current_setting('cluster_name') FROM customers WHERE id = $1", (), [key], []),
                    ("SELECT name, current_setting('cluster_name') FROM customers WHERE id = $1", (20,),
                     [struct.pack("!q", key)], [1]),
                    ("SELECT name, current_setting('cluster_name') FROM customers WHERE id = $1", (23,),
                     [struct.pack("!i", key)], [1]),
                    ("SELECT name, current_setting('cluster_name') FROM customers WHERE id = $2 AND $1::text IS NULL", (),
                     [None, f" {key} "], []),
                    ("SELECT name, current_setting('cluster_name') FROM customers WHERE id = $1::bigint", (), [key], [])]:
                client.send(parse(sql, types=types), bind(values, formats=formats), describe_portal(), execute(), sync())
                got = client.until_ready()
                assert not errors(got), errors(got)
                assert [[v.decode() for v in r] for r in rows(got)] == [[f"customer {key}", f"s{shard}-replica"]]


def test_named_statement_over_shards(client, keys):
    client.send(parse("SELECT current_setting('cluster_name') FROM customers WHERE id = $1", "s"), sync())
    client.until_ready()
    for i in range(5):
        for shard in range(2):
            client.send(bind([keys[shard][i]], "s"), execute(), sync())
            assert rows(client.until_ready()) == [[f"s{shard}-replica".encode()]]


def test_pipeline_over_shards(client, keys):
    """Answers come in the order of the questions, whichever shard answers them."""
    wanted = [(shard, keys[shard][i]) for i in range(5) for shard in (0, 1)] * 5
    for _, key in wanted:
        client.send(parse("SELECT id FROM customers WHERE id = $1"), bind([key]), execute(), sync())
    for _, key in wanted:
        assert rows(client.until_ready()) == [[str(key).encode()]]


def test_a_pipeline_of_results_with_other_columns(client):
    """Each is held against its own from the other shards."""
    messages = []
    for sql in ("SELECT id FROM customers WHERE id < 9", "SELECT name, id FROM customers WHERE id < 9",
                "UPDATE customers SET name = name WHERE id < 9 RETURNING name", "UPDATE customers SET name = name WHERE id < 9 RETURNING id, name"):
        messages += [parse(sql), bind(), describe_portal(), execute()]
    client.send(*messages, sync())
    told = client.until_ready()
    assert not errors(told)
    assert sorted({len(row) for row in rows(told)}) == [1, 2] and len(rows(told)) == 4 * len(client.query("SELECT id FROM customers WHERE id < 9"))


def test_insert_update_delete(cluster, client):
    for shard in range(2):
        key = cluster.keys_of(shard, 1, above=2_000_000)[0]
        order = uuid.uuid4()
        client.query(f"INSERT INTO customers (name, id) VALUES ('written', {key})")
        client.extended("INSERT INTO orders (customer_id, id, amount) VALUES ($1, $2, 5)", [key, order])
        primary, other = cluster.shards[shard].primary, cluster.shards[1 - shard].primary
        assert primary.value("SELECT count(*) FROM orders JOIN customers c ON c.id = customer_id WHERE c.id = %s", (key,)) == 1
        assert other.value("SELECT count(*) FROM customers WHERE id = %s", (key,)) == 0
        assert client.query(f"UPDATE customers SET name = 'changed' WHERE id = {key} RETURNING name") == [["changed"]]
        assert client.query(f"SELECT c.name, o.amount FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = {key}") \
            == [["changed", "5.00"]]
        client.query(f"DELETE FROM orders WHERE customer_id = {key}")
        client.query(f"DELETE FROM customers WHERE id = {key}")
        assert primary.value("SELECT count(*) FROM customers WHERE id = %s", (key,)) == 0


def test_insert_without_column_list_and_default(cluster, client):
    key = cluster.keys_of(1, 1, above=3_000_000)[0]
    client.query(f"INSERT INTO customers VALUES ({key}, 'whole', 'DE', 1, '2024-05-05')")
    client.query(f"INSERT INTO orders (customer_id, amount) VALUES ({key}, 1)")
    assert cluster.shards[1].primary.value("SELECT count(*) FROM orders WHERE customer_id = %s", (key,)) == 1
    client.query(f"DELETE FROM orders WHERE customer_id = {key}")
    client.query(f"DELETE FROM customers WHERE id = {key}")


def test_insert_of_several_rows_of_one_shard(cluster, client):
    a, b = cluster.keys_of(0, 2, above=4_000_000)
    client.query(f"INSERT INTO customers (id, name) VALUES ({a}, 'a'), ({b}, 'b')")
    assert cluster.shards[0].primary.value("SELECT count(*) FROM customers WHERE id IN (%s, %s)", (a, b)) == 2
    client.query(f"DELETE FROM customers WHERE id IN ({a}, {b})")
    assert cluster.shards[0].primary.value("SELECT count(*) FROM customers WHERE id IN (%s, %s)", (a, b)) == 0


def test_reads_over_all_shards(client):
    """Concatenated where that is right."""
    assert len(client.query("SELECT id, name FROM customers WHERE id <= 1000")) == 1000
    assert len(client.query("SELECT customer_id, id FROM orders WHERE customer_id <= 1000")) == 5000
    assert sorted(int(r[0]) for r in client.extended("SELECT id FROM customers WHERE id <= $1", [1000])) == list(range(1, 1001))
    assert client.query("SELECT id FROM customers WHERE name = 'nobody'") == []


def test_reference_and_unsharded_tables(cluster, client):
    assert client.value("SELECT count(*) FROM countries") == "10"
    assert client.value("SELECT value FROM settings WHERE key = 'currency'") == "EUR"
    assert client.value("UPDATE settings SET value = value WHERE key = 'currency' RETURNING current_setting('cluster_name')") \
        == "s0-primary"
    with_country = "SELECT n.name FROM customers c JOIN countries n ON n.code = c.country WHERE c.id = {}"
    for shard in range(2):
        assert len(client.query(with_country.format(cluster.keys_of(shard, 1)[0]))) == 1


def test_constants_and_catalog(client):
    assert client.value("SELECT 1 + 1") == "2"
    assert int(client.value("SELECT count(*) FROM pg_class")) > 300
    assert client.value("SELECT 'customers'::regclass::text") == "customers"
    assert client.value("SELECT version()").startswith("PostgreSQL 15")


A, B = "{a}", "{b}"   # a key of the first and one of the second shard

REFUSED_OR_RIGHT = [
    # (statement, number of rows when it is answered, first value when it is answered)
    ("SELECT id FROM customers WHERE id <= 1000 LIMIT 5", 5, None),
    ("SELECT id FROM customers WHERE id <= 1000 ORDER BY id LIMIT 5", 5, "1"),
    ("SELECT id FROM customers WHERE id <= 1000 ORDER BY id OFFSET 990", 10, "991"),
    (f"SELECT id FROM customers WHERE id = {A} UNION SELECT id FROM customers WHERE id = {B}", 2, None),
    (f"SELECT id FROM customers WHERE id = {A} UNION ALL SELECT id FROM customers WHERE id = {B}", 2, None),
    (f"SELECT id = {A} FROM customers WHERE id <= 1000", 1000, None),
    (f"SELECT CASE WHEN id = {A} THEN 1 ELSE 0 END FROM customers WHERE id <= 1000", 1000, None),
    (f"SELECT c.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND c.id = {A} WHERE c.id IN ({A}, {B})", None, None),
    (f"SELECT id FROM customers WHERE NOT id = {A} AND id <= 1000", 999, None),
    (f"SELECT id FROM customers WHERE id IN ({A}, 1 + {B} - 1)", 2, None),
    ("SELECT coalesce(sum(balance), 0) FROM customers WHERE id <= 1000", 1, None),
    ("SELECT count(*) FROM customers WHERE id <= 1000", 1, "1000"),
    ("SELECT count(*), country FROM customers WHERE id <= 1000 GROUP BY country", 10, None),
    ("SELECT round(avg(amount), 2) FROM orders WHERE customer_id <= 1000", 1, None),
    ("SELECT sum(amount) / count(*) FROM orders WHERE customer_id <= 1000", 1, None),
    ("SELECT count(*) OVER () FROM customers WHERE id <= 1000", 1000, "1000"),
    ("SELECT count(DISTINCT country) FROM customers WHERE id <= 1000", 1, "10"),
    ("SELECT DISTINCT country FROM customers WHERE id <= 1000", 10, None),
    ("SELECT country || '' AS c FROM customers WHERE id <= 1000 GROUP BY 1", 10, None),
    ("SELECT country FROM customers WHERE id <= 1000 GROUP BY country HAVING count(*) > 90", 10, None),
    ("SELECT id FROM customers WHERE id <= 1000 ORDER BY name DESC", 1000, "999"),
    ("SELECT id FROM customers WHERE id <= 1000 ORDER BY country NULLS FIRST, id DESC", 1000, "1000"),
    ("SELECT min(name), max(name) FROM customers WHERE id <= 1000", 1, "customer 1"),
    ("SELECT a.id FROM customers a JOIN customers b ON a.id = b.id + 1 WHERE a.id <= 1000", 999, None),
    ("SELECT a.id FROM customers a JOIN customers b ON a.name = b.name WHERE a.id <= 1000", 1000, None),
    ("SELECT id FROM customers WHERE id <= 1000 AND id IN (SELECT customer_id + 1 FROM orders)", None, None),
    ("SELECT (SELECT count(*) FROM orders)", 1, "5000"),
    ("SELECT id FROM customers WHERE EXISTS (SELECT FROM orders WHERE amount = 1.25)", None, None),
    ("WITH c AS (SELECT * FROM customers WHERE id <= 1000) SELECT count(*) FROM c", 1, "1000"),
    ("SELECT * FROM (SELECT id FROM customers WHERE id <= 1000 LIMIT 3) AS few", 3, None),
    ("SELECT random() FROM customers WHERE id <= 1000", 1000, None),
    ("SELECT string_agg(name, ',') FROM customers WHERE id <= 1000", 1, None),
    ("TABLE customers", None, None),
    ("SELECT DISTINCT ON (country) country FROM customers WHERE id <= 1000 ORDER BY country", 10, "AT"),
    ("SELECT id FROM customers WHERE id <= 1000 FETCH FIRST 2 ROWS ONLY", 2, None),
    ("SELECT id FROM customers WHERE id <= 1000 INTERSECT SELECT customer_id FROM orders", None, None),
    ("SELECT count(*) FROM customers c, orders o WHERE c.id = o.customer_id AND c.id <= 1000", 1, "5000"),
]


@pytest.mark.parametrize("sql, count, first", REFUSED_OR_RIGHT, ids=[r[0][:70] for r in REFUSED_OR_RIGHT])
def test_no_silent_wrong_read(client, keys, sql, count, first):
    sql = sql.format(a=keys[0][0], b=keys[1][0])
    try:
        got = client.query(sql)
    except ServerError as refused:
        assert refused.sqlstate == "0A000" and refused.fields.get("H"), refused
        assert client.status == "I"
        return
    if count is not None:
        assert len(got) == count
    if first is not None:
        assert got[0][0] == first
    if count is None:
        pytest.skip("answered; the differential tests compare the rows")


REFUSED = [
    ("INSERT INTO customers (id, name) VALUES (NULL, 'x')", "23502"),
    ("INSERT INTO customers (name) VALUES ('x')", "23502"),
    ("INSERT INTO customers (id, name) VALUES (DEFAULT, 'x')", "23502"),
    ("INSERT INTO customers DEFAULT VALUES", "23502"),
    ("INSERT INTO customers (id, name) SELECT id + 5000, name FROM customers FOR UPDATE", "0A000"),
    ("UPDATE customers SET id = {b} WHERE id = {a}", "0A000"),
    ("VACUUM orders, settings", "0A000"),
    ("CREATE TABLE unlisted_probe AS SELECT 1 AS n", "0A000"),
    ("ALTER TABLE customers ADD COLUMN extra timestamptz DEFAULT now()", "0A000"),
    ("CREATE INDEX CONCURRENTLY ON orders (note)", "0A000"),
    ("DELETE FROM countries WHERE code = random()::text", "0A000"),
    ("INSERT INTO customers (id, name) VALUES ('not a number', 'x')", "22P02"),
    ("SELECT * FROM customers WHERE id = 'not a number'", "22P02"),
    ("WITH d AS (DELETE FROM orders RETURNING *) DELETE FROM orders USING d WHERE d.id = orders.id", "0A000"),
    ("WITH d AS (UPDATE customers SET id = id + 1 WHERE id IN ({a}, {b}) RETURNING *) SELECT * FROM d", "0A000"),
    ("MERGE INTO customers c USING (VALUES ({a}, {b})) s(i, j) ON c.id = s.i WHEN MATCHED THEN UPDATE SET id = s.j", "0A000"),
    ("SELECT * FROM customers WHERE id <= 1000 ORDER BY 1 LIMIT 2 FOR UPDATE SKIP LOCKED", "0A000"),
    ("SELECT * INTO copied FROM customers", "0A000"),
    ("CREATE TABLE copied AS SELECT * FROM customers", "0A000"),
    ("DECLARE c CURSOR WITH HOLD FOR SELECT * FROM customers", "0A000"),
    ("SELECT id FROM customers JOIN unlisted_table USING (id)", ("0A000", "42P01")),
    ("SELECT nextval('no_such_sequence') FROM customers", ("0A000", "42P01")),
]


@pytest.mark.parametrize("sql, sqlstate", REFUSED, ids=[r[0][:70] for r in REFUSED])
def test_refused(cluster, client, keys, sql, sqlstate):
    before = [shard.primary.query("SELECT count(*), sum(id), sum(balance) FROM customers") for shard in cluster.shards]
    with pytest.raises(ServerError) as refused:
        client.query(sql.format(a=keys[0][0], b=keys[1][0]))
    assert refused.value.sqlstate in ((sqlstate,) if isinstance(sqlstate, str) else sqlstate), refused.value
    if refused.value.sqlstate == "0A000":
        assert refused.value.fields.get("H"), "a refusal says what to write instead"
    assert client.status == "I"
    assert client.value("SELECT 1") == "1"
    assert [shard.primary.query("SELECT count(*), sum(id), sum(balance) FROM customers") for shard in cluster.shards] == before


def test_an_unlisted_table_is_refused(cluster, braid):
    for shard in cluster.shards:
        shard.primary.query("CREATE TABLE unlisted (n int); GRANT ALL ON unlisted TO app")
    try:
        cluster.wait_for_replay()
        with braid.raw() as client:
            wait_until(lambda: refusal(client.query, "SELECT * FROM unlisted") == "0A000", 20, "the catalog knows the table")
            assert refusal(client.query, "INSERT INTO unlisted VALUES (1)") == "0A000"
    finally:
        for shard in cluster.shards:
            shard.primary.query("DROP TABLE unlisted")


def test_functions_and_views_over_sharded_tables(cluster, braid):
    """A function that reads such a table is refused; a view is read through."""
    for shard in cluster.shards:
        shard.primary.query("CREATE FUNCTION total() RETURNS numeric STABLE LANGUAGE sql AS 'SELECT sum(balance) FROM customers'")
        shard.primary.query("CREATE VIEW rich AS SELECT * FROM customers WHERE balance > 50; GRANT SELECT ON rich TO app")
    try:
        cluster.wait_for_replay()
        with braid.raw() as client:
            wait_until(lambda: refusal(client.query, "SELECT total()") == "0A000", 20, "the catalog knows the function")
            rich = sum(shard.primary.value("SELECT count(*) FROM rich") for shard in cluster.shards)
            wait_until(lambda: client.value("SELECT count(*) FROM rich") == str(rich), 20, "the catalog knows the view")
    finally:
        for shard in cluster.shards:
            shard.primary.query("DROP FUNCTION total(); DROP VIEW rich")


def test_a_function_that_writes_goes_to_the_primary(cluster, start_braid, keys):
    topology = sharded_topology(cluster)
    topology["databases"]["shop"]["sharding"]["shard_local"] = ["who_runs"]
    for shard in cluster.shards:
        shard.primary.query("CREATE FUNCTION who_runs() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('cluster_name') $$")
    try:
        cluster.wait_for_replay()
        braid = start_braid(topology)
        with braid.raw() as client:
            def answer():
                return client.value(f"SELECT who_runs() FROM customers WHERE id = {keys[0][0]}")
            assert wait_until(answer, 20) == "s0-primary", "volatile: may write"
    finally:
        for shard in cluster.shards:
            shard.primary.query("DROP FUNCTION who_runs()")


def test_route_tells_the_same_story(braid, keys):
    for shard in range(2):
        read = braid.command("route", f"SELECT name FROM customers WHERE id = {keys[shard][0]}")
        assert read.returncode == 0, read.stderr
        assert f"s{shard}" in read.stdout and f"s{1 - shard}" not in read.stdout and "replica" in read.stdout
        write = braid.command("route", f"UPDATE customers SET name = 'x' WHERE id = {keys[shard][0]}")
        assert write.returncode == 0 and f"s{shard}" in write.stdout and "primary" in write.stdout
    both = braid.command("route", "SELECT id FROM customers")
    assert "s0" in both.stdout and "s1" in both.stdout
    writes = [f"UPDATE customers SET name = 'x' WHERE id = {keys[shard][0]}" for shard in range(2)]
    text = braid.command("route", "; ".join(writes))
    assert text.returncode == 0 and text.stdout.startswith("one statement after the other"), text.stdout
    assert text.stdout.index(writes[0]) < text.stdout.index("shard s0") < text.stdout.index(writes[1]) < text.stdout.index("shard s1")
    kept = braid.command("route", "PREPARE p AS SELECT count(*) FROM customers")
    assert kept.returncode == 0 and kept.stdout.startswith("kept as a prepared statement") and "s0" in kept.stdout and "s1" in kept.stdout
    assert braid.command("route", f"{writes[0]}; INSERT INTO customers (name) VALUES ('x')").returncode == 1
    refused = braid.command("route", "INSERT INTO customers (name) VALUES ('x')")
    assert "0A000" in refused.stdout + refused.stderr or "refused" in refused.stdout + refused.stderr


def test_misplaced_rows_are_not_served(fresh_cluster, start_braid):
    key = fresh_cluster.keys_of(1, 1, above=10_000)[0]
    fresh_cluster.shards[0].primary.query("DELETE FROM orders; DELETE FROM customers")
    fresh_cluster.shards[0].primary.query("INSERT INTO customers (id, name) VALUES (%s, 'astray')", (key,))
    braid = start_braid(sharded_topology(fresh_cluster), wait=False)
    braid.wait_listening()

    def refused():
        try:
            connection = braid.connect()
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except psycopg2.OperationalError as error:
            return "is not served" in str(error)
    wait_until(refused, 15, "the database is refused")
    wait_until(lambda: "customers" in braid.log() and str(key) in braid.log() and "s1" in braid.log(), 5,
               "the log names the table, the key and the shard it belongs on")


@pytest.mark.parametrize("control", ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a", "SET work_mem = '1MB'", "DEALLOCATE ALL",
                                     "LISTEN a", None])
@pytest.mark.parametrize("sql", ["SELECT id FROM customers WHERE country = 'DE'",
                                 "SELECT id FROM customers WHERE country = 'DE' ORDER BY id",
                                 "UPDATE customers SET name = name WHERE id < 50"])
def test_answers_stand_in_the_order_of_the_messages(client, sql, control):
    """What pgbraid answers by itself comes behind the rows of all shards, as it would on one server."""
    client.send(parse(sql), bind(), execute(), *([close_statement("x")] if control is None else
                                                 [parse(control, "c"), bind((), "c"), describe_portal(), close_portal()]), sync())
    messages = client.until_ready()
    assert "D" in kinds(messages) or sql.startswith("UPDATE")
    assert re.fullmatch("12D*C" + ("3Z" if control is None else "12n3Z"), kinds(messages))
    client.query("ROLLBACK")
    client.query("DEALLOCATE ALL")


def test_a_statement_and_its_commit_in_one_pipeline(client):
    client.send(parse("UPDATE customers SET name = name WHERE id < 50"), bind(), execute(), parse("COMMIT"), bind(), execute(), sync())
    messages = client.until_ready()
    assert kinds(messages) == "12C12CZ" and tags(messages)[1] == "COMMIT"


def test_a_statement_that_one_shard_has_prepared_is_told_of_once(client, keys):
    sql = "SELECT id FROM customers WHERE id IN ($1, $2) /* prepared on one */"
    client.send(parse(sql, "a"), bind([keys[0][0], keys[0][1]], "a"), execute(), sync())
    assert kinds(client.until_ready()) == "12DDCZ"
    for name in "bc":
        client.send(parse(sql, name), bind([keys[0][0], keys[1][0]], name), execute(), sync())
        assert kinds(client.until_ready()) == "12DDCZ"
