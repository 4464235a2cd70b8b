"""Limits and time-outs: each is refused, or ended, with PostgreSQL's SQLSTATE, and nobody else is touched."""

import pytest

from braid import plain_topology
from cluster import ROLES
from waiting import wait_until
from wire import Client, ServerError, describe_portal, error_fields, execute, parse, bind, query, startup


@pytest.fixture
def started(cluster, start_braid):
    """started(pool=..., limits=..., ...): pgbraid before the first shard's primary alone."""
    def start(pool=None, **changes):
        pool = {"mode": "transaction", "size": 20} | (pool or {})
        # One worker: what a login is told of the server is asked for once for each worker, and needs a connection.
        return start_braid(plain_topology([cluster.shards[0].primary], pool=pool, **{"workers": 1} | changes))
    return start


@pytest.fixture
def primary(cluster):
    return cluster.shards[0].primary


def connections(primary, user="app"):
    """Backends of a user's that pgbraid has opened, by pid."""
    return {pid for pid, in primary.query("SELECT pid FROM pg_stat_activity WHERE usename = %s AND backend_type = 'client backend'", (user,))}


def users(**changes):
    """The tests' users, some with more keys."""
    return {name: {"password": password or "unused"} | changes.get(name, {}) for name, (_, password) in ROLES.items()}


def refused(port, *arguments):
    with pytest.raises(ServerError) as error:
        Client(port, *arguments)
    assert error.value.severity == "FATAL"
    return error.value.sqlstate


def sent_away(client):
    """The SQLSTATE of the FATAL error that an idle client is told before its connection is closed."""
    kind, body = client.receive()
    assert kind == "E" and error_fields(body)["V"] == "FATAL"
    assert client.closed()
    return error_fields(body)["C"]


def holder(braid, **kw):
    """A client with an open transaction, and so with a server connection of its own."""
    client = Client(braid.port, **kw)
    client.query("BEGIN")
    client.query("SELECT txid_current()")
    return client


# --- clients -----------------------------------------------------------------------------------------------------------


def test_clients_of_a_user(started):
    braid = started(limits={"max_clients_per_user": 2}, users=users(app_md5={"max_clients": 1}))
    first, second = Client(braid.port), Client(braid.port)
    assert refused(braid.port) == "53300"
    other = Client(braid.port, "app_md5", ROLES["app_md5"][1])
    assert refused(braid.port, "app_md5", ROLES["app_md5"][1]) == "53300"
    # Who does not know the password takes nobody's place.
    assert refused(braid.port, "app_md5", "wrong") == "28P01"
    first.close()
    wait_until(lambda: Client(braid.port).value("SELECT 1") == "1", what="a place is free again")
    assert second.value("SELECT 1") == other.value("SELECT 1") == "1"


def test_clients_of_a_database(started):
    braid = started(max_clients=2)
    first, second = Client(braid.port), Client(braid.port, "app_password", ROLES["app_password"][1])
    assert refused(braid.port) == "53300"
    second.vanish()
    wait_until(lambda: Client(braid.port).value("SELECT 1") == "1", what="a place is free again")
    assert first.value("SELECT 1") == "1"


def test_limits_take_effect_on_reload(started):
    braid = started()
    clients = [Client(braid.port) for _ in range(3)]
    assert clients[0].value("SELECT length(repeat('x', 10000))") == "10000"

    def reload_with(**changes):
        mark = braid.log_mark()
        braid.write(braid.topology | changes)
        braid.reload()
        wait_until(lambda: "reloaded" in braid.log(mark), what="the topology is in force")

    reload_with(limits={"max_clients_per_user": 2, "max_message": "8kB", "max_statements": 1, "max_parse": "1kB"})
    assert refused(braid.port) == "53300"

    def too_large():
        with pytest.raises(ServerError) as error:
            clients[0].query("SELECT '" + "x" * 9000 + "'")
        return error.value.sqlstate == "54000"
    wait_until(too_large, what="every worker has the new limits")
    assert clients[0].value("SELECT 2") == "2"

    mark = braid.log_mark()
    braid.write(braid.topology | {"limits": {}, "log": {"level": "error"}})
    braid.reload()
    wait_until(lambda: Client(braid.port).value("SELECT 1") == "1", what="the limits are gone")
    assert clients[0].value("SELECT '" + "x" * 9000 + "'") == "x" * 9000
    assert "reloaded" not in braid.log(mark)
    mark = braid.log_mark()
    braid.write(braid.topology | {"limits": {}, "log": {"level": "info"}})
    braid.reload()
    wait_until(lambda: "reloaded" in braid.log(mark), what="the log speaks again")
    assert "reloading" not in braid.log(mark)


# --- connections to servers ---------------------------------------------------------------------------------------------


