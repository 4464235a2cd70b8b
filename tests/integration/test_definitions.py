"""Definitions that change tables while these are in use: what goes by the columns, indexes, triggers and functions that the catalog
knows waits for the new ones, or learns them within the transaction itself; what no shard can see to alone is refused."""

import io

import psycopg2
import pytest

from braid import Braid, sharded_topology

ROWS = ", ".join(f"({k}, 'note {k}')" for k in range(1, 41))


def everywhere(cluster, sql):
    for shard in cluster.shards:
        shard.primary.query(sql)


@pytest.fixture(scope="module")
def braid(cluster):
    """Its catalog is looked at when something has passed through it, and else once in a minute."""
    topology = sharded_topology(cluster)
    topology["monitor"]["catalog_interval"] = "1min"
    topology["databases"]["shop"]["sharding"]["patterns"] = [{"tables": "defined.*", "key": "customer_id"}]
    topology["databases"]["shop"]["sharding"]["reference_tables"].append("defined_alike")
    everywhere(cluster, "CREATE SCHEMA defined AUTHORIZATION app; CREATE TABLE public.defined_alike (code text PRIMARY KEY, name text); "
                        "ALTER TABLE public.defined_alike OWNER TO app; GRANT CREATE ON SCHEMA public TO app")
    with Braid(topology) as process:
        yield process
    everywhere(cluster, "DROP SCHEMA defined CASCADE; DROP TABLE public.defined_alike; REVOKE CREATE ON SCHEMA public FROM app")


@pytest.fixture
def session(braid):
    """Outside of transactions, with 40 rows in defined.t over both shards."""
    connection = braid.connect(autocommit=True)
    cursor = connection.cursor()
    cursor.execute("DROP TABLE IF EXISTS defined.t, defined.u")
    cursor.execute("CREATE TABLE defined.t (customer_id int, note text, PRIMARY KEY (customer_id))")
    cursor.execute(f"INSERT INTO defined.t VALUES {ROWS}")
    yield cursor
    connection.close()


@pytest.fixture
def transaction(braid, session):
    connection = braid.connect()
    yield connection.cursor()
    connection.rollback()
    connection.close()


def ask(cursor, sql):
    cursor.execute(sql)
    return cursor.fetchall()


def refused(cursor, sql, code="0A000"):
    with pytest.raises(psycopg2.Error) as caught:
        cursor.execute(sql)
    assert caught.value.pgcode == code, caught.value
    return caught.value.diag.message_primary


def refused_within(cursor, sql):
    """The same in a transaction that goes on."""
    cursor.execute("SAVEPOINT before")
    message = refused(cursor, sql)
    cursor.execute("ROLLBACK TO before")
    return message


def test_in_the_transaction_that_alters_it(transaction):
    transaction.execute("ALTER TABLE defined.t ADD COLUMN more int DEFAULT 5")
    assert ask(transaction, "SELECT * FROM defined.t WHERE customer_id = 7") == [(7, "note 7", 5)]
    assert len(ask(transaction, "SELECT * FROM defined.t")) == 40
    transaction.execute("UPDATE defined.t SET more = 6")
    assert transaction.rowcount == 40
    transaction.execute("INSERT INTO defined.t (customer_id, more) VALUES (101, 1), (102, 2), (103, 3)")
    assert ask(transaction, "SELECT count(*), sum(more) FROM defined.t") == [(43, 246)]
    assert ask(transaction, "SELECT * FROM defined.t ORDER BY customer_id DESC LIMIT 2") == [(103, None, 3), (102, None, 2)]
    assert ask(transaction, "SELECT row_to_json(t)::text FROM defined.t t WHERE t.customer_id > 102 ORDER BY t.customer_id") == [
        ('{"customer_id":103,"note":null,"more":3}',)]
    assert ask(transaction, "SELECT * FROM defined.t NATURAL JOIN defined.t s WHERE customer_id = 7") == [(7, "note 7", 6)]
    transaction.execute("INSERT INTO defined.t VALUES (104, 'x', 1)")
    copied = io.StringIO()
    transaction.copy_expert("COPY defined.t TO STDOUT", copied)
    assert len(copied.getvalue().splitlines()) == 44 and "104\tx\t1" in copied.getvalue()
    transaction.execute("DELETE FROM defined.t WHERE customer_id = 104")
    # Other tables are what they were.
    ask(transaction, "SELECT count(*) FROM customers")
    transaction.connection.commit()
    assert ask(transaction, "SELECT count(*), sum(more) FROM defined.t") == [(43, 246)]


