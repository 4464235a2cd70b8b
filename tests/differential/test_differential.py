"""The same statements asked of one PostgreSQL that holds all rows and of pgbraid over two shards: equal rows, types, order,
command tags and SQLSTATEs, or a refusal; never another answer."""

import pytest

from braid import Braid, Endpoint, sharded_topology
from cluster import Cluster
from drawing import SEED, Drawing
from sides import both
from statements import Generator, Statement

# What a write leaves, in short. Random values are left out.
STATE = ("SELECT count(*), sum(id), sum(hashtext(name)), sum(hashtext(country)), sum(balance), count(DISTINCT created), sum(created - DATE '2024-01-01') FROM customers",
         "SELECT count(*), sum(customer_id), sum(amount), sum(hashtext(note)), count(DISTINCT created) FROM orders")


@pytest.fixture(scope="module")
def two_sides():
    """(one PostgreSQL with all rows, pgbraid over two shards), as raw clients."""
    whole, parts = Cluster(shards=1, replicas=0), Cluster(shards=2, replicas=1)
    try:
        whole.start(), parts.start()
        with Braid(sharded_topology(parts)) as braid:
            braid.wait_replicas(parts)
            one, many = Endpoint(whole.shards[0].primary.port).raw(), braid.raw()
            yield one, many
            one.close(), many.close()
    finally:
        whole.stop(), parts.stop()


def test_random_statements(two_sides):
    drawing = Drawing(2000)
    generator = Generator(drawing.source)
    equal, refused, failures = 0, 0, []
    for _ in drawing:
        statement = generator.draw()
        verdict = both(two_sides, statement, STATE)
        if verdict is None:
            refused += 1
        elif verdict is True:
            equal += 1
        else:
            failures.append(f"{statement.sql}  {statement.values}\n    {verdict}")
            if len(failures) == 10:
                break
    print(f"seed {SEED}: {equal} equal, {refused} refused, {len(failures)} different")
    assert not failures, f"seed {SEED}:\n" + "\n".join(failures)
    assert equal > refused / 2, f"seed {SEED}: {equal} equal, {refused} refused: too much is refused to compare"


def test_statements_with_a_key_are_answered(two_sides):
    """What applications do all day is not refused."""
    for sql in ("SELECT * FROM customers WHERE id = 7", "SELECT * FROM orders WHERE customer_id = 7 ORDER BY id LIMIT 3",
                "SELECT c.name, o.amount FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = 7",
                "SELECT count(*), avg(amount) FROM orders WHERE customer_id = 7", "SELECT * FROM customers",
                "SELECT c.name, n.name FROM customers c LEFT JOIN countries n ON n.code = c.country WHERE c.id IN (7)",
                "UPDATE customers SET name = upper(name) WHERE id = 7 RETURNING *", "DELETE FROM orders WHERE customer_id = 7",
                "INSERT INTO customers (id, name, country) VALUES (7000, 'n', 'DE') RETURNING *",
                "SELECT * FROM customers WHERE id IN (7, 8, 9)"):
        assert both(two_sides, Statement(sql, writes=not sql.startswith("SELECT"))) is True, sql
