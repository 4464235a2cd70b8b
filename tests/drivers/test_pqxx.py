"""libpqxx: the checks of pqxx_checks.cpp, compiled here."""

import subprocess

import pytest

from clients import HERE, passed_checks, pool_holds, run_program


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    target = tmp_path_factory.mktemp("pqxx") / "checks"
    done = subprocess.run(["g++", "-std=c++17", "-O0", "-w", "-o", target, HERE / "pqxx_checks.cpp", "-lpqxx", "-lpq", "-pthread"],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return target


def test_checks(braid, primary, program):
    out = run_program(braid, program)
    assert passed_checks(out) == ["transactions", "errors", "prepared", "cursor", "streams", "pipeline", "notifications", "robust", "fifty"]
    assert pool_holds(primary)
