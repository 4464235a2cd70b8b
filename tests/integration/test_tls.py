"""TLS for clients: how it is asked for, what is refused, and that everything works beneath it as without."""

import socket
import ssl
import struct
import threading

import psycopg2
import pytest

import wire
from braid import Braid, plain_topology
from certificates import Authority, serial
from waiting import wait_until
from wire import Client, ServerError

SSL_REQUEST = struct.pack("!II", 8, 80877103)
GSSENC_REQUEST = struct.pack("!II", 8, 80877104)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


def with_tls(cluster, certificate, mode="allow", **more):
    tls = {"mode": mode, "cert": str(certificate[0]), "key": str(certificate[1])} | more.pop("tls", {})
    return plain_topology(cluster.shards[0].servers, listen={"tls": tls}, **more)


@pytest.fixture(scope="module")
def encrypted(cluster, authority):
    """pgbraid that lets clients in with and without TLS."""
    with Braid(with_tls(cluster, authority.issue("server"))) as process:
        process.wait_replicas(cluster, cluster.keys_of(0, 1))
        yield process


@pytest.fixture(scope="module")
def strict(cluster, authority):
    """pgbraid that wants TLS from everybody."""
    process = Braid(with_tls(cluster, authority.issue("strict", key="rsa"), mode="require"))
    process.start(wait=False)
    try:
        wait_until(lambda: process.connect(sslmode="require").close() or True, 20, "pgbraid answers over TLS")
        yield process
        process.stop()
    finally:
        process.kill()
        process.remove()


def context(authority, alpn=None, version=None):
    made = ssl.create_default_context(cafile=str(authority.file))
    if alpn:
        made.set_alpn_protocols(alpn)
    if version:
        made.minimum_version = made.maximum_version = version
    return made


def raw_tls(port, authority, direct=False, user="app", **kw):
    """A raw client over TLS; logged in unless `user` is None."""
    client = Client(port, user=None)
    if not direct:
        client.send(SSL_REQUEST)
        assert client._read(1) == b"S"
    client.socket = context(authority, **kw).wrap_socket(client.socket, server_hostname="localhost",
                                                         suppress_ragged_eofs=False)
    if user is not None:
        client.login(user, "secret", "shop")
    return client


@pytest.mark.parametrize("name", ["encrypted", "strict"])
def test_psql_verifies_the_certificate(request, name, authority):
    braid = request.getfixturevalue(name)
    where = f"dbname=shop sslmode=verify-full sslrootcert={authority.file}"
    assert braid.psql("SELECT count(*) FROM countries", dbname=where) == "10"
    connection = braid.connect(sslmode="verify-full", sslrootcert=str(authority.file))
    assert connection.info.ssl_in_use and connection.info.ssl_attribute("protocol") == "TLSv1.3"
    connection.close()


def test_a_client_that_trusts_another_authority_stays_away(encrypted, tmp_path):
    other = Authority(tmp_path)
    with pytest.raises(psycopg2.OperationalError, match="certificate verify failed"):
        encrypted.connect(sslmode="verify-ca", sslrootcert=str(other.file))
    encrypted.connect(sslmode="require").close()


@pytest.mark.parametrize("name", ["encrypted", "strict"])
def test_the_password_is_bound_to_the_certificate(request, name):
    """SCRAM-SHA-256-PLUS, over ECDSA and RSA certificates."""
    request.getfixturevalue(name).connect(sslmode="require", channel_binding="require").close()


def test_no_binding_without_tls(encrypted):
    with pytest.raises(psycopg2.OperationalError, match="channel binding"):
        encrypted.connect(sslmode="disable", channel_binding="require")


def test_plain_clients_where_tls_is_allowed(encrypted):
    connection = encrypted.connect(sslmode="disable")
    assert not connection.info.ssl_in_use
    connection.close()


def test_plain_clients_where_tls_is_required(strict):
    with pytest.raises(psycopg2.OperationalError, match="TLS is required"):
        strict.connect(sslmode="disable")
    with pytest.raises(ServerError) as refused:
        Client(strict.port)
    assert refused.value.sqlstate == "28000" and refused.value.severity == "FATAL"


def test_nothing_is_offered_without_certificates(plain):
    with pytest.raises(psycopg2.OperationalError, match="does not support SSL"):
        plain.connect(sslmode="require")
    plain.connect(sslmode="prefer").close()


