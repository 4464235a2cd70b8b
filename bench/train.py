"""What scripts/train lets an instrumented pgbraid do, so that the compiler learns which code is hot: pgbench in its protocols over
a primary and a replica, big results and copies, and the statements of bench/run shards over two shards."""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import shards
import streams
from freshness import start_replica
from peers import PG_BIN, BenchError

ROWS = 100_000
PGBENCH = (("-S", "simple"), ("-S", "extended"), ("-S", "prepared"), ("-N", "simple"), ("-N", "prepared"))


def train_pgbench(fleet, port, seconds):
    for what, mode in PGBENCH:
        print(f"train: pgbench {what} {mode}", flush=True)
        fleet.run_tool([PG_BIN / "pgbench", "-n", what, "-M", mode, "-c", 16, "-j", 1, "-T", seconds, *fleet.target(port)])


def train_streams(port, process, server_port):
    streams.prepare(server_port)
    for stream in streams.STREAMS:
        print(f"train: {stream.title}", flush=True)
        streams.run(port, process, stream, megabytes=32)


def train_shards(fleet, port, process):
    shards.copy_in(port, ROWS)
    for work in shards.WORKS:
        print(f"train: over shards, {work.name}", flush=True)
        shards.measure_work(port, process, work, ROWS)


def train(binary, seconds, folder):
    with shards.Fleet(folder, 1, "tcp") as fleet:
        fleet.start_shards(2)
        for port in fleet.shard_ports:
            made = fleet.psql(port, shards.SCHEMA)
            if made.returncode != 0:
                raise BenchError(made.stderr.strip())
        fleet.start_pgbraid(binary, 1, [start_replica(fleet)])
        port = fleet.ports["pgbraid"]
        train_pgbench(fleet, port, seconds)
        train_streams(port, fleet.proxies["pgbraid"], fleet.server_port)
        train_shards(fleet, *fleet.start_over(binary, fleet.shard_ports))
        # What was counted is written when they end, in an orderly way.
        for process in reversed(fleet.processes):
            process.stop()


def main():
    p = argparse.ArgumentParser(prog="bench/train.py", description=__doc__)
    p.add_argument("pgbraid", type=Path, help="the instrumented binary")
    p.add_argument("--seconds", type=int, default=4, help="of each run of pgbench (4)")
    options = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="pgbraid-train."))
    folder.chmod(0o777)
    try:
        train(options.pgbraid.resolve(), options.seconds, folder)
    except (BenchError, subprocess.SubprocessError) as e:
        print(f"train: error: {e}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
