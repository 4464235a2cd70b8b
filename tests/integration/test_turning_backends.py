"""Two clients and one server connection: what one says between two statements of the other's is not to be noticed."""

import pytest

from braid import plain_topology
from cluster import MONITOR_PASSWORD
from wire import errors, query


@pytest.fixture
def braid(cluster, start_braid):
    return start_braid(plain_topology([cluster.shards[0].primary], pool={"mode": "transaction", "size": 1}, workers=1))


@pytest.fixture
def pair(braid):
    with braid.raw("postgres", MONITOR_PASSWORD) as one, braid.raw("postgres", MONITOR_PASSWORD) as other:
        yield one, other


def ask(client, sql):
    """The SQLSTATE of a refused simple query; None when it succeeds."""
    client.send(query(sql))
    found = errors(client.until_ready())
    return found[0]["C"] if found else None


DATE = "SELECT date '2024-02-29', current_setting('datestyle')"


def test_a_date_style_that_says_half(pair):
    one, other = pair
    other.query("SET datestyle TO 'German, YMD'")
    one.query("SET datestyle TO dmy")
    for _ in range(2):
        assert one.query(DATE) == [["2024-02-29", "ISO, DMY"]]
        assert other.query(DATE) == [["29.02.2024", "German, YMD"]]
    one.query("SET datestyle TO sql")
    other.query("SET datestyle TO mdy")
    for _ in range(2):
        assert one.query(DATE) == [["29/02/2024", "SQL, DMY"]]
        assert other.query(DATE) == [["29.02.2024", "German, MDY"]]
    one.query("BEGIN")
    one.query("SET LOCAL datestyle TO ymd")
    assert one.query(DATE)[0][1] == "SQL, YMD"
    one.query("ROLLBACK")
    one.query("RESET datestyle")
    assert other.query(DATE)[0][1] == "German, MDY"
    assert one.query(DATE)[0][1] == "ISO, MDY"


def test_half_a_date_style_at_the_login(braid):
    with braid.raw(DateStyle="German") as one, braid.raw(DateStyle="ymd") as other:
        for _ in range(2):
            assert one.query(DATE)[0][1] == "German, DMY"
            assert other.query(DATE)[0][1] == "ISO, YMD"
        one.query("SET datestyle TO 'SQL, MDY'")
        assert other.query(DATE)[0][1] == "ISO, YMD"
        one.query("RESET datestyle")
        assert other.query(DATE)[0][1] == "ISO, YMD"
        assert one.query(DATE)[0][1] == "German, DMY"


@pytest.mark.parametrize("identity", ["SESSION AUTHORIZATION app", "ROLE app"])
def test_settings_that_the_role_itself_may_not_make(pair, identity):
    one, other = pair
    for client, value in ((one, "on"), (other, "off")):
        client.query(f"SET lo_compat_privileges TO {value}")
        client.query(f"SET {identity}")
    for _ in range(3):
        for client, value in ((one, "on"), (other, "off")):
            assert client.query("SELECT current_user, current_setting('lo_compat_privileges')") == [["app", value]]
    other.query("RESET SESSION AUTHORIZATION")
    other.query("RESET ROLE")
    assert one.query("SELECT current_user, current_setting('lo_compat_privileges')") == [["app", "on"]]
    assert other.query("SELECT current_user, current_setting('lo_compat_privileges')") == [["postgres", "off"]]


def test_statements_that_can_no_longer_be_prepared_harm_nobody_else(pair):
    one, other = pair
    one.query("CREATE TABLE passing (n int)")
    one.query("PREPARE q1 AS SELECT n FROM passing")
    one.query("PREPARE mt_q1 AS SELECT 1")
    one.query("DROP TABLE passing")
    other.query("PREPARE q1 AS SELECT 'another'")
    assert ask(one, "EXPLAIN EXECUTE mt_q1") is None
    assert other.value("EXECUTE q1") == "another"
    assert ask(one, "DO $$BEGIN EXECUTE 'EXECUTE mt_q1'; /* not q1 */ END$$") is None
    assert other.value("EXECUTE q1") == "another"
    assert ["mt_q1"] in one.query("SELECT name FROM pg_prepared_statements")
    assert ask(one, "EXECUTE q1") == "42P01"
    assert one.value("EXECUTE mt_q1") == "1"
