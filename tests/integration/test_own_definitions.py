"""Tables and all else that a transaction has defined itself, used before it ends: it asks its own servers what there is,
since nobody else sees it yet."""

import psycopg2
import pytest

from braid import Braid
from test_birth import KEYS, ROWS, ask, code_of, everywhere, keys_on, owned, topology
from wire import bind, describe_portal, errors, execute, parse, rows, sync, tags

REDEFINED = ("0A000", 'table "births.t" has been redefined in this transaction')


@pytest.fixture
def schema(cluster):
    everywhere(cluster, "CREATE SCHEMA births AUTHORIZATION app; CREATE SCHEMA aside AUTHORIZATION app")
    yield
    everywhere(cluster, "DROP SCHEMA births CASCADE; DROP SCHEMA aside CASCADE")


@pytest.fixture
def braid(cluster, schema):
    """Its catalog is looked at when something has passed through it, and else once in a minute."""
    with Braid(topology(cluster)) as process:
        yield process


@pytest.fixture
def connection(braid):
    connection = braid.connect()
    yield connection
    connection.close()


@pytest.fixture
def cursor(connection):
    return connection.cursor()


def test_rows_of_a_table_that_it_makes(cluster, connection, cursor):
    cursor.execute("CREATE TABLE births.t (customer_id bigint, name text, PRIMARY KEY (customer_id, name))")
    cursor.execute(f"INSERT INTO births.t VALUES {ROWS}")
    assert cursor.rowcount == len(KEYS)
    assert ask(cursor, "SELECT count(*), sum(customer_id) FROM births.t") == [(len(KEYS), sum(KEYS))]
    assert ask(cursor, "SELECT name FROM births.t WHERE customer_id = 7") == [("row 7",)]
    cursor.execute("CREATE INDEX ON births.t (name)")
    cursor.execute("UPDATE births.t SET name = name || '!' WHERE customer_id > 20")
    cursor.execute("DELETE FROM births.t WHERE customer_id <= 10")
    assert cursor.rowcount == 10
    with connection.cursor() as other:
        other.execute("CREATE TABLE births.u (customer_id bigint, name text)")
        other.execute("INSERT INTO births.u SELECT * FROM births.t")
        assert ask(other, "SELECT count(*) FROM births.t JOIN births.u USING (customer_id)") == [(30,)]
    connection.commit()
    for table in ("births.t", "births.u"):
        assert keys_on(cluster, table) == owned(cluster, range(11, 41))
    assert ask(cursor, "SELECT max(name) FROM births.u WHERE customer_id = 21") == [("row 21!",)]


def test_copied_rows(cluster, braid):
    script = ("BEGIN;\nCREATE TABLE births.t (customer_id bigint, name text);\nCOPY births.t FROM stdin;\n"
              + "".join(f"{k}\tc{k}\n" for k in KEYS) + "\\.\nSELECT count(*) FROM births.t;\nCOMMIT;\n")
    assert braid.psql("", arguments=("-X", "-q", "-A", "-t", "-f", "-"), stdin=script).split() == [str(len(KEYS))]
    assert keys_on(cluster, "births.t") == owned(cluster)


def test_several_statements_in_one_text(cluster, braid):
    client = braid.raw()
    client.query(f"CREATE TABLE births.t (customer_id bigint, name text); INSERT INTO births.t VALUES {ROWS}; "
                 "ALTER TABLE births.t ADD more int DEFAULT 5; UPDATE births.t SET more = 6 WHERE customer_id = 3")
    assert client.value("SELECT sum(more) FROM births.t") == str(5 * len(KEYS) + 1)
    client.close()
    assert keys_on(cluster, "births.t") == owned(cluster)


