"""COPY FROM over shards: each row goes to its shard, those of reference tables to all; all rows or none stay."""

import io
import os
import select
import signal

import pytest

from test_memory import MEGABYTE, Memory
from waiting import wait_until
from wire import bind, errors, execute, kinds, message, parse, query, sync, tags, text

FIRST = 700_000


@pytest.fixture(autouse=True)
def clean(cluster):
    yield
    for shard in cluster.shards:
        shard.primary.query("DELETE FROM customers WHERE id >= %s", (FIRST,))


def on_shards(cluster, what="id"):
    return [[row[0] for row in shard.primary.query(f"SELECT {what} FROM customers WHERE id >= {FIRST} ORDER BY id")] for shard in cluster.shards]


def lines(ids, mark=""):
    return "".join(f"{i}\tcustomer {i}{mark}\n" for i in ids)


def open_copy(client, sql="COPY customers (id, name) FROM STDIN", extended=False):
    client.send(*((parse(sql), bind(), execute(), sync()) if extended else (query(sql),)))
    assert kinds(client.receive_until("GE"))[-1] == "G"


def nobody_is_left(cluster):
    """No server has an open or a prepared transaction of these tests; the monitor reads catalogs in transactions of its own."""
    return all(shard.primary.value("SELECT count(*) FROM pg_stat_activity WHERE application_name NOT LIKE 'pgbraid%%' AND "
                                   "(state LIKE 'idle in transaction%%' OR state = 'active' AND query LIKE 'COPY%%')") == 0
               and shard.primary.value("SELECT count(*) FROM pg_prepared_xacts") == 0 for shard in cluster.shards)


def test_by_a_driver(cluster, braid):
    ids = range(FIRST, FIRST + 20_000)
    with braid.connect() as connection, connection.cursor() as cursor:
        cursor.copy_expert("COPY customers (id, name) FROM STDIN", io.StringIO(lines(ids)))
        assert cursor.rowcount == 20_000
        assert on_shards(cluster) == [[], []], "not before the commit"
        connection.commit()
        got = on_shards(cluster)
        assert sorted(got[0] + got[1]) == list(ids)
        assert all(cluster.shard_of(key) == cluster.shards[i] for i in range(2) for key in got[i][:50])
        cursor.execute("SELECT count(*), min(name) FROM customers WHERE id >= %s", (FIRST,))
        assert cursor.fetchone() == (20_000, f"customer {FIRST}")
        cursor.copy_expert("COPY customers (name, id, country) FROM STDIN (FORMAT csv, HEADER match, QUOTE '''')",
                           io.StringIO("name,id,country\n'two\nlines',720000,DE\n'it''s, me',720001,\n"))
        cursor.execute("SELECT id, name, country FROM customers WHERE id >= 720000 ORDER BY id")
        assert cursor.fetchall() == [(720_000, "two\nlines", "DE"), (720_001, "it's, me", None)]
        connection.rollback()
    connection.close()


@pytest.mark.parametrize("extended", [False, True])
def test_without_a_transaction(cluster, client, extended):
    open_copy(client, extended=extended)
    client.send(message("d", lines(range(FIRST, FIRST + 100)).encode()), message("c"), sync() if extended else b"")
    assert tags(client.until_ready()) == ["COPY 100"] and client.status == "I"
    assert sum(map(len, on_shards(cluster))) == 100


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("in_transaction", [False, True])
@pytest.mark.parametrize("bad", [0, 1])
def test_a_bad_row_undoes_all(cluster, client, bad, in_transaction, extended):
    ids = [key for pair in zip(cluster.keys_of(0, 300, FIRST), cluster.keys_of(1, 300, FIRST)) for key in pair]
    broken = lines(ids[:400]) + f"{ids[400 + bad]}\tname\textra\n" + lines(ids[402:])
    if in_transaction:
        client.query("BEGIN")
    open_copy(client, extended=extended)
    client.send(message("d", broken.encode()), message("c"), sync() if extended else b"")
    failed = errors(client.until_ready())[0]
    assert failed["C"] == "22P04" and failed["W"].startswith("COPY customers, line 401: "), failed
    assert client.status == ("E" if in_transaction else "I")
    if in_transaction:
        client.query("ROLLBACK")
    assert on_shards(cluster) == [[], []] and nobody_is_left(cluster)
    assert client.value("SELECT 1") == "1"


def test_a_duplicate_and_a_savepoint(cluster, client):
    """In a transaction, what a savepoint keeps stays."""
    client.query("BEGIN")
    open_copy(client)
    client.send(message("d", lines(range(FIRST, FIRST + 10)).encode()), message("c"))
    assert tags(client.until_ready()) == ["COPY 10"]
    client.query("SAVEPOINT here")
    open_copy(client)
    client.send(message("d", lines(range(FIRST + 10, FIRST + 20)).encode() + lines([FIRST + 3]).encode()), message("c"))
    failed = errors(client.until_ready())[0]
    assert failed["C"] == "23505" and failed["W"] == "COPY customers, line 11"
    client.query("ROLLBACK TO here")
    open_copy(client)
    client.send(message("d", lines(range(FIRST + 20, FIRST + 30)).encode()), message("c"))
    assert tags(client.until_ready()) == ["COPY 10"]
    client.query("COMMIT")
    got = on_shards(cluster)
    assert sorted(got[0] + got[1]) == [*range(FIRST, FIRST + 10), *range(FIRST + 20, FIRST + 30)]


