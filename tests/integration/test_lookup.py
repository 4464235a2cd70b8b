"""sharding.function: lookup. A table says which shard owns a key; it is asked, and what it said is kept in mind until it
changes."""

from io import BytesIO, StringIO

import psycopg2
import pytest

from braid import Braid, sharded_topology
from waiting import wait_until
from wire import bind, errors, execute, parse, rows, sync

TABLES = """CREATE TABLE homes (tenant text PRIMARY KEY, shard text NOT NULL);
CREATE TABLE docs (tenant varchar(20) NOT NULL, id int NOT NULL, body text, PRIMARY KEY (tenant, id));
CREATE TABLE notes (tenant text NOT NULL REFERENCES homes, note text);
GRANT ALL ON homes, docs, notes TO app;"""


@pytest.fixture(scope="module")
def tables(cluster):
    for shard in cluster.shards:
        shard.primary.query(TABLES)
    yield [shard.name for shard in cluster.shards]
    for shard in cluster.shards:
        shard.primary.query("DROP TABLE docs, notes, homes")


def topology_of(cluster, lookup=(), **sharding):
    top = sharded_topology(cluster, workers=2)
    own = top["databases"]["shop"]["sharding"]
    own["tables"] |= {name: {"key": "tenant", "function": "lookup"} for name in ("docs", "notes")}
    own["reference_tables"] = own["reference_tables"] + ["homes"]
    own["lookup"] = {"table": "homes", "key": "tenant", "shard": "shard", "max_age": "1h"} | dict(lookup)
    own |= sharding
    # What one session writes, another one reads at once here.
    top["databases"]["shop"]["reads"]["replicas"] = "off"
    return top


@pytest.fixture(scope="module")
def braid(cluster, tables):
    with Braid(topology_of(cluster)) as process:
        yield process


@pytest.fixture(autouse=True)
def homes(cluster, tables, braid):
    """ann, art on the first shard, bob on the second, each with a document, through pgbraid."""
    first, second = tables
    connection = braid.connect(autocommit=True)
    cursor = connection.cursor()
    for table in ("docs", "notes", "homes"):
        cursor.execute(f"DELETE FROM {table}")
    cursor.execute("INSERT INTO homes VALUES ('ann', %s), ('art', %s), ('bob', %s)", (first, first, second))
    cursor.execute("INSERT INTO docs VALUES ('ann', 1, 'a'), ('bob', 1, 'b'), ('art', 1, 'c')")
    connection.close()


@pytest.fixture
def cursor(braid):
    connection = braid.connect(autocommit=True)
    yield connection.cursor()
    connection.close()


def placed(cluster, table="docs"):
    return [sorted({row[0] for row in shard.primary.query(f"SELECT tenant FROM {table}")}) for shard in cluster.shards]


def answer(cursor, sql, parameters=None):
    cursor.execute(sql, parameters)
    return cursor.fetchall()


def refused(cursor, sql, parameters=None):
    with pytest.raises(psycopg2.Error) as failed:
        cursor.execute(sql, parameters)
    return failed.value.pgcode


def test_rows_go_where_the_table_says(cluster, cursor):
    assert placed(cluster) == [["ann", "art"], ["bob"]]
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = 'bob'") == [("b",)]
    assert sorted(answer(cursor, "SELECT body FROM docs WHERE tenant IN ('ann', 'bob', 'nobody')")) == [("a",), ("b",)]
    assert answer(cursor, "SELECT count(*) FROM docs") == [(3,)]
    cursor.execute("UPDATE docs SET body = 'new' WHERE tenant = 'art'")
    assert cursor.rowcount == 1
    assert answer(cursor, "DELETE FROM docs WHERE tenant = 'art' RETURNING body") == [("new",)]


def test_tables_are_joined_where_their_rows_are(cursor):
    cursor.execute("INSERT INTO notes VALUES ('ann', 'x'), ('bob', 'y')")
    assert sorted(answer(cursor, "SELECT body, note FROM docs JOIN notes USING (tenant)")) == [("a", "x"), ("b", "y")]
    assert answer(cursor, "SELECT body, note FROM docs d JOIN notes n ON n.tenant = d.tenant WHERE d.tenant = 'bob'") == [("b", "y")]
    assert sorted(answer(cursor, "SELECT body, shard FROM docs JOIN homes USING (tenant) WHERE tenant = 'ann'"))[0][0] == "a"


