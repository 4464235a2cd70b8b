"""./run: starts, prints lines that work when typed, stops all that it started, and starts again within seconds."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from cluster import free_port
from waiting import wait_until

TOP = Path(__file__).resolve().parents[3]
SERVER_PORTS = (6100, 6101, 6110, 6111)


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
        return True
    except OSError:
        return False


class Demo:
    def __init__(self, folder, port):
        self.port, self.log_path = port, Path(f"{folder}.log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([TOP / "run", "--dir", folder, "--port", str(port)], stdout=log,
                                            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=TOP, start_new_session=True)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_ready(self, deadline):
        def ready():
            assert self.process.poll() is None, self.log()[-4000:]
            return "Ctrl-C stops" in self.log()
        wait_until(ready, deadline, "./run is ready")

    def interrupt(self):
        """What a terminal does on Ctrl-C: the whole group gets the signal."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(30)


@pytest.fixture
def folder():
    busy = [p for p in SERVER_PORTS if listens(p)]
    if busy:
        pytest.skip(f"ports {busy} are in use, perhaps by a demonstration")
    path = tempfile.mkdtemp(prefix="pgbraid-demo-", dir="/tmp")
    os.chmod(path, 0o755)
    yield Path(path) / "data"
    shutil.rmtree(path)


def test_run(folder):
    demo = Demo(folder, free_port())
    try:
        demo.wait_ready(1800)
        assert re.search(r"first answer after \d+\.\d s", demo.log())
        printed = demo.log().split("In another terminal:")[1].split("Ctrl-C stops")[0]
        script = "set -e\n" + "\n".join(line.removeprefix("  ") for line in printed.splitlines())
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=TOP, timeout=60)
        assert done.returncode == 0, done.stderr + done.stdout
        for name in ("s1-primary", "s0-replica", "s1-replica", "s0-primary"):
            assert name in done.stdout, done.stdout
        again = subprocess.run([TOP / "run", "--dir", folder], capture_output=True, text=True, cwd=TOP, timeout=600)
        assert again.returncode != 0 and "another ./run uses" in again.stderr
        assert demo.process.poll() is None
    finally:
        code = demo.interrupt()
    assert code == 130
    assert not any(listens(p) for p in (*SERVER_PORTS, demo.port))

    begin = time.monotonic()
    demo = Demo(folder, free_port())
    try:
        demo.wait_ready(60)
        assert time.monotonic() - begin < 20
        os.kill(demo.process.pid, signal.SIGTERM)
        assert demo.process.wait(30) == 143
    finally:
        if demo.process.poll() is None:
            demo.interrupt()
    assert not any(listens(p) for p in (*SERVER_PORTS, demo.port))


def test_a_port_in_use_is_named(folder):
    with socket.create_server(("127.0.0.1", 6101)):
        done = subprocess.run([TOP / "run", "--dir", folder, "--port", str(free_port())], capture_output=True, text=True, cwd=TOP,
                              timeout=1800)
    assert done.returncode == 1
    assert re.search(r"error: port 6101 is in use by \S+ \(process \d+\)$", done.stderr.strip())
