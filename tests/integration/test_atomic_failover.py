"""Writes to two shards while one of them fails over to its synchronous replica: on both or on none, whichever decides."""

import re
from typing import NamedTuple

import pytest

from braid import Braid, sharded_topology
from test_atomic import STEPS, add, balances, in_doubt, told, words_of
from test_failover import Later
from waiting import wait_until
from wire import ServerError


class Moment(NamedTuple):
    """A message of a commit that the shard `decides` decides, to the shard `at`: it is halted on its way, or its answer is, or
    the server has carried it out and waits for a replica that will never have it. Shard 0 is the one that fails over."""
    decides: int
    at: int
    step: bytes
    halted: str

    def may_be_committed(self, arrives):
        """What may become of it if what is halted on the link to shard 1 arrives in the end, or does not."""
        decision = self.step == b"QCOMMIT" and (self.halted == "after" or (self.at == 1 and arrives))
        if decision or self.step == b"COMMIT PREPARED":
            return {True}
        # Shard 0 is prepared, and its loss need not be seen before shard 1 has decided.
        return {False, True} if self.decides == 1 and self.at == 1 and self.step != b"QCOMMIT" and arrives else {False}


MOMENTS = [Moment(decides, decides ^ role, step, halted) for decides in (0, 1) for role, step in STEPS for halted in ("before", "after")]
MOMENTS += [Moment(0, 0, b"QCOMMIT", "waits"), Moment(1, 0, b"PREPARE TRANSACTION", "waits")]
WAITERS = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = %s"


@pytest.fixture
def feed(fresh_cluster, fault_proxy):
    """The first shard's replica is synchronous, and fed through this proxy."""
    shard = fresh_cluster.shards[0]
    primary, replica = shard.servers
    proxy = fault_proxy(primary.port)
    replica.reload(f"primary_conninfo = 'host=127.0.0.1 port={proxy.port} user=postgres application_name={replica.name}'\n")
    wait_until(lambda: proxy.connections() == 1, 20, "the replica is fed through the proxy")
    shard.commit_on_replica()
    return proxy


@pytest.mark.parametrize("pgbraid", ["goes_on", "loses_both", "is_killed"])
def test_a_shard_fails_over_amid_commits(fresh_cluster, feed, start_braid, fault_proxy, pgbraid):
    """One transaction is halted at each moment. Then shard 0's primary crashes for good and its replica is promoted, while pgbraid
    goes on, or loses its connections to the other shard too, or is killed and started anew: each transaction is on both shards or on
    none as its moment says, no client has been told otherwise, and nothing stays in doubt."""
    cluster, failing = fresh_cluster, fresh_cluster.shards[0]
    primary, replica = failing.servers
    links, promoted = [fault_proxy(shard.primary.port) for shard in cluster.shards], fault_proxy(replica.port)
    topology = sharded_topology(cluster, pool={"mode": "transaction", "size": 2 * len(MOMENTS)})
    shards = topology["databases"]["shop"]["shards"]
    shards[0]["servers"], shards[1]["servers"] = [links[0].address, promoted.address], [links[1].address]
    topology["monitor"]["catalog_interval"] = "200ms"
    braid = Braid(topology).start() if pgbraid == "is_killed" else start_braid(topology)

    keys = [[[key] for key in pair] for pair in zip(*(cluster.keys_of(i, len(MOMENTS)) for i in range(2)))]
    before = [balances(cluster, pair) for pair in keys]
    clients = [braid.raw(timeout=60) for _ in MOMENTS]
    for moment, pair, client in zip(MOMENTS, keys, clients):
        client.query("BEGIN")
        for shard in (moment.decides, 1 - moment.decides):
            client.query(add(pair[shard][0]))
    commits, waiting = [], 0
    for moment, client in zip(MOMENTS, clients):
        if moment.halted == "waits":
            if not waiting:
                feed.pause()
            waiting += 1
            there = lambda: len(primary.query(WAITERS, ("app",))) == waiting  # noqa: E731
        else:
            # The monitor says COMMIT, too.
            there = links[moment.at].hold(words_of(moment.step), moment.halted == "after", user="app").is_set
        commits.append(Later(lambda client=client: told(client, "COMMIT")[0]))
        wait_until(there, 20, f"a commit has come to {moment}")

    if pgbraid == "is_killed":
        braid.kill()
    primary.stop("immediate")
    feed.cut()
    if pgbraid == "goes_on":
        links[1].release()
    elif pgbraid == "loses_both":
        links[1].cut()
    else:
        braid.remove()
        braid = start_braid(topology, wait=False)
    replica.promote()
    failing.primary, failing.replicas = replica, [primary]
    wait_until(lambda: re.search(rf"{promoted.address} is primary .timeline 2", braid.log()), 20, "the new primary is known")
    wait_until(lambda: not any(commit.is_alive() for commit in commits) and in_doubt(cluster) == [], 10, "nothing is in doubt")

    wrong = {}
    for moment, pair, balance, commit in zip(MOMENTS, keys, before, commits):
        outcome, after = commit.value or commit.error, balances(cluster, pair)
        committed = next((c for c in (False, True) if after == [b + c for b in balance]), "torn")
        said = {True} if outcome == ["COMMIT"] else {False} if isinstance(outcome, ServerError) and outcome.sqlstate != "08007" else {False, True}
        if committed not in said & moment.may_be_committed(pgbraid == "goes_on"):
            wrong[moment] = (committed, outcome)
    assert wrong == {}
    for client in clients:
        client.close()


@pytest.mark.parametrize("how", ["the server ends it", "its wait is cancelled", "the server is restarted"])
def test_a_decision_that_the_replica_lacks_is_not_acted_upon(fresh_cluster, feed, start_braid, how):
    """The decision is visible on its server, and may be lost with that: the other shard's part waits until the replica has it."""
    cluster, failing = fresh_cluster, fresh_cluster.shards[0]
    primary, replica = failing.servers
    topology = sharded_topology(cluster)
    topology["monitor"]["catalog_interval"] = "200ms"
    braid = start_braid(topology)
    keys = [cluster.keys_of(i, 1) for i in range(2)]
    before = balances(cluster, keys)
    client = braid.raw(timeout=60)
    client.query("BEGIN")
    for i in range(2):
        client.query(add(keys[i][0]))
    feed.pause()
    commit = Later(lambda: told(client, "COMMIT")[0])
    pid = wait_until(lambda: primary.query(WAITERS, ("app",)), 20, "the decision waits for the replica")[0][0]
    if how == "the server ends it":
        primary.query("SELECT pg_terminate_backend(%s)", (pid,))
    elif how == "its wait is cancelled":
        primary.query("SELECT pg_cancel_backend(%s)", (pid,))
    else:
        primary.stop("immediate")
        primary.start()
    wait_until(lambda: not commit.is_alive(), 30, "the client is told")
    assert isinstance(commit.error, ServerError) and commit.error.sqlstate == "08007"
    wait_until(lambda: primary.query(WAITERS, ("postgres",)), 30, "whoever asks for the decision waits, too")
    assert balances(cluster, keys) == [before[0] + 1, before[1]]
    assert len(in_doubt(cluster)) == 1
    primary.stop("immediate")
    feed.cut()
    replica.promote()
    failing.primary, failing.replicas = replica, [primary]
    wait_until(lambda: in_doubt(cluster) == [], 30, "nothing is in doubt")
    assert balances(cluster, keys) == before
    client.close()
