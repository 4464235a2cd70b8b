"""Sorted reads over several shards: each sends its rows in order, and they are merged as they come."""

import struct

import pytest

from braid import sharded_topology
from cluster import bucket_sql
from test_memory import Memory, narrow, waits_to_write
from waiting import wait_until
from wire import ServerError, bind, describe_portal, errors, execute, kinds, parse, query, rows, sync, tags

ROWS = 120_000
KEPT = "128kB"


@pytest.fixture(scope="module")
def table(cluster):
    """`big`: rows of 1 to ROWS, each on the shard of its key; 200 bytes each."""
    for shard in cluster.shards:
        low, high = shard.buckets
        shard.primary.query("CREATE TABLE big (id bigint NOT NULL, at timestamptz, score float8, note text COLLATE \"C\", PRIMARY KEY (id))")
        shard.primary.query("INSERT INTO big SELECT n, 'epoch'::timestamptz + n * 1013 % 60000 * '1 minute'::interval, (n * 7919 % 100000) / 7.0, repeat(md5(n::text), 6) "
                            f"FROM generate_series(1, {ROWS}) AS n")
        shard.primary.query(f"DELETE FROM big WHERE NOT {bucket_sql('id')} BETWEEN {low} AND {high}")
        shard.primary.query("GRANT ALL ON big TO app")
    yield "big"
    for shard in cluster.shards:
        shard.primary.query("DROP TABLE big")


@pytest.fixture
def braid(cluster, table, start_braid):
    """Less may be kept than any of these results is."""
    topology = sharded_topology(cluster, limits={"max_gather": KEPT}, workers=1)
    topology["databases"]["shop"]["sharding"]["tables"][table] = {"key": "id"}
    process = start_braid(topology)
    process.wait_replicas(cluster)
    return process


def test_results_of_any_size_in_their_order(client):
    got = client.query("SELECT id, note FROM big ORDER BY id")
    assert [int(row[0]) for row in got] == list(range(1, ROWS + 1))
    got = client.query("SELECT id, at FROM big ORDER BY at DESC, id")
    assert len(got) == ROWS and got == sorted(sorted(got, key=lambda row: int(row[0])), key=lambda row: row[1], reverse=True)
    for sql in ("SELECT note, id FROM big ORDER BY note DESC", "SELECT score, id FROM big ORDER BY 1 DESC, 2"):
        values = [row[0] if "note" in sql else float(row[0]) for row in client.query(sql)]
        assert len(values) == ROWS and values == sorted(values, reverse=True)


def test_extended_and_binary(client):
    client.send(parse("SELECT id, score FROM big WHERE id > $1 ORDER BY score, id DESC", types=[20]), bind([1000], result_formats=[1]), describe_portal(), execute(), sync())
    got = client.until_ready()
    assert kinds(got[:3]) == "12T" and tags(got) == [f"SELECT {ROWS - 1000}"]
    pairs = [(struct.unpack("!d", row[1])[0], -struct.unpack("!q", row[0])[0]) for row in rows(got)]
    assert pairs == sorted(pairs)
    # In text, by a named statement, twice; and two of them in one pipeline.
    client.send(parse("SELECT id FROM big ORDER BY id DESC LIMIT 5", "top"), sync())
    client.until_ready()
    for _ in range(2):
        client.send(bind(statement="top"), execute(), bind(statement="top", portal="p"), execute("p"), sync())
        got = client.until_ready()
        assert kinds(got) == "2DDDDDC2DDDDDCZ" and rows(got) == [[str(ROWS - i).encode()] for i in range(5)] * 2 and tags(got) == ["SELECT 5"] * 2


def test_a_client_that_stops_reading_costs_no_memory(cluster, braid, memory_bound):
    with braid.raw() as warm:
        warm.query("SELECT id, note FROM big WHERE id < 9000 ORDER BY id")
    client = narrow(braid.raw())
    memory = Memory(braid.process.pid)
    client.send(query("SELECT id, note FROM big ORDER BY id"))
    stopped = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND query LIKE '%note FROM big%'"
    wait_until(lambda: all(sum(server.value(stopped) for server in shard.servers) for shard in cluster.shards), deadline=30, what="no server can go on")
    memory.look()
    assert memory.most < memory_bound(2)
    got = rows(client.until_ready())
    memory.look()
    assert [int(row[0]) for row in got] == list(range(1, ROWS + 1)) and memory.most < memory_bound(2)
    client.close()


def test_an_error_in_the_middle(client):
    with pytest.raises(ServerError) as failed:
        client.query("SELECT id, 1 / (id - 90000) FROM big ORDER BY id")
    assert failed.value.sqlstate == "22012" and client.status == "I"
    assert client.value("SELECT count(*) FROM big") == str(ROWS)
    client.query("BEGIN")
    client.send(parse("SELECT id, 1 / (id - 90000) FROM big ORDER BY id"), bind(), execute(), sync())
    assert errors(client.until_ready())[0]["C"] == "22012" and client.status == "E"
    client.query("ROLLBACK")
    assert len(client.query("SELECT id FROM big ORDER BY id LIMIT 7")) == 7


def test_a_client_that_leaves(cluster, braid):
    for _ in range(3):
        client = braid.raw()
        client.send(query("SELECT id, note FROM big ORDER BY id"))
        client.receive()
        client.vanish()
    with braid.raw() as client:
        assert client.value("SELECT max(id) FROM big") == str(ROWS)


