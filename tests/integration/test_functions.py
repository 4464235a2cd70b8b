"""Keys by ranges, by lists, by a ring, and schemas that live on one shard, over real servers."""

import psycopg2
import pytest

from braid import sharded_topology

DAYS = [f"2026-{month:02d}-01" for month in range(1, 13)]


@pytest.fixture(scope="module")
def tables(cluster):
    """`events` by day (the year's first half on the first shard), `branches` by country, `tenant_a` and `tenant_b`."""
    first, second = (shard.primary for shard in cluster.shards)
    for shard in (first, second):
        shard.query("CREATE TABLE events (day date NOT NULL, id int NOT NULL, PRIMARY KEY (day, id))")
        shard.query("CREATE TABLE branches (country text NOT NULL PRIMARY KEY, staff int)")
        shard.query("GRANT ALL ON events, branches TO app")
    for shard, schema in ((first, "tenant_a"), (second, "tenant_b")):
        shard.query(f"CREATE SCHEMA {schema}; GRANT ALL ON SCHEMA {schema} TO app")
        shard.query(f"CREATE TABLE {schema}.items (id int PRIMARY KEY, name text); GRANT ALL ON {schema}.items TO app")
        shard.query(f"INSERT INTO {schema}.items VALUES (1, '{schema}')")
        shard.query(f"CREATE VIEW {schema}.names AS SELECT name FROM {schema}.items; GRANT ALL ON {schema}.names TO app")
    yield
    for shard in (first, second):
        shard.query("DROP TABLE events, branches")
    first.query("DROP SCHEMA tenant_a CASCADE")
    second.query("DROP SCHEMA tenant_b CASCADE")


def topology_of(cluster, **sharding):
    top = sharded_topology(cluster)
    shop = top["databases"]["shop"]
    shop["sharding"]["tables"] |= {"events": {"key": "day", "function": "range"}, "branches": {"key": "country", "function": "list"}}
    shop["shards"][0] |= {"ranges": [{"to": "2026-07-01"}], "values": ["de", "at"], "schemas": ["tenant_a"]}
    shop["shards"][1] |= {"ranges": [{"from": "2026-07-01", "to": "2027-01-01"}], "values": ["ch"], "schemas": ["tenant_b"]}
    shop["sharding"] |= sharding
    return top


@pytest.fixture(scope="module")
def functions(cluster, tables):
    from braid import Braid
    with Braid(topology_of(cluster)) as process:
        process.wait_replicas(cluster)
        yield process


@pytest.fixture
def cursor(cluster, functions):
    for shard in cluster.shards:
        shard.primary.query("TRUNCATE events, branches")
    connection = functions.connect(autocommit=True)
    yield connection.cursor()
    connection.close()


def placed(cluster, sql):
    return [[row[0] for row in shard.primary.query(sql)] for shard in cluster.shards]


def shards_asked(process, sql):
    head = process.command("route", sql).stdout.splitlines()[0]
    return [name for name in head.replace(",", " ").split() if name in (s["name"] for s in process.topology["databases"]["shop"]["shards"])]


def test_rows_by_range(cluster, functions, cursor):
    cursor.execute("INSERT INTO events VALUES " + ", ".join(f"('{day}', {i})" for i, day in enumerate(DAYS)))
    assert placed(cluster, "SELECT day::text FROM events ORDER BY 1") == [DAYS[:6], DAYS[6:]]
    cursor.execute("SELECT count(*) FROM events")
    assert cursor.fetchone() == (12,)
    for sql, rows in (("day BETWEEN '2026-05-01' AND '2026-08-01'", 4), ("day < '2026-03-01'", 2), ("day >= '2026-12-01'", 1),
                      ("day > '2026-12-01' AND day < '2026-02-01'", 0), ("day = '2030-01-01'", 0), ("day IN ('2026-01-01', '2026-12-01')", 2)):
        cursor.execute("SELECT day FROM events WHERE " + sql)
        assert len(cursor.fetchall()) == rows, sql
    cursor.execute("SELECT id FROM events WHERE day BETWEEN %s AND %s ORDER BY id", ("2026-06-01", "2026-07-01"))
    assert cursor.fetchall() == [(5,), (6,)]
    cursor.execute("DELETE FROM events WHERE day >= '2026-11-01'")
    assert cursor.rowcount == 2
    with pytest.raises(psycopg2.Error) as failed:
        cursor.execute("INSERT INTO events VALUES ('2027-01-01', 1)")
    assert failed.value.pgcode == "23514"


