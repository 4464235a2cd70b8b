"""Real PostgreSQL 15 servers for the tests: shards, each a primary with streaming replicas, in a temporary folder.

Run as root the servers run as user postgres (PostgreSQL refuses root); otherwise as oneself. Everything listens on
127.0.0.1 on free ports and dies with the test process.
"""

import ctypes
import fcntl
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2

from waiting import GiveUp, wait_until

PG_BIN = Path("/usr/lib/postgresql/15/bin")
DEMO = Path(__file__).resolve().parents[2] / "demo"
MONITOR_PASSWORD = "monitor-secret"
BUCKETS = 4096

# Roles of the tests, one for each way of logging in to a server, each the owner of nothing and granted the tables.
ROLES = {
    "app": ("scram-sha-256", "secret"),
    "app_md5": ("md5", "secret-md5"),
    "app_password": ("password", "secret-plain"),
    "app_trust": ("trust", None),
    "app_stored": ("scram-sha-256", "pencil"),
}
# The verifier of "pencil", the same on every server, from RFC 7677's example.
STORED_SECRET = ("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                 "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")

SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 120
shared_buffers = 16MB
fsync = off
full_page_writes = off
max_prepared_transactions = 20
max_wal_senders = 8
wal_keep_size = 512MB
wal_retrieve_retry_interval = 100ms
wal_receiver_status_interval = 1s
hot_standby = on
autovacuum = off
jit = off
log_destination = 'stderr'
logging_collector = off
log_line_prefix = '%m [%p] %u@%d '
log_statement = 'all'
log_connections = off
timezone = 'UTC'
"""

HBA = """
host replication postgres 127.0.0.1/32 trust
host all postgres 127.0.0.1/32 scram-sha-256
host all app_trust 127.0.0.1/32 trust
host all app_md5 127.0.0.1/32 md5
host all app_password 127.0.0.1/32 password
host all all 127.0.0.1/32 scram-sha-256
"""


def _account():
    """The account that servers run as, or None for one's own."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None


def _as_account():
    account = _account()
    return {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def die_with_parent():
    """For preexec_fn: a server does not outlive a test process that was killed (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGINT)


_reserved = []  # locked files of the ports that this process has been given


def free_port():
    """A port that nobody has, below those that the kernel gives to outgoing connections: one of these might be taken by the
    time that somebody listens on it. Until this process ends no other one that runs tests is given it: servers are named
    long before they listen, and another's would answer in their place."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    folder = Path(tempfile.gettempdir()) / f"pgbraid-test-ports-{os.geteuid()}"
    folder.mkdir(exist_ok=True)
    while True:
        port = secrets.randbelow(first - 10_000) + 10_000 if first > 12_000 else 0
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                port = s.getsockname()[1]
                mine = open(folder / str(port), "w")
                fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            _reserved.append(mine)
            return port


def bucket_sql(key, type_name="int8", buckets=BUCKETS):
    """SQL that computes the bucket of `key` from the server's own extended hash function of its type."""
    mask = buckets - 1
    return (f"((hash{type_name}extended({key}, 8816678312871386365) & {mask})"
            f" + (x'49a0f4dd15e5a8e3'::bit(64)::int8 & {mask})) & {mask}")


def run(*command, **kw):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd="/tmp", **kw)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed ({done.returncode}): {done.stdout}{done.stderr}")
    return done.stdout


class Server:
    """One PostgreSQL server: its folder, port, process and log."""

    def __init__(self, name, folder, port=None):
        self.name, self.folder, self.port = name, Path(folder), port or free_port()
        self.host = "127.0.0.1"
        self.process = None
        self.log_path = self.folder.parent / f"{name}.log"

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def configure(self, primary_port=None):
        """Appends what this server has of its own; `primary_port` makes it a standby of that server."""
        with open(self.folder / "postgresql.conf", "a") as conf:
            conf.write(f"port = {self.port}\ncluster_name = '{self.name}'\n")
            if primary_port is not None:
                conf.write(f"primary_conninfo = 'host=127.0.0.1 port={primary_port} user=postgres "
                           f"application_name={self.name}'\n")
        if primary_port is not None:
            (self.folder / "standby.signal").touch()
            if _account():
                os.chown(self.folder / "standby.signal", _account().pw_uid, _account().pw_gid)

    def encrypt(self, certificate, key, authority=None):
        """Has the running server offer TLS with these PEM files from its next connection on."""
        settings = "ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\n"
        files = {"server.crt": certificate, "server.key": key}
        if authority is not None:
            files["root.crt"] = authority
            settings += "ssl_ca_file = 'root.crt'\n"
        for name, source in files.items():
            place = self.folder / f"{name}.new"
            place.write_bytes(Path(source).read_bytes())
            place.chmod(0o600)
            if _account():
                os.chown(place, _account().pw_uid, _account().pw_gid)
            place.rename(self.folder / name)
        self.reload(settings)

    def admit(self, hba):
        """Replaces pg_hba.conf of the running server."""
        (self.folder / "pg_hba.conf").write_text(hba)
        self.reload()

    def reload(self, settings=""):
        """Adds settings and has the running server read its files; waits until it has."""
        with open(self.folder / "postgresql.conf", "a") as conf:
            conf.write(settings)
        before = self.value("SELECT pg_conf_load_time()::text", dbname="postgres")
        self.query("SELECT pg_reload_conf()", dbname="postgres")
        wait_until(lambda: self.value("SELECT pg_conf_load_time()::text", dbname="postgres") != before, 10,
                   f"{self.name} has read its settings")

    def start(self, wait=True):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([PG_BIN / "postgres", "-D", self.folder], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, cwd="/tmp", start_new_session=True,
                                            preexec_fn=die_with_parent, **_as_account())
        if wait:
            self.wait_ready()

    def wait_ready(self, deadline=30):
        def answers():
            if not self.running:
                raise GiveUp(f"{self.name} ended:\n{self.log()[-2000:]}")
            self.connect("postgres").close()
            return True
        wait_until(answers, deadline, f"{self.name} answers")

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, how="fast"):
        """smart, fast or immediate (a crash)."""
        if self.running:
            self.process.send_signal({"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[how])
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self.process = None

    def restart(self, how="fast"):
        self.stop(how)
        self.start()

    def promote(self):
        """Makes this replica a primary on a timeline of its own."""
        assert self.value("SELECT pg_promote()", dbname="postgres")

    def connect(self, dbname="shop", user="postgres", password=None, autocommit=True, **kw):
        if password is None:
            password = MONITOR_PASSWORD if user == "postgres" else ROLES.get(user, (None, None))[1]
        connection = psycopg2.connect(host=self.host, port=self.port, dbname=dbname, user=user, password=password,
                                      connect_timeout=10, **kw)
        connection.autocommit = autocommit
        return connection

    def query(self, sql, args=None, dbname="shop"):
        """Rows of one statement, run as the superuser."""
        connection = self.connect(dbname)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, args)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def value(self, sql, args=None, dbname="shop"):
        return self.query(sql, args, dbname)[0][0]

    def log(self, since=0):
        with open(self.log_path, "rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")

    def log_mark(self):
        """A place in the log, for log(since=...): a statement is in the log before its client is answered."""
        return self.log_path.stat().st_size

    def count_log(self, text, since=0):
        return self.log(since).count(text)


class Shard:
    """One primary and its replicas."""

    def __init__(self, name, primary, replicas, buckets):
        self.name, self.primary, self.replicas, self.buckets = name, primary, replicas, buckets

    @property
    def servers(self):
        return [self.primary, *self.replicas]

    def commit_on_replica(self):
        """From now on a commit is answered when the first replica has it on disk."""
        replica = self.replicas[0]
        self.primary.reload(f"synchronous_standby_names = '\"{replica.name}\"'\n")
        wait_until(lambda: self.primary.query("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"), 20,
                   f"{replica.name} is synchronous")

    def wait_for_replay(self, deadline=20):
        """Until every replica has replayed what the primary has written by now."""
        position = self.primary.value("SELECT pg_current_wal_insert_lsn()")
        for replica in self.replicas:
            wait_until(lambda r=replica: r.value("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (position,)),
                       deadline, f"{replica.name} has replayed {position}")


class Cluster:
    """`shards` shards with `replicas` replicas each, loaded with the demonstration's schema and data."""

    def __init__(self, shards=2, replicas=1):
        self.folder = Path(tempfile.mkdtemp(prefix="pgbraid-test-", dir="/tmp"))
        if _account():
            os.chown(self.folder, _account().pw_uid, _account().pw_gid)
        self.folder.chmod(0o700 if not _account() else 0o711)
        self.shards = []
        for i in range(shards):
            first, last = BUCKETS * i // shards, BUCKETS * (i + 1) // shards - 1
            self.shards.append(Shard(f"s{i}", Server(f"s{i}-primary", self.folder / f"s{i}-primary"),
                                     [Server(f"s{i}-replica{'' if r == 0 else r + 1}",
                                             self.folder / f"s{i}-replica{'' if r == 0 else r + 1}")
                                      for r in range(replicas)], (first, last)))

    def start(self):
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(self._initdb, self.shards))
        for shard in self.shards:
            shard.primary.start(wait=False)
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(self._load, self.shards))
            list(pool.map(self._copy, self.shards))
        for server in self.servers:
            server.start(wait=False)
        for server in self.servers:
            server.wait_ready()
        return self

    def stop(self):
        for server in self.servers:
            if server.running:
                server.process.send_signal(signal.SIGINT)
        for server in self.servers:
            server.stop()
        if not os.environ.get("PGBRAID_TEST_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def servers(self):
        return [server for shard in self.shards for server in shard.servers]

    def server(self, name):
        return next(s for s in self.servers if s.name == name)

    def owner(self, bucket):
        """The shard whose range holds `bucket`."""
        return next(s for s in self.shards if s.buckets[0] <= bucket <= s.buckets[1])

    def shard_of(self, key, type_name="int8"):
        """The shard that owns a key's row, asked of a server's own hash function."""
        return self.owner(self.shards[0].primary.value(f"SELECT {bucket_sql('%s::' + type_name, type_name)}", (key,)))

    def keys_of(self, shard, count, above=0, type_name="int8"):
        """The `count` lowest bigint keys over `above` that live on `shard` (an index)."""
        low, high = self.shards[shard].buckets
        rows = self.shards[0].primary.query(
            f"SELECT n FROM generate_series(%s::{type_name}, %s) n WHERE {bucket_sql('n', type_name)} BETWEEN %s AND %s "
            "ORDER BY n LIMIT %s", (above + 1, above + 1000 + count * 4 * len(self.shards), low, high, count))
        assert len(rows) == count
        return [r[0] for r in rows]

    def wait_for_replay(self):
        for shard in self.shards:
            shard.wait_for_replay()

    # How one shard comes to be: an own initdb (an own system identifier), then copies of its stopped folder.

    def _initdb(self, shard):
        password = self.folder / f"{shard.name}.password"
        password.write_text(MONITOR_PASSWORD)
        password.chmod(0o644)
        run(PG_BIN / "initdb", "-D", shard.primary.folder, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
            "--no-instructions", "--auth=scram-sha-256", f"--pwfile={password}", **_as_account())
        with open(shard.primary.folder / "postgresql.conf", "a") as conf:
            conf.write(SETTINGS)
        (shard.primary.folder / "pg_hba.conf").write_text(HBA)
        # The replicas' ports and names come later in their own copy; the last line of a setting counts.
        shard.primary.configure()

    def _load(self, shard):
        shard.primary.wait_ready()
        script = [f"\\set first_bucket {shard.buckets[0]}", f"\\set last_bucket {shard.buckets[1]}"]
        for role, (method, password) in ROLES.items():
            password = STORED_SECRET if role == "app_stored" else password
            encryption = "md5" if method == "md5" else "scram-sha-256"
            script += [f"SET password_encryption = '{encryption}';",
                       f"CREATE ROLE {role} LOGIN{'' if password is None else f' PASSWORD {chr(39)}{password}{chr(39)}'};"]
        others = ", ".join(r for r in ROLES if r != "app")
        script += ["CREATE DATABASE shop;", "\\connect shop", (DEMO / "schema.sql").read_text(),
                   (DEMO / "data.sql").read_text()]
        if shard is self.shards[0]:
            script.append((DEMO / "settings.sql").read_text())
        script += [f"GRANT app TO {others};", "GRANT CREATE ON SCHEMA public TO app;"]
        done = subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(shard.primary.port),
                               "-U", "postgres", "postgres"], input="\n".join(script), capture_output=True, text=True,
                              env={**os.environ, "PGPASSWORD": MONITOR_PASSWORD})
        assert done.returncode == 0, done.stderr
        shard.primary.stop()

    def _copy(self, shard):
        for replica in shard.replicas:
            run("cp", "-a", shard.primary.folder, replica.folder)
            replica.configure(shard.primary.port)
