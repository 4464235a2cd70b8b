"""TLS to the servers: libpq's modes, certificates of both sides, and that connections move between workers with it."""

from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest

from braid import plain_topology
from certificates import Authority
from cluster import HBA, Cluster
from test_tls import raw_tls
from waiting import wait_until
from wire import Client, ServerError, query

ENCRYPTED = HBA.replace("host all", "hostssl all")
PLAIN = HBA.replace("host all", "hostnossl all")
BY_CERTIFICATE = HBA.replace("host all all", "hostssl all app 127.0.0.1/32 cert\nhost all all")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("server-tls"))


@pytest.fixture(scope="module")
def secured(authority):
    """One primary and its replica, both offering TLS."""
    servers = Cluster(shards=1, replicas=1)
    try:
        servers.start()
        for server in servers.servers:
            server.encrypt(*authority.issue(server.name), authority.file)
        yield servers
    finally:
        servers.stop()


@pytest.fixture
def admit(secured):
    """admit(hba): for the time of one test."""
    def change(hba):
        for server in secured.servers:
            server.admit(hba)
    yield change
    change(HBA)


def encrypted_connections(server):
    """{application: set of booleans} of the connections that others than this one have to `server`."""
    found = {}
    for application, encrypted in server.query(
            "SELECT a.application_name, s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) "
            "WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()"):
        found.setdefault(application, set()).add(encrypted)
    return found


def refused(braid, **kw):
    """The message with which a login through pgbraid ends."""
    with pytest.raises(psycopg2.OperationalError) as caught:
        connection = braid.connect(**kw)
        connection.cursor().execute("SELECT 1")
    return str(caught.value)


@pytest.mark.parametrize("mode", ["allow", "prefer", "require", "verify-ca", "verify-full"])
def test_modes_where_only_tls_is_let_in(secured, authority, admit, start_braid, mode):
    admit(ENCRYPTED)
    braid = start_braid(plain_topology(secured.shards[0].servers, tls={"mode": mode, "ca": str(authority.file)}))
    with braid.connect() as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE customers SET balance = balance WHERE id = 1")
        cursor.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert cursor.fetchone() == (True,)
    connection.close()
    seen = encrypted_connections(secured.shards[0].primary)
    assert seen["pgbraid_monitor"] == {True} and all(each == {True} for each in seen.values())


def test_no_tls_where_only_tls_is_let_in(secured, admit, start_braid):
    admit(ENCRYPTED)
    braid = start_braid(plain_topology(secured.shards[0].servers), wait=False)
    braid.wait_listening()
    assert "no encryption" in refused(braid)


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
def test_modes_where_tls_is_not_let_in(secured, admit, start_braid, mode):
    admit(PLAIN)
    braid = start_braid(plain_topology(secured.shards[0].servers, tls=mode))
    assert braid.psql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == "f"


@pytest.mark.parametrize("mode, expected", [("allow", False), ("prefer", True)])
def test_what_is_preferred_where_both_are_let_in(secured, start_braid, mode, expected):
    braid = start_braid(plain_topology(secured.shards[0].servers, tls=mode))
    assert braid.psql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == ("t" if expected else "f")


@pytest.mark.parametrize("mode, fine", [("prefer", True), ("require", False)])
def test_a_server_without_tls(cluster, start_braid, mode, fine):
    braid = start_braid(plain_topology(cluster.shards[0].servers, tls=mode), wait=fine)
    if fine:
        return braid.connect().close()
    braid.wait_listening()
    assert "does not support SSL" in refused(braid)


def test_a_certificate_that_is_not_believed(secured, authority, start_braid, tmp_path):
    """The server's certificate changes under a running pgbraid: new connections of clients' are refused too."""
    primary = secured.shards[0].primary
    topology = plain_topology([primary], tls={"mode": "verify-full", "ca": str(authority.file)})
    braid = start_braid(topology)
    session = Client(braid.port)
    session.query("BEGIN")
    pid = session.value("SELECT pg_backend_pid()")
    for name, files in {"another authority's": Authority(tmp_path).issue("stranger"),
                        "of another name": authority.issue("other", "elsewhere", "DNS:elsewhere,IP:127.0.0.2")}.items():
        primary.encrypt(*files)
        with pytest.raises((ServerError, psycopg2.Error), match="issuer|mismatch|self-signed"):
            Client(braid.port).query("SELECT 1")
        assert session.value("SELECT pg_backend_pid()") == pid, name
    session.close()
    primary.encrypt(*authority.issue(primary.name), authority.file)
    wait_until(lambda: Client(braid.port).value("SELECT 1") == "1", 20, "the right certificate is believed again")


