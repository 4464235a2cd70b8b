"""sharding.sequence_blocks: numbers that a worker has drawn ahead. None is given twice, and nobody gets one who may not."""

import threading

import psycopg2
import pytest

from braid import sharded_topology
from wire import ServerError

BLOCK = 10
TABLES = """
CREATE TABLE drawn (id bigserial PRIMARY KEY, note text);
CREATE TABLE counted (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
CREATE SEQUENCE down INCREMENT -2 MAXVALUE -1 MINVALUE -250 START -1;
CREATE TABLE downward (id int PRIMARY KEY DEFAULT nextval('down'), note text);
CREATE SEQUENCE few MAXVALUE 125;
CREATE TABLE fewest (id int PRIMARY KEY DEFAULT nextval('few'), note text);
CREATE SEQUENCE only_updated;
CREATE TABLE updated (id int PRIMARY KEY DEFAULT nextval('only_updated'), note text);
GRANT ALL ON drawn, counted, downward, fewest, updated, drawn_id_seq, counted_id_seq, down, few TO app;
GRANT UPDATE ON only_updated TO app;
GRANT ALL ON drawn TO reader;
ALTER TABLE drawn OWNER TO app;
"""
NAMES = ("drawn", "counted", "downward", "fewest", "updated")


@pytest.fixture
def tables(cluster):
    for shard in cluster.shards:
        shard.primary.query("CREATE ROLE reader LOGIN PASSWORD 'secret'; GRANT reader TO app")
        shard.primary.query(TABLES)
    yield
    for shard in cluster.shards:
        shard.primary.query(f"DROP TABLE {', '.join(NAMES)}; DROP SEQUENCE down, few, only_updated; DROP OWNED BY reader; DROP ROLE reader")


@pytest.fixture
def started(cluster, tables, start_braid):
    def start(workers=1):
        top = sharded_topology(cluster, workers=workers)
        sharding = top["databases"]["shop"]["sharding"]
        sharding["sequence_blocks"] = BLOCK
        sharding["tables"] |= {name: {"key": "id"} for name in NAMES}
        return start_braid(top)
    return start


def insert(client, table, rows=1):
    """The ids."""
    values = ", ".join(["('x')"] * rows)
    return [int(row[0]) for row in client.query(f"INSERT INTO {table} (note) VALUES {values} RETURNING id")]


def last_value(cluster, sequence):
    return cluster.shards[0].primary.value(f"SELECT last_value FROM {sequence}")


def test_one_insert_in_so_many_asks_the_first_shard(cluster, started):
    with started().raw() as one:
        assert [insert(one, "drawn")[0] for _ in range(BLOCK)] == list(range(1, BLOCK + 1))
        assert last_value(cluster, "drawn_id_seq") == BLOCK
        assert insert(one, "drawn", 3) == [11, 12, 13]
        assert insert(one, "drawn", 25) == list(range(21, 46)), "more than there are: they are drawn together"
        assert insert(one, "drawn", 7) == list(range(14, 21))
        assert insert(one, "counted") == [1] and insert(one, "counted") == [2]
        one.query("BEGIN")
        one.query("INSERT INTO drawn (note) VALUES ('undone')")
        one.query("ROLLBACK")
        assert one.value("SELECT count(*) FROM drawn") == "45"


def test_a_sequence_that_goes_down_or_ends(cluster, started):
    with started().raw() as one:
        assert [insert(one, "downward")[0] for _ in range(125)] == list(range(-1, -251, -2))
        with pytest.raises(ServerError) as told:
            insert(one, "downward")
        assert told.value.sqlstate == "2200H"
        assert [insert(one, "fewest")[0] for _ in range(125)] == list(range(1, 126))
        with pytest.raises(ServerError) as told:
            insert(one, "fewest")
        assert told.value.sqlstate == "2200H"


def test_who_may_not_use_the_sequence(started):
    braid = started()
    with braid.raw() as one:
        assert insert(one, "drawn") == [1]
        assert insert(one, "updated") == [1] and insert(one, "updated") == [2], "UPDATE is enough for nextval()"
        one.query("SET ROLE reader")
        with pytest.raises(ServerError) as told:
            insert(one, "drawn")
        assert told.value.sqlstate == "42501"
        one.query("RESET ROLE")
        assert insert(one, "drawn") == [2]


def test_a_sequence_that_is_set(cluster, started):
    with started().raw() as one:
        assert insert(one, "drawn") == [1]
        one.query("SELECT setval('drawn_id_seq', 1000)")
        assert insert(one, "drawn") == [1001]
        one.query("ALTER SEQUENCE drawn_id_seq RESTART WITH 2000")
        assert insert(one, "drawn") == [2000]
        one.query("BEGIN")
        one.query("TRUNCATE drawn RESTART IDENTITY")
        assert insert(one, "drawn", 2) == [1, 2]
        one.query("ROLLBACK")
        assert min(insert(one, "drawn", 2)) > 2000
        one.query("TRUNCATE drawn RESTART IDENTITY")
        assert insert(one, "drawn", 2) == [1, 2]


def test_what_is_asked_of_the_last_number(started):
    """The first one who asks is refused if its number came from a block; from then on numbers are drawn where they can be asked for."""
    with started().raw() as one:
        insert(one, "drawn")
        one.query("BEGIN")
        insert(one, "drawn")
        with pytest.raises(ServerError) as told:
            one.query("SELECT currval('drawn_id_seq')")
        assert told.value.sqlstate == "55000"
        one.query("ROLLBACK")
        one.query("BEGIN")
        given = insert(one, "drawn")
        assert one.value("SELECT currval('drawn_id_seq')") == one.value("SELECT lastval()") == str(given[0])
        one.query("COMMIT")


def test_many_clients_over_workers(cluster, started):
    braid = started(workers=2)
    given, failed = [], []

    def work(rows):
        connection = braid.connect(autocommit=True)
        try:
            with connection.cursor() as cursor:
                for n in range(60):
                    cursor.execute("INSERT INTO drawn (note) VALUES " + ", ".join(["('x')"] * (rows + n % 3)) + " RETURNING id")
                    given.extend(row[0] for row in cursor.fetchall())
        except psycopg2.Error as error:
            failed.append(error)
        finally:
            connection.close()

    clients = [threading.Thread(target=work, args=(rows,)) for rows in (1, 1, 1, 2, 4, 11)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert not failed
    assert len(given) == len(set(given)) == 60 * (6 + 20)
    assert sum(shard.primary.value("SELECT count(*) FROM drawn") for shard in cluster.shards) == len(given)