def test_the_key_is_missing_or_not_certain(cluster, client):
    for data, sqlstate, word in ((b"\\N\tx\n", "23502", "null value"), (b"\tx\n", "22P02", "invalid input syntax"), (b"7000000000000000000000\tx\n", "22003", "out of range")):
        open_copy(client)
        client.send(message("d", lines([FIRST]).encode() + data + lines([FIRST + 1]).encode()), message("c"))
        failed = errors(client.until_ready())[0]
        assert failed["C"] == sqlstate and word in failed["M"], failed
    assert on_shards(cluster) == [[], []]


def test_a_server_refuses_it(client):
    """The client is not asked for data."""
    client.send(query("COPY customers (id, nonsense) FROM STDIN"))
    got = client.until_ready()
    assert kinds(got) == "EZ" and errors(got)[0]["C"] == "42703" and client.status == "I"
    client.send(query("COPY customers (id, name) FROM STDIN (DELIMITER 'ab')"))
    assert errors(client.until_ready())[0]["C"] == "0A000"
    assert client.value("SELECT 1") == "1"


def test_the_client_gives_up_or_vanishes(cluster, braid, client):
    open_copy(client)
    client.send(message("d", lines(range(FIRST, FIRST + 1000)).encode()), message("f", text("changed my mind")))
    failed = errors(client.until_ready())[0]
    assert failed["C"] == "57014" and "changed my mind" in failed["M"] and failed["W"] == "COPY customers, line 1001"
    # The reset may come together with the last bytes: several times, so that it does.
    for _ in range(8):
        leaver = braid.raw()
        open_copy(leaver)
        leaver.send(message("d", lines(range(FIRST, FIRST + 1000)).encode()))
        leaver.vanish()
    wait_until(lambda: nobody_is_left(cluster), 20, "the servers have given it up")
    assert on_shards(cluster) == [[], []]
    assert client.value("SELECT 1") == "1"


def test_a_server_that_is_lost(cluster, client):
    open_copy(client)
    client.send(message("d", lines(range(FIRST, FIRST + 1000)).encode()))
    primary = cluster.shards[1].primary
    wait_until(lambda: primary.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY customers%%' AND state = 'active'") == 1, 20, "it copies")
    primary.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY customers%%' AND state = 'active'")
    failed = errors(client.until_ready())[0]
    assert failed["C"] == "08006" and client.status == "I"
    assert on_shards(cluster) == [[], []] and nobody_is_left(cluster)
    client.send(message("d", b"more of it\n"), message("c"))
    assert client.value("SELECT 1") == "1"


@pytest.mark.parametrize("chunk", [8 * 1024, 8 * MEGABYTE])
def test_the_slowest_shard_sets_the_pace(cluster, braid, chunk, memory_bound):
    with braid.raw() as warm:
        warm.value("SELECT count(*) FROM customers")
    client = braid.raw(timeout=60)
    open_copy(client)
    keys = [key for pair in zip(cluster.keys_of(0, 2000, FIRST), cluster.keys_of(1, 2000, FIRST)) for key in pair]
    slow = cluster.shards[1].primary
    pid = wait_until(lambda: slow.value("SELECT max(pid) FROM pg_stat_activity WHERE query LIKE 'COPY customers%%' AND state = 'active'"), 20, "it copies")
    # Sockets alone may hold 20 MB on the way.
    row = "\t" + "y" * 16000 + "\n"
    data = b"".join(f"{key}{row}".encode() for key in keys)
    stream = b"".join(message("d", data[at:at + chunk]) for at in range(0, len(data), chunk))
    memory = Memory(braid.process.pid)
    client.socket.setblocking(False)
    sent, stopped = 0, False
    os.kill(pid, signal.SIGSTOP)
    try:
        while sent < len(stream):
            try:
                sent += client.socket.send(stream[sent:sent + MEGABYTE])
                memory.look()
            except BlockingIOError:
                if not select.select([], [client.socket], [], 0.5)[1] and not stopped:
                    stopped = True
                    memory.look()
                    os.kill(pid, signal.SIGCONT)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert stopped
    client.socket.settimeout(60)
    client.send(message("c"))
    assert tags(client.until_ready()) == [f"COPY {len(keys)}"]
    memory.look()
    assert memory.most < memory_bound(4)
    client.close()


def test_a_reference_table(cluster, client):
    def copies():
        return [shard.primary.query("SELECT code, name FROM countries WHERE code LIKE 'Z%%' ORDER BY code") for shard in cluster.shards]
    try:
        open_copy(client, "COPY countries FROM STDIN (FORMAT csv)")
        client.send(message("d", b"ZA,South Africa\nZM,"), message("d", b"\"Zam\nbia\"\n"), message("c"))
        assert tags(client.until_ready()) == ["COPY 2"] and client.status == "I"
        assert copies() == [[("ZA", "South Africa"), ("ZM", "Zam\nbia")]] * 2
        client.query("BEGIN")
        open_copy(client, "COPY countries FROM STDIN (FORMAT csv)")
        client.send(message("d", b"ZW,Zimbabwe\nZA,again\n"), message("c"))
        failed = errors(client.until_ready())[0]
        assert failed["C"] == "23505" and failed["W"] == "COPY countries, line 2"
        client.query("ROLLBACK")
        open_copy(client, "COPY countries FROM STDIN")
        client.send(message("f", text("no")))
        assert errors(client.until_ready())[0]["C"] == "57014" and client.status == "I"
        client.send(parse("COPY countries FROM STDIN"), bind(), execute(), sync())
        assert errors(client.until_ready())[0]["C"] == "0A000" and client.status == "I"
        assert copies() == [[("ZA", "South Africa"), ("ZM", "Zam\nbia")]] * 2 and nobody_is_left(cluster)
    finally:
        for shard in cluster.shards:
            shard.primary.query("DELETE FROM countries WHERE code LIKE 'Z%%'")
