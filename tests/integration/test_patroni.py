"""pgbraid before two servers under a real Patroni with a real etcd: switchover, failover, fencing, and no Patroni at all."""

import pytest

from braid import plain_topology
from patroni_cluster import SCOPE, PatroniCluster
from waiting import wait_until
from writers import TABLE, Writers


@pytest.fixture(scope="module")
def servers():
    """One cluster for all tests: each leaves it with both members up, whoever leads."""
    cluster = PatroniCluster()
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@pytest.fixture
def journal(servers):
    leader, _ = servers.wait_steady()
    leader.query("DROP TABLE IF EXISTS journal")
    leader.query(TABLE)


def discovery(cluster, **changes):
    return {"patroni": [f"127.0.0.1:{m.rest_port}" for m in cluster.members],
            "etcd": [f"127.0.0.1:{cluster.etcd.port}"], "scope": SCOPE} | changes


def topology(cluster, said=None, **changes):
    return plain_topology(cluster.members, discovery=said or discovery(cluster), failover={"hold": "60s"}, **changes)


def primary_in_log(braid, server, since=0):
    return lambda: f"{server.address} is primary" in braid.log(since)


@pytest.mark.usefixtures("journal")
def test_a_switchover_that_patroni_carries_out_fails_nobody(servers, start_braid):
    """Etcd tells of it before the old leader is stopped: what is open ends there, and the rest waits for the new leader."""
    braid = start_braid(topology(servers))
    with Writers(braid, 8) as writers:
        wait_until(writers.all_write(), 30, "everybody writes")
        _, follower = servers.switch_over()
        wait_until(primary_in_log(braid, follower), 30, "the new primary is known")
        wait_until(writers.all_write(), 30, "everybody writes to the new primary")
    assert writers.check(follower) == {}
    assert "a switchover away from" in braid.log() and "two primaries" not in braid.log()


@pytest.mark.usefixtures("journal")
def test_a_leader_without_its_patroni_is_fenced(servers, start_braid):
    """Its lease runs out and another is promoted, while it goes on answering as primary: nothing is written there."""
    braid = start_braid(topology(servers))
    leader, follower = servers.leader(), servers.follower()
    with Writers(braid, 4) as writers:
        wait_until(writers.all_write(), 30, "everybody writes")
        leader.kill_patroni()
        wait_until(primary_in_log(braid, follower), 60, "the new primary is known")
        assert leader.query("SELECT pg_is_in_recovery()") == [(False,)]
        behind = leader.value("SELECT count(*) FROM journal")
        wait_until(writers.all_write(), 30, "everybody writes to the new primary")
        assert leader.value("SELECT count(*) FROM journal") == behind
    assert set(writers.check(follower)) <= {"08006", "40003"}
    assert f"by Patroni the leader is {follower.name}" in braid.log() or "by Patroni nobody is the leader" in braid.log()
    leader.kill_server()
    leader.start(wait=False)
    servers.wait_steady()


@pytest.mark.usefixtures("journal")
def test_patroni_out_of_reach_changes_nothing(servers, start_braid, fault_proxy):
    """The servers' own answers decide, a switchover included, and the log says so once."""
    etcd = fault_proxy(servers.etcd.port)
    rest = [fault_proxy(m.rest_port) for m in servers.members]
    said = discovery(servers, etcd=[etcd.address], patroni=[r.address for r in rest])
    braid = start_braid(topology(servers, said))
    with Writers(braid, 4) as writers:
        wait_until(writers.all_write(), 30, "everybody writes")
        for proxy in (etcd, *rest):
            proxy.refuse()
        wait_until(lambda: "so the servers' own answers decide" in braid.log(), 30, "it is said")
        wait_until(writers.all_write(), 30, "everybody goes on")
        _, follower = servers.switch_over()
        wait_until(primary_in_log(braid, follower), 60, "the new primary is known")
        wait_until(writers.all_write(), 30, "everybody writes to the new primary")
        assert braid.log().count("so the servers' own answers decide") == 1
        # Patroni's REST API alone will do, where etcd is out of reach.
        mark = braid.log_mark()
        for proxy in rest:
            proxy.accept()
        wait_until(lambda: f"it answers; {follower.name} ({follower.address}) is the leader" in braid.log(mark), 30, "it is heard")
        wait_until(writers.all_write(), 30, "everybody goes on")
        assert "no primary" not in braid.log(mark)
    writers.check(follower)  # nobody had told of this switchover: what was open failed


@pytest.mark.usefixtures("journal")
def test_a_leader_that_is_killed_is_replaced(servers, start_braid):
    """Only what was under way fails, and nothing acknowledged is lost: the standby is synchronous."""
    braid = start_braid(topology(servers))
    leader, follower = servers.leader(), servers.follower()
    with Writers(braid, 8) as writers:
        wait_until(writers.all_write(), 30, "everybody writes")
        leader.kill_patroni()
        leader.kill_server()
        wait_until(primary_in_log(braid, follower), 60, "the new primary is known")
        wait_until(writers.all_write(), 30, "everybody writes to the new primary")
    told = writers.check(follower)
    assert set(told) <= {"08006", "40003"} and sum(told.values()) <= 8, told
    leader.start(wait=False)
    servers.wait_steady()
