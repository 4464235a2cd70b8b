"""What the benchmark starts: one private PostgreSQL 15 and the proxies before it.

Every process is a child of this one, dies with it, and is stopped by its own handle. All listen on 127.0.0.1 at free ports.
"""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PG_BIN = Path("/usr/lib/postgresql/15/bin")
USER = "bench"  # role and database of the benchmark
POOL_SIZE = 16  # server connections of each pooling proxy: one for each client
START_SECONDS = 30


class BenchError(Exception):
    """Something the user should read, in one line."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def unprivileged():
    """Arguments for Popen that make the child a plain user: PostgreSQL and PgBouncer refuse root."""
    if os.getuid() != 0:
        return {}
    who = pwd.getpwnam("postgres")
    return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}


def die_with_parent():
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Process:
    """A child with its log; `stop_signal` ends it in an orderly way."""

    def __init__(self, name, command, folder, stop_signal=signal.SIGTERM, **popen):
        self.name, self.stop_signal = name, stop_signal
        self.log = Path(folder) / f"{name}.log"
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                [str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
                start_new_session=True, preexec_fn=die_with_parent, **popen)

    @property
    def pid(self):
        return self.child.pid

    def last_words(self):
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def check(self):
        if self.child.poll() is not None:
            raise BenchError(f"{self.name} ended by itself: {self.last_words()}")

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(self.stop_signal)
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()


class Peers:
    """The server and the proxies. Use as a context: all of it is gone afterwards."""

    def __init__(self, folder, scale, transport):
        self.folder, self.scale, self.transport = Path(folder), scale, transport
        self.processes = []
        self.ports = {}  # peer -> port that pgbench connects to
        self.proxies = {}  # peer -> process whose CPU counts
        self.versions = {}
        self.enough_descriptors = False
        self.durable = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.stop()

    def add(self, process):
        self.processes.append(process)
        return process

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o644)
        return path

    # -- the server

    def start_postgres(self):
        data = self.folder / "data"
        self.run_tool([PG_BIN / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "-N"])
        self.server_port = free_port()
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.server_port, "unix_socket_directories": self.folder,
            "max_connections": 120, "max_prepared_transactions": 64, "shared_buffers": "512MB", "max_wal_size": "8GB", "checkpoint_timeout": "1h",
            "autovacuum": "off",
        }
        # Mostly the disk is not what is compared.
        settings |= dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "on" if self.durable else "off")
        command = [PG_BIN / "postgres", "-D", data]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        self.add(Process("postgres", command, self.folder, signal.SIGINT, **unprivileged()))
        self.wait_for_server()
        self.run_tool([PG_BIN / "pgbench", "-i", "-q", "-s", self.scale, *self.target(self.server_port)])
        self.ports["direct"] = self.server_port
        self.versions["PostgreSQL"] = self.version([PG_BIN / "postgres", "--version"])

    def wait_for_server(self):
        create = [PG_BIN / "createdb", "-h", "127.0.0.1", "-p", str(self.server_port), "-U", USER, USER]
        end = time.monotonic() + START_SECONDS
        while subprocess.run(create, capture_output=True, timeout=START_SECONDS).returncode != 0:
            self.processes[-1].check()
            if time.monotonic() > end:
                raise BenchError(f"postgres does not start: {self.processes[-1].last_words()}")
            time.sleep(0.1)

    def run_tool(self, command):
        done = subprocess.run([str(c) for c in command], cwd=self.folder, capture_output=True, text=True, timeout=600,
                              **unprivileged())
        if done.returncode != 0:
            raise BenchError(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip().splitlines()[-1]}")

    @staticmethod
    def target(port):
        return ["-h", "127.0.0.1", "-p", str(port), "-U", USER, USER]

    @staticmethod
    def version(command):
        out = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=10).stdout.splitlines()
        words = out[0].split() if out else []
        return next((w.rstrip(",") for w in words if w[0].isdigit()), "?")

    def psql(self, port, sql, seconds=30):
        """What psql says to one statement; a proxy that hangs is one that failed."""
        command = [PG_BIN / "psql", "-X", "-A", "-t", "-h", "127.0.0.1", "-p", port, "-U", USER, "-d", USER, "-c", sql]
        command = [str(c) for c in command]
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=seconds,
                                  env={**os.environ, "PGCONNECT_TIMEOUT": "5"})
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 1, "", f"no answer within {seconds} s")

    def wait_until_answers(self, name, port):
        process = next(p for p in self.processes if p.name == name)
        end = time.monotonic() + START_SECONDS
        while True:
            process.check()
            answer = self.psql(port, "SELECT 40 + 2", 5)
            if answer.stdout.strip() == "42":
                return
            if time.monotonic() > end:
                raise BenchError(f"{name} does not answer: {answer.stderr.strip() or process.last_words()}")
            time.sleep(0.05)

    def settle(self):
        """Between rounds: the same tables, without what the writes left."""
        done = self.psql(self.server_port, "VACUUM pgbench_accounts, pgbench_tellers, pgbench_branches")
        done = self.psql(self.server_port, "TRUNCATE pgbench_history") if done.returncode == 0 else done
        if done.returncode != 0:
            raise BenchError(f"the server fails: {done.stderr.strip()}")

    def server_host(self):
        return "127.0.0.1" if self.transport == "tcp" else str(self.folder)

    # -- the proxies

    def start_pgbouncer(self, mode):
        """Logging and statistics off, pools warm, nothing checked between two transactions that need not be."""
        name, port = f"pgbouncer-{mode}", free_port()
        users = self.write("userlist.txt", f'"{USER}" ""\n')
        config = self.write(f"{name}.ini", f"""[databases]
{USER} = host={self.server_host()} port={self.server_port} dbname={USER}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = {mode}
default_pool_size = {POOL_SIZE}
max_client_conn = 20000
server_idle_timeout = 0
server_lifetime = 86400
log_connections = 0
log_disconnections = 0
log_pooler_errors = 0
log_stats = 0
stats_period = 3600
ignore_startup_parameters = extra_float_digits
""")
        process = self.add(Process(name, [shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", "-q", config], self.folder,
                                   signal.SIGINT, **unprivileged()))
        self.ports[name], self.proxies[name] = port, process
        self.wait_until_answers(name, port)
        self.versions["PgBouncer"] = self.version([shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", "--version"])

    def start_haproxy(self):
        port = free_port()
        server = f"127.0.0.1:{self.server_port}" if self.transport == "tcp" else f"unix@{self.folder}/.s.PGSQL.{self.server_port}"
        config = self.write("haproxy.cfg", f"""global
  nbthread 1
  maxconn 2000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen postgres
  bind 127.0.0.1:{port}
  server one {server}
