"""Bad input and bad weather: each gets a clear error, and nobody else notices."""

import os
import socket
import struct
import threading

import psycopg2
import pytest

from braid import Braid, plain_topology, sharded_topology
from cluster import free_port
from waiting import wait_until
from wire import Client, ServerError, bind, error_fields, errors, execute, kinds, message, parse, query, rows, startup, sync


@pytest.fixture
def bystander(plain):
    """A client that works before, during and after what the test does."""
    client = plain.raw()
    assert client.value("SELECT 'before'") == "before"
    yield client
    assert client.value("SELECT 'after'") == "after"
    client.close()
    with plain.raw() as newcomer:
        assert newcomer.value("SELECT 'new'") == "new"


def send_raw(port, data, shut=False):
    """What comes back for `data` on a fresh connection, up to its end."""
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.settimeout(30)
        got = b""
        try:
            s.sendall(data)
            if shut:
                s.shutdown(socket.SHUT_WR)
            while chunk := s.recv(65536):
                got += chunk
        except OSError:  # the other side has closed already
            pass
        return got


PROTOCOL_2 = struct.pack("!II", 8, 131072)


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 64, b"\0\0\0\0\0\0\0\0",
    b"\0\0\0\x04", b"\0\0\0\x07\0\x03\0\0", b"\xff" * 64, b"\x7f\xff\xff\xff\0\x03\0\0", os.urandom(4096),
    b"\0\0\0\x09\0\x03\0\0\0", struct.pack("!II", 20000, 196608) + b"u" * 19992,
    struct.pack("!II", 14, 196608) + b"user\0x", PROTOCOL_2, struct.pack("!II", 9, 80877102) + b"x"],
    ids=["http", "tls", "zeros", "length 4", "length 7", "ones", "huge length", "random", "no parameters", "too long",
         "cut parameter", "protocol 2", "short cancel"])
def test_garbage_instead_of_a_startup_packet(plain, bystander, data):
    got = send_raw(plain.port, data, shut=True)
    if got:
        assert got[:1] == b"E"
    if got and data != PROTOCOL_2:  # whose errors have another form
        assert error_fields(got[5:])["C"] in ("08P01", "0A000", "28000")


def test_ssl_and_gss_requests_are_declined(plain):
    with socket.create_connection(("127.0.0.1", plain.port), 10) as s:
        for code in (80877103, 80877104):
            s.sendall(struct.pack("!II", 8, code))
            assert s.recv(1) == b"N"
        s.sendall(startup(user="app", database="shop"))
        assert s.recv(1) == b"R"


def test_newer_minor_version_is_negotiated(plain):
    body = struct.pack("!I", 196610) + b"user\0app\0database\0shop\0_pq_.novelty\0on\0\0"
    with socket.create_connection(("127.0.0.1", plain.port), 10) as s:
        s.sendall(struct.pack("!I", len(body) + 4) + body)
        assert s.recv(1) == b"v"


def test_no_user(plain, bystander):
    got = send_raw(plain.port, startup(database="shop"))
    assert got[:1] == b"E" and error_fields(got[5:])["C"] == "28000"


def test_silent_client_is_ended(cluster, start_braid):
    braid = start_braid(plain_topology(cluster.shards[0].servers, timeouts={"login": "1s"}))
    assert send_raw(braid.port, b"")[:1] in (b"", b"E")


def test_too_many_clients(cluster, start_braid):
    braid = start_braid(plain_topology(cluster.shards[0].servers, limits={"max_clients": 3}))
    clients = []
    try:
        with pytest.raises(ServerError) as refused:
            for _ in range(4):
                clients.append(braid.raw())
        assert refused.value.sqlstate == "53300"
    finally:
        for client in clients:
            client.close()
    wait_until(lambda: braid.raw().close() is None, 10, "there is room again")


@pytest.mark.parametrize("data", [
    b"Q\0\0\0\x03", b"Q\0\0\0\0", b"Q\xff\xff\xff\xff", b"\0\0\0\0\x04", b"~\0\0\0\x04", b"p\0\0\0\x08abc\0", b"Z\0\0\0\x05I",
    b"R\0\0\0\x08\0\0\0\0"],
    ids=["length 3", "length 0", "negative length", "type 0", "unknown type", "password now", "server's own", "auth from client"])
def test_broken_message(plain, bystander, data):
    client = plain.raw()
    client.send(data)
    got = []
    try:
        while True:
            got.append(client.receive())
    except ConnectionError:
        pass
    assert errors(got) and errors(got)[0]["C"] == "08P01" and errors(got)[0]["S"] == "FATAL"


