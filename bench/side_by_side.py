"""The benchmark of bench/run: interleaved rounds over all peers and workloads."""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import idle
import measure
import report
import streams
from peers import BenchError, Peers

TOP = Path(__file__).resolve().parent.parent


def arguments():
    p = argparse.ArgumentParser(
        prog="bench/run", description="Measures direct, PgBouncer, HAProxy and pgbraid side by side on one private PostgreSQL 15 "
        "with pgbench, 16 clients; prints medians and ratios and writes docs/benchmarks.md and docs/benchmarks.svg.")
    p.add_argument("--rounds", type=int, default=9, help="interleaved rounds (9)")
    p.add_argument("--seconds", type=int, default=4, help="seconds of each run (4)")
    p.add_argument("--quick", action="store_true", help="3 rounds, and docs/ is left alone")
    p.add_argument("--workloads", default="simple,extended,prepared,write", help="some of simple,extended,prepared,write")
    p.add_argument("--scale", type=int, default=10, help="pgbench's scale (10)")
    p.add_argument("--transport", choices=("tcp", "unix"), default="tcp", help="how the proxies reach the server (tcp)")
    p.add_argument("--pgbraid", type=Path, default=TOP / "build/trained/pgbraid", help="the binary to measure")
    p.add_argument("--without-pgbraid", action="store_true", help="the peers alone; docs/ is left alone")
    p.add_argument("--two-workers", action="store_true", help="also pgbraid with workers: 2")
    p.add_argument("--no-build", action="store_true", help="measure the binary that is there")
    p.add_argument("--micro", type=Path, default=TOP / "build/bench/bench/micro/micro_router",
                   help="the micro-benchmark, run first when it is there")
    p.add_argument("--without-idle", action="store_true", help="leave out what idle clients cost")
    p.add_argument("--without-streams", action="store_true", help="leave out big results and copies")
    p.add_argument("--json", type=Path, help="write all samples to this file")
    options = p.parse_args()
    if options.quick:
        options.rounds = 3
    known = {w.name: w for w in measure.WORKLOADS}
    names = options.workloads.split(",")
    if unknown := [n for n in names if n not in known]:
        p.error(f"unknown workload: {unknown[0]}")
    if options.rounds < 1 or options.seconds < 1:
        p.error("rounds and seconds are at least 1")
    if not options.without_pgbraid and not os.access(options.pgbraid, os.X_OK):
        p.error(f"{options.pgbraid} is not there: build it, or say --without-pgbraid")
    options.chosen = tuple(known[n] for n in names)
    options.pgbraid = options.pgbraid.resolve()
    return options


def start(peers, options):
    peers.start_postgres()
    for mode in sorted({w.bouncer_mode for w in options.chosen}):
        peers.start_pgbouncer(mode)
    peers.start_haproxy()
    names = ["direct", "pgbouncer", "haproxy"]
    if not options.without_pgbraid:
        for workers in (1, 2) if options.two_workers else (1,):
            peers.start_pgbraid(options.pgbraid, workers)
            names.append("pgbraid" if workers == 1 else f"pgbraid-{workers}")
    return tuple(names)


def progress(text):
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="", flush=True)


def measure_all(peers, names, options, log_folder):
    samples = {w.name: {n: [] for n in names} for w in options.chosen}

    def one(name, workload, seconds):
        key = f"pgbouncer-{workload.bouncer_mode}" if name == "pgbouncer" else name
        return measure.run(peers, peers.ports[key], peers.proxies.get(key), workload, seconds, log_folder)

    for workload in options.chosen:  # warm caches and pools; not counted
        for name in names:
            progress(f"warming up: {workload.title} {name}")
            one(name, workload, 1)
    begin, runs = time.monotonic(), 0
    total = options.rounds * len(options.chosen) * len(names)
    for round_number in range(options.rounds):
        for w, workload in enumerate(options.chosen):
            turn = (round_number + w) % len(names)
            for name in names[turn:] + names[:turn]:
                left = (time.monotonic() - begin) / runs * (total - runs) if runs else total * (options.seconds + 0.5)
                progress(f"round {round_number + 1} of {options.rounds}: {workload.title} {name}, {left:.0f} s left")
                samples[workload.name][name].append(one(name, workload, options.seconds))
                runs += 1
        peers.settle()
    progress("")
    return samples


def measure_idle(peers, names, options):
    """Bytes of an idle client, for the proxies that need no server connection for each."""
    if options.without_idle or not peers.enough_descriptors:
        return {}
    out = {}
    for name in names:
        key = "pgbouncer-transaction" if name == "pgbouncer" else name
        if key in peers.proxies and name != "haproxy":
            progress(f"idle clients: {name}")
            out[name] = idle.bytes_a_client(peers.ports[key], peers.proxies[key].pid)
    return out


def measure_streams(peers, names, options):
    """streams[stream name][peer]: CPU seconds a GB, one value for each round. Rounds of 0.5 GB: five of them will do."""
    if options.without_streams:
        return {}
    streams.prepare(peers.server_port)
    proxies = [(name, "pgbouncer-transaction" if name == "pgbouncer" else name) for name in names if name != "direct"]
    proxies = [(name, key) for name, key in proxies if key in peers.proxies]
    out = {s.name: {name: [] for name, _ in proxies} for s in streams.STREAMS}
    for stream in streams.STREAMS:
        for round_number in range(min(5, options.rounds)):
            turn = round_number % len(proxies)
            for name, key in proxies[turn:] + proxies[:turn]:
                progress(f"big results and copies: {stream.title} {name}")
                out[stream.name][name].append(streams.run(peers.ports[key], peers.proxies[key], stream))
    return out


def write_json(results, path):
    flat = {w: {n: [asdict(s) for s in list_] for n, list_ in by.items()} for w, by in results.samples.items()}
    path.write_text(json.dumps({"versions": results.versions, "micro": results.micro, "idle": results.idle, "streams": results.streams, "samples": flat}, indent=1) + "\n")


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="pgbraid-bench."))
    memory = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else folder
    logs = Path(tempfile.mkdtemp(prefix="pgbraid-bench.", dir=memory))
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
    try:
        progress("routing alone")
        micro = measure.micro(options.micro) if os.access(options.micro, os.X_OK) else {}
        with Peers(folder, options.scale, options.transport) as peers:
            peers.enough_descriptors = idle.allow_descriptors()
            names = start(peers, options)
            samples = measure_all(peers, names, options, logs / "log")
            streamed = measure_streams(peers, names, options)
            idle_bytes = measure_idle(peers, names, options)
            progress("")
            results = report.Results(samples, options.chosen, names, peers.versions, os.cpu_count(), options.rounds,
                                     options.seconds, options.transport, micro, idle_bytes, streamed)
    except BenchError as e:
        print(f"bench/run: error: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench/run: stopped", file=sys.stderr)
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(logs, ignore_errors=True)
    print(report.as_text(results))
    if options.json:
        write_json(results, options.json)
    if not options.quick and not options.without_pgbraid:
        report.write_markdown(results, TOP / "docs/benchmarks.md")
        report.write_plot(results, TOP / "docs/benchmarks.svg")
        print("\nwritten: docs/benchmarks.md, docs/benchmarks.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
