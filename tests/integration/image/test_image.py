"""The image: built from docker/Dockerfile by buildah without a container engine, then run before real servers.

The base is Debian's own, made by debootstrap and kept in PGBRAID_IMAGE_CACHE, so that no image registry is needed.
"""

import os
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from braid import Endpoint, sharded_topology
from cluster import MONITOR_PASSWORD
from waiting import wait_until

TOP = Path(__file__).resolve().parents[3]
CACHE = Path(os.environ.get("PGBRAID_IMAGE_CACHE", TOP / "build" / "image"))
MIRROR = os.environ.get("PGBRAID_DEBIAN_MIRROR", "http://deb.debian.org/debian")


def run(*command, **kw):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout[-6000:]}"
    return done.stdout.strip()


def buildah(*arguments):
    return run("buildah", "--root", CACHE / "storage", "--runroot", CACHE / "run", "--storage-driver", "vfs", *arguments)


@pytest.fixture(scope="session")
def image():
    """The name of the image, built from this checkout."""
    if os.geteuid() != 0:
        pytest.skip("building an image without a container engine needs root")
    CACHE.mkdir(parents=True, exist_ok=True)
    base = CACHE / "bookworm.tar"
    if not base.exists():
        root = CACHE / "bookworm"
        run("rm", "-rf", root)
        run("debootstrap", "--variant=minbase", "bookworm", root, MIRROR)
        run("tar", "-C", root, "--one-file-system", "-cf", base.with_suffix(".part"), ".")
        base.with_suffix(".part").rename(base)
        run("rm", "-rf", root)
    if not buildah("images", "-q", "--filter", "reference=localhost/pgbraid-base").strip():
        container = buildah("from", "scratch").splitlines()[-1]
        buildah("add", container, base, "/")
        buildah("config", "--env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "--cmd", "/bin/bash",
                container)
        buildah("commit", "--rm", container, "localhost/pgbraid-base")
    buildah("build", "--isolation", "chroot", "--layers", "--format", "docker", "--build-arg", "BASE=localhost/pgbraid-base",
            "-f", TOP / "docker" / "Dockerfile", "-t", "localhost/pgbraid", TOP)
    return "localhost/pgbraid"


@pytest.fixture
def container(image):
    name = buildah("from", image).splitlines()[-1]
    yield name
    buildah("rm", name)


def test_the_image_answers(cluster, container, tmp_path):
    topology = sharded_topology(cluster)
    config = tmp_path / "pgbraid.yaml"
    config.write_text(yaml.safe_dump(topology))
    config.chmod(0o644)
    port = topology["listen"]["port"]
    command = ["buildah", "--root", CACHE / "storage", "--runroot", CACHE / "run", "--storage-driver", "vfs", "run",
               "--isolation", "chroot", "--volume", f"{config}:/etc/pgbraid/pgbraid.yaml:ro",
               "--env", f"PGBRAID_MONITOR_PASSWORD={MONITOR_PASSWORD}", "--env", f"PGBRAID_HEALTH_PORT={port}", container, "--"]
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen([str(c) for c in [*command, "pgbraid", "serve", "--config", "/etc/pgbraid/pgbraid.yaml"]],
                                   stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        proxy = Endpoint(port)

        def answers():
            assert process.poll() is None, (tmp_path / "log").read_text()
            return proxy.psql("SELECT name FROM customers WHERE id = 1") == "customer 1"
        wait_until(answers, 60, "the container answers")
        wait_until(lambda: proxy.psql("SELECT current_setting('cluster_name') FROM customers WHERE id = 1") == "s1-replica", 20)
        assert proxy.psql("UPDATE customers SET balance = balance WHERE id = 1 RETURNING current_setting('cluster_name')") \
            == "s1-primary"
        run(*command, "pgbraid-healthcheck")
        assert run(*command, "id", "-u").splitlines()[-1] == "6432", "not root"
        assert (tmp_path / "log").stat().st_size > 0, "the log goes to stdout"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