""")
        binary = shutil.which("haproxy") or "/usr/sbin/haproxy"
        process = self.add(Process("haproxy", [binary, "-db", "-q", "-f", config], self.folder, **unprivileged()))
        self.ports["haproxy"], self.proxies["haproxy"] = port, process
        self.wait_until_answers("haproxy", port)
        self.versions["HAProxy"] = self.version([binary, "-v"])

    def start_pgbraid(self, binary, workers, replicas=()):
        """Before the server; `replicas` are ports."""
        name, port = ("pgbraid" if workers == 1 else f"pgbraid-{workers}"), free_port()
        servers = ", ".join(f'"{self.server_host()}:{p}"' for p in (self.server_port, *replicas))
        config = self.write(f"{name}.yaml", f"""listen: {{host: 127.0.0.1, port: {port}}}
workers: {workers}
auth: {{method: trust}}
monitor: {{user: {USER}}}
users: {{{USER}: {{}}}}
log: {{level: warning}}
limits: {{max_clients: 20000}}
databases:
  {USER}:
    servers: [{servers}]
    pool: {{size: {POOL_SIZE}}}
""")
        process = self.add(Process(name, [binary, "serve", "--config", config], self.folder))
        self.ports[name], self.proxies[name] = port, process
        self.wait_until_answers(name, port)
        self.versions["pgbraid"] = self.version([binary, "--version"])


def measured(parser, options, measure):
    """measure(options, a folder for servers, gone afterwards); None, told on stderr, where it fails. `options.pgbraid` must be
    there."""
    options.pgbraid = options.pgbraid.resolve()
    if not os.access(options.pgbraid, os.X_OK):
        parser.error(f"{options.pgbraid} is not there: build it")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="pgbraid-bench."))
    folder.chmod(0o777)
    try:
        return measure(options, folder)
    except (BenchError, subprocess.SubprocessError) as e:
        print(f"bench/run: error: {e}", file=sys.stderr)
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
