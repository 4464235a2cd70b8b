"""One run of pgbench through one peer: transactions a second, latencies, and the CPU time of the proxy's process."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from peers import PG_BIN, BenchError, Peers, die_with_parent

CLIENTS, THREADS = 16, 2
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Workload:
    name: str
    title: str
    options: tuple
    bouncer_mode: str  # PgBouncer 1.18 keeps no prepared statements across transactions


WORKLOADS = (
    Workload("simple", "-S simple", ("-S", "-M", "simple"), "transaction"),
    Workload("extended", "-S extended", ("-S", "-M", "extended"), "transaction"),
    Workload("prepared", "-S prepared", ("-S", "-M", "prepared"), "session"),
    Workload("write", "-N simple", ("-N", "-M", "simple"), "transaction"),
)


@dataclass(frozen=True)
class Sample:
    """One run. Times in microseconds; `cpu` is None where there is no proxy."""
    tps: float
    p50: float
    p99: float
    cpu: float | None


def cpu_microseconds(pid):
    """User and system time of a process, all its threads, those that ended included (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1_000_000 / TICKS


def percentile(ordered, fraction):
    return float(ordered[min(len(ordered) - 1, int(fraction * len(ordered)))])


def read_latencies(folder):
    """Microseconds of each logged transaction: the third word of pgbench's log."""
    out = []
    for path in folder.iterdir():
        with open(path) as log:
            for line in log:
                out.append(int(line.split(" ", 3)[2]))
    return sorted(out)


def run(peers, port, proxy, workload, seconds, log_folder):
    """Runs pgbench for `seconds`. `log_folder` is emptied; it should be in memory."""
    folder = Path(log_folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    command = [PG_BIN / "pgbench", "-n", "-c", CLIENTS, "-j", THREADS, "-T", seconds, *workload.options, "-l",
               "--sampling-rate=0.25", f"--log-prefix={folder}/t", *Peers.target(port)]
    before = cpu_microseconds(proxy.pid) if proxy else 0
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=seconds + 30,
                              preexec_fn=die_with_parent)
    except subprocess.TimeoutExpired:
        raise BenchError(f"pgbench {workload.title} on port {port} did not end: {proxy.last_words() if proxy else ''}") from None
    if proxy:
        proxy.check()
    after = cpu_microseconds(proxy.pid) if proxy else 0
    transactions = re.search(r"number of transactions actually processed: (\d+)", done.stdout)
    tps = re.search(r"tps = ([\d.]+) \(without initial connection time\)", done.stdout)
    if done.returncode != 0 or not transactions or not tps or int(transactions[1]) == 0:
        lines = done.stderr.strip().splitlines()
        raise BenchError(f"pgbench {workload.title} failed: {lines[-1] if lines else done.stdout.strip()}")
    latencies = read_latencies(folder)
    if not latencies:
        raise BenchError("pgbench wrote no latencies")
    return Sample(float(tps[1]), percentile(latencies, 0.50), percentile(latencies, 0.99),
                  (after - before) / int(transactions[1]) if proxy else None)


def micro(binary):
    """Medians of bench/micro: name -> nanoseconds of CPU."""
    command = [str(binary), "--benchmark_format=json", "--benchmark_min_time=0.2", "--benchmark_repetitions=5",
               "--benchmark_report_aggregates_only=true"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, preexec_fn=die_with_parent)
    if done.returncode != 0:
        raise BenchError(f"{binary} failed: {done.stderr.strip()}")
    found = json.loads(done.stdout)["benchmarks"]
    for one in found:
        if one.get("error_occurred"):
            raise BenchError(f"{one['run_name']}: {one['error_message']}")
    return {one["run_name"]: one["cpu_time"] for one in found if one.get("aggregate_name") == "median"}
