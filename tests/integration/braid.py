"""A pgbraid process under test: its topology file, its start, reload and end, and its log."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import psycopg2
import yaml

from cluster import MONITOR_PASSWORD, ROLES, die_with_parent, free_port
from waiting import GiveUp, Timeout, wait_until
from wire import Client

SANITIZER_REPORT = re.compile(
    r"(ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error: |SUMMARY: UndefinedBehavior)")
# Settings of a server may differ between primary and replica, so pgbraid asks the primary for them; the tests ask for
# cluster_name to learn who answers.
READS = {"treat_as_read": ["current_setting"]}
TOP = Path(__file__).resolve().parents[2]


def binary():
    """PGBRAID_BINARY, else the newest build of the usual presets."""
    if named := os.environ.get("PGBRAID_BINARY"):
        return Path(named)
    built = [p for preset in ("dev", "release") for where in ("", "proxy/")
             if (p := TOP / "build" / preset / f"{where}pgbraid").exists()]
    assert built, "no pgbraid binary: build one, or name it in PGBRAID_BINARY"
    return max(built, key=lambda p: p.stat().st_mtime)


def sanitizer_environment():
    return {"ASAN_OPTIONS": "detect_leaks=1:halt_on_error=1:abort_on_error=0:exitcode=99",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
            "TSAN_OPTIONS": "halt_on_error=0:exitcode=99:second_deadlock_stack=1"}


def sharded_topology(cluster, **changes):
    """The demonstration's topology over the cluster's servers. `changes` replace keys of the database or, for
    listen, auth, users, workers, limits, timeouts, admin, log, monitor, failover, instances and zone, of the file."""
    database = {
        "shards": [{"name": s.name, "servers": [server.address for server in s.servers]} for s in cluster.shards],
        "sharding": {
            "function": "postgres_hash", "buckets": 4096,
            "tables": {"customers": {"key": "id"}, "orders": {"key": "customer_id"}},
            "reference_tables": ["countries"],
            "unsharded": {"settings": cluster.shards[0].name},
        },
        "reads": READS | {"replicas": "prefer", "consistency": "session"},
        "pool": {"mode": "transaction", "size": 20},
    }
    return _file({"shop": database}, changes)


def plain_topology(servers, **changes):
    """One database on the servers of one shard: pooling and read/write splitting alone."""
    database = {"servers": [s.address for s in servers], "reads": READS, "pool": {"mode": "transaction", "size": 20}}
    return _file({"shop": database}, changes)


def _file(databases, changes):
    top = {
        "listen": {"host": "127.0.0.1", "port": free_port()},
        "workers": 2,
        "auth": {"method": "scram-sha-256"},
        "monitor": {"user": "postgres", "password_env": "PGBRAID_MONITOR_PASSWORD"},
        "users": {name: {"password": password or "unused"} for name, (_, password) in ROLES.items()}
        | {"postgres": {"password": MONITOR_PASSWORD}},
        "databases": databases,
    }
    for key, value in changes.items():
        if key in ("listen", "auth", "users", "workers", "limits", "timeouts", "admin", "log", "monitor", "failover", "zone", "instances"):
            if key == "listen":
                value = top["listen"] | value
            top[key] = value
        else:
            for database in databases.values():
                database[key] = value
    return top


class Endpoint:
    """Something that speaks PostgreSQL at host:port, and the ways in which tests talk to it."""

    def __init__(self, port):
        self.host, self.port = "127.0.0.1", port

    def connect(self, user="app", password=None, dbname="shop", autocommit=False, **kw):
        if password is None:
            password = MONITOR_PASSWORD if user == "postgres" else (ROLES.get(user, (None, None))[1] or "unused")
        kw.setdefault("connect_timeout", 10)
        connection = psycopg2.connect(host=self.host, port=self.port, dbname=dbname, user=user, password=password, **kw)
        connection.autocommit = autocommit
        return connection

    def psql(self, sql, user="app", password=None, dbname="shop", arguments=(), check=True, stdin=None):
        """Runs psql with one -c for each statement of `sql` (a string or a list), unaligned and without headings."""
        if password is None:
            password = ROLES.get(user, (None, None))[1] or "unused"
        command = ["psql", "-X", "-A", "-t", "-q", "-h", self.host, "-p", str(self.port), "-U", user, "-d", dbname,
                   "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", *arguments]
        for statement in [sql] if isinstance(sql, str) else sql:
            command += ["-c", statement]
        done = subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=60,
                              env={**os.environ, "PGPASSWORD": password, "PGCONNECT_TIMEOUT": "10"})
        if check:
            assert done.returncode == 0, done.stderr
            return done.stdout.rstrip("\n")
        return done

    def raw(self, user="app", password=None, dbname="shop", **kw):
        """A raw protocol client that is logged in."""
        return Client(self.port, user, ROLES.get(user, (None, None))[1] if password is None else password, dbname, **kw)


class Braid(Endpoint):
    """One pgbraid process. Use as a context manager, or start() and stop()."""

    def __init__(self, topology, env=None):
        super().__init__(topology["listen"]["port"])
        self.topology = topology
        self.folder = Path(tempfile.mkdtemp(prefix="pgbraid-proxy-", dir="/tmp"))
        self.config = self.folder / "pgbraid.yaml"
        self.log_path = self.folder / "pgbraid.log"
        self.environment = {**os.environ, **sanitizer_environment(), "PGBRAID_MONITOR_PASSWORD": MONITOR_PASSWORD,
                            **(env or {})}
        self.process = None
        self.write()

    def write(self, topology=None, text=None):
        """Replaces the topology file in one step, as an editor or a mounted ConfigMap does."""
        if topology is not None:
            self.topology = topology
        new = self.config.with_suffix(".new")
        new.write_text(text if text is not None else yaml.safe_dump(self.topology, sort_keys=False))
        new.rename(self.config)

    def start(self, wait=True):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([binary(), "serve", "--config", self.config], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env=self.environment, preexec_fn=die_with_parent,
                                            start_new_session=True)
        if wait:
            self.wait_ready()
        return self

    def wait_listening(self, deadline=20):
        def listens():
            self.must_run()
            socket.create_connection((self.host, self.port), 2).close()
            return True
        wait_until(listens, deadline, "pgbraid listens")

    def wait_ready(self, deadline=30, dbname="shop"):
        """Until statements are answered on every shard and, where there are replicas, reads go to one."""
        pool = self.topology["databases"].get(dbname, {}).get("pool", {})
        no_transactions = pool.get("mode") == "statement"

        def answers():
            self.must_run()
            connection = self.connect(dbname=dbname, autocommit=no_transactions)
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
                    cursor.execute("SELECT count(*) FROM countries")
            finally:
                connection.close()
            return True
        try:
            wait_until(answers, deadline, "pgbraid answers")
        except Timeout as e:
            self.kill()
            raise AssertionError(f"{e}\nlog of pgbraid:\n{self.log()[-3000:]}") from None

    def wait_replicas(self, cluster, keys=None, deadline=15):
        """Until reads by key are answered by replicas on every shard: roles and lag are known."""
        keys = keys or [cluster.keys_of(i, 1)[0] for i in range(len(cluster.shards))]
        with self.connect() as connection, connection.cursor() as cursor:
            connection.autocommit = True
            for key in keys:
                def on_replica(key=key):
                    cursor.execute("SELECT current_setting('cluster_name') FROM customers WHERE id = %s", (key,))
                    return "replica" in cursor.fetchone()[0]
                wait_until(on_replica, deadline, f"key {key} is read on a replica")
        connection.close()

    def command(self, *arguments):
        """Runs another command of the binary: command("route", sql) and command("check") name the file themselves."""
        name, *rest = arguments
        where = ["--config", self.config] if name == "route" else [self.config]
        return subprocess.run([binary(), name, *where, *rest], capture_output=True, text=True, timeout=60,
                              env=self.environment)

    def log(self, since=0):
        with open(self.log_path, "rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")

    def log_mark(self):
        return self.log_path.stat().st_size

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self):
        self.signal(signal.SIGHUP)

    def must_run(self):
        if not self.running:
            raise GiveUp(f"pgbraid ended with {self.process.returncode}:\n{self.log()[-3000:]}")

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def wait_exit(self, deadline=30):
        return self.process.wait(deadline)

    def stop(self, deadline=30):
        """SIGTERM and a clean end; a second SIGTERM stops what clients keep open. Fails on a sanitizer's report."""
        if self.process is None:
            return
        if self.running:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGTERM)
                try:
                    self.process.wait(deadline)
                except subprocess.TimeoutExpired:
                    self.kill()
                    raise AssertionError(f"pgbraid did not end on SIGTERM twice:\n{self.log()[-3000:]}") from None
        self.check()

    def check(self):
        """A clean end: status 0 and no report of a sanitizer in the log."""
        log = self.log()
        report = SANITIZER_REPORT.search(log)
        assert report is None, f"sanitizer report:\n{log[max(0, report.start() - 200):][:8000]}"
        assert self.process.returncode == 0, f"pgbraid ended with {self.process.returncode}:\n{log[-3000:]}"

    def kill(self):
        if self.running:
            self.process.kill()
            self.process.wait(10)

    def remove(self):
        if not os.environ.get("PGBRAID_TEST_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        try:
            self.stop()
        finally:
            self.kill()
            self.remove()
