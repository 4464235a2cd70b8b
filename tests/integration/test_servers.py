"""The ground that the other tests stand on: replication works, and the demonstration's rows lie where PostgreSQL's own
hash says."""

import fcntl
import os
import tempfile
from pathlib import Path

from cluster import bucket_sql, free_port
from fault_proxy import FaultProxy
from wire import Client, ServerError

import psycopg2
import pytest


def test_replicas_stream(cluster):
    for shard in cluster.shards:
        shard.primary.query("CREATE TABLE IF NOT EXISTS replication_probe (n int)")
        shard.primary.query("INSERT INTO replication_probe VALUES (1)")
        shard.wait_for_replay()
        assert shard.replicas[0].value("SELECT count(*) > 0 FROM replication_probe")
        assert shard.replicas[0].value("SELECT pg_is_in_recovery()")
        assert shard.replicas[0].value("SHOW cluster_name") == f"{shard.name}-replica"
        shard.primary.query("DROP TABLE replication_probe")


def test_shards_have_their_own_system_identifier(cluster):
    identifiers = {s.primary.value("SELECT system_identifier FROM pg_control_system()") for s in cluster.shards}
    assert len(identifiers) == len(cluster.shards)


@pytest.mark.parametrize("type_name, hash_name, keys", [
    ("bigint", "int8", "generate_series(-500::bigint, 500) UNION SELECT 9223372036854775807"),
    ("integer", "int4", "generate_series(-500, 500)"),
])
def test_the_formula_is_the_partition_hash(cluster, type_name, hash_name, keys):
    server = cluster.shards[0].primary
    connection = server.connect()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE parent (k {type_name}) PARTITION BY HASH (k)")
        cursor.execute(f"SELECT count(*), count(*) FILTER (WHERE satisfies_hash_partition('parent'::regclass, 4096, "
                       f"({bucket_sql('k', hash_name)})::int, k)) FROM (SELECT * FROM {keys}) AS keys (k)")
        total, right = cursor.fetchone()
    connection.close()
    assert total > 1000 and right == total


def test_rows_lie_on_their_shards(cluster):
    total = {"customers": 0, "orders": 0}
    for shard in cluster.shards:
        for table, key in (("customers", "id"), ("orders", "customer_id")):
            rows, least, most = shard.primary.query(
                f"SELECT count(*), min({bucket_sql(key)}), max({bucket_sql(key)}) FROM {table} WHERE {key} <= 1000")[0]
            assert shard.buckets[0] <= least and most <= shard.buckets[1]
            total[table] += rows
        assert shard.primary.value("SELECT count(*) FROM countries") == 10
    assert total == {"customers": 1000, "orders": 5000}


def test_fault_proxy(cluster):
    target = cluster.shards[0].primary
    proxy = FaultProxy(target.port)

    def connect():
        return psycopg2.connect(host="127.0.0.1", port=proxy.port, dbname="shop", user="app", password="secret",
                                connect_timeout=5)
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("SELECT count(*) FROM customers")
    assert cursor.fetchone()[0] > 0
    proxy.refuse()
    with pytest.raises(psycopg2.OperationalError):
        cursor.execute("SELECT 1")
    with pytest.raises(psycopg2.OperationalError):
        connect()
    proxy.accept()
    connect().close()
    proxy.close()


def test_raw_client(cluster):
    port = cluster.shards[0].primary.port
    for user, password in (("app", "secret"), ("app_md5", "secret-md5"), ("app_password", "secret-plain")):
        with Client(port, user, password) as client:
            assert client.query("SELECT 1, NULL, 'x'") == [["1", None, "x"]]
            assert client.extended("SELECT $1::int + 1", [41]) == [["42"]]
            assert client.status == "I" and client.parameters["server_version"].startswith("15")
    with pytest.raises(ServerError) as refused:
        Client(port, "app", "wrong")
    assert refused.value.sqlstate == "28P01"


def test_a_port_is_one_process_alone():
    """Test programs run side by side: who has been given a port keeps it."""
    port = free_port()
    with open(Path(tempfile.gettempdir()) / f"pgbraid-test-ports-{os.geteuid()}" / str(port)) as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
