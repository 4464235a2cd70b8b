"""Replication connections through pgbraid: psycopg2's replication cursors, streams in both directions, their end."""

import select
import signal

import psycopg2
import pytest
from psycopg2.extras import LogicalReplicationConnection, PhysicalReplicationConnection

from braid import plain_topology, sharded_topology
from cluster import MONITOR_PASSWORD, Cluster
from waiting import wait_until
from wire import Client, ServerError, query, rows


@pytest.fixture(scope="module")
def logical():
    """One primary that can decode its WAL."""
    servers = Cluster(shards=1, replicas=0)
    try:
        servers.start()
        primary = servers.shards[0].primary
        primary.query("ALTER SYSTEM SET wal_level = 'logical'")
        primary.restart()
        primary.query("CREATE TABLE watched (n int PRIMARY KEY, word text)")
        yield servers
    finally:
        servers.stop()


@pytest.fixture
def braid(logical, start_braid):
    return start_braid(plain_topology(logical.shards[0].servers, pool={"mode": "transaction", "size": 1}))


def connect(braid, factory, **kw):
    return psycopg2.connect(host=braid.host, port=braid.port, dbname="shop", user="postgres", password=MONITOR_PASSWORD,
                            connection_factory=factory, **kw)


def test_a_logical_slot_from_its_creation_to_its_end(logical, braid):
    primary = logical.shards[0].primary
    connection = connect(braid, LogicalReplicationConnection, application_name="watcher")
    cursor = connection.cursor()
    cursor.execute("IDENTIFY_SYSTEM")
    assert cursor.fetchone()[3] == "shop"
    cursor.create_replication_slot("through", output_plugin="test_decoding")
    assert primary.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'through'") == 1
    # SQL too: a logical replication connection is a session of its database.
    cursor.execute("SELECT current_setting('application_name')")
    assert cursor.fetchone() == ("watcher",)

    primary.query("INSERT INTO watched SELECT n, repeat('x', 1000) FROM generate_series(1, 3000) n")
    cursor.start_replication(slot_name="through", decode=True)
    got = []

    def stream():
        while message := cursor.read_message():
            if message.payload.startswith("table"):
                got.append(message.payload)
            message.cursor.send_feedback(flush_lsn=message.data_start)
        if len(got) < 3000:
            select.select([cursor], [], [], 1)
        return len(got) == 3000
    wait_until(stream, what="all rows have come")
    assert all(f"n[integer]:{n} " in row for n, row in enumerate(got, 1))
    # What the client says goes the other way while the stream stands.
    confirmed = primary.value("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'through'")
    last = primary.value("SELECT pg_current_wal_lsn()")

    def flushed():
        cursor.send_feedback(flush_lsn=last_lsn(last), force=True)
        return primary.value("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'through'") != confirmed
    wait_until(flushed, what="the server has heard of it")
    connection.close()
    wait_until(lambda: primary.value("SELECT active FROM pg_replication_slots WHERE slot_name = 'through'") is False,
               what="the server has seen it end")

    with connect(braid, LogicalReplicationConnection) as other:
        other.cursor().drop_replication_slot("through")
    other.close()
    assert primary.value("SELECT count(*) FROM pg_replication_slots") == 0


def last_lsn(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def test_a_physical_connection(logical, braid):
    primary = logical.shards[0].primary
    connection = connect(braid, PhysicalReplicationConnection)
    cursor = connection.cursor()
    cursor.execute("IDENTIFY_SYSTEM")
    assert cursor.fetchone()[0] == str(primary.value("SELECT system_identifier FROM pg_control_system()"))
    cursor.start_replication(start_lsn=primary.value("SELECT pg_current_wal_lsn()"))
    primary.query("SELECT pg_switch_wal()")

    def comes():
        select.select([cursor], [], [], 1)
        return cursor.read_message() is not None
    wait_until(comes, what="WAL comes")
    connection.close()


def test_it_takes_no_place_in_the_pool(braid):
    connections = [connect(braid, LogicalReplicationConnection) for _ in range(3)]
    with braid.raw("postgres", MONITOR_PASSWORD) as client:
        assert client.value("SELECT 1") == "1"
    for connection in connections:
        connection.close()


def test_cancel_reaches_it(braid):
    with Client(braid.port, "postgres", MONITOR_PASSWORD, replication="database") as client:
        client.send(query("SELECT pg_sleep(600)"))
        wait_until(lambda: braid_runs(braid, "pg_sleep(600)"), what="it runs")
        client.cancel()
        with pytest.raises(ServerError) as error:
            client.result()
        assert error.value.sqlstate == "57014"
        assert client.value("SELECT 2") == "2"


def braid_runs(braid, text):
    with braid.raw("postgres", MONITOR_PASSWORD) as client:
        client.send(query(f"SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{text}%' AND pid <> pg_backend_pid()"))
        return rows(client.until_ready())[0][0] != b"0"


def test_the_servers_refusal_is_its_own(braid):
    with pytest.raises(ServerError) as error:
        Client(braid.port, replication="database")
    assert error.value.severity == "FATAL" and error.value.sqlstate == "42501"
    with pytest.raises(ServerError) as error:
        Client(braid.port, "postgres", MONITOR_PASSWORD, replication="perhaps")
    assert error.value.sqlstate == "22023"
    for plain in ("off", "false", "0"):
        with Client(braid.port, "postgres", MONITOR_PASSWORD, replication=plain) as client:
            assert client.value("SELECT 1") == "1"


def test_a_server_that_ends_it(logical, braid):
    with Client(braid.port, "postgres", MONITOR_PASSWORD, replication="database") as client:
        pid = client.value("SELECT pg_backend_pid()")
        logical.shards[0].primary.query("SELECT pg_terminate_backend(%s)", (int(pid),))
        assert client.receive_until("E")
        assert client.closed()


def test_shutting_down_ends_it(logical, start_braid):
    braid = start_braid(plain_topology(logical.shards[0].servers))
    client = Client(braid.port, "postgres", MONITOR_PASSWORD, replication="database")
    assert client.value("SELECT 1") == "1"
    braid.signal(signal.SIGTERM)
    assert braid.wait_exit(10) == 0
    assert client.closed()


def test_over_several_shards_it_is_refused(cluster, start_braid):
    braid = start_braid(sharded_topology(cluster))
    with pytest.raises(ServerError) as error:
        Client(braid.port, "postgres", MONITOR_PASSWORD, replication="database")
    assert error.value.severity == "FATAL" and error.value.sqlstate == "0A000"
