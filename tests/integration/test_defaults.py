"""ALTER ROLE, ALTER DATABASE and ALTER SYSTEM: whoever logs in afterwards begins with the new defaults, as on a server."""

import pytest

from braid import plain_topology
from cluster import MONITOR_PASSWORD
from waiting import wait_until


@pytest.fixture
def primary(cluster):
    return cluster.shards[0].primary


@pytest.fixture
def braid(primary, start_braid):
    braid = start_braid(plain_topology([primary], workers=4, monitor={"user": "postgres", "password_env": "PGBRAID_MONITOR_PASSWORD",
                                                                      "catalog_interval": "1s"}))
    yield braid
    for reset in ("ALTER ROLE app RESET ALL", "ALTER DATABASE shop RESET ALL", "ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()"):
        primary.query(reset)


def values(braid, name):
    """The setting as sessions on all workers begin with it."""
    clients = [braid.raw() for _ in range(8)]
    try:
        return {client.value(f"SHOW {name}") for client in clients}
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize("what", ["ROLE app", "DATABASE shop"])
@pytest.mark.parametrize("way", ["statement", "transaction"])
def test_at_once_through_pgbraid(braid, what, way):
    with braid.raw("postgres", MONITOR_PASSWORD) as admin:
        values(braid, "work_mem")
        for value in ("5MB", "6MB", "7MB"):
            if way == "transaction":
                admin.query("BEGIN")
            admin.query(f"ALTER {what} SET work_mem TO '{value}'")
            admin.query(f"ALTER {what} SET DateStyle TO 'ISO, DMY'")
            if way == "transaction":
                admin.query("COMMIT")
            assert values(braid, "work_mem") == {value}
    with braid.raw() as client:
        # What the client is told at its login is new too.
        assert client.parameters["DateStyle"] == "ISO, DMY"
        assert client.value("SHOW DateStyle") == "ISO, DMY"


def test_soon_when_changed_elsewhere(braid, primary):
    values(braid, "work_mem")
    primary.query("ALTER ROLE app SET work_mem TO '9MB'")
    wait_until(lambda: values(braid, "work_mem") == {"9MB"}, what="the new default")


def test_the_servers_configuration(braid):
    values(braid, "DateStyle")
    with braid.raw("postgres", MONITOR_PASSWORD) as admin:
        admin.query("ALTER SYSTEM SET DateStyle TO 'SQL, DMY'")
        admin.query("SELECT pg_reload_conf()")

    def told():
        with braid.raw() as client:
            return client.parameters["DateStyle"] == client.value("SHOW DateStyle") == "SQL, DMY"
    wait_until(told, what="the new configuration")
