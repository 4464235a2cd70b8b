"""commits.answer: decided. COMMIT over two shards is answered when nothing can undo it any more; what the other shard has still
to do goes on behind the answer, whatever comes in between. That nothing is torn is in test_atomic.py and test_snapshots.py."""

import contextlib
import select
import signal

import pytest

from braid import sharded_topology
from test_atomic import BALANCE, add, balances, in_doubt, told
from test_snapshots import asks_for_gate, in_thread
from waiting import wait_until
from wire import bind, execute, parse, query, sync


@pytest.fixture
def links(cluster, fault_proxy):
    return [fault_proxy(shard.primary.port) for shard in cluster.shards]


@pytest.fixture
def topology(cluster, links):
    """Through `links`, with short looks at what is in doubt."""
    topology = sharded_topology(cluster, commits={"answer": "decided"})
    for entry, link in zip(topology["databases"]["shop"]["shards"], links):
        entry["servers"] = [link.address]
    topology["monitor"]["catalog_interval"] = "200ms"
    return topology


@pytest.fixture
def braid(topology, start_braid):
    return start_braid(topology)


@pytest.fixture
def client(braid):
    client = braid.raw()
    yield client
    client.close()


@pytest.fixture
def before(cluster, keys):
    return balances(cluster, keys)


def commit(client, keys):
    """Of a transaction that has written to both."""
    client.query("BEGIN")
    for i in range(2):
        client.query(add(keys[i][0]))
    assert told(client, "COMMIT")[0] == ["COMMIT"] and client.status == "I"


@contextlib.contextmanager
def answered(cluster, links, client, keys, before):
    """COMMIT has been answered, and COMMIT PREPARED waits before the second shard until the end, or until that is cut off."""
    there = links[1].hold(b"COMMIT PREPARED", user="app")
    commit(client, keys)
    assert there.wait(20)
    assert balances(cluster, keys) == [before[0] + 1, before[1]]
    yield
    links[1].release()


def committed(cluster, keys, before):
    wait_until(lambda: in_doubt(cluster) == [], 30, "nothing is in doubt")
    assert balances(cluster, keys) == [b + 1 for b in before]


def test_a_session_sees_what_it_has_written(cluster, client, keys):
    expected = balances(cluster, keys)
    pair = f"({keys[0][0]}, {keys[1][0]})"
    both = f"SELECT id, balance FROM customers WHERE id IN {pair}"
    for n in range(200):
        extended = n % 2 == 1
        if n % 4 < 2:
            client.query("BEGIN")
            for i in (1, 0):
                told(client, add(keys[i][0]), extended)
            assert told(client, "COMMIT", extended)[0] == ["COMMIT"]
        else:
            assert told(client, f"UPDATE customers SET balance = balance + 1 WHERE id IN {pair}", extended)[0] == ["UPDATE 2"]
        expected = [value + 1 for value in expected]
        if n % 3 == 0:
            assert sorted(told(client, both, extended)[1]) == sorted([str(keys[i][0]), str(expected[i])] for i in range(2))
        else:
            assert [told(client, BALANCE % keys[i][0], extended)[1] for i in range(2)] == [[[str(value)]] for value in expected]
    assert in_doubt(cluster) == []


def test_statements_behind_it_wait(cluster, links, client, keys, before):
    with answered(cluster, links, client, keys, before):
        client.send(query(BALANCE % keys[1][0]), parse(BALANCE % keys[0][0]), bind(), execute(), sync())
    assert [client.result() for _ in range(2)] == [[[str(before[i] + 1)]] for i in (1, 0)]
    assert in_doubt(cluster) == []


def test_a_cancel_request_does_not_reach_it(cluster, links, braid, client, keys, before):
    mark = braid.log_mark()
    with answered(cluster, links, client, keys, before):
        client.cancel()
    committed(cluster, keys, before)
    assert "had been interrupted" not in braid.log(mark)


def test_a_client_that_leaves_with_its_answer(cluster, links, braid, keys, before):
    client, mark = braid.raw(), braid.log_mark()
    with answered(cluster, links, client, keys, before):
        client.vanish()
    committed(cluster, keys, before)
    assert "had been interrupted" not in braid.log(mark)


def test_sigterm_waits_for_it(cluster, links, braid, client, keys, before):
    with answered(cluster, links, client, keys, before):
        idle = braid.raw()
        braid.signal(signal.SIGTERM)
        assert idle.closed()
        assert braid.running
    assert braid.wait_exit(10) == 0
    assert in_doubt(cluster) == [] and balances(cluster, keys) == [b + 1 for b in before]


def test_a_server_that_is_lost_behind_it(cluster, links, client, keys, before):
    with answered(cluster, links, client, keys, before):
        links[1].cut()
        assert client.value("SELECT 1") == "1"
    committed(cluster, keys, before)


def test_pgbraid_is_killed_behind_it(cluster, links, braid, client, keys, before):
    with answered(cluster, links, client, keys, before):
        braid.kill()
        links[1].cut()
    assert balances(cluster, keys) == [before[0] + 1, before[1]]
    braid.start()
    committed(cluster, keys, before)


def test_a_consistent_read_of_another_session_waits_for_it(cluster, links, topology, start_braid, keys, before):
    topology["databases"]["shop"]["reads"]["snapshot"] = "consistent"
    braid = start_braid(topology)
    both = f"SELECT balance FROM customers WHERE id IN ({keys[0][0]}, {keys[1][0]})"
    with contextlib.closing(braid.raw()) as client, contextlib.closing(braid.raw()) as other:
        with answered(cluster, links, client, keys, before):
            read = in_thread(lambda: told(other, both)[1])
            wait_until(lambda: asks_for_gate(cluster.shards[1].primary), 20, "the read waits for the commit")
        assert sorted(read()) == sorted([str(b + 1)] for b in before)


def test_a_reload_changes_when_it_is_answered(cluster, links, braid, topology, client, keys):
    for answer in ("finished", "decided"):
        mark = braid.log_mark()
        topology["databases"]["shop"]["commits"] = {"answer": answer}
        braid.write(topology)
        braid.reload()
        wait_until(lambda mark=mark: "reloaded" in braid.log(mark), 15, "reloaded")
        there = links[1].hold(b"COMMIT PREPARED", user="app")
        client.query("BEGIN")
        for i in range(2):
            client.query(add(keys[i][0]))
        client.send(query("COMMIT"))
        assert there.wait(20)
        if answer == "decided":
            client.until_ready()
        else:
            assert not select.select([client.socket], [], [], 0)[0]
        links[1].release()
        if answer == "finished":
            client.until_ready()
        assert client.status == "I" and client.value("SELECT 1") == "1"
    assert in_doubt(cluster) == []
