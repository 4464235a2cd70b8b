"""Tables whose key is several columns: rows lie where PARTITION BY HASH of those columns says, and statements get what
one server gives. Each statement is run on both: on the shards through pgbraid, and on a server that has all rows."""

import psycopg2
import pytest

from braid import Braid, sharded_topology

BUCKETS = 4096
TABLES = """CREATE TABLE sales (tenant text, region int, day date, amount numeric, PRIMARY KEY (tenant, region, day));
CREATE TABLE lines (place bigint, item text, owner varchar(10), number int,
                    FOREIGN KEY (owner, place, number) REFERENCES seats (tenant, region, number));
GRANT ALL ON sales, lines TO app;"""
SEATS = "CREATE TABLE seats (number int, region int, tenant varchar(10), PRIMARY KEY (tenant, region, number)); GRANT ALL ON seats TO app;"
ROWS = [("ann", 1), ("ann", 2), ("bob", 1), ("bob", 7), ("Zoë", 3), ("", -5)] + [(f"t{i}", i % 4) for i in range(30)]


@pytest.fixture(scope="module")
def whole(cluster):
    """A connection to a server of its own tables with all rows: a schema that the topology does not know."""
    first = cluster.shards[0].primary
    first.query("CREATE SCHEMA whole; GRANT ALL ON SCHEMA whole TO app; SET search_path = whole;" + SEATS + TABLES)
    for shard in cluster.shards:
        shard.primary.query(SEATS + TABLES)
    connection = first.connect()
    connection.autocommit = True
    connection.cursor().execute("SET search_path = whole")
    yield connection
    connection.close()
    first.query("DROP SCHEMA whole CASCADE")
    for shard in cluster.shards:
        shard.primary.query("DROP TABLE sales, lines, seats")


@pytest.fixture(scope="module")
def braid(cluster, whole):
    top = sharded_topology(cluster)
    top["databases"]["shop"]["sharding"]["tables"] |= {
        "sales": {"key": ["tenant", "region"]}, "lines": {"key": ["owner", "place"]}, "seats": {"key": ["tenant", "region"]}}
    with Braid(top) as process:
        process.wait_replicas(cluster)
        yield process


class Both:
    def __init__(self, braided, whole):
        self.cursors = [braided.cursor(), whole.cursor()]

    def run(self, sql, parameters=None):
        """The rows of both, sorted; they and what went wrong must be alike."""
        told = []
        for cursor in self.cursors:
            try:
                cursor.execute(sql, parameters)
                rows = sorted(cursor.fetchall(), key=repr) if cursor.description else cursor.rowcount
                told.append(rows)
            except psycopg2.Error as error:
                told.append(error.pgcode)
        assert told[0] == told[1], sql
        return told[0]


@pytest.fixture
def both(cluster, braid, whole):
    connection = braid.connect(autocommit=True)
    pair = Both(connection, whole)
    pair.run("DELETE FROM lines")
    pair.run("DELETE FROM seats")
    pair.run("DELETE FROM sales")
    values = ", ".join(["(%s, %s, '2026-01-01', 5), (%s, %s, '2026-01-02', 6)"] * len(ROWS))
    pair.run("INSERT INTO sales VALUES " + values, [v for row in ROWS for v in (*row, *row)])
    pair.run("INSERT INTO seats SELECT n, region, tenant FROM sales, generate_series(1, 2) n WHERE day = '2026-01-01'")
    pair.run("INSERT INTO lines SELECT region, 'pen' || number, tenant, number FROM seats")
    yield pair
    connection.close()


