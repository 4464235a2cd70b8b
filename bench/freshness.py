"""The benchmark of bench/run freshness: what keeping reads fresh costs a statement, in instructions.

Counted by callgrind, which no neighbour on the machine disturbs: one client asks a primary and a replica through pgbraid, some
statements in one run and more in another, and what the further ones took is divided by their number.
"""

import argparse
import re
import signal
import sys
from pathlib import Path

import report
from peers import PG_BIN, USER, BenchError, Peers, Process, free_port, measured, unprivileged
from streams import Client

TOP = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- freshness: begin -->", "<!-- freshness: end -->"
FEW, MANY = 200, 1_200
MODES = ("eventual", "session", "global")
KINDS = {"a read": "SELECT abalance FROM pgbench_accounts WHERE aid = {}",
         "a write": "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = {}"}


def start_replica(peers, called="replica"):
    data, port = peers.folder / called, free_port()
    peers.run_tool([PG_BIN / "pg_basebackup", "-D", data, "-R", "-c", "fast", "-X", "stream", "-h", "127.0.0.1", "-p", peers.server_port, "-U", USER])
    command = [PG_BIN / "postgres", "-D", data]
    for name, value in {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": peers.folder, "max_connections": 120,
                        "max_prepared_transactions": 64}.items():
        command += ["-c", f"{name}={value}"]
    replica = Process(called, command, peers.folder, signal.SIGINT, **unprivileged())
    peers.processes.insert(0, peers.add(replica))  # ended after the primary
    peers.processes.pop()
    return port


def instructions(peers, binary, replica, mode, sql, count):
    """Of a whole life of pgbraid in which `count` statements are run, the first of them a write."""
    port = free_port()
    config = peers.write("freshness.yaml", f"""listen: {{host: 127.0.0.1, port: {port}}}
workers: 1
auth: {{method: trust}}
monitor: {{user: {USER}, interval: 10s}}
users: {{{USER}: {{}}}}
log: {{level: warning}}
databases:
  {USER}:
    servers: ["127.0.0.1:{peers.server_port}", "127.0.0.1:{replica}"]
    reads: {{consistency: {mode}}}
""")
    out = peers.folder / f"callgrind.{port}"
    name = f"pgbraid-{port}"
    braid = peers.add(Process(name, ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={out}", binary, "serve", "--config", config],
                              peers.folder, signal.SIGINT))
    peers.wait_until_answers(name, port)
    client = Client(port)
    for i in range(count):
        client.query(KINDS["a write"].format(1) if i == 0 else sql.format(i % 1000 + 1))
        client.until_ready()
    client.close()
    braid.stop()
    # Threads have files of their own: the control plane's work is not the statement's.
    worker = [text for text in (path.read_text() for path in peers.folder.glob(f"{out.name}-*")) if "session_machine::on_client" in text]
    if len(worker) != 1:
        raise BenchError("callgrind's files do not tell which thread is the worker")
    return int(re.search(r"^(?:totals|summary): (\d+)", worker[0], re.M)[1])


def measure(options, folder):
    """by kind and mode: instructions of one statement."""
    with Peers(folder, 1, "tcp") as peers:
        peers.start_postgres()
        replica = start_replica(peers)
        out = {}
        for kind, sql in KINDS.items():
            for mode in MODES:
                counted = [instructions(peers, options.pgbraid, replica, mode, sql, n) for n in (FEW, MANY)]
                out[kind, mode] = (counted[1] - counted[0]) / (MANY - FEW)
        return out


def main():
    p = argparse.ArgumentParser(prog="bench/run freshness", description="Counts the instructions that reads.consistency costs a statement, with "
                                "callgrind; prints a table and writes it into docs/benchmarks.md.")
    p.add_argument("--pgbraid", type=Path, default=TOP / "build/release/pgbraid", help="the binary to measure")
    p.add_argument("--no-build", action="store_true", help="measure the binary that is there")
    options = p.parse_args()
    counted = measured(p, options, measure)
    if counted is None:
        return 1
    head = ["`reads.consistency`", *KINDS]
    body = [[f"`{mode}`", *(f"{counted[kind, mode]:,.0f}" + ("" if mode == "eventual" else f" ({counted[kind, mode] - counted[kind, 'eventual']:+,.0f})")
                            for kind in KINDS)] for mode in MODES]
    print(report.aligned(head, body))
    text = ("Instructions of pgbraid for one statement of one client on a primary and a replica, in the simple protocol, counted by callgrind; "
            "beside them, what comes on top of `eventual`.\n\n" + report.markdown_table(head, body) + "\n")
    report.replace_part(TOP / "docs/benchmarks.md", BEGIN, END, "\n## What keeping reads fresh costs\n\n", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
