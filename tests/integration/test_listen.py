"""LISTEN and NOTIFY: what a client of a server sees, a client of pgbraid sees, and it keeps no server connection for it."""

import struct

import pytest

from braid import plain_topology, sharded_topology
from waiting import wait_until
from wire import Client, bind, describe_statement, errors, execute, kinds, parse, query, sync, tags


@pytest.fixture
def primary(cluster):
    return cluster.shards[0].primary


@pytest.fixture
def started(cluster, start_braid):
    """started(size, workers): pgbraid before the first shard's servers."""
    def start(size=1, workers=1, mode="transaction", **changes):
        return start_braid(plain_topology(cluster.shards[0].servers, pool={"mode": mode, "size": size}, workers=workers, **changes))
    return start


@pytest.fixture(params=["server", "pgbraid", "pgbraid in session mode"])
def port(request, primary, started):
    """What is expected here holds for the server itself too."""
    if request.param == "server":
        return primary.port
    return started(2).port if request.param == "pgbraid" else started(6, mode="session").port


def notifications(messages):
    """(pid, channel, payload) of each notification."""
    found = []
    for kind, body in messages:
        if kind == "A":
            channel, payload, _ = body[4:].split(b"\0")
            found.append((struct.unpack("!i", body[:4])[0], channel.decode(), payload.decode()))
    return found


def ask(client, *messages):
    """What the messages are answered, up to ReadyForQuery."""
    client.send(*[query(m) if isinstance(m, str) else m for m in messages])
    return client.until_ready()


def heard(client, *messages):
    """(channel, payload) of what came before ReadyForQuery."""
    return [n[1:] for n in notifications(ask(client, *messages))]


def order(messages):
    """The kinds of messages in the order in which they came, notifications among them."""
    return "".join(kind for kind, _ in messages if kind not in "NS")


def comes(client):
    """(channel, payload) of the next notification of a client that has asked for nothing."""
    kind, body = client.receive()
    assert kind == "A"
    return notifications([(kind, body)])[0][1:]


def backends(primary, more=""):
    return primary.value(f"SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND usename = 'app' {more}")


LISTENING = "AND application_name LIKE 'pgbraid%'"


# --- as on a server ----------------------------------------------------------------------------------------------------


def test_an_idle_client_is_told(port):
    with Client(port) as ear, Client(port) as mouth:
        assert tags(ask(ear, "LISTEN news")) == ["LISTEN"]
        mouth.query("NOTIFY news, 'first'")
        mouth.query("SELECT pg_notify('news', 'second')")
        mouth.query("NOTIFY other, 'unheard'")
        mouth.query("NOTIFY news")
        assert [comes(ear) for _ in range(3)] == [("news", "first"), ("news", "second"), ("news", "")]


def test_ones_own_come_before_ready_for_query_with_ones_own_pid(port):
    with Client(port) as client:
        ask(client, "LISTEN news")
        got = ask(client, "NOTIFY news, 'mine'")
        assert order(got) == "CAZ"
        assert notifications(got) == [(client.key[0], "news", "mine")]
        got = ask(client, parse("SELECT pg_notify('news', 'mine')"), bind(), execute(), sync())
        assert order(got) == "12DCAZ" and notifications(got)[0][0] == client.key[0]
        got = ask(client, "NOTIFY news, 'a'; NOTIFY news, 'b'")
        assert order(got) == "CCAAZ"


def test_others_are_not_taken_for_ones_own(port):
    with Client(port) as client, Client(port) as other:
        ask(client, "LISTEN news")
        for n in range(20):
            other.query(f"NOTIFY news, 'other {n}'")
            got = [(pid == client.key[0], payload) for pid, _, payload in notifications(ask(client, f"NOTIFY news, 'own {n}'"))]
            # What the other said was committed before, and is told first: idle, or with this answer.
            assert got[-1] == (True, f"own {n}")
            assert all(not own for own, _ in got[:-1])


