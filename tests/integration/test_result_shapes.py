"""Prepared statements whose result changes under them: a client that was told of one shape never gets another, on whatever
server connection; one that prepares anew gets what there is now."""

import pytest

from braid import plain_topology
from wire import (bind, close_statement, describe_portal, describe_statement, errors, execute, kinds, parse, rows,
                  sync)

SQL = "SELECT * FROM shaped"


@pytest.fixture
def primary(cluster):
    server = cluster.shards[0].primary
    server.query("CREATE TABLE shaped (a int)")
    server.query("GRANT ALL ON shaped TO app")
    server.query("ALTER TABLE shaped OWNER TO app")
    server.query("INSERT INTO shaped VALUES (1)")
    yield server
    server.query("DROP TABLE IF EXISTS shaped")


@pytest.fixture
def braid(primary, start_braid):
    # Changes that do not pass through pgbraid are not noticed while a test runs.
    return start_braid(plain_topology([primary], pool={"mode": "transaction", "size": 2}, workers=1,
                                      monitor={"user": "postgres", "password_env": "PGBRAID_MONITOR_PASSWORD", "catalog_interval": "1h"}))


def batch(client, *messages):
    client.send(*messages)
    return client.until_ready()


def run(client, name="s"):
    """Bind, Describe, Execute of a statement: its rows, or the SQLSTATE of its error."""
    got = batch(client, bind(statement=name), describe_portal(), execute(), sync())
    return errors(got)[0]["C"] if errors(got) else rows(got)


class Elsewhere:
    """While it lasts, others meet another connection than the one that is free now."""

    def __init__(self, braid):
        self.client = braid.raw()

    def __enter__(self):
        self.client.query("BEGIN")
        return self.client.value("SELECT pg_backend_pid()")

    def __exit__(self, *_):
        self.client.query("ROLLBACK")
        self.client.close()


def pid(client):
    return client.value("SELECT pg_backend_pid()")


@pytest.fixture
def pair(braid):
    """Two clients, and both connections open, so that it is known who meets which."""
    with braid.raw() as a, braid.raw() as b:
        with Elsewhere(braid):
            pid(a)
        yield a, b


def test_a_client_that_was_told_gets_the_servers_error(primary, braid, pair):
    a, _ = pair
    first = pid(a)
    assert kinds(batch(a, parse(SQL, "s"), describe_statement("s"), bind(statement="s"), execute(), sync())) == "1tT2DCZ"
    primary.query("ALTER TABLE shaped ADD COLUMN b int DEFAULT 2")
    with Elsewhere(braid) as taken:
        assert taken == first
        got = batch(a, bind(statement="s"), describe_portal(), execute(), sync())
        assert kinds(got) == "EZ"
        assert errors(got)[0]["C"] == "0A000" and errors(got)[0]["M"] == "cached plan must not change result type"
        assert kinds(batch(a, describe_statement("s"), sync())) == "EZ"
        # In a transaction it is over with it, as with any error.
        a.query("BEGIN")
        assert run(a) == "0A000" and a.status == "E"
        a.query("ROLLBACK")
        # Drivers prepare it anew.
        assert kinds(batch(a, close_statement("s"), parse(SQL, "s"), describe_statement("s"), sync())) == "31tTZ"
        assert run(a) == [[b"1", b"2"]]
    assert run(a) == [[b"1", b"2"]]


def test_a_client_that_was_told_by_a_portal(primary, braid, pair):
    a, _ = pair
    batch(a, parse(SQL, "s"), sync())
    assert run(a) == [[b"1"]]
    primary.query("ALTER TABLE shaped ALTER COLUMN a TYPE text")
    with Elsewhere(braid):
        assert run(a) == "0A000"


def test_a_client_that_was_told_nothing_gets_what_there_is(primary, braid, pair):
    a, _ = pair
    batch(a, parse(SQL, "s"), sync())
    primary.query("ALTER TABLE shaped ADD COLUMN b int DEFAULT 2")
    with Elsewhere(braid):
        assert run(a) == [[b"1", b"2"]]


def test_the_same_shape_is_no_error(primary, braid, pair):
    a, _ = pair
    batch(a, parse(SQL, "s"), describe_statement("s"), sync())
    batch(a, parse("UPDATE shaped SET a = a + 1", "u"), describe_statement("u"), sync())
    primary.query("CREATE INDEX ON shaped (a)")
    with Elsewhere(braid):
        got = batch(a, bind(statement="s"), execute(), bind(statement="u"), execute(), bind(statement="s"), execute(), sync())
        assert kinds(got) == "2DC2C2DCZ"
        assert rows(got) == [[b"1"], [b"2"]]


def test_who_prepares_after_a_change_gets_the_new_shape(primary, braid, pair):
    a, b = pair
    batch(a, parse(SQL, "s"), sync())
    assert run(a) == [[b"1"]]
    b.query("ALTER TABLE shaped ADD COLUMN b int DEFAULT 2")
    # On the very connection that still has the old plan.
    assert kinds(batch(b, parse(SQL, "t"), describe_statement("t"), sync())) == "1tTZ"
    assert run(b, "t") == [[b"1", b"2"]]
    assert run(a) == "0A000"


def test_who_prepares_after_a_change_that_nobody_noticed(primary, braid, pair):
    a, b = pair
    batch(a, parse(SQL, "s"), sync())
    assert run(a) == [[b"1"]]
    primary.query("ALTER TABLE shaped ADD COLUMN b int DEFAULT 2")
    batch(b, parse(SQL, "t"), sync())
    assert run(b, "t") == "0A000"
    batch(b, close_statement("t"), parse(SQL, "t"), sync())
    assert run(b, "t") == [[b"1", b"2"]]


def test_anothers_new_plan_is_not_passed_off(primary, braid, pair):
    a, b = pair
    batch(a, parse(SQL, "s"), describe_statement("s"), sync())
    primary.query("ALTER TABLE shaped ADD COLUMN b int DEFAULT 2")
    with Elsewhere(braid):
        batch(b, parse(SQL, "t"), sync())
        assert run(a) == "0A000"
        batch(b, close_statement("t"), parse(SQL, "t"), sync())
        assert run(b, "t") == [[b"1", b"2"]]
        assert run(a) == "0A000"


def test_a_table_that_is_gone(primary, braid, pair):
    a, _ = pair
    batch(a, parse(SQL, "s"), describe_statement("s"), sync())
    primary.query("DROP TABLE shaped")
    with Elsewhere(braid):
        assert run(a) == "42P01"
        assert a.value("SELECT 1") == "1"
    assert run(a) == "42P01"
