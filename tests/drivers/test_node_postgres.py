"""node-postgres (pg, with pg-cursor and its pool): the checks of node_postgres.js."""

import shutil

from clients import HERE, SSLMODE, passed_checks, pool_holds, run_program

MODULES = [HERE.parents[1] / ".deps" / "node-postgres" / "usr" / "share" / "nodejs", "/usr/share/nodejs"]


def test_checks(braid, primary):
    out = run_program(braid, shutil.which("node") or "nodejs", HERE / "node_postgres.js",
                      env={"NODE_PATH": ":".join(str(m) for m in MODULES), "CHECK_TLS": "" if SSLMODE == "disable" else "1"})
    assert passed_checks(out) == ["values", "errors", "transactions", "prepared", "several results", "cursor", "settings", "notifications",
                                  "cancelled by timeout", "pool of fifty"]
    assert pool_holds(primary)