def test_a_transaction_is_told_nothing_until_its_end(port):
    with Client(port) as ear, Client(port) as mouth:
        ask(ear, "LISTEN news")
        ask(ear, "BEGIN")
        ask(ear, "SELECT count(*) FROM countries")
        mouth.query("NOTIFY news, 'meanwhile'")
        assert heard(ear, "SELECT 1") == []
        assert heard(ear, "NOTIFY news, 'own'") == []
        assert heard(ear, "COMMIT") == [("news", "meanwhile"), ("news", "own")]
        ask(ear, "BEGIN")
        mouth.query("NOTIFY news, 'later'")
        ask(ear, "NOTIFY news, 'never'")
        assert heard(ear, "ROLLBACK")[:1] in ([("news", "later")], [])


def test_who_asks_afterwards_has_been_told(port):
    with Client(port) as ear, Client(port) as mouth:
        ask(ear, "LISTEN news")
        for n in range(50):
            mouth.query(f"NOTIFY news, '{n}'")
            assert heard(ear, "SELECT count(*) FROM countries") == [("news", str(n))]


def test_the_same_is_told_once(port):
    with Client(port) as client:
        ask(client, "LISTEN news")
        ask(client, "BEGIN")
        for payload in ("same", "same", "other", "same"):
            ask(client, f"NOTIFY news, '{payload}'")
        assert heard(client, "COMMIT") == [("news", "same"), ("news", "other")]


@pytest.mark.parametrize("end, listens", [("COMMIT", True), ("ROLLBACK", False)])
def test_listen_takes_effect_at_commit(port, end, listens):
    with Client(port) as ear, Client(port) as mouth:
        ask(ear, "BEGIN")
        assert tags(ask(ear, "LISTEN news")) == ["LISTEN"]
        mouth.query("NOTIFY news, 'too early'")
        ask(ear, "NOTIFY news, 'with it'")
        assert heard(ear, end) == ([("news", "with it")] if listens else [])
        mouth.query("NOTIFY news, 'after'")
        if listens:
            assert comes(ear) == ("news", "after")
        assert heard(ear, "NOTIFY news, 'last'") == ([("news", "last")] if listens else [])


def test_unlisten_takes_effect_at_commit(port):
    with Client(port) as ear:
        ask(ear, "LISTEN news")
        ask(ear, "BEGIN")
        ask(ear, "UNLISTEN news")
        ask(ear, "NOTIFY news, 'kept'")
        ask(ear, "ROLLBACK")
        assert heard(ear, "NOTIFY news, 'still'") == [("news", "still")]
        ask(ear, "BEGIN")
        ask(ear, "UNLISTEN *")
        ask(ear, "NOTIFY news, 'gone'")
        assert heard(ear, "COMMIT") == []
        assert heard(ear, "NOTIFY news, 'gone'") == []


def test_savepoints(port):
    with Client(port) as ear:
        for sql in ("BEGIN", "LISTEN a", "SAVEPOINT one", "LISTEN b", "UNLISTEN a", "SAVEPOINT two", "LISTEN c", "ROLLBACK TO one",
                    "LISTEN d", "SAVEPOINT three", "LISTEN e", "RELEASE three", "COMMIT"):
            ask(ear, sql)
        got = heard(ear, "; ".join(f"NOTIFY {name}" for name in "abcde"))
        assert [channel for channel, _ in got] == ["a", "d", "e"]


def test_a_failed_commit_undoes_it(port, primary):
    primary.query("CREATE TABLE deferred (n int UNIQUE DEFERRABLE INITIALLY DEFERRED); GRANT ALL ON deferred TO app")
    try:
        with Client(port) as ear:
            for sql in ("BEGIN", "LISTEN news", "INSERT INTO deferred VALUES (1), (1)"):
                ask(ear, sql)
            assert errors(ask(ear, "COMMIT"))[0]["C"] == "23505"
            assert heard(ear, "NOTIFY news") == []
            ask(ear, "LISTEN other")
            assert heard(ear, "NOTIFY news", ) == [] and heard(ear, "NOTIFY other") == [("other", "")]
    finally:
        primary.query("DROP TABLE deferred")


