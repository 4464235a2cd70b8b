"""Start, reload and end of a pgbraid process under the eyes of its clients."""

import copy
import signal
import socket
import subprocess
import threading

import psycopg2
import pytest

from braid import binary, plain_topology, sharded_topology
from waiting import wait_until
from wire import Client, ServerError, bind, execute, parse, query, refusal, rows, sync


@pytest.fixture
def shard(cluster):
    return cluster.shards[0]


def refuses(braid):
    """New connections are refused: by the system, or with 57P01 or 57P03."""
    try:
        client = Client(braid.port, timeout=5)
    except ServerError as e:
        return e.sqlstate in ("57P01", "57P03")
    except OSError:
        return True
    client.close()
    return False


def test_sigterm_ends_idle_clients_at_once(shard, start_braid):
    braid = start_braid(plain_topology(shard.servers))
    clients = [braid.raw() for _ in range(10)]
    for client in clients:
        assert client.value("SELECT 1") == "1"
    braid.signal(signal.SIGTERM)
    assert braid.wait_exit(10) == 0
    for client in clients:
        assert client.closed()


def test_sigterm_drains(shard, start_braid):
    braid = start_braid(plain_topology(shard.servers))
    busy, idle = braid.raw(), braid.raw()
    busy.query("BEGIN")
    busy.query("INSERT INTO countries VALUES ('L1', 'drained')")
    idle.value("SELECT 1")
    braid.signal(signal.SIGTERM)
    wait_until(lambda: refuses(braid), 10, "new connections are refused")
    assert idle.closed()
    assert braid.running
    assert busy.value("SELECT name FROM countries WHERE code = 'L1'") == "drained"
    busy.query("COMMIT")
    assert braid.wait_exit(10) == 0
    assert shard.primary.query("DELETE FROM countries WHERE code = 'L1' RETURNING name") == [("drained",)]


def test_sigterm_lets_a_statement_finish(shard, start_braid):
    braid = start_braid(plain_topology(shard.servers))
    client = braid.raw()
    client.send(query("SELECT 'finished' FROM pg_sleep(1)"))
    wait_until(lambda: shard.primary.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%finished%%pg_sleep(1)' "
                                           "AND state = 'active' AND pid <> pg_backend_pid()")
               + shard.replicas[0].value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%finished%%pg_sleep(1)' "
                                         "AND state = 'active' AND pid <> pg_backend_pid()") > 0, 10)
    braid.signal(signal.SIGTERM)
    assert client.result() == [["finished"]]
    assert braid.wait_exit(10) == 0


def test_second_sigterm_stops_at_once(shard, start_braid):
    braid = start_braid(plain_topology(shard.servers))
    client = braid.raw()
    client.query("BEGIN")
    client.query("SELECT 1")
    braid.signal(signal.SIGTERM)
    wait_until(lambda: refuses(braid), 10, "new connections are refused")
    assert braid.running
    braid.signal(signal.SIGTERM)
    assert braid.wait_exit(10) == 0
    assert client.closed()


def test_shutdown_timeout(shard, start_braid):
    braid = start_braid(plain_topology(shard.servers, timeouts={"shutdown": "1s"}))
    client = braid.raw()
    client.query("BEGIN")
    client.query("SELECT 1")
    braid.signal(signal.SIGTERM)
    assert braid.wait_exit(15) == 0


def test_sigint_stops_like_sigterm(shard, start_braid):
    braid = start_braid(plain_topology(shard.servers))
    braid.signal(signal.SIGINT)
    assert braid.wait_exit(10) == 0


def test_no_server_connection_is_left_after_the_end(shard, start_braid):
    braid = start_braid(plain_topology(shard.servers))
    clients = [braid.raw(application_name="leftover") for _ in range(5)]
    for client in clients:
        client.query("SELECT 1")
    braid.stop()
    for server in shard.servers:
        wait_until(lambda s=server: s.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'") == 0, 10,
                   f"{server.name} has no connection of ours")


def changed(topology, **database):
    new = copy.deepcopy(topology)
    new["databases"]["shop"].update(database)
    return new


@pytest.mark.parametrize("how", ["SIGHUP", "file change"])
def test_reload_keeps_sessions(cluster, start_braid, how):
    """`reads: replicas: off` arrives, and a session with an open transaction and a named statement lives on."""
    braid = start_braid(sharded_topology(cluster))
    braid.wait_replicas(cluster)
    key = cluster.keys_of(0, 1)[0]
    sql = f"SELECT current_setting('cluster_name') FROM customers WHERE id = {key}"
    with braid.raw() as session, braid.raw() as other:
        session.query("SET statement_timeout = '99s'")
        session.send(parse("SELECT current_setting('cluster_name') FROM customers WHERE id = $1", "kept"), sync())
        session.until_ready()
        other.query("BEGIN")
        other.query(f"UPDATE customers SET name = 'in flight' WHERE id = {key}")
        braid.write(changed(braid.topology, reads={"replicas": "off"}))
        if how == "SIGHUP":
            braid.reload()
        wait_until(lambda: session.value(sql) == "s0-primary", 20, "the new topology is in force")
        session.send(bind([key], "kept"), execute(), sync())
        assert rows(session.until_ready()) == [[b"s0-primary"]]
        assert session.value("SHOW statement_timeout") == "99s"
        assert other.status == "T" and other.value(f"SELECT name FROM customers WHERE id = {key}") == "in flight"
        other.query("ROLLBACK")
        assert other.status == "I"