def test_rows_lie_where_hash_partitions_would(cluster, both):
    first = cluster.shards[0].primary
    first.query("CREATE TABLE whole.parts (tenant text, region int) PARTITION BY HASH (tenant, region)")
    per_shard = BUCKETS // len(cluster.shards)
    for number, shard in enumerate(cluster.shards):
        rows = shard.primary.query("SELECT DISTINCT tenant, region FROM sales")
        assert rows, "a shard has no row: the test says nothing"
        for tenant, region in rows:
            found = first.value(f"SELECT b FROM generate_series(0, {BUCKETS - 1}) b WHERE"
                                f" satisfies_hash_partition('whole.parts'::regclass, {BUCKETS}, b, '{tenant}'::text, {region})")
            assert int(found) // per_shard == number, (tenant, region, found)
        # The rows of tables that share the key lie beside them.
        for table, own in (("seats", "tenant, region"), ("lines", "owner, place")):
            beside = shard.primary.query(f"SELECT DISTINCT {own} FROM {table}")
            assert sorted(map(tuple, beside)) == sorted(map(tuple, rows)), table
    first.query("DROP TABLE whole.parts")


READS = [
    "SELECT * FROM sales WHERE tenant = 'ann' AND region = 1",
    "SELECT * FROM sales WHERE tenant = 'Zoë' AND region IN (1, 2, 3)",
    "SELECT * FROM sales WHERE (tenant, region) IN (('ann', 2), ('bob', 7), ('bob', 2))",
    "SELECT * FROM sales WHERE (tenant, region) = ('', -5)",
    "SELECT * FROM sales WHERE tenant = ANY ('{ann,bob,t5}') AND region = ANY (ARRAY[1, 7])",
    "SELECT * FROM sales WHERE tenant = 'ann'",
    "SELECT * FROM sales WHERE region = 1 ORDER BY tenant, day",
    "SELECT tenant, region, sum(amount) FROM sales GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT count(*), count(DISTINCT tenant), count(DISTINCT (tenant, region)) FROM sales",
    "SELECT s.tenant, l.item FROM sales s JOIN lines l ON l.owner = s.tenant AND l.place = s.region",
    "SELECT s.tenant, l.item FROM sales s LEFT JOIN lines l ON l.owner = s.tenant AND l.place = s.region AND l.number = 2",
    "SELECT count(*) FROM sales s JOIN lines l ON l.owner = s.tenant",
    "SELECT count(*) FROM sales s JOIN lines l ON l.place = s.region",
    "SELECT count(*) FROM sales a JOIN sales b USING (tenant, region)",
    "SELECT count(*) FROM sales a JOIN sales b USING (region)",
    "SELECT * FROM sales s JOIN lines l ON l.owner = s.tenant WHERE s.tenant = 'ann' AND s.region = 1 AND l.place = 2",
    "SELECT tenant, (SELECT max(item) FROM lines l WHERE l.owner = s.tenant AND l.place = s.region) FROM sales s WHERE amount = 5",
    "SELECT tenant FROM sales s WHERE NOT EXISTS (SELECT FROM lines l WHERE l.owner = s.tenant AND l.place = s.region + 1)",
    "SELECT tenant, region, row_number() OVER (PARTITION BY tenant, region ORDER BY day) FROM sales",
    "SELECT * FROM sales WHERE tenant = 'ann' AND region = NULL",
    "WITH a AS (SELECT * FROM sales WHERE tenant = 'ann' AND region = 1) SELECT count(*) FROM a JOIN lines l ON l.owner = a.tenant AND l.place = a.region",
]


@pytest.mark.parametrize("sql", READS)
def test_reads(both, sql):
    both.run(sql)


def test_parameters_of_all_kinds(both):
    assert len(both.run("SELECT * FROM sales WHERE tenant = %s AND region = %s", ("ann", 1))) == 2
    assert len(both.run("SELECT * FROM sales WHERE (tenant, region) IN ((%s, %s), (%s, %s))", ("ann", 1, "bob", 7))) == 4