def test_in_batches(port):
    with Client(port) as ear:
        got = ask(ear, parse("LISTEN news", "l"), describe_statement("l"), bind(statement="l"), execute(), sync())
        assert order(got) == "1tn2CZ" and tags(got) == ["LISTEN"]
        assert heard(ear, "NOTIFY news") == [("news", "")]
        # A batch is one transaction: what comes behind LISTEN undoes it.
        got = ask(ear, parse("LISTEN lost"), bind(), execute(), parse("SELECT 1/0"), bind(), execute(), sync())
        assert errors(got)[0]["C"] == "22012"
        assert heard(ear, "NOTIFY lost") == []
        got = ask(ear, parse("LISTEN found"), bind(), execute(), parse("NOTIFY found, 'at once'"), bind(), execute(), sync())
        assert notifications(got) == [(ear.key[0], "found", "at once")]
        assert order(got) == "12C12CAZ"
        ask(ear, parse("UNLISTEN *"), bind(), execute(), sync())
        assert heard(ear, "NOTIFY news; NOTIFY found") == []


def test_names(port):
    long = "n" * 70
    with Client(port) as ear:
        for name in ("News", '"Mixed Case"', '"a ""quoted"" one"', '"ünïcode"', long):
            ask(ear, f"LISTEN {name}")
        for name, expected in (("NEWS", "news"), ('"Mixed Case"', "Mixed Case"), ('"a ""quoted"" one"', 'a "quoted" one'),
                               ('"ünïcode"', "ünïcode"), (long + "x", "n" * 63)):
            assert heard(ear, f"NOTIFY {name}") == [(expected, "")], name
        assert heard(ear, 'NOTIFY "News"; NOTIFY mixed') == []


def test_payloads_are_passed_on_byte_for_byte(port):
    with Client(port, client_encoding="UTF8") as ear, Client(port, client_encoding="LATIN1") as latin:
        payload = "ä'\\\t€" + "x" * 7900
        ask(ear, "LISTEN news")
        ask(latin, "LISTEN latin")
        assert heard(ear, "NOTIFY news, '" + payload.replace("'", "''") + "'") == [("news", payload)]
        ask(ear, "NOTIFY latin, 'ä'")
        kind, body = latin.receive()
        assert kind == "A" and body[4:] == b"latin\0\xe4\0"


def test_the_channels_are_shown(port):
    with Client(port) as ear:
        shown = "SELECT * FROM pg_listening_channels() ORDER BY 1"
        assert ear.query(shown) == []
        for name in ("b", '"A c"', "a"):
            ask(ear, f"LISTEN {name}")
        assert ear.query(shown) == [["A c"], ["a"], ["b"]]
        ask(ear, "BEGIN")
        ask(ear, "UNLISTEN a")
        assert ear.query(shown) == [["A c"], ["a"], ["b"]]
        ask(ear, "COMMIT")
        assert ear.extended(shown) == [["A c"], ["b"]]
        assert ear.query("SELECT count(*) FROM pg_listening_channels()") == [["2"]]
        assert heard(ear, "NOTIFY b") == [("b", "")]
    with Client(port) as other:
        assert other.query(shown) == []


@pytest.mark.parametrize("end", ["DISCARD ALL", "UNLISTEN *"])
def test_all_is_given_up(port, end):
    with Client(port) as ear:
        ask(ear, "LISTEN a")
        ask(ear, "LISTEN b")
        ask(ear, end)
        assert heard(ear, "NOTIFY a; NOTIFY b") == []
        assert ear.query("SELECT pg_listening_channels()") == []


def test_several_in_one_text_and_in_code(port):
    with Client(port) as ear:
        assert tags(ask(ear, "LISTEN a; LISTEN b")) == ["LISTEN", "LISTEN"]
        ask(ear, "DO $$ BEGIN EXECUTE 'LISTEN c'; END $$")
        ask(ear, "LISTEN d")
        ask(ear, "BEGIN")
        ask(ear, "LISTEN e")
        ask(ear, "NOTIFY e, 'with it'; COMMIT")
        got = heard(ear, "; ".join(f"NOTIFY {name}" for name in "abcde"))
        assert sorted(channel for channel, _ in got) == list("abcde")
        ask(ear, "UNLISTEN a")
        ask(ear, "UNLISTEN d")
        got = heard(ear, "; ".join(f"NOTIFY {name}" for name in "abcde"))
        assert sorted(channel for channel, _ in got) == list("bce")
        ask(ear, "UNLISTEN *")
        assert heard(ear, "; ".join(f"NOTIFY {name}" for name in "abcde")) == []


