"""pgbraid.id(): numbers that no two shards give twice, whatever draws them, and what keeps the shards' numbers apart."""

import contextlib
import io
import threading

import psycopg2
import pytest

from braid import Braid, plain_topology, sharded_topology
from cluster import bucket_sql
from waiting import wait_until

NUMBER = "SELECT substring(prosrc FROM ': number (\\d+)')::int FROM pg_proc WHERE oid = 'pgbraid.id()'::regprocedure"
BODY = "SELECT prosrc FROM pg_proc WHERE oid = 'pgbraid.id()'::regprocedure"
TABLES = """
CREATE TABLE ids.items (id bigint PRIMARY KEY DEFAULT pgbraid.id(), note text);
CREATE TABLE ids.lines (item bigint, id bigint DEFAULT pgbraid.id(), n int, PRIMARY KEY (item, id));
CREATE TABLE ids.tags (id bigint PRIMARY KEY DEFAULT pgbraid.id(), name text);
CREATE TABLE ids.alone (id bigint PRIMARY KEY DEFAULT pgbraid.id(), note text);
"""


def number_of(value):
    """Of the shard that gave an id."""
    return value >> 13 & 511


def topology(cluster, **changes):
    top = sharded_topology(cluster, **changes)
    top["monitor"]["catalog_interval"] = "1s"
    sharding = top["databases"]["shop"]["sharding"]
    sharding["tables"] |= {"ids.items": {"key": "id"}, "ids.lines": {"key": "item"}}
    sharding["reference_tables"].append("ids.tags")
    sharding["unsharded"]["ids.alone"] = cluster.shards[1].name
    return top


