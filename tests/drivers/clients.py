"""What the driver tests share: where pgbraid is, in the ways in which programs are told, and many clients at once.

With PGBRAID_TEST_TLS set to YAML for the topology's `listen.tls`, every driver is told to require TLS.
"""

import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from braid import Braid, plain_topology

HERE = Path(__file__).resolve().parent
POOL_SIZE = 2
CLIENTS = 50
USER, PASSWORD, DATABASE = "app", "secret", "shop"
TLS = yaml.safe_load(os.environ.get("PGBRAID_TEST_TLS", ""))
SSLMODE = "require" if TLS else "disable"


def database_topology(cluster, **changes):
    """Databases `shop` and `spare` on the cluster's servers, with pools of POOL_SIZE."""
    topology = plain_topology(cluster.shards[0].servers, **{"pool": {"mode": "transaction", "size": POOL_SIZE}} | changes)
    topology["databases"]["spare"] = dict(topology["databases"][DATABASE])
    if TLS:
        topology["listen"]["tls"] = TLS
    return topology


def conninfo(braid, user=USER, password=PASSWORD, dbname=DATABASE, **more):
    """A libpq connection string."""
    parts = {"host": braid.host, "port": braid.port, "user": user, "password": password, "dbname": dbname,
             "sslmode": SSLMODE, "connect_timeout": 30} | more
    return " ".join(f"{name}='{value}'" for name, value in parts.items())


def url(braid, scheme, **query):
    """A URL as SQLAlchemy and node-postgres read it."""
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return f"{scheme}://{USER}:{PASSWORD}@{braid.host}:{braid.port}/{DATABASE}?{text}"


def environment(braid, dbname=DATABASE):
    """libpq's environment variables, which most programs follow. A server that is asked directly has no TLS."""
    sslmode = SSLMODE if isinstance(braid, Braid) else "disable"
    return {**os.environ, "PGHOST": braid.host, "PGPORT": str(braid.port), "PGUSER": USER, "PGPASSWORD": PASSWORD,
            "PGDATABASE": dbname, "PGSSLMODE": sslmode, "PGCONNECT_TIMEOUT": "30"}


def run_program(braid, *command, dbname=DATABASE, deadline=120, check=True, **kw):
    """Runs a program that finds pgbraid in its environment; what it printed when it ended well."""
    env = environment(braid, dbname) | kw.pop("env", {})
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=deadline, env=env, **kw)
    if not check:
        return done
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def passed_checks(output):
    """The names behind `ok` in the output of a test program of another language."""
    return [line.split(None, 1)[1] for line in output.splitlines() if line.startswith("ok ")]


def server_connections(primary):
    """How many connections pgbraid's clients of user `app` take of the primary; those that listen for them stand beside the pool."""
    return primary.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND backend_type = 'client backend' "
                         "AND application_name <> 'pgbraid (LISTEN)'")


def pool_holds(primary):
    """Whether no more than POOL_SIZE are taken; always so without pgbraid."""
    return os.environ.get("PGBRAID_TEST_DIRECT") or server_connections(primary) <= POOL_SIZE


def at_once(work, count=CLIENTS):
    """work(i) for i below `count`, each in a thread of its own, all let go together; their results in order."""
    gate = threading.Barrier(count, timeout=60)

    def one(i):
        gate.wait()
        return work(i)

    with ThreadPoolExecutor(max_workers=count) as pool:
        return list(pool.map(one, range(count)))