def test_connections_of_a_database_are_shared_by_its_users(started, primary):
    """A user without a connection gets the place of another's idle one; and of a busy one when it is through."""
    before = connections(primary) | connections(primary, "app_md5")
    braid = started(pool={"size": 2, "max_connections": 2})
    md5 = {"user": "app_md5", "password": ROLES["app_md5"][1]}
    a, b = holder(braid), holder(braid)
    b.query("ROLLBACK")
    c = holder(braid, **md5)

    def opened():
        return (connections(primary) | connections(primary, "app_md5")) - before
    assert len(opened()) <= 2
    waiting = Client(braid.port, **md5)
    waiting.send(query("SELECT 'waited'"))
    b.send(query("SELECT 'too'"))
    a.query("ROLLBACK")
    assert waiting.result() == [["waited"]]
    c.query("ROLLBACK")
    assert b.result() == [["too"]]
    wait_until(lambda: len(opened()) <= 2, what="never more than two")


def test_connections_of_a_user(started, primary):
    braid = started(users=users(app={"max_server_connections": 1}), timeouts={"checkout": "300ms"})
    first = holder(braid)
    second = Client(braid.port)
    with pytest.raises(ServerError) as error:
        second.query("SELECT 1")
    assert error.value.sqlstate == "53300"
    first.query("ROLLBACK")
    assert second.value("SELECT 1") == "1"


def test_reserve(started, primary):
    braid = started(pool={"size": 1, "reserve": 1, "reserve_after": "200ms"})
    before = connections(primary)
    first = holder(braid)
    second = holder(braid)
    third = Client(braid.port)
    third.send(query("SELECT 'patient'"))
    first.query("ROLLBACK")
    assert third.result() == [["patient"]]
    second.query("ROLLBACK")
    wait_until(lambda: len(connections(primary) - before) <= 1, what="the reserve is given up when nobody needs it")


def test_lifetime_and_idle_time(started, primary):
    braid = started(pool={"size": 1, "lifetime": "1s"})
    client = Client(braid.port)
    first = client.value("SELECT pg_backend_pid()")
    wait_until(lambda: client.value("SELECT pg_backend_pid()") != first, what="another backend, though it was always in use")
    braid.write(braid.topology | {"databases": {"shop": braid.topology["databases"]["shop"] | {"pool": {"size": 1, "idle_timeout": "1s"}}}})
    braid.reload()
    second = int(client.value("SELECT pg_backend_pid()"))
    wait_until(lambda: second not in connections(primary), what="the idle backend is closed")
    assert client.value("SELECT 1") == "1"


# --- time-outs ---------------------------------------------------------------------------------------------------------


def test_idle_client(started):
    braid = started(timeouts={"idle_client": "300ms"})
    idle, in_transaction = Client(braid.port), holder(braid)
    assert sent_away(idle) == "57P05"
    assert in_transaction.value("SELECT 1") == "1"


def test_idle_in_transaction(started, primary):
    braid = started(pool={"size": 1}, timeouts={"idle_in_transaction": "300ms"})
    idle, other = holder(braid), Client(braid.port)
    other.send(query("SELECT 'waited'"))
    assert sent_away(idle) == "25P03"
    assert other.result() == [["waited"]]


def test_transaction(started):
    braid = started(timeouts={"transaction": "400ms"})
    busy, outside = holder(braid), Client(braid.port)
    told = ""
    while told != "E":
        busy.send(query("SELECT pg_sleep(0.01)"))
        told, body = busy.receive_until("EZ")[-1]
        outside.query("SELECT 1")
    assert (error_fields(body)["C"], error_fields(body)["V"]) == ("25P04", "FATAL")
    assert busy.closed()
    assert outside.value("SELECT 1") == "1"


def test_query(started, primary):
    braid = started(timeouts={"query": "300ms"})
    slow, patient = Client(braid.port), Client(braid.port)
    with pytest.raises(ServerError) as error:
        slow.query("SELECT pg_sleep(60)")
    assert (error.value.sqlstate, error.value.severity) == ("57014", "ERROR")
    slow.send(parse("SELECT pg_sleep($1::float8)"), bind(["60"]), describe_portal(), execute(), b"S\0\0\0\4")
    with pytest.raises(ServerError) as error:
        slow.result()
    assert error.value.sqlstate == "57014" and slow.status == "I"
    assert slow.value("SELECT 1") == patient.value("SELECT 1") == "1"


def test_query_that_waits_for_a_connection(started):
    braid = started(pool={"size": 1}, timeouts={"query": "300ms"})
    first, second = holder(braid), Client(braid.port)
    with pytest.raises(ServerError) as error:
        second.query("SELECT 1")
    assert error.value.sqlstate == "57014"
    first.query("ROLLBACK")
    assert second.value("SELECT 1") == "1"


def test_login(started):
    braid = started(timeouts={"login": "200ms"})
    silent = Client(braid.port, user=None)
    silent.send(startup(user="app", database="shop"))
    assert silent.receive()[0] == "R"
    assert sent_away(silent) == "57014"
