"""Two PostgreSQL servers that Debian's Patroni looks after, with its record in an etcd: for the tests of `discovery`.

The timings are Patroni's smallest that work, so that a lease runs out within seconds. Everything listens on 127.0.0.1 on
free ports, runs as the servers of cluster.py do, and is ended by its process id.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import yaml

from cluster import HBA, MONITOR_PASSWORD, PG_BIN, ROLES, Server, _account, _as_account, die_with_parent, free_port
from waiting import GiveUp, wait_until

SCOPE = "main"
TIMINGS = {"ttl": 5, "loop_wait": 1, "retry_timeout": 2}
PARAMETERS = {"fsync": "off", "full_page_writes": "on", "wal_log_hints": "on", "shared_buffers": "16MB", "max_connections": 120,
              "unix_socket_directories": "", "log_line_prefix": "%m [%p] ", "wal_keep_size": "256MB", "timezone": "UTC",
              "wal_retrieve_retry_interval": "100ms"}


def ask(url, body=None, timeout=60):
    """Status and text of an answer by HTTP; POST with a JSON body if there is one."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


class Etcd:
    """One etcd without peers."""

    def __init__(self, folder):
        self.folder, self.port, self.peer_port = folder / "etcd", free_port(), free_port()
        self.log_path, self.process = folder / "etcd.log", None

    def start(self):
        url, peer = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.peer_port}"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["/usr/bin/etcd", "--name", "only", "--data-dir", self.folder, "--listen-client-urls", url,
                 "--advertise-client-urls", url, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                 "--initial-cluster", f"only={peer}", "--heartbeat-interval", "50", "--election-timeout", "300",
                 "--unsafe-no-fsync"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/tmp", preexec_fn=die_with_parent, **_as_account())
        wait_until(lambda: ask(f"{url}/health", timeout=2)[0] == 200, 30, "etcd answers")

    def value(self, key):
        """The value of a key, or None."""
        answer = ask(f"http://127.0.0.1:{self.port}/v3/kv/range", {"key": base64.b64encode(key.encode()).decode()})[1]
        found = json.loads(answer).get("kvs")
        return base64.b64decode(found[0]["value"]).decode() if found else None

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


class Member(Server):
    """A server under a Patroni of its own: `process` is Patroni's, `postmaster` the server's process id."""

    def __init__(self, name, folder, etcd):
        super().__init__(name, folder / name)
        self.rest_port = free_port()
        settings = {
            "scope": SCOPE, "name": name, "watchdog": {"mode": "off"},
            "restapi": {"listen": f"127.0.0.1:{self.rest_port}", "connect_address": f"127.0.0.1:{self.rest_port}"},
            "etcd3": {"host": f"127.0.0.1:{etcd.port}"},
            "bootstrap": {
                "dcs": TIMINGS | {"synchronous_mode": True, "postgresql": {"use_pg_rewind": True, "parameters": PARAMETERS}},
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "no-sync"]},
            "postgresql": {
                "listen": self.address, "connect_address": self.address, "data_dir": str(self.folder),
                "bin_dir": str(PG_BIN), "pgpass": str(folder / f"{name}.pgpass"),
                "remove_data_directory_on_rewind_failure": True, "remove_data_directory_on_diverged_timelines": True,
                "parameters": {"cluster_name": name}, "basebackup": ["no-sync", {"checkpoint": "fast"}],
                "authentication": {"superuser": {"username": "postgres", "password": MONITOR_PASSWORD},
                                   "replication": {"username": "postgres", "password": MONITOR_PASSWORD}},
                "pg_hba": HBA.strip().splitlines()},
        }
        self.settings = folder / f"{name}.yml"
        self.settings.write_text(yaml.safe_dump(settings))
        self.settings.chmod(0o644)

    @property
    def rest(self):
        return f"http://127.0.0.1:{self.rest_port}"

    def start(self, wait=True):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(["/usr/bin/patroni", self.settings], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, cwd="/tmp", preexec_fn=die_with_parent, **_as_account())
        if wait:
            self.wait_ready(60)

    @property
    def postmaster(self):
        """The server's process id, or None if it does not run."""
        try:
            pid = int((self.folder / "postmaster.pid").read_text().split()[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, IndexError, ValueError):
            return None
        return pid if str(self.folder).encode() in b" ".join(command) else None

    def kill_patroni(self):
        """Patroni ends without a word; its server goes on as what it was."""
        if self.running:
            self.process.kill()
            self.process.wait(10)
        self.process = None

    def kill_server(self):
        pid = self.postmaster
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: self.postmaster is None, 20, f"{self.name}'s server is gone")

    def stop(self, how="immediate"):
        self.kill_patroni()
        if (pid := self.postmaster) is not None:
            os.kill(pid, signal.SIGQUIT)
            wait_until(lambda: self.postmaster is None, 30, f"{self.name}'s server is gone")