def test_in_one_pipeline(cluster, braid):
    client = braid.raw()
    client.send(parse("CREATE TABLE births.t (customer_id int, name text)"), bind(), execute(),
                parse(f"INSERT INTO births.t VALUES {ROWS}"), bind(), execute(),
                parse("SELECT name FROM births.t WHERE customer_id = $1", "one"), bind((b"7",), "one"), describe_portal(), execute(),
                bind((b"8",), "one"), execute(), sync())
    told = client.until_ready()
    assert not errors(told)
    assert rows(told) == [[b"row 7"], [b"row 8"]]
    assert tags(told) == ["CREATE TABLE", f"INSERT 0 {len(KEYS)}", "SELECT 1", "SELECT 1"]
    # The statement holds for the table as others know it, too.
    client.send(bind((b"9",), "one"), execute(), sync())
    assert rows(client.until_ready()) == [[b"row 9"]]
    client.close()
    assert keys_on(cluster, "births.t") == owned(cluster)


def test_columns_that_come_and_go(cluster, connection, cursor):
    cursor.execute("CREATE TABLE births.t (customer_id bigint, name text)")
    connection.commit()
    cursor.execute(f"INSERT INTO births.t VALUES {ROWS}")
    connection.commit()
    cursor.execute("ALTER TABLE births.t ADD more int DEFAULT 3")
    cursor.execute("UPDATE births.t SET more = customer_id * 2 WHERE customer_id IN (1, 2, 3, 4)")
    assert ask(cursor, "SELECT * FROM births.t ORDER BY customer_id LIMIT 2") == [(1, "row 1", 2), (2, "row 2", 4)]
    cursor.execute("ALTER TABLE births.t RENAME COLUMN name TO label")
    cursor.execute("INSERT INTO births.t (customer_id, label, more) VALUES (100, 'x', 1), (101, 'y', 2)")
    assert ask(cursor, "SELECT label FROM births.t WHERE more < 3 ORDER BY customer_id") == [("row 1",), ("x",), ("y",)]
    cursor.execute("ALTER TABLE births.t DROP more, ALTER label TYPE varchar(7)")
    assert ask(cursor, "SELECT * FROM births.t WHERE customer_id >= 100 ORDER BY label DESC") == [(101, "y"), (100, "x")]
    connection.rollback()
    assert ask(cursor, "SELECT * FROM births.t WHERE customer_id = 5") == [(5, "row 5")]
    assert code_of(cursor, "SELECT more FROM births.t")[0] == "42703"


def test_savepoints(cluster, connection, cursor):
    cursor.execute("CREATE TABLE births.t (customer_id bigint, name text)")
    cursor.execute("INSERT INTO births.t VALUES (1, 'a'), (2, 'a'), (3, 'a')")
    cursor.execute("SAVEPOINT s")
    cursor.execute("ALTER TABLE births.t ADD more int DEFAULT 3")
    cursor.execute("CREATE TABLE births.u (customer_id bigint)")
    cursor.execute("INSERT INTO births.u SELECT more FROM births.t")
    assert ask(cursor, "SELECT count(*) FROM births.u WHERE customer_id = 3") == [(3,)]
    cursor.execute("ROLLBACK TO s")
    # There are rows in it, of which two shards may have some alike.
    assert code_of(cursor, "CREATE UNIQUE INDEX ON births.t (name)")[0] == "0A000"
    cursor.execute("ROLLBACK TO s")
    assert ask(cursor, "SELECT * FROM births.t WHERE customer_id = 1") == [(1, "a")]
    assert code_of(cursor, "SELECT * FROM births.u")[0] == "42P01"
    cursor.execute("ROLLBACK TO s")
    cursor.execute("INSERT INTO births.t VALUES (4, 'b')")
    connection.commit()
    assert ask(cursor, "SELECT sum(customer_id) FROM births.t") == [(10,)]
    assert keys_on(cluster, "births.t") == owned(cluster, range(1, 5))


