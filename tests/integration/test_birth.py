"""Tables that are sharded from their birth, by patterns of the topology: whoever creates them, and from the first row on."""

import copy

import psycopg2
import pytest

from braid import Braid, sharded_topology
from waiting import wait_until
from wire import bind, errors, execute, parse, sync

KEYS = range(1, 41)
ROWS = ", ".join(f"({k}, 'row {k}')" for k in KEYS)


def topology(cluster, catalog_interval="1min", patterns=None, **changes):
    top = sharded_topology(cluster, **changes)
    top["monitor"]["catalog_interval"] = catalog_interval
    top["databases"]["shop"]["sharding"]["patterns"] = patterns or [
        {"tables": "births.pair*", "key": ["tenant", "region"]}, {"tables": ["births.*", "nowhere.x?"], "key": "customer_id"}]
    return top


def everywhere(cluster, sql):
    for shard in cluster.shards:
        shard.primary.query(sql)


@pytest.fixture
def schema(cluster):
    everywhere(cluster, "CREATE SCHEMA births AUTHORIZATION app; CREATE SCHEMA aside AUTHORIZATION app; GRANT REFERENCES ON customers TO app")
    yield
    everywhere(cluster, "DROP SCHEMA births CASCADE; DROP SCHEMA aside CASCADE; REVOKE REFERENCES ON customers FROM app")


@pytest.fixture
def braid(cluster, schema):
    """Its catalog is looked at when something has passed through it, and else once in a minute."""
    with Braid(topology(cluster)) as process:
        yield process


@pytest.fixture
def session(braid):
    connection = braid.connect(autocommit=True)
    yield connection.cursor()
    connection.close()


def keys_on(cluster, table, column="customer_id"):
    return [[row[0] for row in shard.primary.query(f"SELECT {column} FROM {table} ORDER BY 1")] for shard in cluster.shards]


def owned(cluster, keys=KEYS, type_name="int8"):
    homes = [[] for _ in cluster.shards]
    for key in keys:
        homes[cluster.shards.index(cluster.shard_of(key, type_name))].append(key)
    assert all(homes)
    return [sorted(home) for home in homes]


def code_of(cursor, sql):
    with pytest.raises(psycopg2.Error) as caught:
        cursor.execute(sql)
    return caught.value.pgcode, caught.value.diag.message_primary


def refusal_of(cursor, sql):
    """Why it is refused; "" while it is not."""
    try:
        cursor.execute(sql)
    except psycopg2.Error as refused:
        return refused.diag.message_primary
    return ""


def ask(cursor, sql):
    cursor.execute(sql)
    return cursor.fetchall()


def test_rows_of_a_new_table_are_on_their_owners(cluster, session):
    session.execute("CREATE TABLE births.t (customer_id bigint, name text, PRIMARY KEY (customer_id, name))")
    session.execute(f"INSERT INTO births.t VALUES {ROWS}")
    assert session.rowcount == len(KEYS)
    assert keys_on(cluster, "births.t") == owned(cluster)
    assert ask(session, "SELECT count(*), sum(customer_id) FROM births.t") == [(len(KEYS), sum(KEYS))]
    assert ask(session, "SELECT name FROM births.t WHERE customer_id = 7") == [("row 7",)]
    session.execute("SELECT a.name FROM births.t a JOIN births.t b USING (customer_id) WHERE customer_id = 9")
    assert session.fetchall() == [("row 9",)]
    session.execute("DELETE FROM births.t WHERE customer_id < 11")
    assert session.rowcount == 10


def test_by_the_extended_protocol(cluster, braid):
    client = braid.raw()
    for sql in ("CREATE TABLE births.t (customer_id int, name text)", f"INSERT INTO births.t VALUES {ROWS}"):
        client.send(parse(sql), bind(), execute(), sync())
        assert not errors(client.until_ready())
    client.close()
    assert keys_on(cluster, "births.t") == owned(cluster)