def test_a_row_that_is_too_large_to_wait(client):
    with pytest.raises(ServerError) as failed:
        client.query("SELECT id, repeat('x', 200000) FROM big WHERE id < 9 ORDER BY id")
    assert failed.value.sqlstate == "53400" and "max_gather" in failed.value.fields["H"]
    assert client.query("SELECT id FROM big WHERE id < 3 ORDER BY id") == [["1"], ["2"]]


def test_settings_that_hide_the_order(client):
    """Numbers that are rounded on their way cannot be merged."""
    client.query("SET extra_float_digits = -10")
    with pytest.raises(ServerError) as failed:
        client.query("SELECT score FROM big ORDER BY score")
    assert failed.value.sqlstate == "0A000"
    assert len(client.query("SELECT id FROM big ORDER BY id")) == ROWS
    client.query("RESET extra_float_digits")
    for setting in ("array_nulls = 'OFF'", "xmloption = document"):
        client.query(f"SET {setting}")
        with pytest.raises(ServerError) as failed:
            client.query("SELECT count(DISTINCT score) FROM big WHERE id < 9")
        assert failed.value.sqlstate == "0A000" and "array_nulls" in failed.value.fields["H"]
        client.query(f"RESET {setting.split()[0]}")
    client.query("SET array_nulls = 'ON'")
    assert client.value("SELECT count(DISTINCT id) FROM big WHERE id < 9") is not None


# --- rows that are locked ----------------------------------------------------------------------------------------------

def test_locked_rows_come_in_order(braid, cluster):
    """And no more of them than are asked for; others cannot lock them meanwhile, and nothing is locked when it is over."""
    with braid.raw() as one, braid.raw() as other:
        ids = lambda client, sql: [int(row[0]) for row in client.query(sql)]
        one.query("BEGIN")
        assert ids(one, "SELECT id, score FROM big ORDER BY id LIMIT 6 FOR UPDATE") == [1, 2, 3, 4, 5, 6]
        locked = "SELECT id FROM big WHERE id <= 4 ORDER BY id DESC FOR UPDATE"
        with pytest.raises(ServerError) as refused:
            other.query(f"{locked} NOWAIT")
        assert refused.value.sqlstate == "55P03"
        assert ids(other, f"{locked} SKIP LOCKED") == []
        one.query("COMMIT")
        assert ids(other, f"{locked} NOWAIT") == [4, 3, 2, 1]
        assert len(ids(other, "SELECT id FROM big LIMIT 5 FOR UPDATE")) == 5
        assert ids(other, "SELECT id FROM big WHERE at < now() AND id < 9 ORDER BY id DESC LIMIT 2 FOR UPDATE") == [8, 7]
        for shard in cluster.shards:
            assert shard.primary.value("SELECT count(*) FROM pg_locks WHERE mode = 'RowShareLock' AND relation = 'big'::regclass") == 0


def test_locked_rows_in_the_extended_protocol(client):
    sql = "SELECT id, at FROM big WHERE id > $1 AND at <= now() ORDER BY id DESC LIMIT 4 FOR UPDATE"
    for formats in ([0], [1]):
        client.send(parse(sql, types=[20]), bind([100], result_formats=formats), describe_portal(), execute(), sync())
        got = client.until_ready()
        assert kinds(got[:3]) == "12T" and tags(got) == ["SELECT 4"]
        ids = [struct.unpack("!q", row[0])[0] if formats == [1] else int(row[0]) for row in rows(got)]
        assert ids == [ROWS, ROWS - 1, ROWS - 2, ROWS - 3]
    client.send(parse("SELECT id FROM big WHERE id = ANY ($1) ORDER BY id FOR SHARE"), bind(["{7,3,5,1}"]), execute(), sync())
    assert [int(row[0]) for row in rows(client.until_ready())] == [1, 3, 5, 7]


def test_an_order_that_cannot_be_told_locks_nothing(client):
    for setting, sql in (("DateStyle = 'SQL'", "SELECT at FROM big ORDER BY at LIMIT 1 FOR UPDATE"), ("extra_float_digits = 0", "SELECT score FROM big ORDER BY 1 FOR UPDATE")):
        client.query(f"SET {setting}")
        with pytest.raises(ServerError) as refused:
            client.query(sql)
        assert refused.value.sqlstate == "0A000"
        client.send(parse(sql), bind(), execute(), sync())
        assert errors(client.until_ready())[0]["C"] == "0A000"
        client.query("RESET ALL")


@pytest.mark.parametrize("lock", ["", " FOR UPDATE"])
def test_a_limit_that_is_a_parameter(client, lock):
    sql = f"SELECT id FROM big WHERE id > $1 ORDER BY id LIMIT $2{lock}"
    def told(types, values, formats=()):
        client.send(parse(sql, types=types), bind(values, formats=formats), execute(), sync())
        got = client.until_ready()
        return [int(row[0]) for row in rows(got)] if not errors(got) else errors(got)[0]["C"]
    assert told([], ["10", "3"]) == [11, 12, 13]
    for oid, code in ((21, "!h"), (23, "!i"), (20, "!q")):
        assert told([20, oid], [struct.pack("!q", 10), struct.pack(code, 4)], [1]) == [11, 12, 13, 14]
    assert told([], ["10", "0"]) == []
    assert len(told([], [str(ROWS - 9), None])) == 9
    assert told([], ["10", "-1"]) == "2201W"
    # A server may make anything of bytes whose type it has found itself.
    unknown = told([20, 0], [struct.pack("!q", ROWS - 50), struct.pack("!q", 4)], [1])
    assert unknown == ("0A000" if lock else [ROWS - 49, ROWS - 48, ROWS - 47, ROWS - 46])
