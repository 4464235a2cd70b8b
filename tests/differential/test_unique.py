"""Columns that are unique over all shards: statements in sequences, carried out by one PostgreSQL and through pgbraid over three
shards, in transactions with savepoints. Equal answers and errors, and equal tables whenever a transaction has ended."""

import os
import random

import pytest

from braid import Braid, Endpoint, sharded_topology
from cluster import Cluster
from sides import ask, compare, load, sharding_with
from statements import Statement

MEMBERS = """
CREATE TABLE members (id bigint PRIMARY KEY, email text UNIQUE, badge int UNIQUE, login varchar(6) UNIQUE, n int CHECK (n < 1000));
CREATE TABLE visits (id bigint PRIMARY KEY, email text UNIQUE, n int, at timestamptz DEFAULT now());
CREATE FUNCTION pass_over() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.n = 5 THEN RETURN NULL; END IF; RETURN NEW; END';
CREATE TRIGGER pass_over BEFORE INSERT ON visits FOR EACH ROW EXECUTE FUNCTION pass_over();
INSERT INTO visits SELECT g, 'v' || g, g FROM generate_series(10, 20) AS g;
GRANT ALL ON visits TO app;
INSERT INTO members SELECT g, 'e' || g, g, 'l' || g, g FROM generate_series(1, 12) AS g;
GRANT ALL ON members TO app;
"""
KEYS = {"members": "id", "visits": "id"}
TABLE = Statement("SELECT * FROM members ORDER BY id")
STATEMENTS = """
    INSERT INTO members (id, email) VALUES (101, 'e2')
    INSERT INTO members (id, email) VALUES (101, 'new') RETURNING *
    INSERT INTO members VALUES (101, 'a', 101, 'x', 0), (102, 'b', 102, 'y', 0), (103, 'c', 103, 'z', 0) RETURNING id
    INSERT INTO members VALUES (101, 'a', 101, 'x', 0), (102, 'b', 102, 'y', 0), (103, 'c', 7, 'z', 0)
    INSERT INTO members (id, email) VALUES (101, 'same'), (102, 'same'), (103, 'same'), (104, 'same')
    INSERT INTO members (id, email, badge) VALUES (101, NULL, NULL), (102, NULL, NULL), (103, DEFAULT, DEFAULT)
    INSERT INTO members (id, n) VALUES (101, 1), (102, 2), (103, 3)
    INSERT INTO members (id, login) VALUES (101, 'l3   '), (102, 'l4         ')
    INSERT INTO members (id, login) VALUES (101, 'l3         ')
    INSERT INTO members (id, login) VALUES (101, 'far too long')
    INSERT INTO members (id, badge) VALUES (101, '  +7 ')
    INSERT INTO members (id, badge) VALUES (101, -1), (102, '-1'), (103, -01)
    INSERT INTO members (id, badge) VALUES (101, 'none')
    INSERT INTO members (id, badge) VALUES (101, 3000000000)
    INSERT INTO members VALUES (1, 'e1', 1, 'l1', 5) ON CONFLICT (id) DO UPDATE SET n = excluded.n, email = excluded.email RETURNING n
    INSERT INTO members VALUES (1, 'fresh', 55, 'fr', 5) ON CONFLICT (id) DO UPDATE SET email = excluded.email
    INSERT INTO members (id, email) VALUES (1, 'fresh') ON CONFLICT DO NOTHING
    INSERT INTO members (id, email, n) VALUES (101, 'e2', 5000)
    INSERT INTO members (id, email, n) VALUES (101, 'e2', 1/0)
    INSERT INTO members (id, email) VALUES (102, 'e1'), (103, 'e2'), (104, 'e3'), (105, 'e4'), (1, 'e5')
    INSERT INTO visits (id, email) VALUES (101, 'x') RETURNING id
    INSERT INTO visits (id, email) VALUES (101, 'v11') RETURNING id
    INSERT INTO visits (id, email) VALUES (101, 'v12'), (102, 'b'), (103, 'c') RETURNING id
    INSERT INTO visits (id, email) VALUES (101, 'a'), (102, 'b'), (103, 'c') RETURNING id
    INSERT INTO visits (id, email, n) VALUES (101, 'v11', 5), (102, 'v12', 5), (103, 'v13', 5)
    INSERT INTO visits (id, email, n) VALUES (101, 'v14', 5)
    UPDATE visits SET email = 'v11' WHERE id = 12
    UPDATE members SET email = 'e2' WHERE id = 1
    UPDATE members SET email = 'e1', n = 7 WHERE id = 1 RETURNING *
    UPDATE members SET email = 'e2' WHERE id = 1 AND n = 99
    UPDATE members SET email = 'e2' WHERE id = 999
    UPDATE members SET email = 'other', badge = 900 WHERE id = 1
    UPDATE members SET email = NULL, badge = NULL
    UPDATE members SET email = email, n = n + 1
    UPDATE members SET badge = 2 WHERE id = 2
    DELETE FROM members WHERE id < 5 RETURNING email
    0A000 UPDATE members SET email = upper(email) WHERE id = 1
    0A000 UPDATE members SET email = 'all'
    0A000 INSERT INTO members (id, email) SELECT id + 100, 'x' || id FROM members
    0A000 UPDATE members SET id = id + 100
"""