def test_sessions_that_stand_go_by_the_new_definition(cluster, braid, session):
    """Another key's type under the same name: whoever asks after the definition has been told goes by the new one."""
    others = [braid.connect(autocommit=True) for _ in range(4)]
    cursors = [other.cursor() for other in others]
    for type_name in ("bigint", "text", "bigint", "text"):
        session.execute("DROP TABLE IF EXISTS births.t")
        session.execute(f"CREATE TABLE births.t (customer_id {type_name}, name text)")
        for i, cursor in enumerate(cursors):
            cursor.execute("INSERT INTO births.t VALUES " + ", ".join(f"('{k}', 'x')" for k in KEYS if k % 4 == i))
        keys = [str(k) for k in KEYS] if type_name == "text" else KEYS
        assert keys_on(cluster, "births.t") == owned(cluster, keys, "text" if type_name == "text" else "int8")
        assert ask(cursors[0], "SELECT count(*) FROM births.t WHERE customer_id = '5'") == [(1,)]
    for other in others:
        other.close()


def test_in_the_transaction_that_makes_it(cluster, braid):
    """More of this is in test_own_definitions.py."""
    connection = braid.connect()
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE births.t (customer_id int, name text)")
    cursor.execute(f"INSERT INTO births.t VALUES {ROWS}")
    connection.rollback()
    assert code_of(cursor, "SELECT * FROM births.t")[0] == "42P01"
    connection.rollback()
    cursor.execute("CREATE TABLE births.t (customer_id int REFERENCES public.customers, name text)")
    # What it refers to has not been made by it.
    assert ask(cursor, "SELECT count(*) FROM customers WHERE id = 1") == [(1,)]
    connection.commit()
    cursor.execute("DROP TABLE births.t")
    cursor.execute("CREATE TABLE births.t (customer_id text, name text)")
    cursor.execute("INSERT INTO births.t VALUES ('1', '')")
    connection.rollback()
    cursor.execute("ALTER TABLE births.t RENAME TO u")
    for name in ("t", "u"):
        cursor.execute("SAVEPOINT s")
        assert code_of(cursor, f"INSERT INTO births.{name} VALUES (1, '')")[0] == "0A000"
        cursor.execute("ROLLBACK TO s")
    connection.commit()
    cursor.execute("INSERT INTO births.u VALUES (1, '')")
    connection.commit()
    connection.close()


def test_a_restart_and_another_instance(cluster, braid, session, start_braid):
    session.execute("CREATE TABLE births.t (customer_id bigint, name text)")
    session.execute(f"INSERT INTO births.t VALUES {ROWS}")
    other = start_braid(topology(cluster, "100ms"))
    second = other.connect(autocommit=True).cursor()
    assert ask(second, "SELECT count(*) FROM births.t") == [(len(KEYS),)]
    braid.stop()
    braid.start()
    first = braid.connect(autocommit=True).cursor()
    assert ask(first, "SELECT count(*) FROM births.t WHERE customer_id = 7") == [(1,)]
    first.execute("CREATE TABLE births.later (customer_id bigint)")

    def seen():
        second.execute("INSERT INTO births.later SELECT customer_id FROM births.t")
        return True
    # Not known there yet, it is refused, and nothing has gone anywhere.
    wait_until(seen, 15, "the other instance has seen the table")
    assert keys_on(cluster, "births.later") == owned(cluster)


def test_keys_of_several_columns_go_by_the_first_pattern(cluster, session):
    session.execute("CREATE TABLE births.pair_of (tenant text, region int, customer_id int)")
    session.execute("INSERT INTO births.pair_of VALUES " + ", ".join(f"('t{k}', {k % 3}, 1)" for k in KEYS))
    assert all(keys_on(cluster, "births.pair_of", "tenant"))
    assert ask(session, "SELECT region FROM births.pair_of WHERE tenant = 't5' AND region = 2") == [(2,)]
    # Without those columns the next pattern is meant.
    session.execute("CREATE TABLE births.pairless (customer_id bigint)")
    session.execute("INSERT INTO births.pairless VALUES " + ", ".join(f"({k})" for k in KEYS))
    assert keys_on(cluster, "births.pairless") == owned(cluster)


