"""Fixtures of the driver tests: one primary with a replica, and pgbraid before it with a pool of two connections."""

import os

import pytest

from braid import Braid, Endpoint
from clients import database_topology
from cluster import Cluster


@pytest.fixture(scope="session")
def cluster():
    """One primary with one streaming replica; beside the demonstration's database `shop` an empty one, `spare`."""
    servers = Cluster(shards=1, replicas=1)
    try:
        servers.start()
        servers.shards[0].primary.query("CREATE DATABASE spare OWNER app TEMPLATE template0", dbname="postgres")
        servers.wait_for_replay()
        yield servers
    finally:
        servers.stop()


@pytest.fixture(scope="module")
def braid(cluster):
    """pgbraid in its default mode, SCRAM, at most two connections to each server for each user and database.

    With PGBRAID_TEST_DIRECT set it is the primary itself: what tests expect is then held against PostgreSQL.
    """
    if os.environ.get("PGBRAID_TEST_DIRECT"):
        yield Endpoint(cluster.shards[0].primary.port)
        return
    with Braid(database_topology(cluster)) as process:
        process.wait_replicas(cluster, [1])
        yield process


@pytest.fixture
def primary(cluster):
    """The server itself, to look behind pgbraid's back."""
    return cluster.shards[0].primary