def test_made_anew_with_another_key(cluster, connection, cursor):
    cursor.execute("CREATE TABLE births.t (customer_id bigint, name text)")
    cursor.execute(f"INSERT INTO births.t VALUES {ROWS}")
    connection.commit()
    cursor.execute("DROP TABLE births.t")
    assert code_of(cursor, "SELECT * FROM births.t")[0] == "42P01"
    connection.rollback()
    cursor.execute("DROP TABLE births.t")
    cursor.execute("CREATE TABLE births.t (customer_id text, name text)")
    cursor.execute("INSERT INTO births.t VALUES " + ", ".join(f"('{k}', 'row {k}')" for k in KEYS))
    assert ask(cursor, "SELECT name FROM births.t WHERE customer_id = '5'") == [("row 5",)]
    connection.commit()
    assert keys_on(cluster, "births.t") == owned(cluster, [str(k) for k in KEYS], "text")
    cursor.execute("DROP TABLE births.t")
    cursor.execute("CREATE TABLE births.t (a int, name text) /* pgbraid: key=name */")
    cursor.execute(f"INSERT INTO births.t VALUES {ROWS}")
    connection.commit()
    assert keys_on(cluster, "births.t", "name") == owned(cluster, [f"row {k}" for k in KEYS], "text")


def test_what_may_be_full_already(cluster, connection, cursor):
    cursor.execute("CREATE TABLE aside.t (customer_id bigint, name text)")
    connection.commit()
    for change in ("ALTER TABLE aside.t SET SCHEMA births", "ALTER TABLE births.other RENAME TO t"):
        if "other" in change:
            cursor.execute("CREATE TABLE births.other (customer_id bigint, name text)")
            connection.commit()
        cursor.execute(change)
        assert code_of(cursor, "INSERT INTO births.t VALUES (1, 'x')") == REDEFINED
        connection.rollback()
    # A table of this name is made by the transaction, but not this one, whose rows stand anywhere.
    cursor.execute("CREATE TABLE births.u (customer_id bigint)")
    everywhere(cluster, "CREATE TABLE aside.u (customer_id bigint); COMMENT ON TABLE aside.u IS 'pgbraid: key=customer_id'; "
                        "GRANT ALL ON aside.u TO app; INSERT INTO aside.u VALUES (1), (2), (3), (4)")
    cursor.execute("INSERT INTO births.u VALUES (1)")
    code, text = code_of(cursor, "INSERT INTO aside.u VALUES (1)")
    assert code == "0A000", text


def test_constraints_of_one_shard(connection, cursor):
    cursor.execute("CREATE TABLE births.t (id int PRIMARY KEY, customer_id int)")
    code, text = code_of(cursor, "INSERT INTO births.t VALUES (1, 1)")
    assert code == "0A000" and "t_pkey" in text
    connection.rollback()
    cursor.execute("CREATE TABLE births.t (customer_id int, name text)")
    cursor.execute("INSERT INTO births.t VALUES (1, 'x'), (2, 'x')")
    assert code_of(cursor, "ALTER TABLE births.t ADD UNIQUE (name)")[0] == "0A000"
    connection.rollback()


def test_types_functions_views_and_triggers(cluster, connection, cursor):
    # Other numbers on each shard.
    cluster.shards[1].primary.query("CREATE TYPE aside.one AS (a int); CREATE TYPE aside.two AS (a int)")
    cursor.execute("CREATE TYPE births.mood AS ENUM ('low', 'high')")
    cursor.execute("CREATE TABLE births.t (customer_id bigint, mood births.mood, slug text)")
    cursor.execute("CREATE FUNCTION births.slug() RETURNS trigger LANGUAGE plpgsql AS "
                   "$$BEGIN NEW.slug := lower(NEW.mood::text) || NEW.customer_id; RETURN NEW; END$$")
    cursor.execute("CREATE TRIGGER slug BEFORE INSERT ON births.t FOR EACH ROW EXECUTE FUNCTION births.slug()")
    cursor.execute("INSERT INTO births.t VALUES " + ", ".join(f"({k}, '{('low', 'high')[k % 2]}')" for k in KEYS))
    cursor.execute("CREATE FUNCTION births.twice(x bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT x * 2'")
    cursor.execute("CREATE VIEW births.v AS SELECT customer_id, births.twice(customer_id) AS two, mood FROM births.t")
    assert ask(cursor, "SELECT sum(two), min(mood), max(mood) FROM births.v") == [(2 * sum(KEYS), "low", "high")]
    assert ask(cursor, "SELECT slug FROM births.t WHERE customer_id IN (3, 4) ORDER BY 1") == [("high3",), ("low4",)]
    oids = {d.type_code for d in cursor.description}
    cursor.execute("SELECT mood FROM births.t WHERE customer_id <= 4")
    first = cursor.description[0].type_code
    connection.commit()
    assert first == cluster.shards[0].primary.value("SELECT 'births.mood'::regtype::oid::int8") and first not in oids
    assert keys_on(cluster, "births.t") == owned(cluster)