def test_tables_that_no_pattern_means(cluster, session):
    session.execute("CREATE TABLE births.keyless (id int)")
    assert code_of(session, "INSERT INTO births.keyless VALUES (1)") == (
        "0A000", 'table "births.keyless" is not in the topology of database "shop"')
    session.execute("CREATE TABLE aside.t (customer_id int)")
    assert code_of(session, "SELECT * FROM aside.t")[0] == "0A000"
    # Moved under the pattern, and away again.
    session.execute("ALTER TABLE aside.t SET SCHEMA births")
    session.execute("INSERT INTO births.t VALUES (1), (2), (3)")
    for change in ("RENAME COLUMN customer_id TO owner", "DROP COLUMN customer_id", "ALTER customer_id TYPE text", "ADD x int, DROP customer_id"):
        assert code_of(session, f"ALTER TABLE births.t {change}") == (
            "0A000", 'ALTER TABLE of the sharding key "customer_id" over several shards is not supported')
    session.execute("ALTER TABLE births.t ALTER customer_id TYPE bigint, ADD more int")
    session.execute("ALTER TABLE births.t DROP more")
    assert sorted(ask(session, "SELECT * FROM births.t")) == [(1,), (2,), (3,)]
    session.execute("CREATE VIEW births.v AS SELECT customer_id FROM births.t")
    assert sorted(ask(session, "SELECT * FROM births.v")) == [(1,), (2,), (3,)]


def test_a_partitioned_table_and_its_partitions(cluster, session):
    session.execute("CREATE TABLE births.p (customer_id bigint, tenant text, region int) PARTITION BY LIST (region)")
    session.execute("CREATE TABLE births.pair_one PARTITION OF births.p FOR VALUES IN (1)")
    session.execute("INSERT INTO births.p VALUES " + ", ".join(f"({k}, 't', 1)" for k in KEYS))
    assert keys_on(cluster, "births.p") == owned(cluster)
    # Another pattern would mean it by its name: rows go by their root alone.
    assert code_of(session, "INSERT INTO births.pair_one VALUES (1, 't', 1)")[0] == "0A000"


def test_constraints_that_hold_per_shard(cluster, session):
    session.execute("CREATE TABLE births.t (id int PRIMARY KEY, customer_id int)")
    code, text = code_of(session, "INSERT INTO births.t VALUES (1, 1)")
    assert code == "0A000" and "t_pkey" in text
    session.execute("CREATE TABLE births.parent (customer_id int PRIMARY KEY)")
    session.execute("CREATE TABLE births.child (customer_id int REFERENCES births.parent, other int)")
    session.execute("INSERT INTO births.parent VALUES (1), (2), (3), (4)")
    session.execute("INSERT INTO births.child VALUES (1, 1), (4, 4)")
    session.execute("ALTER TABLE births.child ADD FOREIGN KEY (other) REFERENCES births.parent")
    assert code_of(session, "INSERT INTO births.child VALUES (2, 2)")[0] == "0A000"


def test_a_type_that_can_be_no_key(session):
    session.execute("CREATE TABLE births.t (customer_id json)")
    code, text = code_of(session, "INSERT INTO births.t VALUES ('1')")
    assert code == "0A000" and "has a type that cannot be a sharding key" in text


