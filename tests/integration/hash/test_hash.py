"""Runs integration_hash, which holds the partition hash against a server, on a server of its own."""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cluster import MONITOR_PASSWORD, Cluster  # noqa: E402


def test_hash_equals_the_servers():
    cluster = Cluster(shards=1, replicas=0)
    try:
        server = cluster.start().shards[0].primary
        done = subprocess.run([os.environ["PGBRAID_INTEGRATION_HASH"]], capture_output=True, text=True, timeout=600,
                              env={**os.environ, "PGHOST": server.host, "PGPORT": str(server.port), "PGUSER": "postgres",
                                   "PGPASSWORD": MONITOR_PASSWORD, "PGDATABASE": "shop"})
        assert done.returncode == 0, done.stdout[-20000:] + done.stderr
    finally:
        cluster.stop()