@pytest.mark.parametrize("data", [
    message("Q", b"SELECT 1"), message("P", b"no end"), message("B", b"\0\0\0\x05"), message("D", b"X\0"), message("E", b"\0"),
    message("C", b""), message("B", b"\0\0\0\x00\x00\x01\x00\x00\x00\x64abc"), message("F", b"\0")],
    ids=["query without end", "parse without end", "short bind", "describe what", "short execute", "empty close",
         "parameter past the end", "short function call"])
def test_broken_body(plain, bystander, data):
    client = plain.raw()
    client.send(data, b"" if data[:1] in b"QF" else sync())
    got = []
    try:
        got = client.until_ready()
    except ConnectionError:
        pass
    else:
        assert client.value("SELECT 1") == "1", "either in step or closed"
    if got:
        assert errors(got)[0]["C"] in ("08P01", "26000")  # a Bind may miss its statement first
    client.socket.close()


def test_client_that_vanishes_mid_message(plain, bystander):
    for _ in range(20):
        client = plain.raw()
        client.send(b"Q\0\0\x10\0SELECT ")
        client.vanish()
    for _ in range(20):
        client = plain.raw()
        client.send(parse("SELECT 1"), b"B\0\0\0")
        client.vanish()


def test_client_that_says_its_last_and_leaves(plain, bystander):
    """Its end comes together with its last statement: it gets the answer, and the session is over."""
    for _ in range(5):
        client = plain.raw()
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        client.send(query("SELECT 7"))
        client.socket.shutdown(socket.SHUT_WR)
        assert rows(client.until_ready()) == [[b"7"]]
        assert client.closed()


def test_client_that_vanishes_during_login(plain, bystander):
    for cut in (1, 4, 8, 20):
        with socket.create_connection(("127.0.0.1", plain.port), 10) as s:
            s.sendall(startup(user="app", database="shop")[:cut])


def test_statement_of_100_mb(plain, bystander):
    client = plain.raw()
    big = query("SELECT '" + "x" * 100_000_000 + "'")
    got = []
    try:
        client.send(big)
        got = client.until_ready()
    except ConnectionError:
        while True:
            try:
                got.append(client.receive())
            except ConnectionError:
                break
    assert errors(got) and errors(got)[0]["C"] == "54000"


def test_statement_of_20_mb_is_forwarded(plain, bystander):
    with plain.raw() as client:
        assert client.value("SELECT length('" + "x" * 20_000_000 + "')") == "20000000"


def test_statement_too_long_to_route(braid):
    with braid.raw() as client:
        with pytest.raises(ServerError) as refused:
            client.query("SELECT id FROM customers WHERE name = '" + "x" * 5_000_000 + "'")
        assert refused.value.sqlstate == "54000"
        assert client.value("SELECT 1") == "1"


@pytest.mark.parametrize("expression, answer", [("1" + "+1" * 20_000, "20001"), ("(" * 3000 + "1" + ")" * 3000, "1"),
                                                ("1" + "+1" * 200_000, None)], ids=["20,000 terms", "parentheses", "200,000"])
def test_deep_expression(plain, braid, bystander, expression, answer):
    for endpoint in (plain, braid):
        with endpoint.raw() as client:
            try:
                assert client.value(f"SELECT {expression}") == answer
            except ServerError as refused:
                assert refused.sqlstate in ("54001", "54000", "0A000"), refused
            try:
                client.query(f"SELECT name FROM customers WHERE id = 1 AND {expression} > 0")
            except ServerError as refused:
                assert refused.sqlstate in ("54001", "54000", "0A000"), refused
            assert client.value("SELECT 1") == "1"


def test_long_in_list(braid):
    with braid.raw() as client:
        try:
            got = client.query(f"SELECT id FROM customers WHERE id IN ({', '.join(map(str, range(1, 20001)))})")
            assert sorted(int(r[0]) for r in got) == list(range(1, 1001))
        except ServerError as refused:
            assert refused.sqlstate in ("54001", "54000", "0A000")
        assert client.value("SELECT 1") == "1"


def test_zero_bytes_and_bad_encoding(plain, bystander):
    with plain.raw() as client:
        client.send(message("Q", b"SELECT '\xff\xfe'\0"))
        assert errors(client.until_ready())[0]["C"] == "22021"
        client.send(parse("SELECT $1::text"), bind([b"\xff"]), execute(), sync())
        assert errors(client.until_ready())[0]["C"] == "22021"
        assert client.value("SELECT 1") == "1"


# Servers that are not there


