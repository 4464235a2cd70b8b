"""COPY FROM into sharded tables: one PostgreSQL and pgbraid over three shards are given the same data, right and broken, in
random pieces. Equal rows, tags and errors with their text and place, or a refusal."""

import pytest

from braid import Braid, Endpoint, sharded_topology
from cluster import Cluster
from copied_data import KEYS, SCHEMA, CopyGenerator
from drawing import SEED, Drawing
from sides import sharding_with
from wire import bind, errors, execute, message, parse, query, rows, sync, tags

# What pgbraid says of its own when no server has found an error.
REFUSALS = {"0A000": "sharding key", "23502": "null value for the sharding key", "22P04": "the data cannot be split"}


@pytest.fixture(scope="module")
def two_sides():
    whole, parts = Cluster(shards=1, replicas=0), Cluster(shards=3, replicas=0)
    try:
        whole.start(), parts.start()
        for shard in whole.shards + parts.shards:
            shard.primary.query(SCHEMA)
        topology = sharded_topology(parts)
        topology["databases"]["shop"]["sharding"] = sharding_with(topology, KEYS)
        with Braid(topology) as braid:
            one, many = Endpoint(whole.shards[0].primary.port).raw(timeout=60), braid.raw(timeout=60)
            yield one, many
            one.close(), many.close()
    finally:
        whole.stop(), parts.stop()


def run(client, copy, extended, gives_up):
    """(fields of the error or None, tags, rows of the table) of a copy in a transaction that is rolled back."""
    client.query("BEGIN")
    if extended:
        client.send(parse(copy.sql), bind(), execute(), sync())
    else:
        client.send(query(copy.sql))
    got = client.receive_until("GZ")
    if got[-1][0] == "G":
        client.send(*(message("d", piece) for piece in copy.pieces), message("f", b"enough\0") if gives_up else message("c"))
        if extended:
            client.send(sync())
        got += client.until_ready()
    failed = errors(got)
    left = None
    if not failed:
        client.send(query(f"SELECT * FROM {copy.table}"))
        left = sorted(rows(client.until_ready()), key=repr)
    assert client.status == ("E" if failed else "T")
    client.query("ROLLBACK")
    assert client.status == "I"
    return failed[0] if failed else None, tags(got), left


def compare(one, many, told):
    """None when refused, True when equal, else what differs. `told`: the fields of an error that must be equal."""
    if many[0] is not None and REFUSALS.get(many[0]["C"], "?") in many[0]["M"]:
        return None
    if (one[0] is None) != (many[0] is None):
        return f"{one[0]} and {many[0]}"
    if one[0] is not None:
        left, right = ({k: f.get(k) for k in told} for f in (one[0], many[0]))
        return True if left == right else f"{left} and {right}"
    if one[2] != many[2]:
        return f"{len(one[2])} and {len(many[2])} rows: {one[2][:4]} and {many[2][:4]}"
    return True if one[1] == many[1] else f"{one[1]} and {many[1]}"


def readable(data):
    try:
        data.decode()
        return True
    except UnicodeDecodeError:
        return False


def test_random_copies(two_sides):
    drawing = Drawing(10000)
    generator = CopyGenerator(drawing.source)
    equal, failed, refused, failures = 0, 0, 0, []
    for _ in drawing:
        copy, extended, gives_up = generator.draw(), drawing.source.random() < 0.3, drawing.source.random() < 0.03
        one, many = (run(client, copy, extended, gives_up) for client in two_sides)
        # When a server sees what it cannot read, or waits for more before it takes a line for whole, depends on how much it
        # has read at once.
        lone = b"\r" in copy.data.replace(b"\r\n", b"")
        unreadable = "22021" in ((one[0] or {}).get("C"), (many[0] or {}).get("C"))
        as_read = gives_up and (lone or b"\\." in copy.data or not readable(copy.data))
        verdict = compare(one, many, "S" if unreadable or as_read else "SCMDHW")
        if verdict is None:
            refused += 1
        elif verdict is True:
            equal += 1
            failed += one[0] is not None
        else:
            failures.append(f"{copy.sql}\n    {copy.data!r}\n    in pieces {[len(p) for p in copy.pieces]}\n    {verdict}")
            if len(failures) == 5:
                break
    print(f"seed {SEED}: {equal} equal, {failed} of them errors, {refused} refused, {len(failures)} different")
    assert not failures, f"seed {SEED}:\n" + "\n".join(failures)
    assert equal > refused * 10, f"seed {SEED}: {equal} equal, {refused} refused: too much is refused to compare"