WRITES = [
    "INSERT INTO sales VALUES ('new', 1, '2026-01-01', 1), ('new', 2, '2026-01-01', 2), ('new', 3, '2026-01-01', 3) RETURNING *",
    "INSERT INTO sales (amount, day, region, tenant) VALUES (1, '2026-01-01', 1 + 1, lower('NEW'))",
    "INSERT INTO sales VALUES ('ann', 1, '2026-01-01', 9) ON CONFLICT (tenant, region, day) DO UPDATE SET amount = excluded.amount",
    "INSERT INTO sales VALUES ('ann', 1, '2026-01-01', 9)",
    "INSERT INTO sales SELECT tenant, region, day + 10, amount FROM sales",
    "INSERT INTO sales SELECT tenant, region + 100, day, amount FROM sales RETURNING tenant, region",
    "INSERT INTO sales SELECT 'same', row_number() OVER (ORDER BY tenant, region), day, 0 FROM sales WHERE day = '2026-01-01'",
    "INSERT INTO sales SELECT owner, place, '2026-02-01', 1 FROM lines WHERE number = 1",
    "UPDATE sales SET amount = amount + 1 WHERE tenant = 'ann' AND region IN (1, 2)",
    "UPDATE sales SET amount = amount + 1 WHERE tenant = 'ann' RETURNING *",
    "UPDATE sales SET region = region + 50 WHERE tenant = 'bob' RETURNING *",
    "UPDATE sales SET tenant = upper(tenant), region = -region",
    "UPDATE sales SET tenant = 'ann', region = 1 WHERE tenant = 'bob' AND region = 7",
    "UPDATE sales SET tenant = 'ann', region = 77 WHERE tenant = 'bob' AND region = 7 RETURNING *",
    "UPDATE sales s SET amount = l.number FROM lines l WHERE l.owner = s.tenant AND l.place = s.region AND l.number = 1",
    "UPDATE sales s SET amount = 77 FROM lines l WHERE l.owner = s.tenant AND l.number = 1 AND l.place = 7",
    "DELETE FROM sales WHERE tenant = 'ann' AND region = 1 RETURNING *",
    "DELETE FROM sales WHERE region = 3",
    "DELETE FROM lines l USING sales s WHERE l.owner = s.tenant AND l.place = s.region AND s.tenant < 'c'",
    "DELETE FROM seats WHERE number = 1",
    "INSERT INTO lines VALUES (999, 'x', 'nobody', 1)",
    "WITH gone AS (DELETE FROM sales WHERE tenant = 'ann' RETURNING amount) SELECT sum(amount) FROM gone",
]


@pytest.mark.parametrize("sql", WRITES)
def test_writes(both, sql):
    both.run(sql)
    for table in ("sales", "lines", "seats"):
        both.run(f"SELECT * FROM {table}")
    # Every row is found by its key: none lies on another's shard.
    for tenant, region, day, amount in both.run("SELECT * FROM sales"):
        both.run("SELECT amount FROM sales WHERE tenant = %s AND region = %s AND day = %s", (tenant, region, day))


def test_rows_without_a_whole_key_are_refused(both):
    cursor = both.cursors[0]
    for sql in ("INSERT INTO seats VALUES (1, NULL, 'ann')", "INSERT INTO lines VALUES (NULL, 'x', 'ann', 1)", "INSERT INTO lines (owner) VALUES ('ann')",
                "INSERT INTO lines SELECT NULL, 'x', tenant, 1 FROM sales", "UPDATE lines SET place = NULL"):
        with pytest.raises(psycopg2.Error) as failed:
            cursor.execute(sql)
        assert failed.value.pgcode == "23502", sql


@pytest.mark.parametrize("copy, data", [
    ("COPY sales FROM STDIN", "c1\t1\t2026-01-01\t5\nc2\t2\t2026-01-01\t6\n"),
    ("COPY sales (day, region, tenant) FROM STDIN (FORMAT csv)", "2026-01-01,1,\"c,\n1\"\n2026-01-01,2,\"c\"\"2\"\n"),
    ("COPY sales (region, tenant, day) FROM STDIN (FORMAT csv, HEADER)", "region,tenant,day\n1,c1,2026-01-01\n22,c2,2026-01-01\n"),
])
def test_copy(both, copy, data):
    from io import StringIO
    for cursor in both.cursors:
        cursor.copy_expert(copy, StringIO(data))
    rows = both.run("SELECT tenant, region FROM sales WHERE tenant LIKE 'c%'")
    assert len(rows) == 2
    for row in rows:
        assert both.run("SELECT tenant, region FROM sales WHERE tenant = %s AND region = %s", row) == [row]