def test_by_what_the_client_has_set(cluster, braid, connection, cursor):
    """What it has set neither changes how definitions are read, nor is changed by that."""
    cursor.execute("SET search_path = births, public; SET datestyle = 'SQL, DMY'; SET quote_all_identifiers = on; SET extra_float_digits = 0")
    connection.commit()
    cursor.execute("SET LOCAL datestyle = 'German'")
    cursor.execute("CREATE TABLE t (customer_id bigint, \"On\" date DEFAULT '2024-02-01', f float8 DEFAULT 0.1)")
    cursor.execute("INSERT INTO t (customer_id) VALUES " + ", ".join(f"({k})" for k in KEYS))
    cursor.execute("CREATE VIEW v AS SELECT \"On\", f, customer_id FROM t")
    assert ask(cursor, "SELECT \"On\"::text, f FROM t WHERE customer_id = 3") == [("01.02.2024", 0.1)]
    assert ask(cursor, "SHOW datestyle") == [("German, DMY",)] and ask(cursor, "SHOW search_path") == [("births, public",)]
    connection.commit()
    assert ask(cursor, "SHOW datestyle") == [("SQL, DMY",)] and ask(cursor, "SHOW quote_all_identifiers") == [("on",)]
    assert keys_on(cluster, "births.t") == owned(cluster)
    # In another encoding names are not read, nor would what was taken back be.
    other = braid.connect(options="-c client_encoding=LATIN1")
    with other.cursor() as latin:
        latin.execute("CREATE TABLE births.u (customer_id bigint)")
        assert code_of(latin, "INSERT INTO births.u VALUES (1)")[0] == "0A000"
    other.close()


def test_taken_back_where_it_cannot_be_learnt(connection, cursor):
    cursor.execute("CREATE TABLE births.t (customer_id bigint, name text)")
    cursor.execute("SAVEPOINT s")
    cursor.execute("ALTER TABLE births.t ADD more int")
    cursor.execute("INSERT INTO births.t VALUES (1, 'x', 1), (2, 'x', 2)")
    cursor.execute("SAVEPOINT s2")
    cursor.execute("ROLLBACK TO s")
    cursor.execute("SET LOCAL client_encoding = 'LATIN1'")
    assert code_of(cursor, "CREATE UNIQUE INDEX ON births.t (name)")[0] == "0A000"
    connection.rollback()


def test_full_tables_that_look_like_new_ones(cluster, connection, cursor):
    """ALTER ... OWNER writes much of a table's definition anew."""
    everywhere(cluster, "CREATE TABLE aside.u (customer_id bigint); ALTER TABLE aside.u OWNER TO app; INSERT INTO aside.u VALUES (1), (2), (3), (4)")
    cursor.execute("CREATE TABLE births.u (customer_id bigint)")
    cursor.execute("ALTER TABLE aside.u OWNER TO app")
    cursor.execute("COMMENT ON TABLE aside.u IS 'pgbraid: key=customer_id'")
    assert code_of(cursor, "SELECT * FROM aside.u WHERE customer_id = 1")[0] == "0A000"
    connection.rollback()