def test_server_that_is_down_at_start_and_comes_later(cluster, fault_proxy, start_braid):
    proxy = fault_proxy(cluster.shards[1].primary.port)
    proxy.refuse()
    topology = sharded_topology(cluster)
    topology["databases"]["shop"]["shards"][1]["servers"] = [proxy.address]
    braid = start_braid(topology, wait=False)
    braid.wait_listening()
    with pytest.raises(psycopg2.OperationalError) as unavailable:
        connection = braid.connect()
        with connection.cursor() as cursor:
            cursor.execute("SELECT name FROM customers WHERE id = %s", (cluster.keys_of(1, 1)[0],))
    assert unavailable.value.pgcode in ("08006", "57P03", None)
    proxy.accept()
    key = cluster.keys_of(1, 1)[0]
    wait_until(lambda: braid.psql(f"SELECT id FROM customers WHERE id = {key}") == str(key), 20, "the shard is served")


def test_no_server_at_all(cluster, start_braid):
    topology = plain_topology(cluster.shards[0].servers)
    topology["databases"]["shop"]["servers"] = [f"127.0.0.1:{free_port()}"]
    topology["timeouts"] = {"checkout": "2s", "connect": "1s"}
    braid = start_braid(topology, wait=False)
    braid.wait_listening()
    with pytest.raises(psycopg2.OperationalError):
        connection = braid.connect()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    assert braid.running


def test_server_that_is_lost_in_a_transaction(cluster, fault_proxy, start_braid):
    proxy = fault_proxy(cluster.shards[0].primary.port)
    topology = plain_topology(cluster.shards[0].servers)
    topology["databases"]["shop"]["servers"] = [proxy.address]
    braid = start_braid(topology)
    with braid.raw() as client:
        client.query("BEGIN")
        client.query("UPDATE customers SET balance = balance WHERE id = -1")
        proxy.cut()
        with pytest.raises((ServerError, ConnectionError)) as lost:
            client.query("UPDATE customers SET balance = balance WHERE id = -2")
        if isinstance(lost.value, ServerError):
            assert lost.value.sqlstate in ("08006", "57P01")
    wait_until(lambda: braid.psql("SELECT 1") == "1", 15, "the server is used again")


def test_idle_server_connections_that_were_cut(cluster, fault_proxy, start_braid):
    """Connections that died while idle harm no statement."""
    proxy = fault_proxy(cluster.shards[0].primary.port)
    topology = plain_topology(cluster.shards[0].servers)
    topology["databases"]["shop"]["servers"] = [proxy.address]
    braid = start_braid(topology)
    clients = [braid.raw() for _ in range(4)]
    for client in clients:
        client.send(query("SELECT 1"))
    for client in clients:
        client.until_ready()
    proxy.cut()

    def works():
        with braid.raw() as other:
            return other.value("SELECT 2") == "2"
    wait_until(works, 15)
    for client in clients:
        assert client.value("SELECT 3") == "3"
        client.close()


def open_files(braid):
    return len(os.listdir(f"/proc/{braid.process.pid}/fd"))


def test_a_server_that_answers_and_leaves(cluster, fault_proxy, start_braid):
    """Its end comes together with its answer, and is noticed before the next statement goes there."""
    proxy = fault_proxy(cluster.shards[0].primary.port)
    topology = plain_topology(cluster.shards[0].servers)
    topology["databases"]["shop"]["servers"] = [proxy.address]
    # The control plane must not be the one that meets it.
    topology["monitor"] = {**topology.get("monitor", {}), "interval": "60s"}
    braid = start_braid(topology)
    with braid.raw() as client:
        first = client.value("SELECT pg_backend_pid()")
        before = open_files(braid)
        proxy.end_with_next_answer()
        assert client.value("SELECT pg_backend_pid()") == first
        wait_until(lambda: open_files(braid) < before, 15)
        assert client.value("SELECT pg_backend_pid()") != first


def test_a_replica_that_goes_away(cluster, fault_proxy, start_braid):
    """A read that a replica cannot answer is answered by the primary."""
    proxy = fault_proxy(cluster.shards[0].replicas[0].port)
    topology = plain_topology(cluster.shards[0].servers)
    topology["databases"]["shop"]["servers"] = [cluster.shards[0].primary.address, proxy.address]
    braid = start_braid(topology)
    key = cluster.keys_of(0, 1)[0]
    braid.wait_replicas(cluster, [key])
    sql = f"SELECT current_setting('cluster_name') FROM customers WHERE id = {key}"
    with braid.raw() as client:
        assert client.value(sql) == "s0-replica"
        proxy.refuse()
        for _ in range(20):
            assert client.value(sql) == "s0-primary"
        proxy.accept()
        wait_until(lambda: client.value(sql) == "s0-replica", 15, "the replica is read again")


# Cancel


