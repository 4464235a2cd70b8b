"""docs/sql-support.md, row by row: everything that it says is answered is, and what it says is refused is refused."""

import re
from pathlib import Path

import pytest

from braid import Braid, Endpoint, sharded_topology
from cluster import Cluster
from documented import SECTIONS
from sides import ask, compare, load, sharding_with
from statements import Statement
from test_writes import KEYS as WRITTEN

FOLDER = Path(__file__).parent
TESTS = FOLDER.parent
KEYS = WRITTEN | {"unique_owners": "id", "watched": "id", "allowed": "id", "guarded": "id", "entered": "id", "articles": "id", "visitors": "id", "moving": "id"}
BORN_EMPTY = {"tickets_by_uuid": "id"}


def documented_rows(section):
    """The first cells of the section's table."""
    page = (TESTS.parent / "docs/sql-support.md").read_text()
    part = re.search(rf"^### {section}\n(.*?)(?=^##|\Z)", page, re.M | re.S)[1]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in part.splitlines() if line.startswith("| ")]
    return [row for row in rows if row != "construct"]


def examples():
    for section, rows in SECTIONS.items():
        for row, lines in rows.items():
            for i, line in enumerate(lines.strip().splitlines()):
                yield pytest.param(line.strip(), id=f"{section}: {row} {i}")


@pytest.mark.parametrize("section", SECTIONS)
def test_every_row_has_examples(section):
    rows, named = documented_rows(section), list(SECTIONS[section])
    assert [[name for name in named if row.startswith(name)] for row in rows] == [[name] for name in named], \
        [row for row in rows if not any(row.startswith(name) for name in named)]


@pytest.fixture(scope="module")
def two_sides():
    """(one PostgreSQL with all rows, pgbraid over four shards), as raw clients."""
    whole, parts = Cluster(shards=1, replicas=0), Cluster(shards=4, replicas=0)
    try:
        whole.start(), parts.start()
        load(whole, parts, (FOLDER / "writes.sql").read_text() + (FOLDER / "documented.sql").read_text(), KEYS)
        topology = sharded_topology(parts)
        names = [shard["name"] for shard in topology["databases"]["shop"]["shards"]]
        sharding = sharding_with(topology, KEYS | BORN_EMPTY, ["rates", "kinds", "marked"])
        sharding["unsharded"] = sharding.get("unsharded", {}) | {"notes": names[1], "drafts": names[2], "remarks": names[1], "noted": names[1]}
        with Braid(sharded_topology(parts, sharding=sharding)) as braid:
            one, many = Endpoint(whole.shards[0].primary.port).raw(), braid.raw()
            yield one, many
            one.close(), many.close()
    finally:
        whole.stop(), parts.stop()


@pytest.mark.parametrize("line", examples())
def test_example(two_sides, line):
    word, _, sql = line.partition(" ")
    if word == "see":
        file, test = sql.split("::")
        assert re.search(rf"^def {test}\(", (TESTS / file).read_text(), re.M)
        return
    refused = re.fullmatch(r"[0-9][0-9A-Z]{4}", word) is not None
    statement = Statement(sql if refused or word == "runs" else line)
    answers = []
    for client in two_sides:
        client.query("BEGIN")
        answers.append(ask(client, statement))
        client.query("ROLLBACK")
    if refused:
        assert answers[1][0] == word, answers[1]
    elif word == "runs":
        assert answers[0][0] is None and answers[1][0] is None, answers[1]
    else:
        assert answers[0][0] is None and compare(statement, *answers) is True, compare(statement, *answers)