def test_what_comes_behind_it_in_the_same_pipeline(cluster, braid):
    """It goes by what the first has committed: here by another place of the key among the columns."""
    client = braid.raw()
    client.query("CREATE TABLE births.t (gone int, customer_id int, v int)")
    messages = []
    for sql in ("BEGIN", "ALTER TABLE births.t DROP gone", "SELECT * FROM births.t", "COMMIT", "INSERT INTO births.t VALUES (1, 5)"):
        messages += [parse(sql), bind(), execute()]
    client.send(*messages, sync())
    assert not errors(client.until_ready())
    assert client.value("SELECT v FROM births.t WHERE customer_id = 1") == "5"
    client.close()
    assert keys_on(cluster, "births.t") == [[1] if shard is cluster.shard_of(1, "int8") else [] for shard in cluster.shards]


def test_a_table_that_contradicts_the_topology(cluster, schema, start_braid):
    """It is listed, and made without its key."""
    top = topology(cluster)
    top["databases"]["shop"]["sharding"]["tables"]["births.listed"] = {"key": "owner"}
    connection = start_braid(top).connect()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE births.listed (a int)")
        code, text = code_of(cursor, "INSERT INTO births.listed VALUES (1)")
        assert code == "0A000" and "births.listed" in text
    connection.rollback()
    connection.close()


def test_listed_and_reference_tables(cluster, connection, cursor):
    """Where these live, the topology's file says; their columns are learnt."""
    everywhere(cluster, "ALTER TABLE countries OWNER TO app; ALTER TABLE customers OWNER TO app")
    cursor.execute("ALTER TABLE countries ADD more text DEFAULT 'm'")
    cursor.execute("UPDATE countries SET more = name")
    assert ask(cursor, "SELECT count(*) FROM countries WHERE more <> name") == [(0,)]
    cursor.execute("ALTER TABLE customers ADD more int")
    cursor.execute("UPDATE customers SET more = 1 WHERE id = 1")
    assert ask(cursor, "SELECT more FROM customers WHERE id = 1") == [(1,)]
    connection.rollback()
    everywhere(cluster, "ALTER TABLE countries OWNER TO CURRENT_USER; ALTER TABLE customers OWNER TO CURRENT_USER; GRANT ALL ON countries, customers TO app")


def test_what_others_define_meanwhile(cluster, braid, connection, cursor):
    cursor.execute("CREATE TABLE births.t (customer_id bigint, name text)")
    cursor.execute("INSERT INTO births.t VALUES (1, 'a')")
    other = braid.connect(autocommit=True)
    other.cursor().execute("CREATE TABLE births.u (customer_id bigint)")
    other.cursor().execute("INSERT INTO births.u VALUES (1), (2), (3)")
    other.close()
    connection.commit()
    cursor.execute("ALTER TABLE births.t ADD more int")
    assert ask(cursor, "SELECT count(*) FROM births.u JOIN births.t USING (customer_id) WHERE more IS NULL") == [(1,)]
    connection.commit()


def test_a_transaction_that_is_followed_by_another(cluster, braid):
    client = braid.raw()
    client.query("BEGIN")
    client.query("CREATE TABLE births.t (customer_id bigint, name text)")
    client.query(f"INSERT INTO births.t VALUES {ROWS}")
    client.query("COMMIT AND CHAIN")
    assert client.value("SELECT count(*) FROM births.t") == str(len(KEYS))
    client.query("DELETE FROM births.t WHERE customer_id > 20")
    client.query("COMMIT")
    assert client.value("SELECT count(*) FROM births.t") == "20"
    client.close()
    assert keys_on(cluster, "births.t") == owned(cluster, range(1, 21))