def test_a_key_that_is_listed_nowhere(cluster, cursor):
    assert refused(cursor, "INSERT INTO docs VALUES ('nobody', 1, 'x')") == "23514"
    assert refused(cursor, "INSERT INTO docs VALUES ('ann', 2, 'x'), ('nobody', 1, 'x')") == "23514"
    assert answer(cursor, "SELECT count(*) FROM docs WHERE tenant = 'nobody'") == [(0,)]
    # Its rows may stand anywhere.
    cluster.shards[1].primary.query("INSERT INTO docs VALUES ('lost', 1, 'found')")
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = 'lost'") == [("found",)]
    cursor.execute("DELETE FROM docs WHERE tenant = 'lost'")
    assert cursor.rowcount == 1


def test_a_change_is_known_at_once_everywhere(cluster, braid, tables):
    """Several sessions, on both workers, that have the key in mind."""
    sessions = [braid.connect(autocommit=True) for _ in range(6)]
    cursors = [each.cursor() for each in sessions]
    for turn in range(6):
        for each in cursors:
            assert answer(each, "SELECT body FROM docs WHERE tenant = 'ann'") == [("a",)]
        mover = cursors[turn]
        home = tables[1 - turn % 2]
        mover.execute("BEGIN")
        mover.execute("DELETE FROM docs WHERE tenant = 'ann'")
        mover.execute("UPDATE homes SET shard = %s WHERE tenant = 'ann'", (home,))
        # Its own transaction knows first.
        mover.execute("INSERT INTO docs VALUES ('ann', 1, 'a')")
        assert answer(mover, "SELECT body FROM docs WHERE tenant = 'ann'") == [("a",)]
        mover.execute("COMMIT")
        assert "ann" in placed(cluster)[1 - turn % 2]
    for each in sessions:
        each.close()


def test_what_was_rolled_back_is_not_kept_in_mind(cursor, braid, tables):
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = 'ann'") == [("a",)]
    cursor.execute("BEGIN")
    cursor.execute("UPDATE homes SET shard = %s WHERE tenant = 'ann'", (tables[1],))
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = 'ann'") == []
    cursor.execute("ROLLBACK")
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = 'ann'") == [("a",)]


def test_a_new_tenant_in_one_transaction(cluster, cursor, tables):
    cursor.execute("BEGIN")
    cursor.execute("INSERT INTO homes VALUES ('new', %s)", (tables[1],))
    cursor.execute("INSERT INTO docs VALUES ('new', 1, 'x'), ('new', 2, 'y')")
    cursor.execute("COMMIT")
    assert placed(cluster)[1] == ["bob", "new"]


def test_an_old_snapshot_does_not_teach_others(braid, cursor, tables):
    cursor.execute("INSERT INTO homes VALUES ('late', %s)", (tables[0],))
    old = braid.connect()
    old.set_session(isolation_level="REPEATABLE READ")
    asking = old.cursor()
    asking.execute("SELECT body FROM docs WHERE tenant = 'ann'")
    cursor.execute("UPDATE homes SET shard = %s WHERE tenant = 'late'", (tables[1],))
    # For its snapshot the key is still on the first shard.
    asking.execute("SELECT body FROM docs WHERE tenant = 'late'")
    assert asking.fetchall() == []
    cursor.execute("INSERT INTO docs VALUES ('late', 1, 'x')")
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = 'late'") == [("x",)]
    old.rollback()
    old.close()


def test_keys_are_kept_in_mind_and_a_change_by_another_way_is_seen_later(cluster, cursor, start_braid, tables):
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = 'bob'") == [("b",)]
    never = start_braid(topology_of(cluster, {"max_age": "0"}))
    asking = never.connect(autocommit=True)
    other = asking.cursor()
    assert answer(other, "SELECT body FROM docs WHERE tenant = 'bob'") == [("b",)]
    for shard in cluster.shards:
        shard.primary.query("UPDATE homes SET shard = %s WHERE tenant = 'bob'" % f"'{tables[0]}'")
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = 'bob'") == [("b",)]
    assert answer(other, "SELECT body FROM docs WHERE tenant = 'bob'") == []
    asking.close()


def test_a_shard_that_there_is_not(cursor):
    cursor.execute("UPDATE homes SET shard = 'elsewhere' WHERE tenant = 'bob'")
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = 'bob'") == [("b",)]
    assert refused(cursor, "INSERT INTO docs VALUES ('bob', 2, 'x')") == "0A000"


