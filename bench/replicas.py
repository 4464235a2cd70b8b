"""The benchmark of bench/run replicas: where statements go of a primary and its replicas, and what it costs to know where they may.

pgbench, and psycopg2 with the transactions that it opens by itself, through pgbraid with its defaults. What each server has
answered is what it has counted itself (index scans of pgbench_accounts), and CPU that of the thread that watches the servers.
"""

import argparse
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg2

import report
from freshness import start_replica
from peers import PG_BIN, USER, BenchError, Peers, Process, free_port, measured

TOP = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- replicas: begin -->", "<!-- replicas: end -->"
CLIENTS = 8
MIX = r"""\set aid random(1, 100000)
\set kind random(1, 10)
\if :kind = 1
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;
\else
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
\endif
"""


@dataclass(frozen=True)
class Work:
    name: str
    rate: int = 0  # transactions a second; 0: as fast as they come
    mixed: bool = True
    driver: str = "pgbench"
    probe_rate: int | None = None  # monitor.probe_rate; None: the default


WORKS = (
    Work("reads, pgbench -S", mixed=False),
    Work("reads, psycopg2", mixed=False, driver="psycopg2"),
    Work("90/10, 50 a second and client", rate=50 * CLIENTS),
    Work("90/10, as fast as they come"),
    Work("90/10, 50 a second and client, probe_rate 100", rate=50 * CLIENTS, probe_rate=100),
    Work("90/10, as fast as they come, probe_rate 100", probe_rate=100),
    Work("90/10, 50 a second and client, probe_rate 1500", rate=50 * CLIENTS, probe_rate=1500),
    Work("90/10, as fast as they come, probe_rate 1500", probe_rate=1500),
    Work("nobody", driver="none"),
    Work("nobody, 21 servers", driver="none"),
    Work("90/10, 50 a second and client, 21 servers", rate=50 * CLIENTS),
)


def scans(peers, port):
    said = peers.psql(port, "SELECT idx_scan FROM pg_stat_user_tables WHERE relname = 'pgbench_accounts'")
    if said.returncode != 0:
        raise BenchError(said.stderr.strip())
    return int(said.stdout.strip() or 0)


def monitor_seconds(process):
    """CPU of the thread that watches servers."""
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        if (task / "comm").read_text().strip() == "monitor":
            return int((task / "schedstat").read_text().split()[0]) / 1e9
    raise BenchError("no thread of pgbraid is called monitor")


def start(peers, binary, work, replicas):
    port = free_port()
    servers = [peers.server_port, *replicas]
    # Addresses of the loopback are servers of their own to who asks them.
    names = [f"127.0.0.{1 + i // len(servers)}:{servers[i % len(servers)]}" for i in range(21 if "21 servers" in work.name else len(servers))]
    rate = "" if work.probe_rate is None else f", probe_rate: {work.probe_rate}"
    databases = "".join(f"  {USER if i == 0 else f'd{i}'}:\n    servers: [{', '.join(chr(34) + n + chr(34) for n in names[i:i + len(servers)])}]\n"
                        for i in range(0, len(names) - len(names) % len(servers), len(servers)))
    config = peers.write(f"replicas-{port}.yaml", f"""listen: {{host: 127.0.0.1, port: {port}}}
workers: 1
auth: {{method: trust}}
monitor: {{user: {USER}, dbname: {USER}{rate}}}
users: {{{USER}: {{}}}}
log: {{level: warning}}
databases:
{databases}""")
    process = peers.add(Process(f"pgbraid-{port}", [binary, "serve", "--config", config], peers.folder))
    peers.wait_until_answers(f"pgbraid-{port}", port)
    return port, process


def read_on_and_on(port, end):
    connection = psycopg2.connect(host="127.0.0.1", port=port, user=USER, dbname=USER)
    cursor = connection.cursor()
    for i in range(1 << 30):
        if time.monotonic() > end:
            break
        cursor.execute("SELECT abalance FROM pgbench_accounts WHERE aid = %s", (i % 100000 + 1,))
        cursor.fetchall()
        connection.commit()
    connection.close()


def drive(peers, work, port, seconds):
    if work.driver == "none":
        time.sleep(seconds)
    elif work.driver == "psycopg2":
        clients = [threading.Thread(target=read_on_and_on, args=(port, time.monotonic() + seconds)) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    else:
        command = [PG_BIN / "pgbench", "-n", "-M", "prepared", "-c", CLIENTS, "-j", 2, "-T", seconds]
        command += ["-f", peers.write("mix.sql", MIX)] if work.mixed else ["-S"]
        command += ["-R", work.rate] if work.rate else []
        peers.run_tool([*command, *peers.target(port)])


def measure(options, folder):
    """by work: statements a second, share of the replicas together, and the monitor's share of a core."""
    out = {}
    with Peers(folder, 1, "tcp") as peers:
        peers.start_postgres()
        # What is committed is on its way to the replicas at once.
        peers.psql(peers.server_port, f"ALTER ROLE {USER} SET synchronous_commit = on")
        replicas = {name: start_replica(peers, name) for name in ("replica-1", "replica-2")}
        for name, port in replicas.items():
            peers.wait_until_answers(name, port)
        replicas = list(replicas.values())
        for work in WORKS:
            print(f"replicas: {work.name}", flush=True)
            servers = [peers.server_port, *replicas]
            before = [scans(peers, port) for port in servers]
            port, process = start(peers, options.pgbraid, work, replicas)
            begin, used = time.monotonic(), monitor_seconds(process)
            drive(peers, work, port, options.seconds)
            took, used = time.monotonic() - begin, monitor_seconds(process) - used
            # Servers count what a connection has done at its end.
            process.stop()
            peers.psql(peers.server_port, "SELECT pg_stat_force_next_flush()")
            answered = settled(peers, servers, before, options.seconds)
            total = sum(answered)
            out[work] = (total / took, sum(answered[1:]) / total if total else None, used / took)
    return out


def settled(peers, servers, before, seconds):
    """What each server has answered, as soon as no more is counted."""
    answered, end = None, time.monotonic() + seconds
    while time.monotonic() < end:
        now = [scans(peers, port) - b for port, b in zip(servers, before)]
        if now == answered:
            break
        answered = now
        time.sleep(0.5)
    return answered


def main():
    p = argparse.ArgumentParser(prog="bench/run replicas", description="Counts on a primary and two replicas where statements went, and what the "
                                "control plane took to know; prints a table and writes it into docs/benchmarks.md.")
    p.add_argument("--pgbraid", type=Path, default=TOP / "build/trained/pgbraid", help="the binary to measure")
    p.add_argument("--no-build", action="store_true", help="measure the binary that is there")
    p.add_argument("--seconds", type=int, default=10, help="of each workload (default %(default)s)")
    options = p.parse_args()
    counted = measured(p, options, measure)
    if counted is None:
        return 1
    head = ["load", "statements a second", "on the replicas", "monitor, of a core"]
    body = [[work.name, f"{rate:,.0f}", "" if share is None else f"{share:.1%}", f"{core:.2%}"] for work, (rate, share, core) in counted.items()]
    print(report.aligned(head, body))
    text = (f"A primary and two replicas, {CLIENTS} clients, {options.seconds} s each, `consistency: session`. Of the mix 90 % are reads: no more can be on "
            "replicas.\n\n" + report.markdown_table(head, body) + "\n")
    report.replace_part(TOP / "docs/benchmarks.md", BEGIN, END, "\n## Where reads go\n\n", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