def test_only_the_shards_of_a_range_are_asked(cluster, functions):
    names = [shard.name for shard in cluster.shards]
    for where, wanted in (("day < '2026-03-01'", names[:1]), ("day BETWEEN '2026-08-01' AND '2026-09-01'", names[1:]),
                          ("day > '2026-03-01'", names), ("day >= '2026-07-01'", names[1:]), ("day < '2026-07-01'", names[:1]),
                          ("day > '2026-09-01' AND day < '2026-02-01'", names[:1]), ("day < '2026-03-01' OR id = 5", names)):
        assert shards_asked(functions, "SELECT * FROM events WHERE " + where) == wanted, where


def test_copy_by_range_and_list(cluster, functions, cursor):
    data = "".join(f"{day},{i}\n" for i, day in enumerate(DAYS))
    functions.psql("COPY events FROM STDIN (FORMAT csv)", stdin=data)
    assert placed(cluster, "SELECT day::text FROM events ORDER BY 1") == [DAYS[:6], DAYS[6:]]
    failed = functions.psql("COPY branches FROM STDIN (FORMAT csv)", stdin="de,1\nfr,2\n", check=False)
    assert "23514" in failed.stderr and placed(cluster, "SELECT country FROM branches") == [[], []]
    functions.psql("COPY branches FROM STDIN (FORMAT csv)", stdin="de,1\nch,2\nat,3\n")
    assert placed(cluster, "SELECT country FROM branches ORDER BY 1") == [["at", "de"], ["ch"]]


def test_rows_by_list(cluster, functions, cursor):
    cursor.execute("INSERT INTO branches VALUES ('de', 1), ('ch', 2), ('at', 3)")
    assert placed(cluster, "SELECT country FROM branches ORDER BY 1") == [["at", "de"], ["ch"]]
    cursor.execute("SELECT country, staff FROM branches WHERE country = ANY (%s) ORDER BY 1", (["ch", "fr", "de"],))
    assert cursor.fetchall() == [("ch", 2), ("de", 1)]
    cursor.execute("SELECT staff FROM branches WHERE country = 'fr'")
    assert cursor.fetchall() == []
    cursor.execute("UPDATE branches SET staff = staff + 1 RETURNING staff")
    assert sorted(row[0] for row in cursor.fetchall()) == [2, 3, 4]
    with pytest.raises(psycopg2.Error) as failed:
        cursor.execute("INSERT INTO branches VALUES ('fr', 1)")
    assert failed.value.pgcode == "23514"
    # A join on keys of different functions is none on one shard.
    cursor.execute("SELECT count(*) FROM branches b JOIN customers c ON c.country = b.country")
    direct = sum(shard.primary.value("SELECT count(*) FROM customers WHERE country IN ('de', 'ch', 'at')") for shard in cluster.shards)
    assert cursor.fetchone() == (direct,)


def test_rows_that_are_known_later_find_their_range(cluster, functions, cursor):
    cursor.execute("INSERT INTO events SELECT ('2026-01-01'::date + n * 31)::date, n FROM generate_series(0, 11) n")
    assert [len(rows) for rows in placed(cluster, "SELECT id FROM events")] == [6, 6]
    cursor.execute("INSERT INTO events VALUES (to_date('2026-07-24', 'YYYY-MM-DD'), 50), (to_date('2026-01-06', 'YYYY-MM-DD'), 51)")
    assert [len(rows) for rows in placed(cluster, "SELECT id FROM events")] == [7, 7]
    cursor.execute("UPDATE events SET day = (day + interval '6 months')::date WHERE day < '2026-03-01' RETURNING id")
    assert sorted(row[0] for row in cursor.fetchall()) == [0, 1, 51]
    assert [len(rows) for rows in placed(cluster, "SELECT id FROM events")] == [4, 10]
    cursor.execute("INSERT INTO branches SELECT lower(c), 1 FROM (VALUES ('DE'), ('CH')) v (c)")
    assert placed(cluster, "SELECT country FROM branches ORDER BY 1") == [["de"], ["ch"]]
    for sql in ("INSERT INTO events SELECT '2030-01-01'::date + n, n FROM generate_series(1, 2) n", "UPDATE events SET day = day + 1000",
                "INSERT INTO branches VALUES (lower('FR'), 1)"):
        with pytest.raises(psycopg2.Error) as failed:
            cursor.execute(sql)
        assert failed.value.pgcode == "23514", sql
    assert [len(rows) for rows in placed(cluster, "SELECT id FROM events")] == [4, 10]