def test_cancel_reaches_an_encrypted_session(strict):
    """libpq sends its cancel request without TLS, as it always has."""
    connection = strict.connect(sslmode="require")
    timer = threading.Timer(0.3, connection.cancel)
    with connection.cursor() as cursor:
        timer.start()
        with pytest.raises(psycopg2.errors.QueryCanceled):
            cursor.execute("SELECT pg_sleep(30)")
    connection.close()


def test_a_cancel_request_may_be_encrypted(strict, authority):
    """As libpq 17 sends it."""
    with raw_tls(strict.port, authority) as client:
        client.send(wire.query("SELECT pg_sleep(600)"))
        running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'"
        with raw_tls(strict.port, authority) as watcher:
            wait_until(lambda: watcher.value(running) == "1", 10, "the statement runs")
        other = raw_tls(strict.port, authority, user=None)
        other.send(struct.pack("!IIII", 16, 80877102, *client.key))
        assert other.socket.recv(10) == b""
        with pytest.raises(ServerError, match="57014"):
            client.result()


def test_gssapi_is_declined_and_tls_may_follow(encrypted, authority):
    client = Client(encrypted.port, user=None)
    client.send(GSSENC_REQUEST)
    assert client._read(1) == b"N"
    client.send(SSL_REQUEST)
    assert client._read(1) == b"S"
    client.socket = context(authority).wrap_socket(client.socket, server_hostname="localhost")
    client.login("app", "secret", "shop")
    assert client.value("SELECT 1") == "1"
    # Within TLS there is none to be had.
    client.close()
    twice = raw_tls(encrypted.port, authority, user=None)
    twice.send(SSL_REQUEST)
    assert twice._read(1) == b"N"
    twice.close()


@pytest.mark.parametrize("behind", [b"\0", wire.startup(user="app", database="shop"), b"\x16\x03\x01\x02\x00"])
def test_bytes_behind_the_request_are_refused(encrypted, behind):
    """Else somebody in between could put words before the client's own (CVE-2021-23222)."""
    client = Client(encrypted.port, user=None)
    client.send(SSL_REQUEST + behind)
    kind, body = client.receive()
    fields = wire.error_fields(body)
    assert kind == "E" and fields["C"] == "08P01" and "unencrypted data after SSL request" in fields["M"]
    assert client.closed()


def test_tls_may_begin_at_once(encrypted, authority):
    with raw_tls(encrypted.port, authority, direct=True, alpn=["postgresql"]) as client:
        assert client.socket.selected_alpn_protocol() == "postgresql"
        assert client.value("SELECT 1") == "1"
    with raw_tls(encrypted.port, authority, alpn=["http/1.1", "postgresql"]) as client:
        assert client.socket.selected_alpn_protocol() == "postgresql"


def test_tls_at_once_must_name_the_protocol(encrypted, authority):
    client = raw_tls(encrypted.port, authority, direct=True, user=None)
    kind, body = client.receive()
    assert kind == "E" and wire.error_fields(body)["C"] == "08P01"
    with pytest.raises(ssl.SSLError):
        raw_tls(encrypted.port, authority, direct=True, alpn=["http/1.1"])


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(encrypted, authority, version):
    with raw_tls(encrypted.port, authority, version=version) as client:
        assert client.socket.version() == version.name.replace("_", ".")
        assert client.value("SELECT 1") == "1"


def test_the_oldest_version_may_be_chosen(cluster, authority, start_braid):
    braid = start_braid(with_tls(cluster, authority.issue("new"), tls={"min_version": "TLSv1.3"}))
    raw_tls(braid.port, authority, version=ssl.TLSVersion.TLSv1_3).close()
    with pytest.raises(ssl.SSLError):
        raw_tls(braid.port, authority, version=ssl.TLSVersion.TLSv1_2)


def test_many_messages_in_one_record(encrypted, authority):
    """TLS holds them while the socket has nothing to say any more."""
    with raw_tls(encrypted.port, authority) as client:
        client.send(*[wire.query(f"SELECT {n}") for n in range(400)])
        assert [client.result()[0][0] for _ in range(400)] == [str(n) for n in range(400)]
        pairs = [wire.bind(["x" * 900]) + wire.execute() for _ in range(200)]
        client.send(wire.parse("SELECT $1::text"), *pairs, wire.sync())
        assert len(wire.rows(client.until_ready())) == 200


def test_large_results_and_large_input(encrypted):
    connection = encrypted.connect(sslmode="require")
    with connection.cursor() as cursor:
        cursor.execute("SELECT n, repeat(chr(97 + n % 26), 1000) FROM generate_series(1, 20000) n")
        rows = cursor.fetchall()
        assert len(rows) == 20000 and all(text == chr(97 + n % 26) * 1000 for n, text in rows)
        text = "y" * 20_000_000
        cursor.execute("SELECT length(%s), md5(%s) = md5(repeat('y', 20000000))", (text, text))
        assert cursor.fetchone() == (20_000_000, True)
    connection.close()


