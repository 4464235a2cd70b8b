"""psql: what people and scripts type, held against psql at the server itself; fifty of them at once."""

import pytest

from braid import Endpoint
from clients import at_once, pool_holds, run_program

PSQL = ("psql", "-X", "-v", "ON_ERROR_STOP=0", "-v", "VERBOSITY=default")

SCRIPTS = {
    "describe": "\\d customers\n\\dt\n\\df pg_backend_pid\n\\dn\n\\du app\n\\l spare\n",
    "transactions": "BEGIN; SELECT 1; SAVEPOINT a; SELECT 1/0; ROLLBACK TO a; SELECT 2; COMMIT;\nBEGIN; SELECT nope; SELECT 1; COMMIT;\n",
    "several statements": "SELECT 1 \\; SELECT 2 \\; SELECT 3;\nSELECT 1 \\; SELECT 1/0 \\; SELECT 3;\n",
    "cursors": "BEGIN;\nDECLARE c SCROLL CURSOR FOR SELECT n FROM generate_series(1, 9) n;\nFETCH 3 c;\nMOVE 2 c;\nFETCH BACKWARD 2 c;\n"
               "FETCH ALL c;\nCLOSE c;\nFETCH c;\nROLLBACK;\n\\set FETCH_COUNT 4\nSELECT n FROM generate_series(1, 10) n;\n",
    "settings": "SET datestyle = 'SQL, DMY';\nSELECT date '2024-02-29';\nSHOW datestyle;\nRESET datestyle;\nSHOW datestyle;\n"
                "BEGIN;\nSET LOCAL statement_timeout = '77s';\nSHOW statement_timeout;\nROLLBACK;\nSHOW statement_timeout;\n"
                "SET nothing.at_all = 'x';\nSHOW nothing.at_all;\nSET nonsense = 1;\n",
    "prepare": "PREPARE q(int) AS SELECT $1 + 1;\nEXECUTE q(1);\nEXECUTE q('x');\nDEALLOCATE q;\nEXECUTE q(1);\n",
    "copy": "CREATE TEMP TABLE t (a int, b text);\n\\copy t from stdin\n1\tone\n2\t\\N\n\\.\n\\copy t to stdout csv header\n"
            "COPY t FROM STDIN;\nx\ty\n\\.\nSELECT count(*) FROM t;\nCOPY (VALUES (1, 'a,b')) TO STDOUT (FORMAT csv);\n",
    "meta": "SELECT 1 AS a, 'x'::text AS b \\gdesc\nSELECT 'SELECT ' || n FROM generate_series(1, 3) n \\gexec\nSELECT 5 AS five \\gset\n"
            "SELECT :five + 1;\nSELECT 1/0 \\watch 0.01\nSELECT 1/0;\n\\errverbose\n\\echo :SQLSTATE :ERROR :ROW_COUNT\n",
    "notices": "DO $$BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two' USING HINT = 'three'; END$$;\nDROP TABLE IF EXISTS nowhere;\n",
    "temporary": "CREATE TEMP TABLE kept AS SELECT 1 AS n;\nINSERT INTO kept VALUES (2);\nSELECT * FROM kept ORDER BY n;\nDISCARD ALL;\nSELECT * FROM kept;\n",
    "errors": "SELECT * FROM customers WHERE nmae = 'x';\nINSERT INTO customers (id) VALUES (1);\nSELEC 1;\nSELECT 'a'::int;\nCOMMIT;\nROLLBACK;\n",
    "big": "SELECT length(string_agg(repeat('x', 1000), '')) FROM generate_series(1, 5000);\nSELECT md5(string_agg(n::text, ',')) FROM generate_series(1, 100000) n;\n",
}


def transcript(where, script):
    done = run_program(where, *PSQL, "-a", "-f", "-", input=script, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", SCRIPTS)
def test_transcript_is_that_of_the_server(braid, primary, name):
    there = transcript(Endpoint(primary.port), SCRIPTS[name])
    assert transcript(braid, SCRIPTS[name]) == there


def test_single_transaction_and_exit_codes(braid, primary):
    done = run_program(braid, *PSQL, "-1", "-c", "CREATE TABLE psql_one (n int)", "-c", "SELECT 1/0", check=False)
    assert done.returncode == 1 and "division by zero" in done.stderr
    assert primary.value("SELECT to_regclass('psql_one')") is None
    assert run_program(braid, *PSQL, "-A", "-t", "-c", "SELECT 1", "-c", "SELECT 2") == "1\n2\n"


def test_wrong_password_and_database(braid):
    done = run_program(braid, *PSQL, "-c", "SELECT 1", check=False, env={"PGPASSWORD": "wrong"})
    assert done.returncode == 2 and 'password authentication failed for user "app"' in done.stderr
    done = run_program(braid, *PSQL, "-c", "SELECT 1", check=False, dbname="nowhere")
    assert done.returncode == 2 and 'database "nowhere" does not exist' in done.stderr


def test_fifty_at_once(braid, primary):
    def work(i):
        script = (f"SET braid.tag = 'psql {i}';\nBEGIN;\nSELECT pg_backend_pid() > 0;\nSET LOCAL braid.tag = 'local {i}';\nSHOW braid.tag;\n"
                  f"COMMIT;\nSHOW braid.tag;\nSELECT 1/0;\nSELECT {i};\n")
        return run_program(braid, *PSQL, "-A", "-t", "-q", "-f", "-", input=script).split("\n")

    assert at_once(work) == [["t", f"local {i}", f"psql {i}", str(i), ""] for i in range(50)]
    assert pool_holds(primary)
