"""Who may log in, and how: ordered rules, client certificates, and passwords that the servers hold."""

import ssl

import psycopg2
import pytest

from braid import plain_topology
from certificates import Authority
from test_tls import raw_tls
from waiting import wait_until
from wire import Client, ServerError, startup

QUERY = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("access"))


@pytest.fixture
def role(cluster):
    """A role that the topology does not name; its password may be changed."""
    primary = cluster.shards[0].primary
    primary.query("CREATE ROLE looked_up LOGIN PASSWORD 'first' IN ROLE app")
    cluster.shards[0].wait_for_replay()
    yield "looked_up"
    primary.query("DROP ROLE looked_up")


def sqlstate(braid, user="app", password="secret", **kw):
    """None if the login succeeds, else the SQLSTATE it is refused with."""
    try:
        Client(braid.port, user, password, **kw).close()
    except ServerError as error:
        return error.sqlstate
    return None


def topology(cluster, authority=None, auth=None, users=None, **listen):
    tls = {}
    if authority is not None:
        certificate, key = authority.issue("server")
        tls = {"tls": {"cert": str(certificate), "key": str(key), "ca": str(authority.file)} | listen}
    more = {} if users is None else {"users": users}
    return plain_topology(cluster.shards[0].servers, listen=tls, auth=auth, **more)


def test_the_first_rule_that_fits_decides(cluster, authority, start_braid):
    braid = start_braid(topology(cluster, authority, {"rules": [
        {"user": "app_trust", "address": "10.0.0.0/8", "method": "trust"},
        {"user": ["app_trust", "app_stored"], "tls": False, "method": "reject"},
        {"user": "app_md5", "method": "md5"},
        {"database": "shop", "address": ["127.0.0.1/32", "::1"], "method": "scram-sha-256"},
    ]}))
    assert sqlstate(braid) is None
    assert sqlstate(braid, password="wrong") == "28P01"
    assert sqlstate(braid, "app_md5", "secret-md5") is None
    assert sqlstate(braid, "app_stored", "pencil") == "28000"
    braid.connect("app_stored", "pencil", sslmode="require").close()
    assert sqlstate(braid, database="elsewhere") == "28000"
    told = 'no access rule admits user "app_trust" to database "shop" from 127.0.0.1, not encrypted'
    with pytest.raises(psycopg2.OperationalError, match=told):
        braid.connect("app_trust", sslmode="disable")


def test_rules_change_with_a_reload(cluster, start_braid):
    changing = topology(cluster, auth={"rules": [{"method": "scram-sha-256"}]})
    braid = start_braid(changing)
    session = Client(braid.port)
    braid.write(changing | {"auth": {"rules": [{"user": "app_md5", "method": "md5"}]}})
    mark = braid.log_mark()
    braid.reload()
    wait_until(lambda: "reloaded" in braid.log(mark), 15, "reloaded")
    wait_until(lambda: sqlstate(braid) == "28000", 10, "the new rules are in force")
    assert session.value("SELECT 1") == "1"
    session.close()


def test_login_by_certificate(cluster, authority, start_braid, tmp_path):
    braid = start_braid(topology(cluster, authority, {"rules": [{"user": "app", "tls": True, "method": "cert"},
                                                                {"method": "scram-sha-256"}]}))

    def connect(files, user="app", password="nonsense"):
        own = {} if files is None else {"sslcert": str(files[0]), "sslkey": str(files[1])}
        braid.connect(user, password, sslmode="verify-full", sslrootcert=str(authority.file), **own).close()

    app = authority.issue("client", "app", "")
    connect(app)
    with pytest.raises(psycopg2.OperationalError, match="certificate authentication failed"):
        connect(None)
    with pytest.raises(psycopg2.OperationalError, match="certificate authentication failed"):
        connect(authority.issue("other-client", "app_md5", ""))
    with pytest.raises(psycopg2.OperationalError, match="unknown ca|bad certificate|closed|certificate"):
        connect(Authority(tmp_path).issue("stranger", "app", ""))
    # Others keep their passwords, with a certificate or without.
    connect(app, "app_stored", "pencil")
    connect(None, "app_stored", "pencil")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        connect(app, "app_stored")


def test_passwords_from_the_servers(cluster, start_braid, role):
    primary = cluster.shards[0].primary
    braid = start_braid(topology(cluster, auth={"query": QUERY, "rules": [
        {"user": "app_md5", "method": "md5"}, {"method": "scram-sha-256"}]}, users={"app": {"password": "secret"}}))
    asked = "pg_authid WHERE rolname = "
    mark = primary.log_mark()
    for _ in range(3):
        with Client(braid.port, role, "first") as client:
            assert client.value("SELECT current_user") == role
    assert primary.count_log(asked, mark) == 1
    # An MD5 secret logs in to the servers by itself.
    with Client(braid.port, "app_md5", "secret-md5") as client:
        assert client.value("SELECT current_user") == "app_md5"
    # Who is listed is not asked for.
    mark = primary.log_mark()
    assert sqlstate(braid) is None and sqlstate(braid, password="wrong") == "28P01"
    assert primary.count_log(asked, mark) == 0
    # Unknown users and wrong passwords look alike.
    assert sqlstate(braid, role, "wrong") == "28P01"
    assert sqlstate(braid, "nobody_at_all", "x") == "28P01"
    # A login that fails has the secret looked up again.
    primary.query("ALTER ROLE looked_up PASSWORD 'second'")
    sqlstate(braid, role, "second")
    assert sqlstate(braid, role, "second") is None
    assert sqlstate(braid, role, "first") == "28P01"


def test_many_logins_ask_once(cluster, start_braid, role):
    primary = cluster.shards[0].primary
    braid = start_braid(topology(cluster, auth={"query": QUERY}, users={"app": {"password": "secret"}}))
    mark = primary.log_mark()
    clients = [Client(braid.port, user=None) for _ in range(30)]
    for client in clients:
        client.send(startup(user=role, database="shop"))
    for client in clients:
        assert client.receive()[0] == "R"
        client.close()
    assert primary.count_log("pg_authid WHERE rolname = ", mark) < 30


def test_a_query_that_cannot_be_answered(cluster, start_braid):
    for query in ("SELECT nonsense", "SELECT 'postgres'::text, 'md5'::text WHERE $1::text IS NOT NULL",
                  "SELECT rolname FROM pg_authid WHERE rolname = $1"):
        braid = start_braid(topology(cluster, auth={"query": query}, users={"app": {"password": "secret"}}))
        assert sqlstate(braid, "app_md5", "secret-md5") == "08006"
        assert "auth.query for user \"app_md5\" of database shop failed" in braid.log()
        assert sqlstate(braid) is None


def test_a_raw_client_without_a_certificate(cluster, authority, start_braid):
    """The authority is asked for a certificate, not forced to have one: the handshake stands."""
    braid = start_braid(topology(cluster, authority, {"method": "scram-sha-256"}))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        raw_tls(braid.port, authority, version=version).close()