def test_made_behind_its_back(cluster, schema, start_braid):
    braid = start_braid(topology(cluster, "100ms"))
    cursor = braid.connect(autocommit=True).cursor()

    def told(sql):
        try:
            cursor.execute(sql)
            return "done"
        except psycopg2.Error as error:
            return error.diag.message_primary

    insert = f"INSERT INTO births.t VALUES {ROWS}"
    cluster.shards[0].primary.query("CREATE TABLE births.t (customer_id bigint, name text); GRANT ALL ON births.t TO app")
    wait_until(lambda: told(insert) == 'table "births.t" is meant to be sharded and cannot be: it does not exist on shard s1', 15)
    wait_until(lambda: "table births.t is meant to be sharded and cannot be: it does not exist on shard s1" in braid.log(), 15)
    checked = braid.command("check", "--servers")
    assert checked.returncode == 1 and "births.t" in checked.stdout, checked.stdout
    cluster.shards[1].primary.query("CREATE TABLE births.t (customer_id int, name text); GRANT ALL ON births.t TO app")
    wait_until(lambda: "another type" in told(insert), 15)
    cluster.shards[1].primary.query("ALTER TABLE births.t ALTER customer_id TYPE bigint")
    wait_until(lambda: told(insert) == "done", 15)
    assert keys_on(cluster, "births.t") == owned(cluster)
    # Only where the first shard has none.
    cluster.shards[1].primary.query("CREATE TABLE births.half (customer_id bigint)")
    wait_until(lambda: "does not exist on shard s0" in told("SELECT * FROM births.half"), 15)


def test_rows_that_stand_elsewhere(cluster, schema, start_braid):
    everywhere(cluster, f"CREATE TABLE births.t (customer_id bigint, name text); GRANT ALL ON births.t TO app; INSERT INTO births.t VALUES {ROWS}")
    braid = start_braid(topology(cluster, "100ms"))
    cursor = braid.connect(autocommit=True).cursor()
    code, text = code_of(cursor, "SELECT * FROM births.t")
    assert code == "0A000" and "belongs on shard" in text
    # All others are served.
    assert ask(cursor, "SELECT count(*) FROM countries")[0][0] > 0
    for shard, keys in zip(cluster.shards, owned(cluster)):
        shard.primary.query(f"DELETE FROM births.t WHERE customer_id <> ALL (ARRAY{keys}::bigint[])")

    def served():
        cursor.execute("SELECT count(*) FROM births.t")
        return cursor.fetchone() == (len(KEYS),)
    wait_until(served, 30, "the rows fit")


def test_a_key_in_a_comment_of_create_table(cluster, braid, session, start_braid):
    """No pattern means these tables: the key is kept as a comment on them."""
    session.execute("CREATE TABLE aside.t (tenant_id bigint, name text DEFAULT ';') /* pgbraid: key=tenant_id */;")
    session.execute(f"INSERT INTO aside.t VALUES {ROWS}")
    assert keys_on(cluster, "aside.t", "tenant_id") == owned(cluster)
    session.execute('CREATE TABLE aside.pairs (a text, "B c" int, customer_id int) -- pgbraid: key=(A, "B c")')
    session.execute("INSERT INTO aside.pairs SELECT name, tenant_id, 1 FROM aside.t")
    assert sorted(sum(keys_on(cluster, "aside.pairs", '"B c"'), [])) == list(KEYS)
    assert ask(session, "SELECT customer_id FROM aside.pairs WHERE a = 'row 3' AND \"B c\" = 3") == [(1,)]
    session.execute("ALTER TABLE aside.t RENAME TO u")
    braid.stop()
    braid.start()
    other = start_braid(topology(cluster, "100ms"))
    for process in (braid, other):
        cursor = process.connect(autocommit=True).cursor()
        assert ask(cursor, "SELECT count(*) FROM aside.u WHERE tenant_id = 7") == [(1,)]
    assert "aside.u" in braid.command("route", "SELECT * FROM aside.u WHERE tenant_id = 7").stdout
    cursor = braid.connect(autocommit=True).cursor()
    cursor.execute("DROP TABLE aside.u")
    cursor.execute("CREATE TABLE aside.u (tenant_id bigint)")
    assert code_of(cursor, "SELECT * FROM aside.u")[0] == "0A000"
    # Its own word comes before a pattern's; inside a transaction as outside.
    connection = braid.connect()
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE births.own (customer_id bigint, name text) /* pgbraid: key=name */")
    assert cursor.statusmessage == "CREATE TABLE"
    connection.commit()
    cursor.execute(f"INSERT INTO births.own VALUES {ROWS}")
    connection.commit()
    assert keys_on(cluster, "births.own", "name") == owned(cluster, [f"row {k}" for k in KEYS], "text")
    cursor.execute("CREATE TABLE births.gone (customer_id bigint) /* pgbraid: key=customer_id */")
    connection.rollback()
    assert cluster.shards[0].primary.value("SELECT to_regclass('births.gone')") is None
    connection.close()


