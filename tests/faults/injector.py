"""Faults, one after another, as a dice says: what is done to the servers while clients work."""

import os
import random
import shutil
import signal
import threading

from cluster import PG_BIN, _account, _as_account, run
from waiting import wait_until


def processes(server):
    with open(f"/proc/{server.process.pid}/task/{server.process.pid}/children") as listed:
        return [server.process.pid, *(int(pid) for pid in listed.read().split())]


def stop_all(server, number):
    for pid in processes(server):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


class Injector:
    """Faults on one primary and its replicas. All commits wait for all replicas that stream, so whoever is promoted has
    every acknowledged write. `told` has a line for each fault."""

    def __init__(self, servers, proxies, seed, braid):
        self.servers, self.proxies, self.dice, self.braid = list(servers), proxies, random.Random(f"{seed}.faults"), braid
        self.primary, self.primaries, self.told = servers[0], {servers[0].name}, []
        self._never = threading.Event()

    @property
    def replicas(self):
        return [s for s in self.servers if s is not self.primary]

    def rest(self, seconds):
        self._never.wait(seconds)

    def one(self):
        """One fault, chosen by the dice, and the way back from it."""
        fault = self.dice.choice([self.pause_replay, self.freeze_replica, self.kill_replica, self.end_backends, self.cut, self.silence,
                                  self.end_backends, self.fail_over])
        self.told.append(fault.__name__)
        fault()

    def pause_replay(self):
        replica = self.dice.choice(self.replicas)
        replica.query("SELECT pg_wal_replay_pause()")
        self.rest(0.3 + self.dice.random())
        replica.query("SELECT pg_wal_replay_resume()")

    def freeze_replica(self):
        replica = self.dice.choice(self.replicas)
        stop_all(replica, signal.SIGSTOP)
        self.rest(0.3 + 2 * self.dice.random())
        stop_all(replica, signal.SIGCONT)

    def kill_replica(self):
        replica = self.dice.choice(self.replicas)
        replica.process.kill()
        replica.process.wait(10)
        self.rest(0.2 * self.dice.random())
        self.start(replica)

    def start(self, server):
        """A killed postmaster's children may hold its memory for a moment: then it is tried again."""
        def started():
            if not server.running:
                server.start(wait=False)
            server.connect("postgres").close()
            return True
        wait_until(started, 60, f"{server.name} is up")

    def end_backends(self):
        for server in self.dice.sample(self.servers, 2):
            server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app' AND random() < 0.5")

    def cut(self):
        self.dice.choice(self.proxies).cut()

    def silence(self):
        """A network that drops everything for a while."""
        proxy = self.dice.choice(self.proxies)
        proxy.pause()
        self.rest(0.2 + self.dice.random())
        proxy.resume()

    def fail_over(self):
        """kill -9 or a stop, the replica that has most is promoted, the old primary comes back, first as it was."""
        old = self.primary
        how = self.dice.choice(["kill", "immediate", "fast"])
        if how == "kill":
            old.process.kill()
            old.process.wait(10)
        else:
            old.stop(how)
        received = {s: s.value("SELECT pg_last_wal_receive_lsn() - '0/0'::pg_lsn", dbname="postgres") for s in self.replicas}
        self.rest(0.5 * self.dice.random())
        new = max(received, key=lambda s: received[s])
        self.primaries.add(new.name)
        new.promote()
        self.primary = new
        # The others follow it; one that has received more than it does not, and is made anew with the old primary.
        others = [s for s in self.servers if s not in (new, old)]
        self.start(old)
        self.rest(0.5)
        for server in [old, *others]:
            self.make_replica(server)
        self.wait_for_replicas()

    def make_replica(self, server):
        """Of the present primary, from nothing."""
        server.stop("immediate")
        shutil.rmtree(server.folder)
        run(PG_BIN / "pg_basebackup", "-D", server.folder, "-h", "127.0.0.1", "-p", self.primary.port, "-U", "postgres", "-c", "fast",
            "-X", "stream", "--no-sync", **_as_account())
        if _account():
            os.chown(server.folder, _account().pw_uid, _account().pw_gid)
        server.configure(self.primary.port)
        self.start(server)

    def wait_for_replicas(self):
        """All stream again, and commits wait for all of them."""
        names = ", ".join(f'"{s.name}"' for s in self.replicas)
        self.primary.reload(f"synchronous_standby_names = '{len(self.replicas)} ({names})'\n")
        streaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync'"
        wait_until(lambda: self.primary.value(streaming, dbname="postgres") == len(self.replicas), 60, "all replicas stream")