def rows(where, sql):
    connection = where.connect(autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()
    finally:
        connection.close()


def numbers(cluster):
    return [shard.primary.value(NUMBER) for shard in cluster.shards]


def are_told_apart(cluster):
    found = [shard.primary.query(NUMBER.replace("'pgbraid.id()'::regprocedure", "to_regprocedure('pgbraid.id()')"))
             for shard in cluster.shards]
    return all(found) and len({one[0][0] for one in found}) == len(cluster.shards)


@pytest.fixture(scope="module")
def schema(cluster):
    for shard in cluster.shards:
        shard.primary.query("CREATE SCHEMA ids AUTHORIZATION app")
    yield
    for shard in cluster.shards:
        shard.primary.query("DROP SCHEMA ids CASCADE")


@pytest.fixture(scope="module")
def braids(cluster, schema):
    """Two instances that start at once where no shard has a number yet."""
    for shard in cluster.shards:
        shard.primary.query("DROP SCHEMA IF EXISTS pgbraid CASCADE")
    pair = [Braid(topology(cluster)) for _ in range(2)]
    try:
        for braid in pair:
            braid.start(wait=False)
        for braid in pair:
            braid.wait_ready()
        assert sorted(numbers(cluster)) == [0, 1]
        # By a user who owns nothing but the schema.
        with pair[0].connect() as connection, connection.cursor() as cursor:
            for statement in TABLES.split(";\n")[:-1]:
                cursor.execute(statement)
        connection.close()
        for braid in pair:
            wait_until(lambda b=braid: rows(b, "SELECT count(*) FROM ids.items, ids.lines, ids.tags") == [(0,)], 20, "the tables")
        yield pair
    finally:
        for braid in pair:
            try:
                braid.stop()
            finally:
                braid.kill()
                braid.remove()


WAYS = [
    "INSERT INTO ids.items (note) VALUES ('a') RETURNING id",
    "INSERT INTO ids.items (note) VALUES ('a'), ('b'), ('c') RETURNING id",
    "INSERT INTO ids.items VALUES (pgbraid.id(), 'a'), (pgbraid.id(), 'b') RETURNING id",
    "INSERT INTO ids.items DEFAULT VALUES RETURNING id",
    "INSERT INTO ids.items (note) SELECT name FROM customers WHERE id < 20 RETURNING id",
    "INSERT INTO ids.lines (item, n) SELECT g, 1 FROM generate_series(1, 20) g RETURNING id",
    "INSERT INTO ids.lines (item, n) VALUES (1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1) RETURNING id",
    "INSERT INTO ids.lines VALUES (7, pgbraid.id(), 1), (8, pgbraid.id(), 1), (9, pgbraid.id(), 1) RETURNING id",
    "INSERT INTO ids.tags (name) VALUES ('a'), ('b') RETURNING id",
    "INSERT INTO ids.tags VALUES (pgbraid.id(), 'a') RETURNING id",
    "INSERT INTO ids.alone (note) VALUES ('a') RETURNING id",
    "SELECT pgbraid.id()",
    "SELECT pgbraid.id() FROM customers",
    "SELECT pgbraid.id() FROM customers WHERE id = 5",
]


def test_no_id_is_given_twice(cluster, braids):
    given, failed = [], []

    def draw(braid):
        connection = braid.connect(autocommit=True)
        try:
            with connection.cursor() as cursor:
                for _ in range(15):
                    for sql in WAYS:
                        cursor.execute(sql)
                        given.extend(row[0] for row in cursor.fetchall())
        except psycopg2.Error as error:
            failed.append(error)
        finally:
            connection.close()

    clients = [threading.Thread(target=draw, args=(braid,)) for braid in braids for _ in range(3)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert not failed
    assert len(given) > 5000 and len(set(given)) == len(given)
    assert {number_of(value) for value in given} == {0, 1}
    stored = [row[0] for table in ("items", "lines", "alone", "tags") for row in rows(braids[0], f"SELECT id FROM ids.{table}")]
    assert len(set(stored)) == len(stored) and set(stored) <= set(given)
    # Keys are drawn before, other columns where the row is.
    for shard in cluster.shards:
        assert {number_of(v) for v, in shard.primary.query("SELECT id FROM ids.lines WHERE item <= 6")} == {shard.primary.value(NUMBER)}


def test_copies_of_a_reference_table_are_alike(cluster, braids):
    for sql in ("INSERT INTO ids.tags (name) VALUES ('x'), ('y')", "INSERT INTO ids.tags VALUES (pgbraid.id(), 'z')",
                "INSERT INTO ids.tags SELECT pgbraid.id(), code FROM countries", "INSERT INTO ids.tags SELECT pgbraid.id(), 's' FROM generate_series(1, 5)",
                "UPDATE ids.tags SET id = pgbraid.id() WHERE name = 'z'"):
        with braids[1].connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql)
        connection.close()
    copies = [shard.primary.query("SELECT id, name FROM ids.tags ORDER BY 1") for shard in cluster.shards]
    assert copies[0] == copies[1] and len(copies[0]) > 2


def test_copy_draws_what_it_leaves_out(cluster, braids):
    with braids[0].connect() as connection, connection.cursor() as cursor:
        cursor.copy_expert("COPY ids.items (note) FROM STDIN", io.StringIO("".join(f"copied {i}\n" for i in range(500))))
        cursor.copy_expert("COPY ids.lines (item, n) FROM STDIN", io.StringIO("".join(f"{i}\t7\n" for i in range(500))))
        cursor.copy_expert("COPY ids.tags (name) FROM STDIN", io.StringIO("copied\n" * 5))
    connection.close()
    assert rows(braids[0], "SELECT count(DISTINCT id) FROM ids.items WHERE note LIKE 'copied%'") == [(500,)]
    assert rows(braids[0], "SELECT count(DISTINCT id) FROM ids.lines WHERE n = 7") == [(500,)]
    copies = [shard.primary.query("SELECT id FROM ids.tags WHERE name = 'copied' ORDER BY 1") for shard in cluster.shards]
    assert copies[0] == copies[1] and len(copies[0]) == 5


def test_other_writes(cluster, braids):
    with contextlib.closing(braids[0].connect(autocommit=True)) as connection:
        cursor = connection.cursor()
        cursor.execute("UPDATE ids.lines SET id = pgbraid.id()")
        cursor.execute("SELECT count(*), count(DISTINCT id) FROM ids.lines")
        total, different = cursor.fetchone()
        assert total == different > 100
        cursor.execute("INSERT INTO ids.lines VALUES (50001, 1, 1)")
        cursor.execute("INSERT INTO ids.lines VALUES (50001, 1, 2) ON CONFLICT (item, id) DO UPDATE SET id = pgbraid.id() RETURNING id")
        assert cursor.fetchone()[0] > 1 << 22
        cursor.execute("MERGE INTO ids.lines l USING (VALUES (50002, 9), (50003, 9)) v(item, n) ON l.item = v.item "
                       "WHEN NOT MATCHED THEN INSERT (item, n) VALUES (v.item, v.n)")
        cursor.execute("SELECT count(DISTINCT id) FROM ids.lines WHERE n = 9")
        assert cursor.fetchone() == (2,)


def test_by_the_extended_protocol(braids):
    with braids[1].raw() as client:
        ids = [client.extended(sql)[0][0] for sql in ("INSERT INTO ids.items (note) VALUES ('extended') RETURNING id",
                                                      "INSERT INTO ids.items VALUES (pgbraid.id(), 'extended') RETURNING id",
                                                      "INSERT INTO ids.tags (name) VALUES ('extended') RETURNING id", "SELECT pgbraid.id()")]
    assert len(set(ids)) == 4 and all(number_of(int(value)) in (0, 1) for value in ids)


def test_rows_stand_where_their_ids_belong(cluster, braids):
    for shard in cluster.shards:
        first, last = shard.buckets
        total, misplaced = shard.primary.query(f"SELECT count(*), count(*) FILTER (WHERE ({bucket_sql('id')}) NOT BETWEEN {first} AND {last}) FROM ids.items")[0]
        assert total > 100 and misplaced == 0


def test_others_may_be_called_id(cluster, braids):
    """What is called without its schema may be either."""
    with contextlib.closing(braids[0].connect(autocommit=True)) as connection:
        cursor = connection.cursor()
        for sql in ("CREATE FUNCTION ids.id() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'",
                    "CREATE FUNCTION ids.id(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1'"):
            cursor.execute(sql)
        cursor.execute("SELECT DISTINCT ids.id(), ids.id(5) FROM customers")
        assert cursor.fetchall() == [(1, 6)]
        cursor.execute("SET search_path = pgbraid, public, ids")
        cursor.execute("CREATE FUNCTION ids.either() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT id()'")
        cursor.execute("INSERT INTO ids.tags VALUES (id(), 'either')")
        cursor.execute("SELECT count(DISTINCT id()) > 1 FROM customers")
        assert cursor.fetchone() == (True,)
        with pytest.raises(psycopg2.errors.FeatureNotSupported):
            cursor.execute("INSERT INTO ids.tags VALUES (ids.either(), 'either')")
    copies = [shard.primary.query("SELECT id, name FROM ids.tags ORDER BY 1") for shard in cluster.shards]
    assert copies[0] == copies[1]


def test_a_trigger_that_sets_one(cluster, braids):
    """As with random(): each shard for its rows, but not for a key or a copy."""
    with contextlib.closing(braids[0].connect(autocommit=True)) as connection:
        cursor = connection.cursor()
        cursor.execute("ALTER TABLE ids.lines ADD COLUMN mark bigint; ALTER TABLE ids.tags ADD COLUMN mark bigint; "
                       "CREATE FUNCTION ids.marks() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.mark := pgbraid.id(); RETURN NEW; END'")
        for table in ("lines", "tags"):
            cursor.execute(f"CREATE TRIGGER marks BEFORE INSERT ON ids.{table} FOR EACH ROW EXECUTE FUNCTION ids.marks()")
        cursor.execute("INSERT INTO ids.lines (item) VALUES (60001), (60002), (60003), (60004) RETURNING mark")
        assert len({row[0] for row in cursor.fetchall()}) == 4
        with pytest.raises(psycopg2.errors.FeatureNotSupported):
            cursor.execute("INSERT INTO ids.tags (name) VALUES ('marked')")
        for table in ("lines", "tags"):
            cursor.execute(f"DROP TRIGGER marks ON ids.{table}")


def test_they_grow_with_time(cluster, braids):
    clock = "(extract(epoch FROM clock_timestamp() - '2025-01-01 00:00+00'::timestamptz) * 1000)::bigint"
    with contextlib.closing(braids[0].connect(autocommit=True)) as connection:
        cursor = connection.cursor()
        ids = []
        for _ in range(300):
            cursor.execute("INSERT INTO ids.items (note) VALUES ('in order') RETURNING id")
            ids.append(cursor.fetchone()[0])
        assert [i >> 22 for i in ids] == sorted(i >> 22 for i in ids)
    before, one, after = cluster.shards[0].primary.query(f"SELECT {clock}, pgbraid.id(), {clock}")[0]
    assert before - 1 <= one >> 22 <= after + 1


def test_replicas_are_not_asked(cluster, braids):
    braids[0].wait_replicas(cluster)
    with contextlib.closing(braids[0].connect(autocommit=True)) as connection:
        cursor = connection.cursor()
        for sql in ("SELECT pgbraid.id()", "SELECT pgbraid.id(), c.* FROM customers c", "SELECT * FROM countries WHERE pgbraid.id() > 0",
                    "SELECT pgbraid.id() FROM countries", "SELECT pgbraid.id(), name FROM customers WHERE id = 5"):
            for _ in range(10):
                cursor.execute(sql)
                assert cursor.fetchall()


def test_who_may_do_nothing_else_draws(cluster, braids):
    """Neither the sequences nor a search_path of the caller's count."""
    for shard in cluster.shards:
        shard.primary.query("CREATE SCHEMA trap AUTHORIZATION app_md5")
    try:
        for shard in cluster.shards:
            with contextlib.closing(shard.primary.connect(user="app_md5")) as connection:
                cursor = connection.cursor()
                for name, result in (("nextval(regclass)", "bigint"), ("clock_timestamp()", "timestamptz"), ("setval(regclass, bigint)", "bigint")):
                    cursor.execute(f"CREATE FUNCTION trap.{name} RETURNS {result} LANGUAGE plpgsql AS 'BEGIN RAISE ''trapped''; END'")
                cursor.execute("CREATE FUNCTION trap.shifted(bigint, int) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RAISE ''trapped''; END'")
                cursor.execute("CREATE OPERATOR trap.<< (LEFTARG = bigint, RIGHTARG = int, FUNCTION = trap.shifted)")
                cursor.execute("CREATE TEMP SEQUENCE id_number; CREATE TEMP TABLE pg_proc (a int)")
                cursor.execute("SET search_path = trap, pg_temp, pg_catalog")
                cursor.execute("SELECT pgbraid.id()")
                assert number_of(cursor.fetchone()[0]) == shard.primary.value(NUMBER)
                for sql in ("SELECT pg_catalog.nextval('pgbraid.id_number')", "SELECT pg_catalog.setval('pgbraid.id_time', 1)", "CREATE TABLE pgbraid.mine (a int)"):
                    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                        cursor.execute(sql)
    finally:
        for shard in cluster.shards:
            shard.primary.query("DROP SCHEMA trap CASCADE")


def test_a_clock_that_has_gone_back(cluster, braids):
    primary = cluster.shards[0].primary
    last = primary.value("SELECT last_value FROM pgbraid.id_time")
    try:
        primary.query("SELECT setval('pgbraid.id_time', last_value + 3600000) FROM pgbraid.id_time")
        with pytest.raises(psycopg2.errors.ObjectNotInPrerequisiteState, match="behind the ids"):
            primary.query("SELECT pgbraid.id()")
        # For a little while it waits.
        ahead = primary.value("SELECT setval('pgbraid.id_time', (extract(epoch FROM clock_timestamp()) * 1000)::bigint - 1735689600000 + 400)")
        assert primary.value("SELECT pgbraid.id()") >> 22 >= ahead
    finally:
        primary.query("SELECT setval('pgbraid.id_time', %s)", (last,))


def test_the_counter_comes_round(cluster, braids):
    primary = cluster.shards[0].primary
    total, different = primary.query("SELECT count(*), count(DISTINCT id) FROM (SELECT pgbraid.id() FROM generate_series(1, 50000)) t(id)")[0]
    assert total == different == 50000


def test_checks_find_nothing_to_say(braids):
    """Neither the schema pgbraid, other on each shard, nor what stands behind these defaults."""
    told = braids[0].command("check", "--servers")
    assert told.returncode == 0 and "ids." not in told.stdout + told.stderr and "pgbraid." not in told.stdout + told.stderr, told.stdout + told.stderr


def test_numbers_stay(cluster, braids, start_braid):
    """Other names, another order and a restart change nothing."""
    before, bodies = numbers(cluster), [shard.primary.value(BODY) for shard in cluster.shards]
    top = topology(cluster)
    database = top["databases"]["shop"]
    for shard in database["shards"]:
        shard["name"] = "other_" + shard["name"]
    database["shards"].reverse()
    database["sharding"].pop("unsharded")
    database["sharding"]["tables"] = {}
    database["sharding"]["reference_tables"] = []
    braid = start_braid(top, wait=False)
    wait_until(lambda: "database shop is served" in braid.log(), 20, "served")
    assert numbers(cluster) == before
    last = cluster.shards[0].primary.value("SELECT pgbraid.id()")
    cluster.shards[0].primary.restart("immediate")
    assert cluster.shards[0].primary.value("SELECT pgbraid.id()") > last
    wait_until(lambda: rows(braids[0], "SELECT pgbraid.id() FROM customers"), 30, "the shard is back")
    assert numbers(cluster) == before
    assert [shard.primary.value(BODY) for shard in cluster.shards] == bodies


def test_a_copied_function_gives_nothing(cluster, braids):
    """As from a dump of the first shard: it knows that it is elsewhere, and is made anew."""
    first, second = cluster.shards[0].primary, cluster.shards[1].primary
    number = second.value(NUMBER)
    for braid in braids:
        braid.stop()
    copied = first.value("SELECT pg_get_functiondef('pgbraid.id()'::regprocedure)")
    second.query(copied)
    second.query("SELECT setval('pgbraid.id_time', 1)")
    with pytest.raises(psycopg2.errors.ObjectNotInPrerequisiteState, match="no number for its ids"):
        second.query("SELECT pgbraid.id()")
    for braid in braids:
        braid.start()
    assert are_told_apart(cluster) and second.value(NUMBER) != number
    given = [server.value("SELECT pgbraid.id()") for server in (first, second)]
    assert number_of(given[0]) != number_of(given[1])


def test_a_shard_with_anothers_number_is_found(cluster, braids):
    """As a physical copy has it: the function cannot know."""
    first, second = cluster.shards[0].primary, cluster.shards[1].primary
    mine, other = first.value(NUMBER), second.value(NUMBER)
    marks = [braid.log_mark() for braid in braids]
    body = second.value(BODY).replace(f": number {other},", f": number {mine},").replace(f"({other}::", f"({mine}::")
    second.query("CREATE OR REPLACE FUNCTION pgbraid.id() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS %s", (body,))
    assert not are_told_apart(cluster)
    wait_until(lambda: are_told_apart(cluster), 20, "numbers of their own")
    assert second.value(NUMBER) not in (mine, other)
    assert any("give ids with the same number" in braid.log(mark) for braid, mark in zip(braids, marks))
    wait_until(lambda: rows(braids[0], "INSERT INTO ids.items (note) VALUES ('after') RETURNING id"), 20, "an id")


def test_a_schema_without_it_gets_it(cluster, braids):
    """As an older pgbraid has made it. What had been given stays with the other shards."""
    second = cluster.shards[1].primary
    given = max(numbers(cluster))
    second.query("DROP FUNCTION pgbraid.id() CASCADE; DROP SEQUENCE pgbraid.id_number, pgbraid.id_time")
    wait_until(lambda: are_told_apart(cluster), 20, "numbers of their own")
    assert second.value(NUMBER) == given + 1 and second.value("SELECT pgbraid.id()") >> 22 > 0
    for table in ("items", "lines", "tags", "alone"):
        second.query(f"ALTER TABLE ids.{table} ALTER id SET DEFAULT pgbraid.id()")


def test_one_shard_gets_it_where_the_schema_is(fresh_shard, start_braid):
    primary = fresh_shard.primary
    braid = start_braid(plain_topology([primary], monitor={"user": "postgres", "password_env": "PGBRAID_MONITOR_PASSWORD", "catalog_interval": "1s"}))
    assert primary.value("SELECT to_regnamespace('pgbraid') IS NULL")
    primary.query("CREATE SCHEMA pgbraid")
    wait_until(lambda: primary.value("SELECT to_regprocedure('pgbraid.id()') IS NOT NULL"), 20, "the function")
    assert number_of(rows(braid, "SELECT pgbraid.id()")[0][0]) == 0
    assert primary.value("SELECT to_regclass('pgbraid.commit_record') IS NULL")
    # In another database of the server, as one made from this as its template has it, it gives none, not even at once.
    function = primary.value("SELECT pg_get_functiondef('pgbraid.id()'::regprocedure)")
    last = primary.value("SELECT pgbraid.id() >> 22")
    primary.query("CREATE SCHEMA pgbraid; CREATE SEQUENCE pgbraid.id_number; CREATE SEQUENCE pgbraid.id_time; "
                  f"SELECT setval('pgbraid.id_time', {last}); " + function.replace("%", "%%"), (), dbname="postgres")
    with pytest.raises(psycopg2.errors.ObjectNotInPrerequisiteState, match="no number for its ids"):
        primary.query("SELECT pgbraid.id()", dbname="postgres")


def test_a_login_that_may_not_make_it(fresh_cluster, start_braid):
    for shard in fresh_cluster.shards:
        shard.primary.query("CREATE ROLE watcher LOGIN PASSWORD 'watched' IN ROLE pg_monitor, pg_read_all_data")
        shard.wait_for_replay()
    braid = start_braid(sharded_topology(fresh_cluster, monitor={"user": "watcher", "password": "watched"}))
    assert "not every shard has a number for pgbraid.id()" in braid.log()
    assert rows(braid, "SELECT count(*) FROM countries")
    with pytest.raises((psycopg2.errors.UndefinedFunction, psycopg2.errors.InvalidSchemaName)):
        rows(braid, "SELECT pgbraid.id()")


def test_a_promoted_copy_as_a_shard_of_its_own(fresh_cluster, start_braid):
    """A third shard that was the first one's replica: the same system identifier, the same function."""
    first = fresh_cluster.shards[0]
    top = topology(fresh_cluster)
    sharding = top["databases"]["shop"]["sharding"]
    sharding["tables"], sharding["reference_tables"] = {}, []
    del sharding["unsharded"]
    shards = top["databases"]["shop"]["shards"]
    for shard, listed in zip(fresh_cluster.shards, shards):
        listed["servers"] = [shard.primary.address]
    braid = start_braid(top, wait=False)
    wait_until(lambda: are_told_apart(fresh_cluster), 20, "numbers")
    first.wait_for_replay()
    copied = first.replicas[0]
    copied.promote()
    assert copied.value(NUMBER) == first.primary.value(NUMBER)
    shards.append({"name": "copied", "servers": [copied.address]})
    braid.write(top)
    mark = braid.log_mark()
    braid.reload()
    wait_until(lambda: "reloaded" in braid.log(mark), 20, "reloaded")
    found = {copied.value(NUMBER), *numbers(fresh_cluster)}
    assert len(found) == 3
    assert number_of(copied.value("SELECT pgbraid.id()")) == copied.value(NUMBER)