def test_cancel(plain, bystander):
    client = plain.raw()
    client.send(query("SELECT pg_sleep(60)"))
    with plain.raw() as watcher:
        wait_until(lambda: int(watcher.value("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' "
                                             "AND state = 'active'")) > 0, 10)
    client.cancel()
    got = client.until_ready()
    assert errors(got)[0]["C"] == "57014" and client.status == "I"
    assert client.value("SELECT 1") == "1"
    client.close()


def test_a_cancel_that_reaches_another_instance(cluster, start_braid):
    one, two = (plain_topology(cluster.shards[0].servers) for _ in range(2))
    for number, (own, other) in enumerate(((one, two), (two, one)), 1):
        peer = {"instance": 3 - number, "address": f"127.0.0.1:{other['listen']['port']}"}
        own["instances"] = {"own": number, "peers": [peer]}
    started = [start_braid(one), start_braid(two)]
    with started[0].raw() as client, started[1].raw() as watcher:
        client.send(query("SELECT pg_sleep(60), 1"))
        wait_until(lambda: int(watcher.value("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60), 1' "
                                             "AND state = 'active'")) > 0, 10, "it runs")
        client.port = started[1].port
        client.cancel()
        assert errors(client.until_ready())[0]["C"] == "57014" and client.status == "I"
        # Of one that nobody knows.
        client.key = (client.key[0] | 1 << 30, client.key[1])
        client.cancel()
        assert client.value("SELECT 1") == "1"


def test_cancel_of_nothing(plain, bystander):
    """A cancel that comes late, or with a wrong secret, hits nobody."""
    with plain.raw() as client:
        assert client.value("SELECT 1") == "1"
        for _ in range(20):
            client.cancel()
            assert client.value("SELECT 2") == "2"
        right = client.key
        client.key = (right[0], right[1] ^ 1)
        client.send(query("SELECT 'not cancelled' FROM pg_sleep(0.3)"))
        client.cancel()
        assert client.result() == [["not cancelled"]]


def test_cancel_storm_hits_only_its_own(cluster, start_braid):
    """Two clients share one server connection; cancels of one never end a statement of the other."""
    braid = start_braid(plain_topology(cluster.shards[0].servers, workers=1, pool={"mode": "transaction", "size": 1}))
    one, two = braid.raw(), braid.raw()
    failures = []

    def work():
        for i in range(200):
            try:
                assert two.value(f"SELECT {i} FROM customers WHERE id = 2 FOR SHARE") == str(i)
            except Exception as e:  # noqa: BLE001 told below
                failures.append(e)
                return
    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(50):
        one.send(query("SELECT 1 FROM customers WHERE id = 2 FOR SHARE"))
        one.cancel()
        got = one.until_ready()
        assert kinds(got) in ("TDCZ", "EZ", "TEZ", "TDEZ")
    thread.join(60)
    assert not failures
    one.close(), two.close()


# Mistakes in the file and on the command line


@pytest.mark.parametrize("text, where", [
    ("databases:\n  shop:\n    serverz: [127.0.0.1:1]\n", ":3:5: "), ("databases: [\n", ":1:1: "),
    ("listen: {port: many}\ndatabases: {shop: {servers: ['127.0.0.1:1']}}\n", ":1:16: "),
    ("databases:\n  shop:\n    shards:\n      - {name: a, servers: ['127.0.0.1:1']}\n      - {name: a, servers: ['127.0.0.1:2']}\n", ":5:")],
    ids=["unknown key", "yaml", "value", "twice"])
def test_a_mistake_in_the_file(tmp_path, text, where):
    process = Braid({"listen": {"port": free_port()}})
    process.write(text=text)
    try:
        for command in ("check", "serve"):
            if command == "check":
                done = process.command("check")
                code, said = done.returncode, done.stdout + done.stderr
            else:
                process.start(wait=False)
                code, said = process.wait_exit(10), process.log()
            assert code != 0
            assert f"{process.config}{where}" in said, said
        if "serverz" in text:
            assert "servers" in said, "the nearest known key is suggested"
    finally:
        process.kill()
        process.remove()


def test_check_prints_the_topology(cluster):
    process = Braid(sharded_topology(cluster))
    done = process.command("check")
    process.remove()
    assert done.returncode == 0, done.stderr
    assert "0-2047" in done.stdout and "2048-4095" in done.stdout and "secret" not in done.stdout


def test_port_in_use(cluster):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = Braid(plain_topology(cluster.shards[0].servers, listen={"port": taken.getsockname()[1]}))
        process.start(wait=False)
        assert process.wait_exit(10) != 0
        assert str(taken.getsockname()[1]) in process.log()
        process.remove()
