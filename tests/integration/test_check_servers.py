"""`pgbraid check --servers`: what the servers say to a topology before anybody is served."""

import re
import subprocess

from braid import Braid, binary, sharded_topology
from cluster import free_port


def check(topology):
    braid = Braid(topology)
    try:
        return braid.command("check", "--servers")
    finally:
        braid.remove()


def test_all_is_well(cluster):
    done = check(sharded_topology(cluster))
    assert done.returncode == 0, done.stdout + done.stderr
    for shard in cluster.shards:
        assert f"{shard.primary.address}: primary" in done.stdout
        assert re.search(rf"{re.escape(shard.replicas[0].address)}: replica, \d+ bytes behind", done.stdout)
    assert "database shop: served" in done.stdout and "transactions over several shards: yes" in done.stdout


def test_what_takes_long_is_waited_for(cluster):
    """A table that is locked for longer than servers may be silent: its rows are still looked at, and that is told."""
    braid = Braid(sharded_topology(cluster))
    locking = cluster.shards[0].primary.connect()
    try:
        locking.autocommit = False
        locking.cursor().execute("LOCK TABLE customers")
        with subprocess.Popen([binary(), "check", braid.config, "--servers"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, env=braid.environment) as checking:
            told = next((line for line in checking.stderr if "still looking" in line), "")
            locking.rollback()
            found = checking.stdout.read()
        assert told and checking.returncode == 0, found
    finally:
        locking.close()
        braid.remove()


def test_a_server_that_does_not_answer(cluster):
    topology = sharded_topology(cluster)
    lost = f"127.0.0.1:{free_port()}"
    topology["databases"]["shop"]["shards"][1]["servers"].append(lost)
    done = check(topology)
    assert done.returncode == 1 and f"{lost}: out: " in done.stdout and "database shop: served" in done.stdout


def test_definitions_that_differ(cluster):
    cluster.shards[1].primary.query("ALTER TABLE customers ADD COLUMN only_here int")
    try:
        done = check(sharded_topology(cluster))
        differs = f"the columns of public.customers on shard {cluster.shards[1].name} differ from those on the first shard"
        assert differs in done.stdout
    finally:
        cluster.shards[1].primary.query("ALTER TABLE customers DROP COLUMN only_here")


def test_secrets_that_differ_and_the_statement_that_mends_it(cluster):
    """The same password makes another secret on each server: what clients' logins give fits one of them alone."""
    primaries = [shard.primary for shard in cluster.shards]
    for primary in primaries:
        primary.query('CREATE ROLE "passing through" LOGIN PASSWORD \'same\'')
    try:
        topology = sharded_topology(cluster)
        done = check(topology)
        assert done.returncode == 1
        mend, = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("ALTER ROLE")]
        assert mend.startswith('ALTER ROLE "passing through" PASSWORD \'SCRAM-SHA-256$')
        # Who is listed with a password needs no secret.
        topology["users"]["passing through"] = {"password": "same"}
        assert check(topology).returncode == 0
        del topology["users"]["passing through"]
        primaries[1].query(mend)
        assert check(topology).returncode == 0
    finally:
        for primary in primaries:
            primary.query('DROP ROLE "passing through"')