@pytest.fixture(scope="module")
def two_sides():
    """(one PostgreSQL with all rows, pgbraid over three shards), as raw clients."""
    whole, parts = Cluster(shards=1, replicas=0), Cluster(shards=3, replicas=0)
    try:
        whole.start(), parts.start()
        load(whole, parts, MEMBERS, KEYS)
        sharding = sharding_with(sharded_topology(parts), KEYS)
        sharding["tables"]["members"]["unique"] = ["email", "badge", "login"]
        sharding["tables"]["visits"]["unique"] = ["email"]
        with Braid(sharded_topology(parts, sharding=sharding)) as braid:
            one, many = Endpoint(whole.shards[0].primary.port).raw(), braid.raw()
            yield one, many
            one.close(), many.close()
    finally:
        whole.stop(), parts.stop()


def in_both(two_sides, statement):
    return compare(statement, *(ask(client, statement) for client in two_sides))


@pytest.mark.parametrize("protocol", ["simple", "extended"])
@pytest.mark.parametrize("line", [line.strip() for line in STATEMENTS.strip().splitlines()])
def test_a_write(two_sides, line, protocol):
    refused, _, sql = line.partition(" ") if line[0].isdigit() else ("", "", line)
    assert in_both(two_sides, Statement("BEGIN")) is True
    verdict = in_both(two_sides, Statement(sql, extended=protocol == "extended"))
    assert verdict is (None if refused else True), verdict
    if in_both(two_sides, TABLE) is not True:  # an aborted transaction
        assert verdict is None or ask(two_sides[1], TABLE)[0] == "25P02"
    assert in_both(two_sides, Statement("ROLLBACK")) is True


class Script:
    """Statements drawn from few keys and values, so that they are often in each other's way."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.savepoints = 0

    def values(self):
        r = self.random
        email = r.choice(["NULL", *(f"'e{r.randint(1, 14)}'" for _ in range(6))])
        badge = r.choice(["NULL", *(str(r.randint(1, 14)) for _ in range(3))])
        return email, badge

    def statement(self):
        r = self.random
        key, (email, badge) = r.randint(1, 14), self.values()
        kind = r.randrange(10)
        if kind < 4:
            rows = ", ".join(f"({r.randint(1, 14)}, {e}, {b}, {r.randint(0, 3)})" for e, b in (self.values() for _ in range(r.choice([1, 1, 1, 2, 3]))))
            conflict = r.choice(["", "", "", " ON CONFLICT (id) DO NOTHING", " ON CONFLICT (id) DO UPDATE SET email = excluded.email, n = 9",
                                 " ON CONFLICT (email) DO UPDATE SET n = 8", " ON CONFLICT DO NOTHING"])
            return f"INSERT INTO members (id, email, badge, n) VALUES {rows}{conflict} RETURNING id, email"
        if kind < 7:
            return f"UPDATE members SET email = {email}, badge = {r.choice(['badge', badge])} WHERE id = {key}" + r.choice(["", f" AND n = {r.randint(0, 3)}"])
        if kind < 9:
            return f"DELETE FROM members WHERE {r.choice([f'id = {key}', f'email = {email}', f'badge < {r.randint(1, 4)}'])} RETURNING id, email"
        return "SELECT count(*), count(DISTINCT email) FROM members"

    def transaction(self):
        """Statements up to the end of a transaction."""
        r = self.random
        if r.random() < 0.3:
            yield self.statement()
            return
        yield "BEGIN"
        names = []
        for _ in range(r.randint(1, 6)):
            if r.random() < 0.25:
                names.append(f"s{len(names)}")
                yield f"SAVEPOINT {names[-1]}"
            elif names and r.random() < 0.3:
                yield f"ROLLBACK TO {r.choice(names)}"
            else:
                yield self.statement()
        yield r.choice(["COMMIT", "COMMIT", "ROLLBACK"])


@pytest.mark.parametrize("seed", range(int(os.environ.get("UNIQUE_SEED", 1)), int(os.environ.get("UNIQUE_SEED", 1)) + int(os.environ.get("UNIQUE_SEEDS", 3))))
def test_sequences(two_sides, seed):
    script, refused, done = Script(seed), 0, []
    for number in range(60):
        for sql in script.transaction():
            done.append(sql)
            ordered = "ON CONFLICT" not in sql and not sql.startswith("DELETE")
            verdict = in_both(two_sides, Statement(sql, ordered=ordered, extended=number % 2 == 1 and sql[:3] in ("INS", "UPD", "DEL")))
            if verdict is None:
                # The one server has gone another way: both begin anew.
                refused += 1
                for client in two_sides:
                    client.query("ROLLBACK")
                for client in two_sides:
                    client.query("DELETE FROM members")
                break
            assert verdict is True, (verdict, done[-12:])
        assert in_both(two_sides, TABLE) is True, done[-12:]
    assert refused < 45, refused