def test_a_default_shard_owns_the_rest(cluster, tables, start_braid):
    for shard in cluster.shards:
        shard.primary.query("TRUNCATE events, branches")
    process = start_braid(topology_of(cluster, default_shard=cluster.shards[1].name))
    connection = process.connect(autocommit=True)
    cursor = connection.cursor()
    cursor.execute("INSERT INTO branches VALUES ('fr', 1), ('de', 2)")
    cursor.execute("INSERT INTO events VALUES ('2031-01-01', 1), ('2001-01-01', 2)")
    assert placed(cluster, "SELECT country FROM branches") == [["de"], ["fr"]]
    assert placed(cluster, "SELECT id FROM events") == [[2], [1]]
    cursor.execute("SELECT id FROM events WHERE day > '2030-01-01'")
    assert cursor.fetchall() == [(1,)]
    connection.close()


def test_misplaced_rows_keep_a_database_from_being_served(cluster, tables, start_braid):
    for shard in cluster.shards:
        shard.primary.query("TRUNCATE events, branches")
    cluster.shards[0].primary.query("INSERT INTO branches VALUES ('ch', 1)")
    process = start_braid(topology_of(cluster), wait=False)
    process.wait_listening()
    with pytest.raises(psycopg2.Error) as failed:
        process.connect()
    assert "belongs on shard" in str(failed.value) or "branches has a row" in process.log()
    cluster.shards[0].primary.query("TRUNCATE branches")


def test_overlapping_ranges_are_no_topology(cluster, tables, start_braid):
    top = topology_of(cluster)
    top["databases"]["shop"]["shards"][1]["ranges"] = [{"from": "2026-06-01"}]
    process = start_braid(top, wait=False)
    process.wait_listening()
    with pytest.raises(psycopg2.Error):
        process.connect()
    assert "two ranges overlap" in process.log()


def test_schemas_live_on_one_shard(cluster, functions):
    connection = functions.connect(autocommit=True)
    cursor = connection.cursor()
    for schema in ("tenant_a", "tenant_b"):
        cursor.execute(f"SELECT name FROM {schema}.items")
        assert cursor.fetchall() == [(schema,)]
        cursor.execute(f"SET search_path = {schema}, public")
        cursor.execute("SELECT i.name, count(*) FROM items i, countries GROUP BY 1")
        assert cursor.fetchone()[0] == schema
        cursor.execute("SELECT name FROM names")
        assert cursor.fetchall() == [(schema,)]
        cursor.execute("INSERT INTO items VALUES (2, 'more'); UPDATE items SET name = 'other' WHERE id = 2")
        cursor.execute("DELETE FROM items WHERE id = 2 RETURNING name")
        assert cursor.fetchall() == [("other",)]
        cursor.execute("CREATE TABLE notes (id int)")
        cursor.execute(f"DROP TABLE {schema}.notes")
    cursor.execute("RESET search_path")
    with pytest.raises(psycopg2.Error) as failed:
        cursor.execute("SELECT * FROM tenant_a.items, tenant_b.items b")
    assert failed.value.pgcode == "0A000"
    connection.close()


def test_consistent_hash_checks_where_rows_are(cluster, tables, start_braid):
    """The demonstration's rows lie as postgres_hash splits buckets: under a ring they are misplaced."""
    top = sharded_topology(cluster)
    top["databases"]["shop"]["sharding"]["function"] = "consistent_hash"
    process = start_braid(top, wait=False)
    process.wait_listening()
    with pytest.raises(psycopg2.Error):
        process.connect()
    assert "which belongs on shard" in process.log()
