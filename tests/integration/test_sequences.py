"""currval() and lastval() outside of the transaction that drew: what the session itself drew, or 55000, and never what
another session drew through the same connection."""

import pytest

from braid import plain_topology
from wire import errors, query


@pytest.fixture
def table(cluster):
    primary = cluster.shards[0].primary
    primary.query("CREATE TABLE drawn (id serial, note text); GRANT ALL ON drawn, drawn_id_seq TO app")
    yield primary
    primary.query("DROP TABLE drawn")


@pytest.fixture
def started(table, start_braid):
    return lambda size, workers=1: start_braid(plain_topology([table], pool={"mode": "transaction", "size": size}, workers=workers))


INSERT, ASK = "INSERT INTO drawn (note) VALUES ('x')", "SELECT lastval()"


def ask(client, sql):
    """The value; a refused query's SQLSTATE."""
    client.send(query(sql))
    got = client.until_ready()
    found = errors(got)
    if found:
        return found[0]["C"]
    return next((body[6:].decode() for kind, body in got if kind == "D"), None)


def test_the_connection_is_found_again(started, table):
    braid = started(3)
    clients = [braid.raw() for _ in range(3)]
    # Three connections, each with its own session's last.
    for client in clients:
        ask(client, "BEGIN")
        ask(client, INSERT)
    last = [ask(client, ASK) for client in clients]
    for client in reversed(clients):
        ask(client, "COMMIT")
    for _ in range(3):
        for client, value in zip(clients, last):
            assert ask(client, ASK) == value
            assert ask(client, "SELECT currval('drawn_id_seq')") == value
            assert client.extended(ASK) == [[value]]
    for client in clients:
        client.close()


def test_what_another_drew_is_nobodys(started):
    braid = started(1)
    with braid.raw() as one, braid.raw() as other:
        ask(one, INSERT)
        mine = ask(one, ASK)
        assert mine.isdigit() and mine != "55000"
        assert ask(other, ASK) == "55000"
    with braid.raw() as one, braid.raw() as other:
        ask(one, INSERT)
        ask(other, INSERT)
        # Drawn through one connection, by two.
        assert ask(one, ASK) == "55000"
        assert ask(other, ASK) in ("55000", str(int(mine) + 2))


def test_who_has_asked_is_answered_from_then_on(started):
    braid = started(2)
    with braid.raw() as one, braid.raw() as other:
        ask(one, ASK)
        for _ in range(5):
            ask(one, INSERT)
            value = one.query("SELECT max(id) FROM drawn")[0][0]
            ask(other, INSERT)
            assert ask(one, ASK) == value


def test_who_never_asks_keeps_no_connection(started, table):
    braid = started(1)
    with braid.raw() as one, braid.raw() as other:
        for n in range(3):
            assert ask(one, INSERT + " RETURNING note") == "x"
            assert ask(other, INSERT + " RETURNING note") == "x"


def test_a_connection_forgets_what_others_drew_once_anybody_asks(started):
    braid = started(1)
    with braid.raw() as asker, braid.raw() as drawer, braid.raw() as other:
        assert ask(asker, ASK) == "55000"
        ask(drawer, INSERT)
        # Within a transaction the server is asked: what it remembers is nobody else's.
        ask(other, "BEGIN")
        ask(other, "UPDATE drawn SET note = 'y'")
        assert ask(other, ASK) == "55000"
        ask(other, "ROLLBACK")