def test_beside_temporary_tables(port):
    with Client(port) as ear, Client(port) as mouth:
        ask(ear, "LISTEN a")
        ask(ear, "CREATE TEMP TABLE kept (n int)")
        ask(ear, "LISTEN b")
        assert heard(ear, "NOTIFY a; NOTIFY b") == [("a", ""), ("b", "")]
        mouth.query("NOTIFY b, 'from another'")
        assert comes(ear) == ("b", "from another")
        ask(ear, "DROP TABLE kept")
        ask(ear, "UNLISTEN a")
        assert heard(ear, "NOTIFY a; NOTIFY b") == [("b", "")]


def test_prepare_transaction_minds(port):
    with Client(port) as ear:
        ask(ear, "BEGIN")
        ask(ear, "LISTEN news")
        assert errors(ask(ear, "PREPARE TRANSACTION 'never'"))[0]["C"] == "0A000"
        ask(ear, "ROLLBACK")
        assert heard(ear, "NOTIFY news") == []


def test_nothing_is_missed_that_is_committed_after_listen(port):
    with Client(port) as mouth:
        for n in range(30):
            with Client(port) as ear:
                ask(ear, f"LISTEN room_{n}")
                mouth.query(f"NOTIFY room_{n}, '{n}'")
                assert comes(ear) == (f"room_{n}", str(n))


# --- what only pgbraid has ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_listeners_share_one_connection(primary, started, mode):
    braid = started(1, mode=mode)
    ears = [braid.raw() for _ in range(20)]
    for n, ear in enumerate(ears):
        ask(ear, "LISTEN everybody")
        ask(ear, f"LISTEN only_{n}")
    with braid.raw() as mouth:
        assert mouth.value("SELECT 1") == "1"
        for n in range(len(ears)):
            mouth.query(f"NOTIFY only_{n}, 'x'")
        mouth.query("NOTIFY everybody")
    for n, ear in enumerate(ears):
        assert [comes(ear), comes(ear)] == [(f"only_{n}", "x"), ("everybody", "")]
    assert backends(primary, LISTENING) == 1
    assert backends(primary) <= 2
    for ear in ears:
        ear.close()


def test_over_several_workers(started):
    braid = started(2, workers=4)
    ears = [braid.raw() for _ in range(8)]
    for ear in ears:
        ask(ear, "LISTEN news")
    for n, ear in enumerate(ears):
        got = ask(ear, f"NOTIFY news, '{n}'")
        assert (ear.key[0], "news", str(n)) in notifications(got)
    for ear in ears:
        ear.close()