def test_numbers_of_all_widths(cluster, start_braid):
    """Parameters in binary, of another type than the key."""
    first, second = (shard.name for shard in cluster.shards)
    for shard in cluster.shards:
        shard.primary.query("CREATE TABLE places (id numeric PRIMARY KEY, shard text); CREATE TABLE things (id numeric PRIMARY KEY, what text);"
                            "GRANT ALL ON places, things TO app")
    top = sharded_topology(cluster)
    own = top["databases"]["shop"]["sharding"]
    own["tables"]["things"] = {"key": "id", "function": "lookup"}
    own |= {"reference_tables": ["countries", "places"], "lookup": {"table": "places", "key": "id", "shard": "shard", "max_age": "1h"}}
    with start_braid(top).raw() as client:
        client.query(f"INSERT INTO places SELECT n, CASE WHEN n < 5 THEN '{first}' ELSE '{second}' END FROM generate_series(1, 9) AS n")
        client.query("INSERT INTO things SELECT n, 'thing ' || n FROM generate_series(1, 9) AS n")
        for oid, size in ((20, 8), (23, 4), (21, 2)):
            for n in range(1, 10):
                client.send(parse("SELECT what FROM things WHERE id = $1", types=[oid]), bind([n.to_bytes(size, "big")], formats=[1]), execute(), sync())
                got = client.until_ready()
                assert not errors(got) and rows(got) == [[f"thing {n}".encode()]], (oid, n)
    for shard in cluster.shards:
        shard.primary.query("DROP TABLE things, places")


def test_a_key_is_looked_up_behind_an_open_portal(braid):
    with braid.raw() as client:
        client.send(parse("SELECT body FROM docs WHERE tenant = 'ann'", "a"), bind(statement="a"), parse("SELECT body FROM docs WHERE tenant = $1", "q"),
                    bind(["art"], statement="q", portal="p"), execute(), execute("p"), sync())
        got = client.until_ready()
        assert not errors(got) and rows(got) == [[b"a"], [b"c"]]


def test_a_client_that_leaves_a_change_behind(cluster, braid, cursor, tables):
    """Nobody knows for a while how its transaction ended."""
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = 'bob'") == [("b",)]
    client = braid.raw()
    client.query("BEGIN")
    client.query(f"UPDATE homes SET shard = '{tables[0]}' WHERE tenant = 'bob'")
    client.vanish()
    wait_until(lambda: all(shard.primary.value("SELECT count(*) FROM pg_locks WHERE relation = 'homes'::regclass AND mode = 'RowExclusiveLock'") == 0
                           for shard in cluster.shards), what="the transaction is gone")
    for shard in cluster.shards:
        shard.primary.query(f"UPDATE homes SET shard = '{tables[0]}' WHERE tenant = 'bob'")
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = 'bob'") == []


def test_a_snapshot_of_several_shards(cluster, start_braid, tables):
    """What others keep in mind is newer than it."""
    top = topology_of(cluster)
    top["databases"]["shop"]["reads"]["snapshot"] = "consistent"
    process = start_braid(top)
    old, mover = process.connect(), process.connect(autocommit=True)
    old.set_session(isolation_level="REPEATABLE READ")
    asking, moving = old.cursor(), mover.cursor()
    asking.execute("SELECT count(*) FROM docs")
    assert asking.fetchone() == (3,)
    moving.execute("BEGIN")
    moving.execute("DELETE FROM docs WHERE tenant = 'ann'")
    moving.execute("UPDATE homes SET shard = %s WHERE tenant = 'ann'", (tables[1],))
    moving.execute("INSERT INTO docs VALUES ('ann', 1, 'moved')")
    moving.execute("COMMIT")
    assert answer(moving, "SELECT body FROM docs WHERE tenant = 'ann'") == [("moved",)]
    asking.execute("SELECT body FROM docs WHERE tenant = 'ann'")
    assert asking.fetchall() == [("a",)]
    old.rollback()
    with process.raw() as client:
        assert sorted(client.extended("SELECT body FROM docs WHERE tenant IN ($1, $2)", ["art", "bob"])) == [["b"], ["c"]]
    for each in (old, mover):
        each.close()


def test_data_in_another_encoding(cluster, braid, cursor, tables):
    cursor.execute("INSERT INTO homes VALUES ('é', %s)", (tables[1],))
    connection = braid.connect(autocommit=True)
    other = connection.cursor()
    other.execute("SET client_encoding = 'LATIN1'")
    with pytest.raises(psycopg2.Error) as failed:
        other.copy_expert("COPY docs FROM STDIN (FORMAT csv, ENCODING 'UTF8')", BytesIO("é,1,x\n".encode()))
    assert failed.value.pgcode in ("23514", "0A000")
    cursor.copy_expert("COPY docs FROM STDIN (FORMAT csv)", BytesIO("é,1,x\n".encode()))
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = 'é'") == [("x",)]
    connection.close()