def test_certificates_of_our_own(secured, authority, admit, start_braid):
    """The server lets app in by its certificate: no password of it is known."""
    admit(BY_CERTIFICATE)
    certificate, key = authority.issue("own", "app", "")
    own = {"mode": "verify-full", "ca": str(authority.file), "cert": str(certificate), "key": str(key)}
    braid = start_braid(plain_topology(secured.shards[0].servers, tls=own, auth={"method": "trust"}))
    assert braid.psql("SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == "/CN=app"
    other, other_key = authority.issue("other-own", "app_md5", "")
    bad = own | {"cert": str(other), "key": str(other_key)}
    braid = start_braid(plain_topology(secured.shards[0].servers, tls=bad, auth={"method": "trust"}), wait=False)
    braid.wait_listening()
    assert "certificate authentication failed" in refused(braid)


def test_one_connection_serves_two_workers(secured, start_braid):
    """It moves from thread to thread with its TLS, and is not opened anew."""
    braid = start_braid(plain_topology([secured.shards[0].primary], tls="require", workers=2,
                                       pool={"mode": "transaction", "size": 1}))
    clients = [Client(braid.port) for _ in range(4)]
    pids = {client.value("SELECT pg_backend_pid()") for _ in range(25) for client in clients}
    assert len(pids) == 1
    for client in clients:
        client.close()


def test_many_encrypted_clients_share_few_encrypted_connections(secured, authority, start_braid):
    """Connections go from worker to worker all the time; some clients leave in the middle of an answer."""
    certificate, key = authority.issue("front")
    braid = start_braid(plain_topology([secured.shards[0].primary], tls="require", workers=4,
                                       listen={"tls": {"cert": str(certificate), "key": str(key)}},
                                       pool={"mode": "transaction", "size": 2}))

    def work(number):
        client = raw_tls(braid.port, authority)
        for turn in range(25):
            size = 10 ** (turn % 6)
            told, text = client.extended("SELECT $1::int, repeat($2, $3::int)", [turn, "v", size])[0]
            assert (int(told), len(text)) == (turn, size)
            if number % 4 == 3 and turn == 12:
                client.send(query("SELECT repeat('w', 10000) FROM generate_series(1, 2000)"))
                client.receive()
                client.vanish()
                client = raw_tls(braid.port, authority)
        client.close()
        return True

    with ThreadPoolExecutor(max_workers=16) as pool:
        assert all(pool.map(work, range(16)))


def test_cancel_and_large_data(secured, start_braid):
    braid = start_braid(plain_topology([secured.shards[0].primary], tls="require"))
    with Client(braid.port) as client:
        client.send(query("SELECT pg_sleep(600)"))
        primary = secured.shards[0].primary
        running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%'"
        wait_until(lambda: primary.value(running) == 1, 10, "the statement runs")
        client.cancel()
        with pytest.raises(ServerError, match="57014"):
            client.result()
        text = "x" * 5_000_000
        assert client.extended("SELECT md5($1::text), $1::text", [text])[0][1] == text
        assert len(client.query("SELECT repeat('y', 3000) FROM generate_series(1, 5000)")) == 5000


def test_new_files_are_used_for_new_connections(secured, authority, admit, start_braid, tmp_path):
    """An authority that is added to the file is believed after a reload; one that cannot be read refuses the reload."""
    primary = secured.shards[0].primary
    believed = tmp_path / "believed.crt"
    believed.write_bytes(authority.file.read_bytes())
    braid = start_braid(plain_topology([primary], tls={"mode": "verify-ca", "ca": str(believed)}, pool={"size": 2}))
    second = Authority(tmp_path, "second")
    primary.encrypt(*second.issue("server2"), authority.file)
    with pytest.raises((ServerError, psycopg2.Error), match="issuer|self-signed"):
        Client(braid.port, "app_md5", "secret-md5").query("SELECT 1")
    mark = braid.log_mark()
    believed.write_bytes(authority.file.read_bytes() + second.file.read_bytes())
    braid.reload()
    wait_until(lambda: "reloaded" in braid.log(mark), 15, "reloaded")
    wait_until(lambda: Client(braid.port, "app_md5", "secret-md5").value("SELECT 1") == "1", 15, "believed")
    mark = braid.log_mark()
    believed.write_text("nothing\n")
    braid.reload()
    wait_until(lambda: "reload refused: databases.shop.tls" in braid.log(mark), 15, "refused")
    believed.write_bytes(authority.file.read_bytes())
    primary.encrypt(*authority.issue(primary.name), authority.file)
