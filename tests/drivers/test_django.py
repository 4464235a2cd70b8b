"""Django: migrations forth and back, and the ORM, each in a project of its own (Django keeps its state for each process)."""

import sys

import pytest

from clients import HERE, SSLMODE, passed_checks, run_program


@pytest.mark.parametrize("pooled", [False, True], ids=["autocommit", "atomic_requests"])
def test_project(braid, pooled):
    out = run_program(braid, sys.executable, HERE / "django_project" / "checks.py",
                      env={"CHECK_SSLMODE": SSLMODE, "CHECK_SERVER_CURSORS": "1" if pooled else ""})
    assert passed_checks(out) == ["migrate", "orm", "constraints", "atomic", "iterator", "select_for_update", "aggregates", "threads",
                                  "unmigrate"]