def test_extended_protocol(braid):
    with braid.raw() as client:
        for _ in range(2):
            assert client.extended("SELECT body FROM docs WHERE tenant = $1", ["bob"]) == [["b"]]
        client.send(parse("SELECT body FROM docs WHERE tenant = $1", "q"), sync())
        assert not errors(client.until_ready())
        for key, body in (("ann", ["a"]), ("bob", ["b"]), ("nobody", None), ("art", ["c"])):
            client.send(bind([key], statement="q"), execute(), sync())
            assert rows(client.until_ready()) == ([[body[0].encode()]] if body else [])
        # A batch that changes the table and goes by it.
        client.send(parse("INSERT INTO homes VALUES ('fresh', (SELECT shard FROM homes WHERE tenant = 'bob'))"), bind(), execute(),
                    parse("INSERT INTO docs VALUES ($1, 1, 'x')"), bind(["fresh"]), execute(),
                    parse("SELECT body FROM docs WHERE tenant = $1"), bind(["fresh"]), execute(), sync())
        got = client.until_ready()
        assert not errors(got) and rows(got) == [[b"x"]]


def test_the_way_is_told(braid):
    told = braid.command("route", "SELECT * FROM docs WHERE tenant = 'ann'").stdout
    assert "looked up in public.homes" in told
    assert "looked up" not in braid.command("route", "SELECT * FROM customers WHERE id = 5").stdout


def test_many_keys_at_once(cluster, cursor, tables):
    names = [f"t{i}" for i in range(700)]
    cursor.execute("INSERT INTO homes VALUES " + ", ".join(f"('{name}', '{tables[i % 2]}')" for i, name in enumerate(names)))
    cursor.execute("INSERT INTO docs VALUES " + ", ".join(f"('{name}', 1, '{i}')" for i, name in enumerate(names)))
    assert cursor.rowcount == 700
    assert [len(each) for each in placed(cluster)] == [352, 351]
    assert len(answer(cursor, "SELECT * FROM docs WHERE tenant = ANY (%s)", (names[:650],))) == 650


def test_rows_that_are_known_later(cluster, cursor, tables):
    cursor.execute("INSERT INTO homes SELECT 'u' || n, CASE WHEN n %% 2 = 0 THEN %s ELSE %s END FROM generate_series(1, 10) n", tables)
    cursor.execute("INSERT INTO docs SELECT tenant, 5, shard FROM homes WHERE tenant LIKE 'u%'")
    assert cursor.rowcount == 10
    assert [len(each) for each in placed(cluster)] == [7, 6]
    cursor.execute("INSERT INTO docs VALUES (lower('U1'), 6, 'x'), (lower('U2'), 6, 'y')")
    cursor.execute("UPDATE docs SET tenant = 'u3', id = 7 WHERE tenant = 'u2' AND id = 6 RETURNING body")
    assert cursor.fetchall() == [("y",)]
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = 'u3' AND id = 7") == [("y",)]
    cursor.execute("UPDATE docs SET tenant = CASE tenant WHEN 'ann' THEN 'bob' ELSE 'ann' END, id = 9 WHERE tenant IN ('ann', 'bob')")
    assert sorted(answer(cursor, "SELECT tenant, body FROM docs WHERE id = 9")) == [("ann", "b"), ("bob", "a")]
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = 'ann'") == [("b",)]
    assert refused(cursor, "INSERT INTO docs SELECT tenant || 'x', 1, '' FROM homes") == "23514"
    assert refused(cursor, "UPDATE docs SET tenant = tenant || 'x'") == "23514"


def test_merge(cluster, cursor):
    update = "MERGE INTO docs d USING {} v(tenant, id, body) ON d.tenant = v.tenant AND d.id = v.id WHEN MATCHED THEN UPDATE SET body = v.body"
    merge = update + " WHEN NOT MATCHED THEN INSERT VALUES (v.tenant, v.id, v.body)"
    cursor.execute(merge.format("(VALUES ('bob', 2, 'new'))"))
    assert cursor.rowcount == 1
    cursor.execute(merge.format("(VALUES ('ann', 1, 'x'), ('bob', 3, 'y'), ('art', 1, 'z'))"))
    assert cursor.rowcount == 3 and placed(cluster) == [["ann", "art"], ["bob"]]
    assert sorted(answer(cursor, "SELECT * FROM docs")) == [("ann", 1, "x"), ("art", 1, "z"), ("bob", 1, "b"), ("bob", 2, "new"), ("bob", 3, "y")]
    cursor.execute(merge.format("(SELECT tenant, 7, shard FROM homes)"))
    assert cursor.rowcount == 3 and placed(cluster) == [["ann", "art"], ["bob"]]
    for rows in ("(VALUES ('nobody', 1, 'x'))", "(VALUES ('ann', 1, 'x'), ('nobody', 1, 'x'))"):
        assert refused(cursor, merge.format(rows)) == "23514"
    # Rows of such a key may stand anywhere.
    cluster.shards[1].primary.query("INSERT INTO docs VALUES ('lost', 1, 'found')")
    for source in ("(VALUES ('lost', 1, 'seen'))", "(VALUES ('lost', 1, 'seen'), ('nobody', 1, 'x'))", "(SELECT max(tenant), 1, 'seen' FROM docs WHERE tenant LIKE 'l%')"):
        cursor.execute(update.format(source))
        assert cursor.rowcount == 1


