"""Scripts run directly and through pgbraid must read the same: one shard, transaction pooling, one worker and four, few
server connections, and other clients of the same user that use them too."""

import difflib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from braid import Braid, _file
from cluster import Cluster
from transcript_noise import Noise
from transcript_runs import WAYS, run
from transcript_script import SCRIPTS, entries, header
from waiting import wait_until

WORKERS = (1, 4)
POOL = {"mode": "transaction", "size": 4}
CLEAN = """
DO $$ DECLARE lo oid; BEGIN
  FOR lo IN SELECT oid FROM pg_largeobject_metadata LOOP PERFORM lo_unlink(lo); END LOOP;
END $$;
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
GRANT ALL ON SCHEMA public TO app;
"""


class World:
    """One place where scripts run: an address, and a database that nothing else uses."""

    def __init__(self, server, port, database, folder):
        self.server, self.port, self.database, self.folder = server, port, database, folder
        self.lock = threading.Lock()

    def run(self, way, path):
        with self.lock:
            self.server.query(CLEAN, dbname=self.database)
            return run(way, path, self.port, self.database, self.folder)


@pytest.fixture(scope="module")
def server():
    cluster = Cluster(shards=1, replicas=0)
    try:
        cluster.start()
        primary = cluster.shards[0].primary
        primary.query("CREATE ROLE app_reader", dbname="postgres")
        primary.query("GRANT app_reader TO app", dbname="postgres")
        yield primary
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def worlds(server, tmp_path_factory):
    """{(way, workers): world}; workers 0 is the server itself."""
    databases = {(way, n): f"transcript_{way}_{n}" for way in WAYS for n in (0, *WORKERS)}
    for database in databases.values():
        server.query(f"CREATE DATABASE {database} OWNER app", dbname="postgres")
    braids, noises, made = {}, [], {}
    try:
        for n in WORKERS:
            mine = {databases[way, n]: {"servers": [server.address], "pool": dict(POOL)} for way in WAYS}
            braids[n] = Braid(_file(mine, {"workers": n})).start(wait=False)
        for (way, n), database in databases.items():
            if n:
                wait_until(lambda n=n, d=database: braids[n].connect(dbname=d).close() is None, 30, f"{database} is served")
                noises.append(Noise(braids[n].port, database).__enter__())
            made[way, n] = World(server, braids[n].port if n else server.port, database, tmp_path_factory.mktemp(database))
        yield made
        for noise in noises:
            noise.__exit__(None, None, None)
            assert noise.failures == []
        for braid in braids.values():
            braid.stop()
    finally:
        for braid in braids.values():
            braid.kill()
            braid.remove()


@pytest.fixture(scope="module")
def together():
    with ThreadPoolExecutor(max_workers=3) as pool:
        yield pool


@pytest.mark.parametrize("script", sorted(p.stem for p in SCRIPTS.glob("*.sql")))
def test_reads_the_same(worlds, together, script):
    path = SCRIPTS / f"{script}.sql"
    alone = header(path, "alone") is not None
    jobs = {}
    for key, world in worlds.items():
        jobs[key] = together.submit(world.run, key[0], path)
        if alone:
            jobs[key].exception()
    different = []
    for way in WAYS:
        expected = jobs[way, 0].result()
        for n in WORKERS:
            lines = difflib.unified_diff(expected.splitlines(), jobs[way, n].result().splitlines(), "directly",
                                         f"{way}, {n} workers", lineterm="", n=2)
            different += list(lines)[:60]
    assert not different, "\n".join(different)


def test_corpus_is_large_enough():
    scripts = list(SCRIPTS.glob("*.sql"))
    statements = sum(len(e.statements) for p in scripts for e in entries(p.read_text()))
    assert len(scripts) >= 30 and statements >= 300