class PatroniCluster:
    """Two members under one etcd, with the database `shop` and the tests' roles."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pgbraid-test-", dir="/tmp"))
        if _account():
            os.chown(self.folder, _account().pw_uid, _account().pw_gid)
        self.folder.chmod(0o711)
        # Patroni's servers are no children of the test's: a test that is killed has them ended by this.
        self.guard = subprocess.Popen([sys.executable, Path(__file__).with_name("folder_guard.py"), self.folder],
                                      stdin=subprocess.PIPE, start_new_session=True)
        self.etcd = Etcd(self.folder)
        self.members = [Member(name, self.folder, self.etcd) for name in ("pg1", "pg2")]

    def start(self):
        self.etcd.start()
        self.members[0].start()
        wait_until(lambda: self.leader() is self.members[0], 30, "the first member leads")
        self.members[1].start(wait=False)
        first = self.members[0]
        for role, (method, password) in ROLES.items():
            secret = "" if password is None or role == "app_stored" else f" PASSWORD '{password}'"
            encryption = "md5" if method == "md5" else "scram-sha-256"
            first.query(f"SET password_encryption = '{encryption}'; CREATE ROLE {role} LOGIN{secret}", dbname="postgres")
        first.query("CREATE DATABASE shop", dbname="postgres")
        first.query("CREATE TABLE countries (code text PRIMARY KEY, name text); GRANT ALL ON countries TO app;"
                    "GRANT CREATE ON SCHEMA public TO app")
        self.wait_steady()
        return self

    def stop(self):
        for member in self.members:
            member.kill_patroni()
        for member in self.members:
            member.stop()
        self.etcd.stop()
        self.guard.stdin.close()
        self.guard.wait(30)
        if not os.environ.get("PGBRAID_TEST_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def leader(self):
        """The member that holds the leader's key in etcd, or None."""
        name = self.etcd.value(f"/service/{SCOPE}/leader")
        return next((m for m in self.members if m.name == name), None)

    def follower(self):
        leader = self.leader()
        return next(m for m in self.members if m is not leader)

    def wait_steady(self, deadline=90):
        """Until one member leads as a primary and the other is its synchronous standby."""
        def steady():
            for member in self.members:
                if not member.running:
                    raise GiveUp(f"{member.name} ended:\n{member.log()[-2000:]}")
            leader = self.leader()
            standby = json.loads(self.etcd.value(f"/service/{SCOPE}/sync") or "{}").get("sync_standby")
            return (leader is not None and standby == self.follower().name and
                    not leader.value("SELECT pg_is_in_recovery()", dbname="postgres") and
                    leader.query("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'", dbname="postgres"))
        wait_until(steady, deadline, "a leader and its synchronous standby")
        return self.leader(), self.follower()

    def switch_over(self):
        """Patroni's own planned switchover, asked of the leader; comes back when it is through."""
        leader, follower = self.leader(), self.follower()
        status, text = ask(f"{leader.rest}/switchover", {"leader": leader.name, "candidate": follower.name})
        assert status == 200, text
        return leader, follower
