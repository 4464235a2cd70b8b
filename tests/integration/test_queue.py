"""Rows that are taken from a queue: SELECT ... LIMIT n FOR UPDATE SKIP LOCKED over several shards, alone and inside of writes."""

import struct
import threading
from contextlib import ExitStack

import pytest

from braid import sharded_topology
from cluster import bucket_sql
from wire import ServerError, bind, describe_portal, errors, execute, parse, rows, sync

JOBS, VISITS = 40, 60
NEXT = "SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT {} FOR UPDATE SKIP LOCKED"
TAKE = ("UPDATE jobs SET state = 'taken' WHERE id IN (SELECT id FROM jobs WHERE state = 'new' AND due <= now() ORDER BY id LIMIT {} FOR UPDATE SKIP LOCKED) "
        "RETURNING id")


@pytest.fixture
def jobs(cluster):
    """`jobs`: rows of 1 to JOBS by id; `visits`, by tenant, whose primary key has two columns."""
    for shard in cluster.shards:
        low, high = shard.buckets
        shard.primary.query("CREATE TABLE jobs (id bigint PRIMARY KEY, state text NOT NULL, due timestamptz NOT NULL)")
        shard.primary.query("CREATE TABLE visits (tenant bigint, name text, seen boolean, PRIMARY KEY (tenant, name))")
        shard.primary.query(f"INSERT INTO jobs SELECT n, 'new', now() - interval '1 day' FROM generate_series(1, {JOBS}) AS n WHERE {bucket_sql('n::bigint')} BETWEEN {low} AND {high}")
        shard.primary.query(f"INSERT INTO visits SELECT n % 7, 'it''s \\' || n, false FROM generate_series(1, {VISITS}) AS n WHERE {bucket_sql('(n % 7)::bigint')} BETWEEN {low} AND {high}")
        shard.primary.query("GRANT ALL ON jobs, visits TO app")
    yield
    for shard in cluster.shards:
        shard.primary.query("DROP TABLE jobs, visits")


@pytest.fixture
def braid(cluster, jobs, start_braid):
    topology = sharded_topology(cluster, workers=1)
    topology["databases"]["shop"]["sharding"]["tables"].update({"jobs": {"key": "id"}, "visits": {"key": "tenant"}})
    process = start_braid(topology)
    process.wait_replicas(cluster)
    return process


def ids(client, sql):
    return [int(row[0]) for row in client.query(sql)]


def test_what_others_have_locked_is_passed_over(braid):
    """And what comes behind it is told: no more rows are locked than are told, on whatever shard they are."""
    with ExitStack() as held:
        for n in range(1, 12):
            client = held.enter_context(braid.raw())
            client.query("BEGIN")
            assert ids(client, NEXT.format(1)) == [n]
        client = held.enter_context(braid.raw())
        client.query("BEGIN")
        assert ids(client, NEXT.format(5)) == [12, 13, 14, 15, 16]
        # Its own rows are not in its way.
        assert ids(client, NEXT.format(7)) == [12, 13, 14, 15, 16, 17, 18]
        with braid.raw() as other:
            assert sorted(ids(other, "SELECT id FROM jobs FOR UPDATE SKIP LOCKED")) == list(range(19, JOBS + 1))
            assert len(ids(other, NEXT.format(JOBS))) == JOBS - 18
            with pytest.raises(ServerError) as failed:
                other.query("SELECT id FROM jobs ORDER BY id LIMIT 1 FOR UPDATE NOWAIT")
            assert failed.value.sqlstate == "55P03"
            assert ids(other, "SELECT id FROM jobs ORDER BY id DESC LIMIT 2 FOR UPDATE NOWAIT") == [JOBS, JOBS - 1]
    with braid.raw() as other:
        assert ids(other, NEXT.format(2)) == [1, 2]


def test_workers_take_each_job_once(braid):
    """None is told that the queue is empty before it is."""
    taken, faults = [], []

    def work():
        try:
            with braid.raw() as client:
                while mine := ids(client, TAKE.format(2)):
                    taken.extend(mine)
        except Exception as fault:  # told by the test, not by the thread
            faults.append(fault)

    with braid.raw() as holder:
        holder.query("BEGIN")
        assert ids(holder, NEXT.format(3)) == [1, 2, 3]
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not faults
        assert sorted(taken) == list(range(4, JOBS + 1))
        holder.query("ROLLBACK")
        assert sorted(ids(holder, TAKE.format(9))) == [1, 2, 3]


def test_by_keys_of_several_columns(braid):
    with braid.raw() as one, braid.raw() as other:
        one.query("BEGIN")
        sql = "SELECT name, tenant FROM visits AS v WHERE NOT seen ORDER BY name COLLATE \"C\" DESC LIMIT 2 FOR UPDATE OF v SKIP LOCKED"
        assert [row[0] for row in one.query(sql)] == [r"it's \9", r"it's \8"]
        assert [row[0] for row in other.query(sql)] == [r"it's \7", r"it's \60"]
        other.query("SET standard_conforming_strings = off")
        assert [row[0] for row in other.query(sql)] == [r"it's \7", r"it's \60"]
        assert other.query("SELECT name FROM visits WHERE name = 'none' ORDER BY name LIMIT 2 FOR UPDATE SKIP LOCKED") == []


def test_in_the_extended_protocol(braid):
    with braid.raw() as one, braid.raw() as other:
        one.query("BEGIN")
        assert ids(one, NEXT.format(2)) == [1, 2]

        def told(sql, types, values, formats=()):
            other.send(parse(sql, types=types), bind(values, formats=formats), describe_portal(), execute(), sync())
            got = other.until_ready()
            return [int(row[0]) for row in rows(got)] if not errors(got) else errors(got)[0]["C"]

        sql = "SELECT id FROM jobs WHERE state = $1 AND due < now() ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED"
        assert told(sql, [], ["new", "3"]) == [3, 4, 5]
        assert told(sql, [25, 20], ["new", struct.pack("!q", 2)], [0, 1]) == [3, 4]
        assert told(sql, [], ["none", "3"]) == []
        assert len(told(sql, [], ["new", None])) == JOBS - 2
        assert told(sql, [], ["new", "-1"]) == "2201W"
        assert told(sql, [25, 0], ["new", struct.pack("!q", 2)], [0, 1]) == "0A000"
        take = "UPDATE jobs SET state = $1 WHERE id = (SELECT id FROM jobs WHERE state = $2 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id"
        assert [told(take, [], ["mine", "new"]) for _ in range(3)] == [[3], [4], [5]]


def test_what_it_refuses(braid):
    with braid.raw() as client:
        for sql in ("SELECT id FROM jobs ORDER BY 1 LIMIT 1 FOR UPDATE SKIP LOCKED",
                    "SELECT id + 1 AS id FROM jobs ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED",
                    "SELECT id FROM jobs ORDER BY id LIMIT 1 OFFSET 1 FOR UPDATE SKIP LOCKED"):
            with pytest.raises(ServerError) as failed:
                client.query(sql)
            assert failed.value.sqlstate == "0A000"