def test_what_is_taken_back(transaction):
    transaction.execute("SAVEPOINT before")
    transaction.execute("ALTER TABLE defined.t ADD COLUMN more int")
    transaction.execute("ROLLBACK TO before")
    assert ask(transaction, "SELECT count(*) FROM defined.t") == [(40,)]
    transaction.execute("SAVEPOINT after")
    transaction.execute("ALTER TABLE defined.t ADD COLUMN more int")
    transaction.execute("RELEASE after")
    assert ask(transaction, "SELECT count(*), count(more) FROM defined.t") == [(40, 0)]
    transaction.execute("ROLLBACK TO before")
    assert refused(transaction, "SELECT count(more) FROM defined.t", "42703")


def test_a_name_that_has_become_a_column(transaction, session):
    """It meant a column of the outer query, and with it the shard; now it means one of the inner one."""
    session.execute("CREATE TABLE defined.u (customer_id int, other int)")
    session.execute("INSERT INTO defined.u SELECT n, 41 - n FROM generate_series(1, 40) n")
    question = "SELECT count(*) FROM defined.t t WHERE EXISTS (SELECT 1 FROM defined.u u WHERE u.customer_id = t.customer_id AND note = 'note 7')"
    assert ask(transaction, question) == [(1,)]
    transaction.execute("ALTER TABLE defined.u ADD COLUMN note text DEFAULT 'note 7'")
    assert ask(transaction, question) == [(40,)]
    transaction.connection.commit()
    assert ask(transaction, question) == [(40,)]


def test_columns_that_have_moved(transaction, session):
    """The key's place among the values of a row without names is another one."""
    session.execute("DROP TABLE defined.t")
    session.execute("CREATE TABLE defined.t (gone int, customer_id int)")
    transaction.execute("ALTER TABLE defined.t DROP COLUMN gone")
    transaction.execute("INSERT INTO defined.t VALUES (1), (2)")
    transaction.connection.commit()
    transaction.execute("INSERT INTO defined.t VALUES (3), (4)")
    transaction.connection.commit()
    assert all(ask(session, f"SELECT customer_id FROM defined.t WHERE customer_id = {k}") == [(k,)] for k in range(1, 5))


def test_tables_that_every_shard_has(transaction, session, cluster):
    session.execute("TRUNCATE defined_alike")
    transaction.execute("ALTER TABLE defined_alike ALTER COLUMN name SET DEFAULT clock_timestamp()::text")
    transaction.execute("INSERT INTO defined_alike (code) VALUES ('a')")
    transaction.connection.commit()
    copies = [shard.primary.query("SELECT name FROM defined_alike") for shard in cluster.shards]
    assert copies == [copies[0]] * len(copies) and len(copies[0]) == 1
    session.execute("TRUNCATE defined_alike")
    session.execute("ALTER TABLE defined_alike ALTER COLUMN name DROP DEFAULT")
    session.execute("INSERT INTO defined_alike (code) VALUES ('a')")
    assert [shard.primary.query("SELECT code, name FROM defined_alike") for shard in cluster.shards] == [[("a", None)]] * 2


def test_triggers(transaction, session):
    """Code behind a table is judged from the statement on that puts it there."""
    session.execute("CREATE OR REPLACE FUNCTION defined.stamp() RETURNS trigger LANGUAGE plpgsql AS "
                    "$$ BEGIN NEW.note := (SELECT count(*) FROM defined.t); RETURN NEW; END $$")
    trigger = "CREATE TRIGGER stamp BEFORE UPDATE ON defined.t FOR EACH ROW EXECUTE FUNCTION defined.stamp()"
    transaction.execute(trigger)
    assert "stamp" in refused_within(transaction, "UPDATE defined.t SET note = 'x' WHERE customer_id = 1")
    transaction.connection.rollback()
    session.execute(trigger)
    assert "stamp" in refused(session, "UPDATE defined.t SET note = 'x' WHERE customer_id = 1")
    session.execute("DROP TRIGGER stamp ON defined.t")
    session.execute("UPDATE defined.t SET note = 'x' WHERE customer_id = 1")