def test_a_key_in_a_comment_on_the_table(cluster, braid, session):
    session.execute("CREATE TABLE aside.t (customer_id bigint, name text)")
    assert code_of(session, "SELECT * FROM aside.t")[0] == "0A000"
    session.execute("COMMENT ON TABLE aside.t IS 'Customers'' notes. pgbraid: key=customer_id'")
    session.execute(f"INSERT INTO aside.t VALUES {ROWS}")
    assert keys_on(cluster, "aside.t") == owned(cluster)
    # Writers that are under way would go on by the old one.
    assert code_of(session, "COMMENT ON TABLE aside.t IS 'pgbraid: key=name'")[0] == "0A000"
    session.execute("COMMENT ON TABLE aside.t IS 'pgbraid: key=customer_id'")
    assert ask(session, "SELECT count(*) FROM aside.t") == [(len(KEYS),)]
    cluster.shards[1].primary.query("COMMENT ON TABLE aside.t IS 'pgbraid: key=name'")
    session.execute("CREATE TABLE aside.other (id int)")
    wait_until(lambda: "its key is not the same" in refusal_of(session, "SELECT * FROM aside.t"), 15)


def test_keys_in_comments_that_are_refused(braid, session):
    for sql, why in (("CREATE TABLE IF NOT EXISTS aside.t (a int) /* pgbraid: key=a */", "IF NOT EXISTS"),
                     ("CREATE TABLE aside.t (a int) /* pgbraid: key=1 */", "names no columns"),
                     ("CREATE TABLE aside.t (a int) /* pgbraid: key=(a,a) */", "names no columns"),
                     ("CREATE TABLE aside.t (a int) /* pgbraid: key=(a */", "name=value")):
        code, text = code_of(session, sql)
        assert code == "22023" and why in text
    assert code_of(session, "CREATE INDEX ON customers (name) /* pgbraid: key=1 */")[0] == "0A000"
    client = braid.raw()
    client.send(parse("CREATE TABLE aside.t (a int) /* pgbraid: key=a */"), bind(), execute(), sync())
    refused = errors(client.until_ready())[0]
    client.close()
    assert refused["C"] == "0A000" and "COMMENT ON TABLE" in refused["H"]


def test_reload_with_other_patterns(cluster, braid, session):
    session.execute("CREATE TABLE births.t (customer_id bigint, name text)")
    session.execute(f"INSERT INTO births.t VALUES {ROWS}")
    session.execute("CREATE TABLE births.empty (customer_id bigint, name text)")

    def reload(patterns, word):
        changed = copy.deepcopy(braid.topology)
        changed["databases"]["shop"]["sharding"]["patterns"] = patterns
        mark = braid.log_mark()
        braid.write(changed)
        braid.reload()
        wait_until(lambda: word in braid.log(mark), 20, word)
        return braid.log(mark)

    assert "births.t has a row with name = " in reload([{"tables": "births.*", "key": "name"}], "the new topology is refused")
    assert ask(session, "SELECT count(*) FROM births.t") == [(len(KEYS),)]
    reload([{"tables": "births.e*", "key": "name"}, {"tables": "births.*", "key": "customer_id"}], "reloaded")
    late = braid.connect(autocommit=True)
    late.cursor().execute("INSERT INTO births.empty VALUES " + ROWS)
    late.close()
    assert keys_on(cluster, "births.empty", "name") == owned(cluster, [f"row {k}" for k in KEYS], "text")
    assert ask(session, "SELECT name FROM births.t WHERE customer_id = 3") == [("row 3",)]
    reload([{"tables": "other", "key": "customer_id"}], "reloaded")
    late = braid.connect(autocommit=True)
    assert code_of(late.cursor(), "SELECT * FROM births.t")[1] == 'table "births.t" is not in the topology of database "shop"'
    late.close()