def test_reload_adds_and_removes_a_database_and_a_user(shard, start_braid):
    braid = start_braid(plain_topology(shard.servers))
    with braid.raw() as session:
        new = copy.deepcopy(braid.topology)
        new["databases"]["second"] = {"servers": [{"host": "127.0.0.1", "port": s.port, "dbname": "shop"} for s in shard.servers]}
        braid.write(new)
        braid.reload()
        wait_until(lambda: Client(braid.port, database="second").close() is None, 15, "the database is there")
        with braid.raw(dbname="second") as client:
            assert client.value("SELECT current_database()") == "shop"
        del new["databases"]["second"]
        braid.write(new)
        braid.reload()

        wait_until(lambda: refusal(lambda: Client(braid.port, database="second").close()) == "3D000", 15, "the database is gone")
        assert session.value("SELECT 1") == "1"


@pytest.mark.parametrize("text, where", [("databases: [\n", ":1:1"), ("databases:\n  shop:\n    serverz: ['127.0.0.1:1']\n", ":3:5")],
                         ids=["yaml", "unknown key"])
def test_a_broken_file_on_reload_changes_nothing(shard, start_braid, text, where):
    braid = start_braid(plain_topology(shard.servers))
    with braid.raw() as session:
        mark = braid.log_mark()
        braid.write(text=text)
        braid.reload()
        wait_until(lambda: f"{braid.config}{where}" in braid.log(mark), 15, "the log says file:line:column")
        assert braid.running and session.value("SELECT 1") == "1"
        with braid.raw() as newcomer:
            assert newcomer.value("SELECT 2") == "2"


def test_a_reload_that_moves_buckets_is_refused(cluster, start_braid):
    braid = start_braid(sharded_topology(cluster))
    moved = copy.deepcopy(braid.topology)
    moved["databases"]["shop"]["shards"][0]["buckets"] = "0-1023"
    moved["databases"]["shop"]["shards"][1]["buckets"] = "1024-4095"
    mark = braid.log_mark()
    braid.write(moved)
    braid.reload()
    wait_until(lambda: "bucket" in braid.log(mark), 15, "the log says that buckets would move")
    for i in range(2):
        key = cluster.keys_of(i, 1)[0]
        assert braid.psql(f"SELECT id FROM customers WHERE id = {key}") == str(key)


def test_reload_under_load(cluster, start_braid):
    """Statements run through many reloads; none fails, none is answered wrongly."""
    braid = start_braid(sharded_topology(cluster))
    keys = [cluster.keys_of(i, 20) for i in range(2)]
    stop, failures, done = threading.Event(), [], [0]

    def work(shard):
        try:
            connection = braid.connect()
            while not stop.is_set():
                for key in keys[shard]:
                    with connection, connection.cursor() as cursor:
                        cursor.execute("SELECT name FROM customers WHERE id = %s", (key,))
                        assert cursor.fetchone() == (f"customer {key}",)
                    done[0] += 1
            connection.close()
        except Exception as e:  # noqa: BLE001 told below
            failures.append(e)
    threads = [threading.Thread(target=work, args=(i % 2,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for i in range(10):
        braid.write(changed(braid.topology, pool={"mode": "transaction", "size": 3 + i % 2}))
        mark = done[0]
        braid.reload()
        wait_until(lambda: failures or done[0] > mark + 100, 20, "work goes on")
    stop.set()
    for thread in threads:
        thread.join(30)
    assert not failures


def test_two_processes_do_not_share_a_port(shard, start_braid):
    braid = start_braid(plain_topology(shard.servers))
    second = start_braid(copy.deepcopy(braid.topology), wait=False)
    assert second.wait_exit(10) != 0
    second.process = None
    assert braid.psql("SELECT 1") == "1"


def test_several_addresses_and_a_unix_socket(shard, start_braid, tmp_path):
    folder = tmp_path.parent if len(str(tmp_path)) > 80 else tmp_path
    braid = start_braid(plain_topology(shard.servers, listen={"host": ["127.0.0.1", "127.0.0.2", str(folder)]}))
    for host in ("127.0.0.1", "127.0.0.2", str(folder)):
        connection = psycopg2.connect(host=host, port=braid.port, dbname="shop", user="app", password="secret")
        connection.close()
    braid.stop()
    assert not list(folder.glob(".s.PGSQL.*"))


def test_command_line():
    for arguments, code in ((["--help"], 0), (["--version"], 0), (["nonsense"], 1), ([], 1), (["serve", "--config", "/nowhere"], 1)):
        done = subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=10)
        assert (done.returncode != 0) == bool(code), (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr and (done.stdout or done.stderr)
    assert "serve" in subprocess.run([binary(), "--help"], capture_output=True, text=True).stdout


def test_accepts_a_burst_of_connections(shard, start_braid):
    braid = start_braid(plain_topology(shard.servers))
    sockets = [socket.create_connection((braid.host, braid.port), 10) for _ in range(500)]
    assert braid.psql("SELECT 1") == "1"
    for s in sockets:
        s.close()
