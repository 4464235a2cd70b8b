"""What goes wrong at the COMMIT of a transaction over two shards, and what becomes of it: the table in docs/operations.md, "Transactions
in doubt". That nothing is torn when links break or pgbraid is killed is in test_atomic.py, failover in test_atomic_failover.py."""

import pytest

from braid import sharded_topology
from test_atomic import add, balances, in_doubt, told
from test_console import ADMIN, Console
from waiting import wait_until
from wire import ServerError, query


@pytest.fixture
def links(cluster, fault_proxy):
    return [fault_proxy(shard.primary.port) for shard in cluster.shards]


@pytest.fixture
def braid(cluster, links, start_braid):
    """Through `links`, with short looks at what is in doubt."""
    topology = sharded_topology(cluster, **ADMIN)
    for entry, link in zip(topology["databases"]["shop"]["shards"], links):
        entry["servers"] = [link.address]
    topology["monitor"]["catalog_interval"] = "200ms"
    return start_braid(topology)


@pytest.fixture
def client(braid, keys):
    """In a transaction that has written to both."""
    client = braid.raw()
    client.query("BEGIN")
    for i in range(2):
        client.query(add(keys[i][0]))
    yield client
    client.close()


@pytest.fixture
def before(cluster, keys):
    return balances(cluster, keys)


def fails(client, sqlstate):
    with pytest.raises(ServerError) as caught:
        told(client, "COMMIT")
    assert caught.value.sqlstate == sqlstate
    return caught.value


def settled(cluster):
    wait_until(lambda: in_doubt(cluster) == [], 30, "nothing is in doubt")


def test_no_slot_is_free(cluster, before, client, keys):
    """Others have prepared as many transactions as the server holds."""
    primary = cluster.shards[1].primary
    slots = int(primary.value("SHOW max_prepared_transactions"))
    for i in range(slots):
        primary.query(f"BEGIN; SELECT 1; PREPARE TRANSACTION 'theirs_{i}'")
    try:
        assert "prepared transactions" in str(fails(client, "53200"))
        assert balances(cluster, keys) == before
    finally:
        for i in range(slots):
            primary.query(f"ROLLBACK PREPARED 'theirs_{i}'")
    assert in_doubt(cluster) == []
    client.query("BEGIN")
    for i in range(2):
        client.query(add(keys[i][0]))
    assert told(client, "COMMIT")[0] == ["COMMIT"]
    assert balances(cluster, keys) == [b + 1 for b in before]


@pytest.mark.parametrize("full", [0, 1])
def test_a_disk_that_is_full(cluster, before, client, keys, full):
    """As a server says it when it is to prepare, or to commit: from a trigger that waits until then."""
    primary = cluster.shards[full].primary
    primary.query("CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS "
                  "$$BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END$$; "
                  "CREATE TABLE filled (a int); GRANT ALL ON filled TO app; "
                  "CREATE CONSTRAINT TRIGGER full_at_last AFTER INSERT ON filled DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fill()")
    try:
        client.query(f"/* pgbraid: shard={cluster.shards[full].name} */ INSERT INTO filled VALUES (1)")
        assert "No space left" in str(fails(client, "53100"))
        assert balances(cluster, keys) == before and in_doubt(cluster) == []
        assert client.status == "I"
    finally:
        primary.query("DROP TABLE filled; DROP FUNCTION fill()")


@pytest.mark.parametrize("step", [b"PREPARE TRANSACTION", b"COMMIT PREPARED"])
def test_a_server_that_dies(cluster, before, links, client, keys, step):
    """As of WAL that cannot be written: it ends at once, and starts again later."""
    primary = cluster.shards[1].primary
    links[1].trap(step, lambda: primary.stop("immediate"), user="app")
    try:
        if step == b"COMMIT PREPARED":
            assert told(client, "COMMIT")[0] == ["COMMIT"]
        else:
            fails(client, "08006")
    finally:
        primary.start()
    settled(cluster)
    assert balances(cluster, keys) == [b + (step == b"COMMIT PREPARED") for b in before]


@pytest.mark.parametrize("step", [b"PREPARE TRANSACTION", b"COMMIT PREPARED"])
def test_a_client_that_leaves(cluster, before, links, client, keys, step):
    """Between COMMIT and its answer."""
    there = links[1].hold(step, user="app")
    client.send(query("COMMIT"))
    assert there.wait(20)
    client.vanish()
    links[1].release()
    if step == b"COMMIT PREPARED":
        wait_until(lambda: balances(cluster, keys) == [b + 1 for b in before], 20, "it is committed")
    settled(cluster)
    after = balances(cluster, keys)
    assert after in (before, [b + 1 for b in before])


def test_committed_by_hand(cluster, before, links, client, keys):
    there = links[1].hold(b"COMMIT PREPARED", user="app")
    client.send(query("COMMIT"))
    assert there.wait(20)
    cluster.shards[1].primary.query(f"COMMIT PREPARED '{in_doubt(cluster)[0][0]}'")
    links[1].release()
    client.result()
    assert client.status == "I" and in_doubt(cluster) == []
    assert balances(cluster, keys) == [b + 1 for b in before]


def test_what_is_in_doubt_is_told(cluster, braid):
    """The shard that decides is in no topology."""
    primary, console = cluster.shards[0].primary, Console(braid)
    name = f"pgbraid_{'0' * 31}1_abc_def"
    primary.query(f"BEGIN; SELECT 1; PREPARE TRANSACTION '{name}'")
    try:
        def listed():
            return [t for t in console("SHOW TRANSACTIONS") if t["kept_because"] == name]
        wait_until(listed, 30, "it is listed")
        doubtful = listed()[0]
        assert doubtful["state"].startswith("in doubt since 20") and doubtful["servers"] == cluster.shards[0].name
        assert (doubtful["user"], doubtful["database"], doubtful["pid"]) == ("postgres", "shop", "")
        assert f"transaction {name} is in doubt on shard {cluster.shards[0].name}" in braid.log()
    finally:
        primary.query(f"ROLLBACK PREPARED '{name}'")
    wait_until(lambda: not listed(), 30, "it is over")