def test_a_slow_reader_gets_everything(encrypted, authority):
    """Sends are cut short, with a part of a record under way."""
    with raw_tls(encrypted.port, authority) as client:
        client.send(wire.query("SELECT n, repeat('z', 5000) FROM generate_series(1, 4000) n"))
        got = wire.rows(client.until_ready())
        # Meanwhile others are served.
        encrypted.connect(sslmode="require").close()
        assert len(got) == 4000 and all(int(n) == i + 1 and text == b"z" * 5000 for i, (n, text) in enumerate(got))


def test_a_refusal_is_told_and_the_end_is_said(encrypted, authority):
    client = raw_tls(encrypted.port, authority, user=None)
    with pytest.raises(ServerError) as refused:
        client.login("app", "wrong", "shop")
    assert refused.value.sqlstate == "28P01"
    assert client.socket.recv(100) == b""  # close_notify; without it this raises


def test_garbage_ends_the_connection_alone(encrypted, authority):
    for nonsense in (b"\x16\x03\x01\xff\xff" + b"x" * 5000, b"\x16", b"\x16\x03\x01\x00\x05hello"):
        client = Client(encrypted.port, user=None)
        client.send(nonsense)
        if len(nonsense) < 8:
            client.socket.shutdown(1)
        assert client.closed()
    client = raw_tls(encrypted.port, authority)
    beneath = client.socket.detach()
    with socket.socket(fileno=beneath) as plain_socket:
        plain_socket.settimeout(15)
        plain_socket.sendall(wire.query("SELECT 1"))
        while plain_socket.recv(4096):
            pass
    encrypted.connect(sslmode="require").close()


def test_a_session_that_leaves_without_a_word(encrypted, authority):
    client = raw_tls(encrypted.port, authority)
    client.send(wire.query("SELECT pg_sleep(0.1)"))
    client.vanish()
    encrypted.connect(sslmode="require").close()


def test_new_certificates_without_a_restart(cluster, authority, start_braid):
    certificate, key = authority.issue("changing")
    braid = start_braid(with_tls(cluster, (certificate, key)))
    session = raw_tls(braid.port, authority)
    before = serial(certificate)

    def shown():
        with raw_tls(braid.port, authority) as client:
            return format(int(client.socket.getpeercert()["serialNumber"], 16), "02X")
    assert int(shown(), 16) == int(before, 16)
    authority.issue("changing")
    mark = braid.log_mark()
    braid.reload()
    wait_until(lambda: "reloaded" in braid.log(mark), 15, "reloaded")
    assert int(shown(), 16) == int(serial(certificate), 16) != int(before, 16)
    assert session.value("SELECT 1") == "1"
    # A file that cannot be used leaves the old one in force.
    good = key.read_text()
    key.write_text("no key\n")
    mark = braid.log_mark()
    braid.reload()
    wait_until(lambda: "reload refused: listen.tls" in braid.log(mark), 15, "refused")
    shown()
    assert braid.command("check").returncode == 1
    # Files that change are noticed without being told.
    mark = braid.log_mark()
    key.write_text(good)
    wait_until(lambda: "reloaded" in braid.log(mark), 15, "reloaded")
    assert braid.command("check").returncode == 0
    session.close()


def test_a_certificate_that_cannot_be_used_stops_the_start(cluster, authority, start_braid):
    certificate, _ = authority.issue("one")
    _, other_key = authority.issue("two")
    braid = start_braid(with_tls(cluster, (certificate, other_key)), wait=False)
    assert braid.wait_exit() == 1
    assert "listen.tls" in braid.log()
    braid.process = None


def test_a_login_that_takes_too_long_is_told(cluster, start_braid):
    braid = start_braid(plain_topology(cluster.shards[0].servers, timeouts={"login": "300ms"}))
    client = Client(braid.port, user=None)
    client.send(wire.startup(user="app", database="shop"))
    kind, body = client.receive()
    assert kind == "R"
    kind, body = client.receive()
    fields = wire.error_fields(body)
    assert (kind, fields["C"], fields["S"]) == ("E", "57014", "FATAL") and "timeout" in fields["M"]
    assert client.closed()
    # Who has said nothing yet is told nothing.
    silent = Client(braid.port, user=None)
    assert silent.socket.recv(100) == b""