def test_functions_of_triggers_that_are_replaced(transaction, session):
    """A trigger that looks at nothing but its row does no more so from the statement on that changes its function."""
    make = "CREATE OR REPLACE FUNCTION defined.shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := {}; RETURN NEW; END $$"
    session.execute(make.format("upper(NEW.note)"))
    session.execute("CREATE TRIGGER shout BEFORE UPDATE ON defined.t FOR EACH ROW EXECUTE FUNCTION defined.shout()")
    assert ask(session, "UPDATE defined.t SET note = 'x' WHERE customer_id = 1 RETURNING note") == [("X",)]
    session.execute(make.format("(SELECT count(*) FROM defined.t)"))
    assert "shout" in refused(session, "UPDATE defined.t SET note = 'x' WHERE customer_id = 1")
    session.execute(make.format("lower(NEW.note)"))
    assert ask(session, "UPDATE defined.t SET note = 'Y' WHERE customer_id = 1 RETURNING note") == [("y",)]
    transaction.execute(make.format("(SELECT count(*) FROM defined.t)"))
    assert "shout" in refused_within(transaction, "UPDATE defined.t SET note = 'x' WHERE customer_id = 1")
    transaction.connection.rollback()
    session.execute("DROP TRIGGER shout ON defined.t")


def test_functions_that_are_replaced(transaction, session):
    """What is asked of each shard goes by what a function is now."""
    make = "CREATE OR REPLACE FUNCTION defined.told() RETURNS bigint LANGUAGE sql {} AS '{}'"
    session.execute(make.format("IMMUTABLE", "SELECT 5::bigint"))
    assert ask(session, "SELECT defined.told()") == [(5,)]
    transaction.execute(make.format("STABLE", "SELECT count(*) FROM defined.t"))
    assert "told" in refused_within(transaction, "SELECT defined.told()")
    transaction.connection.commit()
    assert "told" in refused(session, "SELECT defined.told()")
    session.execute("DROP FUNCTION defined.told()")


def test_what_a_function_calls(session):
    """What is behind a function that was proved to read no table is another one now."""
    session.execute("CREATE OR REPLACE FUNCTION defined.inner_one() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT 5::bigint'")
    session.execute("CREATE OR REPLACE FUNCTION defined.outer_one() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT defined.inner_one()'")
    ask(session, "SELECT count(*) FROM defined.t")
    session.execute("CREATE OR REPLACE FUNCTION defined.inner_one() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM defined.t'")
    refused(session, "SELECT defined.outer_one()")
    session.execute("CREATE FUNCTION defined.version() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM defined.t'")
    refused(session, "SELECT defined.version()")
    session.execute("DROP FUNCTION defined.outer_one(), defined.inner_one(), defined.version()")


def test_a_function_of_a_name_that_is_built_in(session):
    """It is another one for another type, or in front of pg_catalog: statements that call it name no function of users."""
    ask(session, "SELECT upper('x')")
    session.execute("CREATE FUNCTION public.upper(int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM defined.t'")
    refused(session, "SELECT upper(5)")
    session.execute("DROP FUNCTION public.upper(int)")
    assert ask(session, "SELECT upper('x')") == [("X",)]


def test_types_of_which_plans_do_not_tell(session):
    """A new domain's collation is not the column's: words in two steps would be put in the column's order."""
    session.execute("CREATE DOMAIN defined.word AS text COLLATE \"C\"")
    assert ask(session, "SELECT min(note::defined.word), max(note::defined.word) FROM defined.t") == [("note 1", "note 9")]
    session.execute("DROP DOMAIN defined.word")
    assert "does not exist" in refused(session, "SELECT min(note::defined.word) FROM defined.t", "42704")


def test_views_below_views(session):
    session.execute("CREATE VIEW defined.below AS SELECT code FROM defined_alike")
    session.execute("CREATE VIEW defined.above AS SELECT code FROM defined.below")
    session.execute("CREATE OR REPLACE VIEW defined.below AS SELECT note AS code FROM defined.t")
    assert ask(session, "SELECT count(*) FROM defined.above") == [(40,)]
    session.execute("DROP VIEW defined.below CASCADE")


def test_views_whose_rows_are_one_servers(session, cluster):
    """Each shard has one, and one of them is asked; what is said of it is said of all."""
    def on_all():
        return [shard.primary.query("SELECT definition ~ 'one', obj_description(viewname::regclass) FROM pg_views WHERE viewname = 'moment'")
                for shard in cluster.shards]
    session.execute("CREATE VIEW public.moment AS SELECT now() AS at")
    assert ask(session, "SELECT count(*) FROM moment") == [(1,)]
    session.execute("CREATE OR REPLACE VIEW public.moment AS SELECT now() AS at, 1 AS one")
    session.execute("COMMENT ON VIEW public.moment IS 'x'")
    assert ask(session, "SELECT one FROM moment") == [(1,)] and on_all() == [[(True, "x")]] * len(cluster.shards)
    session.execute("DROP VIEW public.moment")
    assert on_all() == [[]] * len(cluster.shards)


