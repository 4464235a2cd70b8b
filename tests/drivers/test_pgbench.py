"""pgbench with all three protocols: the sums that TPC-B promises come out, and nothing fails."""

import re

import pytest

from clients import CLIENTS, pool_holds, run_program


@pytest.fixture(scope="module")
def loaded(braid):
    """Tables made by pgbench through pgbraid: DDL, COPY, VACUUM."""
    run_program(braid, "pgbench", "-i", "-q", "-s", "1", "--foreign-keys")
    return braid


@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_tpcb(loaded, primary, protocol):
    primary.query("TRUNCATE pgbench_history")
    before = primary.value("SELECT sum(abalance) FROM pgbench_accounts")
    # pgbench waits for the answer to Parse, and with it all clients of its thread, those that hold the connections among them.
    out = run_program(loaded, "pgbench", "-n", "-M", protocol, "-c", str(CLIENTS), "-j", "2", "-t", "10")
    assert re.search(r"number of transactions actually processed: 500/500", out), out
    assert "number of failed transactions: 0 (0.000%)" in out
    moved = primary.value("SELECT sum(delta) FROM pgbench_history")
    assert primary.value("SELECT count(*) FROM pgbench_history") == 500
    assert primary.value("SELECT sum(abalance) FROM pgbench_accounts") - before == moved
    assert primary.value("SELECT sum(tbalance) FROM pgbench_tellers") == primary.value("SELECT sum(bbalance) FROM pgbench_branches")
    assert pool_holds(primary)


@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_select_only_with_new_connections(loaded, protocol):
    """Every transaction with a login of its own."""
    out = run_program(loaded, "pgbench", "-n", "-S", "-C", "-M", protocol, "-c", "10", "-j", "2", "-t", "10")
    assert "number of transactions actually processed: 100/100" in out


def test_pipelines(loaded, tmp_path):
    script = tmp_path / "pipeline.sql"
    script.write_text("\\set aid random(1, 100000)\n\\startpipeline\n"
                      "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;\n"
                      "SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\nSELECT 1;\n\\endpipeline\n")
    out = run_program(loaded, "pgbench", "-n", "-M", "prepared", "-f", script, "-c", "20", "-j", "2", "-t", "20")
    assert "number of transactions actually processed: 400/400" in out