def test_a_lost_connection_ends_those_who_listened(primary, started):
    braid = started(2)
    with braid.raw() as idle, braid.raw() as busy, braid.raw() as deaf:
        ask(idle, "LISTEN news")
        ask(busy, "LISTEN news")
        ask(busy, "BEGIN")
        busy.query("SELECT count(*) FROM countries")
        deaf.value("SELECT 1")
        primary.query(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app' {LISTENING}")
        got = idle.receive_until("E")
        assert errors(got)[0]["C"] == "57P01" and "LISTEN" in errors(got)[0]["H"]
        assert idle.closed()
        # Its transaction is another connection's, and may end as it likes.
        got = ask(busy, "COMMIT")
        assert tags(got) == ["COMMIT"]
        assert errors(busy.receive_until("E"))[0]["C"] == "57P01"
        assert busy.closed()
        assert deaf.value("SELECT 2") == "2"
    with braid.raw() as again:
        ask(again, "LISTEN news")
        assert heard(again, "NOTIFY news, 'again'") == [("news", "again")]


@pytest.mark.parametrize("known", [False, True])
def test_without_a_server_nobody_listens(primary, start_braid, known):
    braid = start_braid(plain_topology([primary], failover={"hold": "0"}, workers=1))
    with braid.raw() as ear:
        primary.stop()
        try:
            if known:
                wait_until(lambda: f"no primary: {primary.address} is lost" in braid.log(), 15, "the loss is known")
            ear.send(query("LISTEN news"))
            got = ear.receive_until("EZ")
            assert errors(got)[0]["C"] == "57P01"
        finally:
            primary.start()


def test_who_does_not_read_is_bounded(started, memory_bound):
    braid = started(2, limits={"max_notifications": "64kB"})
    with braid.raw() as ear, braid.raw() as mouth:
        ask(ear, "LISTEN news")
        ask(ear, "BEGIN")
        ear.query("SELECT 1")
        for n in range(20):
            mouth.query(f"SELECT pg_notify('news', '{n}' || repeat('x', 4000))")
        got = ear.receive_until("E")
        assert errors(got)[0]["C"] == "53400" and ear.closed()
        assert mouth.value("SELECT 1") == "1"


def test_the_last_to_leave_leaves_nothing(primary, started):
    braid = started(2)
    with braid.raw() as ear:
        ask(ear, "LISTEN news")
    query_of = f"SELECT query FROM pg_stat_activity WHERE usename = 'app' {LISTENING}"
    wait_until(lambda: primary.value(query_of) == 'UNLISTEN "news"', what="the channel is given up")


# --- over several shards -----------------------------------------------------------------------------------------------


@pytest.fixture
def sharded(cluster, start_braid):
    return start_braid(sharded_topology(cluster, workers=1, pool={"mode": "transaction", "size": 4}))


def test_every_shard_is_heard(cluster, sharded):
    keys = [cluster.keys_of(i, 1)[0] for i in range(len(cluster.shards))]
    with sharded.raw() as ear, sharded.raw() as mouth:
        assert tags(ask(ear, "LISTEN news")) == ["LISTEN"]
        mouth.query("NOTIFY news, 'statement'")
        mouth.query("SELECT pg_notify('news', 'function')")
        assert [comes(ear), comes(ear)] == [("news", "statement"), ("news", "function")]
        for key in keys:
            ask(mouth, f"SELECT pg_notify('news', '{key}') FROM customers WHERE id = {key}")
            ask(mouth, f"DELETE FROM customers WHERE id = {key} AND pg_notify('news', 'from {key}') IS NULL")
        assert sorted(comes(ear)[1] for _ in range(4)) == sorted(f"{w}{key}" for key in keys for w in ("", "from "))
        for key in keys:
            got = ask(ear, f"SELECT pg_notify('news', 'own') FROM customers WHERE id = {key}")
            assert notifications(got) == [(ear.key[0], "news", "own")]


def test_a_commit_over_several_shards_notifies(cluster, sharded):
    keys = [cluster.keys_of(i, 1)[0] for i in range(len(cluster.shards))]
    with sharded.raw() as ear:
        ask(ear, "LISTEN news")
        for first in (keys, keys[::-1]):
            ask(ear, "BEGIN")
            ask(ear, f"UPDATE customers SET name = name WHERE id = {first[0]}")
            ask(ear, "NOTIFY news, 'all of it'")
            ask(ear, f"UPDATE customers SET name = name WHERE id = {first[1]}")
            got = ask(ear, "COMMIT")
            assert tags(got) == ["COMMIT"]
            assert notifications(got) == [(ear.key[0], "news", "all of it")]


def test_what_is_refused_over_several_shards(sharded):
    with sharded.raw() as ear:
        assert errors(ask(ear, f"LISTEN {'n' * 64}"))[0]["C"] == "0A000"


def test_in_a_text_of_several(sharded):
    with sharded.raw() as ear:
        assert heard(ear, "LISTEN a; LISTEN b; SELECT count(*) FROM customers; NOTIFY b, 'own'") == [("b", "own")]
        with sharded.raw() as mouth:
            mouth.query("NOTIFY a, 'one'; SELECT count(*) FROM customers; NOTIFY b, 'two'")
        assert [comes(ear), comes(ear)] == [("a", "one"), ("b", "two")]