def test_rows_of_a_table_of_all_shards_are_not_those_of_a_sharded_one(session, transaction):
    """They would count once for each shard."""
    transaction.execute("CREATE TABLE defined.heir (customer_id int NOT NULL, note text)")
    refused_within(transaction, "ALTER TABLE public.defined_alike INHERIT defined.t")
    refused_within(transaction, "ALTER TABLE defined.t INHERIT public.defined_alike")
    transaction.execute("ALTER TABLE defined.heir INHERIT defined.t")


def test_a_view_whose_columns_have_other_names_below(session, transaction):
    """A view keeps its columns, whatever they are called in its table."""
    session.execute("CREATE VIEW defined.notes AS SELECT note FROM defined.t")
    assert ask(session, "SELECT count(DISTINCT note) FROM defined.notes") == [(40,)]
    transaction.execute("ALTER TABLE defined.t RENAME COLUMN note TO former")
    transaction.execute("ALTER TABLE defined.t ADD COLUMN note text DEFAULT 'same'")
    assert ask(transaction, "SELECT count(DISTINCT note) FROM defined.notes") == [(40,)]
    transaction.connection.commit()
    assert ask(session, "SELECT count(DISTINCT note) FROM defined.notes") == [(40,)]
    session.execute("DROP VIEW defined.notes")


def test_a_table_that_is_full_under_another_name(session, transaction):
    session.execute("UPDATE defined.t SET note = 'same'")
    transaction.execute("ALTER TABLE defined.t RENAME TO u")
    refused_within(transaction, "CREATE UNIQUE INDEX u_note ON defined.u (note)")
    transaction.connection.commit()
    assert "uniqueness" in refused(session, "CREATE UNIQUE INDEX u_note ON defined.u (note)")
    session.execute("ALTER TABLE defined.u RENAME TO t")
    assert "uniqueness" in refused(session, "ALTER TABLE defined.t ADD UNIQUE (note)")


def test_a_new_column_that_is_unique(transaction):
    transaction.execute("ALTER TABLE defined.t ADD COLUMN email text UNIQUE")
    refused_within(transaction, "UPDATE defined.t SET email = 'same'")


@pytest.mark.parametrize("definition", [
    "CREATE UNIQUE INDEX t_note ON defined.t (note)", "CREATE UNIQUE INDEX CONCURRENTLY t_note ON defined.t (note)",
    "ALTER TABLE defined.t ADD UNIQUE (note)", "ALTER TABLE defined.t ADD COLUMN same int DEFAULT 1 UNIQUE",
    "ALTER TABLE defined.t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (note)"])
def test_what_no_shard_can_see_to_alone(session, definition):
    """Two rows of one note on two shards: one server would refuse the index."""
    session.execute("UPDATE defined.t SET note = 'same'")
    message = refused(session, definition)
    assert 'for uniqueness without the sharding key of "defined.t"' in message
    session.execute("CREATE UNIQUE INDEX t_both ON defined.t (note, customer_id)")
    session.execute("INSERT INTO defined.t VALUES (50, 'same')")


def test_domains_whose_checks_read_tables(session):
    """A cast is as much a call of the check's function as any other."""
    session.execute("CREATE FUNCTION defined.all_there(text) RETURNS bool LANGUAGE sql AS 'SELECT count(*) = 40 FROM defined.t'")
    session.execute("CREATE DOMAIN defined.there AS text CHECK (defined.all_there(VALUE))")
    session.execute("CREATE DOMAIN defined.short AS text CHECK (length(VALUE) < 9)")
    for sql in ("SELECT 'x'::defined.there FROM defined.t WHERE customer_id = 1", "SELECT count(*) FROM defined.t WHERE note = 'x'::defined.there",
                "SELECT 'x'::defined.there", "SELECT CAST(ARRAY[note] AS defined.there[]) FROM defined.t"):
        assert "a check of domain \"there\"" in refused(session, sql)
    assert ask(session, "SELECT 'x'::defined.short FROM defined.t WHERE customer_id = 1") == [("x",)]
    session.execute("DROP DOMAIN defined.there, defined.short")
    session.execute("DROP FUNCTION defined.all_there(text)")