def test_copy_in_binary(both):
    from io import BytesIO
    data = BytesIO()
    both.cursors[1].copy_expert("COPY (SELECT tenant || '!', region, day, amount FROM sales) TO STDOUT (FORMAT binary)", data)
    for cursor in both.cursors:
        data.seek(0)
        cursor.copy_expert("COPY sales FROM STDIN (FORMAT binary)", data)
    for tenant, region in both.run("SELECT DISTINCT tenant, region FROM sales"):
        both.run("SELECT * FROM sales WHERE tenant = %s AND region = %s", (tenant, region))


def test_misplaced_rows_are_found(cluster, both, start_braid, braid):
    """Rows are held against the map at start: with the key's columns the other way round they are elsewhere."""
    top = sharded_topology(cluster)
    top["databases"]["shop"]["sharding"]["tables"] |= {"sales": {"key": ["region", "tenant"]}}
    process = start_braid(top, wait=False)
    process.wait_listening()
    with pytest.raises(psycopg2.Error):
        process.connect()
    assert "public.sales has a row with region = " in process.log()


def test_the_way_is_told(braid):
    told = braid.command("route", "SELECT * FROM sales WHERE tenant = 'ann' AND region = 1").stdout
    assert "sales.tenant, region" in told
    told = braid.command("route", "SELECT * FROM sales ORDER BY 1 FOR UPDATE SKIP LOCKED LIMIT 1").stdout
    assert "sales.tenant = $1 AND sales.region = $2" in told


def test_constraints_keep_their_columns(cluster):
    """However the servers' planner comes to what is known of them: columns of one constraint are never taken for another's."""
    tables = "CREATE TABLE parts (id int, d date, PRIMARY KEY (id, d)) PARTITION BY RANGE (d); CREATE TABLE parts_rest PARTITION OF parts DEFAULT;"
    for i in range(6):
        tables += (f"CREATE TABLE lists{i} (x int, id int, PRIMARY KEY (x, id)); CREATE TABLE owners{i} (id int PRIMARY KEY, email text UNIQUE);"
                   f"CREATE TABLE seats{i} (x int, id int, UNIQUE (x, id)); CREATE TABLE rows{i} (id int, n int, PRIMARY KEY (n, id));")
    names = ["parts", "parts_rest"] + [f"{kind}{i}" for i in range(6) for kind in ("lists", "owners", "seats", "rows")]
    for shard in cluster.shards:
        shard.primary.query(tables + "GRANT ALL ON " + ", ".join(names) + " TO app;"
                            "ALTER DATABASE shop SET enable_nestloop = off; ALTER DATABASE shop SET enable_mergejoin = off")
    top = sharded_topology(cluster)
    sharding = top["databases"]["shop"]["sharding"]
    sharding["tables"] |= {name: {"key": "id"} for name in names if name[:-1] in ("owners", "seats", "rows")} | {"parts": {"key": "id"}}
    sharding["reference_tables"] = sharding.get("reference_tables", []) + [f"lists{i}" for i in range(6)]
    try:
        with Braid(top) as braid:
            cursor = braid.connect(autocommit=True).cursor()
            for i in range(6):
                cursor.execute(f"INSERT INTO rows{i} VALUES (1, 2)")
                cursor.execute(f"INSERT INTO seats{i} VALUES (1, 2)")
                with pytest.raises(psycopg2.errors.FeatureNotSupported, match=f"owners{i}_email_key"):
                    cursor.execute(f"INSERT INTO owners{i} VALUES (1, 'x'), (2, 'x')")
            cursor.execute("INSERT INTO parts VALUES (1, '2024-01-01')")
    finally:
        for shard in cluster.shards:
            shard.primary.query("ALTER DATABASE shop RESET ALL; DROP TABLE " + ", ".join(name for name in names if name != "parts_rest"))
