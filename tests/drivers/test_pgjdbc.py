"""pgjdbc: the checks of PgJdbc.java, run from its source."""

import pytest

from clients import DATABASE, HERE, PASSWORD, SSLMODE, USER, passed_checks, pool_holds, run_program

CHECKS = ["values", "errors", "threshold", "transactions", "batches", "fetch size", "copy", "settings", "cancel", "ddl under a statement", "fifty"]


@pytest.mark.parametrize("mode", ["extended", "extendedForPrepared", "extendedCacheEverything"])
def test_checks(braid, primary, mode):
    url = f"jdbc:postgresql://{braid.host}:{braid.port}/{DATABASE}?user={USER}&password={PASSWORD}&sslmode={SSLMODE}&preferQueryMode={mode}"
    out = run_program(braid, "java", "-XX:TieredStopAtLevel=1", "-cp", "/usr/share/java/postgresql.jar", HERE / "PgJdbc.java", url)
    assert passed_checks(out) == CHECKS
    assert pool_holds(primary)
