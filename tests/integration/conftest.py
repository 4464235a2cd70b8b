"""Fixtures: the servers of a test session, and pgbraid processes before them."""

import os

import pytest

from braid import Braid, Endpoint, binary, plain_topology, sharded_topology
from cluster import Cluster
from fault_proxy import FaultProxy


def running(shards):
    """Servers for as long as a fixture lasts: each shard a primary with one streaming replica."""
    servers = Cluster(shards=shards, replicas=1)
    try:
        yield servers.start()
    finally:
        servers.stop()


@pytest.fixture(scope="session")
def cluster():
    """Two shards, each a primary with one streaming replica, with the demonstration's schema and data."""
    yield from running(shards=2)


@pytest.fixture
def fresh_cluster():
    """Like `cluster`, for tests that stop servers or change the schema."""
    yield from running(shards=2)


@pytest.fixture(scope="module")
def shard():
    """One shard of a primary and one replica, with the demonstration's schema, shared by the tests of a module."""
    for servers in running(shards=1):
        yield servers.shards[0]


@pytest.fixture
def fresh_shard():
    """Like `shard`, for tests that end its servers."""
    for servers in running(shards=1):
        yield servers.shards[0]


@pytest.fixture(scope="module")
def braid(cluster):
    """pgbraid over both shards, shared by the tests of a module."""
    with Braid(sharded_topology(cluster)) as process:
        process.wait_replicas(cluster)
        yield process


@pytest.fixture(scope="module")
def plain(cluster):
    """pgbraid before the first shard's servers alone: no sharding. Shared by the tests of a module.

    With PGBRAID_TEST_DIRECT set it is the primary itself: what tests expect is then held against PostgreSQL.
    """
    if os.environ.get("PGBRAID_TEST_DIRECT"):
        yield Endpoint(cluster.shards[0].primary.port)
        return
    with Braid(plain_topology(cluster.shards[0].servers)) as process:
        process.wait_replicas(cluster, cluster.keys_of(0, 1))
        yield process


@pytest.fixture
def keys(cluster):
    """Two keys on each shard: keys[shard][i]."""
    return [cluster.keys_of(i, 2) for i in range(2)]


@pytest.fixture
def client(braid):
    """A connection by the wire protocol, through `braid`."""
    connection = braid.raw()
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def memory_bound():
    """memory_bound(megabytes): in bytes, and more under a sanitizer, which keeps what has been freed for a while."""
    instrumented = any(name in binary().read_bytes() for name in (b"__asan_init", b"__tsan_init"))
    return lambda megabytes: megabytes * (16 if instrumented else 1) << 20


@pytest.fixture
def start_braid():
    """start_braid(topology, **): starts a process of the test's own; ended and checked after the test."""
    running = []

    def start(topology, wait=True, **kw):
        process = Braid(topology, **kw)
        running.append(process)
        return process.start(wait)

    yield start
    try:
        for process in running:
            process.stop()
    finally:
        for process in running:
            process.kill()
            process.remove()


@pytest.fixture
def fault_proxy():
    """fault_proxy(port): a proxy before 127.0.0.1:port that can fail."""
    proxies = []

    def make(port):
        proxies.append(FaultProxy(port))
        return proxies[-1]

    yield make
    for proxy in proxies:
        proxy.close()