def test_copy(cluster, cursor, braid):
    cursor.copy_expert("COPY docs FROM STDIN (FORMAT csv)", StringIO("ann,10,x\nbob,10,y\nart,10,z\n"))
    assert sorted(answer(cursor, "SELECT tenant, body FROM docs WHERE id = 10")) == [("ann", "x"), ("art", "z"), ("bob", "y")]
    assert placed(cluster) == [["ann", "art"], ["bob"]]
    data = BytesIO()
    cursor.copy_expert("COPY (SELECT tenant, id + 1, body FROM docs WHERE id = 10) TO STDOUT (FORMAT binary)", data)
    data.seek(0)
    cursor.copy_expert("COPY docs FROM STDIN (FORMAT binary)", data)
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = 'bob' AND id = 11") == [("y",)]
    with pytest.raises(psycopg2.Error) as failed:
        cursor.copy_expert("COPY docs FROM STDIN (FORMAT csv)", StringIO("ann,20,x\nnobody,20,y\n"))
    assert failed.value.pgcode == "23514"
    assert answer(cursor, "SELECT count(*) FROM docs WHERE id = 20") == [(0,)]


def test_spellings_of_a_key(cursor):
    for key in ("'ann'", "'ann'::text", "E'\\141nn'", "$$ann$$", "CAST('ann' AS varchar)"):
        assert answer(cursor, f"SELECT body FROM docs WHERE tenant = {key}") == [("a",)], key
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = NULL") == []
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = 'O''Brien; DROP TABLE docs'") == []


def test_a_default_shard_owns_the_rest(cluster, start_braid, tables):
    process = start_braid(topology_of(cluster, default_shard=tables[1]))
    connection = process.connect(autocommit=True)
    cursor = connection.cursor()
    cursor.execute("INSERT INTO docs VALUES ('nobody', 1, 'x'), ('ann', 5, 'y')")
    assert placed(cluster) == [["ann", "art"], ["bob", "nobody"]]
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = 'nobody'") == [("x",)]
    cursor.copy_expert("COPY docs FROM STDIN (FORMAT csv)", StringIO("ann,11,x\nelse,11,y\n"))
    assert answer(cursor, "SELECT body FROM docs WHERE tenant = 'else'") == [("y",)]
    connection.close()


def test_without_the_right_to_read_the_table(cluster, braid, cursor):
    for shard in cluster.shards:
        shard.primary.query("REVOKE SELECT ON homes FROM app")
    try:
        assert refused(cursor, "SELECT body FROM docs WHERE tenant = 'never asked'") == "42501"
        assert answer(cursor, "SELECT count(*) FROM docs") == [(3,)]
    finally:
        for shard in cluster.shards:
            shard.primary.query("GRANT SELECT ON homes TO app")


def test_misplaced_rows_keep_a_database_from_being_served(cluster, start_braid, homes):
    cluster.shards[0].primary.query("INSERT INTO docs VALUES ('bob', 77, 'x')")
    process = start_braid(topology_of(cluster), wait=False)
    process.wait_listening()
    with pytest.raises(psycopg2.Error):
        process.connect()
    assert "docs has a row with tenant = 'bob' on shard" in process.log()
    cluster.shards[0].primary.query("DELETE FROM docs WHERE id = 77")


@pytest.mark.parametrize("lookup, sharding, told", [
    ({"shard": "nothing"}, {}, "has no column \"nothing\""),
    ({"key": "shard"}, {}, "is not unique"),
    ({}, {"reference_tables": ["countries"]}, "is no reference table"),
    ({}, {"tables": {"orders": {"key": "customer_id", "function": "lookup"}}}, "another type"),
])
def test_what_is_no_lookup_table(cluster, start_braid, lookup, sharding, told):
    process = start_braid(topology_of(cluster, lookup, **sharding), wait=False)
    process.wait_listening()
    with pytest.raises(psycopg2.Error):
        process.connect()
    assert told in process.log()