def test_of_one_shard_alone(cluster, schema, start_braid):
    """What is defined in a schema of one shard is seen there; of the others what is known of them holds."""
    top = topology(cluster)
    top["databases"]["shop"]["shards"][1]["schemas"] = ["aside"]
    cluster.shards[0].primary.query("DROP SCHEMA aside")
    connection = start_braid(top).connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE aside.t (id serial PRIMARY KEY, name text)")
            cursor.execute("INSERT INTO aside.t (name) SELECT 'n' || g FROM generate_series(1, 3) g RETURNING id")
            assert cursor.fetchall() == [(1,), (2,), (3,)]
            assert ask(cursor, "SELECT count(*), max(t.name) FROM aside.t JOIN customers c USING (id)") == [(3, "n3")]
            cursor.execute("ALTER TABLE aside.t ADD more int DEFAULT 4")
            assert ask(cursor, "SELECT * FROM aside.t WHERE id = 2") == [(2, "n2", 4)]
            assert ask(cursor, "SELECT sum(more) FROM aside.t") == [(12,)]
            cursor.execute("CREATE TABLE births.t (customer_id bigint)")
            cursor.execute("INSERT INTO births.t SELECT more FROM aside.t")
            connection.commit()
            assert ask(cursor, "SELECT customer_id FROM births.t") == [(4,)] * 3
    finally:
        connection.close()
        cluster.shards[0].primary.query("CREATE SCHEMA aside AUTHORIZATION app")


def test_functions_that_are_replaced_behind_views_and_defaults(connection, cursor):
    """They had been proved to read no table."""
    cursor.execute("CREATE TABLE births.t (customer_id bigint, name text)")
    cursor.execute(f"INSERT INTO births.t VALUES {ROWS}")
    cursor.execute("CREATE FUNCTION births.f(x bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT x + 1'")
    cursor.execute("CREATE VIEW births.v AS SELECT customer_id, births.f(customer_id) AS o FROM births.t")
    cursor.execute("CREATE TABLE births.u (customer_id bigint, c bigint DEFAULT births.f(1))")
    connection.commit()
    assert ask(cursor, "SELECT o FROM births.v WHERE customer_id = 2") == [(3,)]
    connection.commit()
    for committed in (False, True):
        cursor.execute("CREATE OR REPLACE FUNCTION births.f(x bigint) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM births.t'")
        if committed:
            connection.commit()
        for sql in ("SELECT o FROM births.v WHERE customer_id = 2", "INSERT INTO births.u (customer_id) VALUES (1), (2), (3)"):
            cursor.execute("SAVEPOINT s")
            assert code_of(cursor, sql)[0] == "0A000"
            cursor.execute("ROLLBACK TO s")
        connection.rollback()


def test_functions_with_the_names_of_the_servers_own(cluster, connection, cursor):
    cursor.execute("CREATE TABLE births.t (customer_id bigint, name text)")
    cursor.execute(f"INSERT INTO births.t VALUES {ROWS}")
    connection.commit()
    cursor.execute("CREATE FUNCTION births.round(double precision, int) RETURNS numeric LANGUAGE sql AS 'SELECT count(*)::numeric FROM births.t'")
    cursor.execute("SET LOCAL search_path = births, public")
    cursor.execute("SAVEPOINT s")
    for sql in ("SELECT round(customer_id::float8, 1) FROM births.t WHERE customer_id < 4", "SELECT round(1::float8, 1)",
                "UPDATE births.t SET name = round(1::float8, 1)::text"):
        assert code_of(cursor, sql)[0] == "0A000"
        cursor.execute("ROLLBACK TO s")
    assert ask(cursor, "SELECT count(*) FROM births.t") == [(len(KEYS),)]
    connection.rollback()


def test_one_migration_behind_the_other(braid, connection, cursor):
    """The second has locked a table with a default by the time that it uses what the first has made."""
    cursor.execute("CREATE TABLE births.t (customer_id bigint, name text DEFAULT lower('X'))")
    connection.commit()
    cursor.execute("CREATE TABLE births.u (customer_id bigint)")
    connection.commit()
    cursor.execute("TRUNCATE births.t")
    cursor.execute("INSERT INTO births.u VALUES (1), (2)")
    cursor.execute("ALTER TABLE births.t ADD more int DEFAULT 1")
    assert ask(cursor, "SELECT count(*) FROM births.u") == [(2,)]
    connection.commit()
