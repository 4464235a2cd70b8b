"""`pgbraid apply`: a schema on every shard, on all of them or on none."""

import os
import subprocess

import pytest

from braid import Braid, binary, plain_topology, sharded_topology
from cluster import MONITOR_PASSWORD, PG_BIN, STORED_SECRET, Cluster, die_with_parent, free_port
from waiting import wait_until


@pytest.fixture(scope="module")
def servers():
    """Two shards without replicas, with the demonstration's schema."""
    cluster = Cluster(shards=2, replicas=0)
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@pytest.fixture(autouse=True)
def as_it_was(request):
    """Whatever a test has made in schema work, it makes there anew."""
    yield
    if "servers" in request.fixturenames:
        on_all(request.getfixturevalue("servers"), "DROP SCHEMA IF EXISTS work CASCADE")


@pytest.fixture
def work(servers):
    """An empty schema "work" on both shards."""
    on_all(servers, "CREATE SCHEMA work AUTHORIZATION app")
    return servers


def on_all(cluster, sql):
    return [shard.primary.query(sql) for shard in cluster.shards]


def relations(cluster):
    """What each shard has in schema work."""
    return [[row[0] for row in rows] for rows in on_all(
        cluster, "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('work') AND relkind IN ('r', 'i', 'v') ORDER BY 1")]


class Applying:
    """One topology, and `pgbraid apply` with it."""

    def __init__(self, topology, folder, **environment):
        self.braid = Braid(topology, env=environment)
        self.file = folder / "schema.sql"

    def command(self, *arguments):
        return [binary(), "apply", "--config", self.braid.config, *arguments]

    def __call__(self, text, *arguments, stdin=False):
        self.file.write_text(text)
        return subprocess.run(self.command(*arguments, "-" if stdin else self.file), input=text if stdin else None,
                              capture_output=True, text=True, timeout=120, env=self.braid.environment)


@pytest.fixture
def applying(tmp_path):
    made = []

    def make(topology, **environment):
        made.append(Applying(topology, tmp_path, **environment))
        return made[-1]
    yield make
    for each in made:
        each.braid.remove()


@pytest.fixture
def apply(work, applying):
    return applying(sharded_topology(work))


def failed(done, *said):
    assert done.returncode == 1, done.stdout + done.stderr
    for text in said:
        assert text in done.stderr, done.stderr
    return True


# What may run in a transaction

SCHEMA = """
-- A comment; with a semicolon.
SET search_path = work;
CREATE TABLE customers (
  id bigint PRIMARY KEY,
  name text NOT NULL DEFAULT 'a;b'
);
CREATE INDEX customers_name ON customers (name);
CREATE FUNCTION twice(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
  RETURN 2 * x;
END $$;
COMMENT ON TABLE customers IS 'who buys';
"""


@pytest.mark.parametrize("stdin", [False, True])
def test_a_schema_on_every_shard(work, apply, stdin):
    done = apply(SCHEMA, stdin=stdin)
    assert (done.returncode, done.stdout) == (0, "applied 4 statements on 2 shards, definitions are equal\n"), done.stderr
    assert relations(work) == [["customers", "customers_name", "customers_pkey"]] * 2
    assert on_all(work, "SELECT work.twice(4), obj_description('work.customers'::regclass)") == [[(8, "who buys")]] * 2
    assert on_all(work, "SELECT count(*) FROM pg_prepared_xacts") == [[(0,)]] * 2
    assert on_all(work, "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'customers_name'") == [[("app",)]] * 2


@pytest.mark.parametrize("bad", [0, 1])
def test_an_error_on_one_shard_leaves_nothing_anywhere(work, apply, bad):
    work.shards[bad].primary.query("CREATE TABLE work.second (x int); ALTER TABLE work.second OWNER TO app")
    before = relations(work)
    done = apply("CREATE TABLE work.first (x int);\n\n-- why\nCREATE TABLE\n  work.second (x int);\nCREATE TABLE work.third (x int);\n")
    assert failed(done, f'schema.sql:4: error: relation "second" already exists', f"shard: s{bad}", "SQLSTATE: 42P07",
                  "Nothing of lines 1 to 6 has been kept on any shard")
    assert relations(work) == before


def test_what_a_server_points_at_is_told_with_its_line(work, apply):
    assert failed(apply("CREATE TABLE work.a (\n  x int,\n  y no_such_type\n);\n"), "schema.sql:3: error:", "SQLSTATE: 42704")


def test_deferred_constraints_that_fail_at_prepare(work, apply):
    on_all(work, "CREATE TABLE work.a (x int); CREATE TABLE work.b (x int UNIQUE DEFERRABLE INITIALLY DEFERRED); "
                 "ALTER TABLE work.a OWNER TO app; ALTER TABLE work.b OWNER TO app")
    work.shards[1].primary.query("CREATE FUNCTION work.fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not here'; END$$; "
                                 "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON work.b DEFERRABLE INITIALLY DEFERRED "
                                 "FOR EACH ROW EXECUTE FUNCTION work.fail()")
    topology = sharded_topology(work)
    topology["databases"]["shop"]["sharding"]["reference_tables"].append("work.b")
    topology["databases"]["shop"]["sharding"]["shard_local"] = ["work.fail"]
    apply.braid.write(topology)
    done = apply("INSERT INTO work.b VALUES (1);\nALTER TABLE work.a ADD COLUMN y int;\n")
    assert failed(done, "error: not here", "shard: s1", "Nothing of lines 1 to 2 has been kept")
    assert on_all(work, "SELECT count(*) FROM pg_attribute WHERE attrelid = 'work.a'::regclass AND attname = 'y'") == [[(0,)]] * 2
    assert on_all(work, "SELECT count(*) FROM work.b") == [[(0,)]] * 2


def test_transactions_of_the_file(work, apply):
    done = apply("BEGIN;\nCREATE TABLE work.a (x int);\nCOMMIT;\nCREATE TABLE work.b (x int);\nCREATE TABLE work.a (x int);\n")
    assert failed(done, "line 2: committed", "schema.sql:5: error:", "Nothing of lines 4 to 5 has been kept", "--resume-at 4")
    assert relations(work) == [["a"]] * 2
    assert failed(apply("CREATE TABLE work.b (x int);\nCREATE TABLE work.c (x int);\n", "--resume-at", "2"), "--resume-at 1")
    done = apply("BEGIN;\nSET search_path = work;\nCREATE TABLE a (x int);\nCOMMIT;\nCREATE TABLE b (x int);\n", "--resume-at", "5")
    assert done.returncode == 0 and "applied 1 statement on 2 shards" in done.stdout, done.stderr
    assert relations(work) == [["a", "b"]] * 2


def test_one_shard_has_a_plain_transaction(work, applying):
    apply = applying(plain_topology(work.shards[0].servers))
    done = apply("CREATE TABLE work.a (x int);\nDO $$BEGIN PERFORM 1; END$$;\n")
    assert (done.returncode, done.stdout) == (0, "applied 2 statements on 1 shard\n"), done.stderr
    assert failed(apply("CREATE TABLE work.b (x int);\nCREATE TABLE work.a (x int);\n"), "schema.sql:2: error:", "Nothing of lines 1 to 2")
    assert relations(work) == [["a"], []]


# Statements outside of transactions


def test_a_concurrent_index_is_resumed_after_one_shard_failed(work, apply):
    on_all(work, "CREATE TABLE work.t (x int); ALTER TABLE work.t OWNER TO app; INSERT INTO work.t VALUES (1), (2)")
    work.shards[1].primary.query("INSERT INTO work.t VALUES (2)")
    text = "CREATE TABLE work.before (x int);\nCREATE UNIQUE INDEX CONCURRENTLY t_x ON work.t (x);\nCREATE TABLE work.after (x int);\n"
    done = apply(text)
    assert failed(done, "shard s0: CREATE UNIQUE INDEX CONCURRENTLY t_x ON work.t (x) (1 of 2)",
                  "shard s1: CREATE UNIQUE INDEX CONCURRENTLY t_x ON work.t (x) (2 of 2)",
                  "schema.sql:2: error:", "shard: s1", "SQLSTATE: 23505", "--resume-at 2")
    assert relations(work) == [["before", "t", "t_x"]] * 2
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'work.t_x'::regclass"
    assert on_all(work, valid) == [[(True,)], [(False,)]]
    work.shards[1].primary.query("DELETE FROM work.t WHERE ctid = (SELECT max(ctid) FROM work.t)")
    number = "SELECT 'work.t_x'::regclass::oid"
    kept = on_all(work, number)
    done = apply(text, "--resume-at", "2")
    assert done.returncode == 0, done.stderr
    assert "there already (1 of 2)" in done.stderr and "built anew (2 of 2)" in done.stderr
    assert on_all(work, valid) == [[(True,)]] * 2
    assert relations(work) == [["after", "before", "t", "t_x"]] * 2
    assert on_all(work, number)[0] == kept[0] and on_all(work, number)[1] != kept[1]


INDEXES = ["t_a ON work.t (x)", '"T b" ON work.t USING hash (y)', "t_d ON work.t (y COLLATE \"C\") WITH (fillfactor = 70)",
           "t_c ON ONLY work.t USING btree (lower(y) text_pattern_ops DESC, (t.x + 1)) INCLUDE (z) WHERE t.x > 0"]
OTHERS = ["t_a ON work.t (x DESC)", "t_a ON work.t (x) WHERE x > 1", "t_a ON work.t (x, y)", "t_a ON work.t USING hash (x)", "t_a ON work.u (x)"]


def test_an_index_is_known_again(work, apply):
    on_all(work, "CREATE TABLE work.t (x int, y text, z int); CREATE TABLE work.u (x int); ALTER TABLE work.t OWNER TO app; ALTER TABLE work.u OWNER TO app")
    text = "".join(f"CREATE INDEX CONCURRENTLY {index};\n" for index in INDEXES)
    assert apply(text).returncode == 0
    done = apply(text)
    assert done.returncode == 0 and done.stderr.count("there already") == 2 * len(INDEXES), done.stderr
    work.shards[0].primary.query("DROP INDEX work.t_a")
    for other in OTHERS:
        work.shards[1].primary.query(f"DROP INDEX work.t_a; CREATE INDEX {other}")
        assert failed(apply(text), "schema.sql:1: error:", "shard: s1", "SQLSTATE: 42P07"), other
        assert work.shards[0].primary.value("SELECT to_regclass('work.t_a')") is None
    done = apply("CREATE INDEX CONCURRENTLY IF NOT EXISTS t_a ON work.u (x);\n")
    assert done.returncode == 0 and "there already (2 of 2)" in done.stderr, done.stderr


def test_dropping_upkeep_and_what_is_gone_already(work, apply):
    on_all(work, "CREATE TABLE work.t (x int); ALTER TABLE work.t OWNER TO app; CREATE INDEX t_x ON work.t (x)")
    work.shards[0].primary.query("DROP INDEX work.t_x")
    done = apply("VACUUM ANALYZE work.t;\nREINDEX TABLE CONCURRENTLY work.t;\nDROP INDEX CONCURRENTLY work.t_x;\n")
    assert done.returncode == 0 and "applied 3 statements" in done.stdout, done.stderr
    assert "gone already (1 of 2)" in done.stderr
    assert relations(work) == [["t"]] * 2
    assert failed(apply("DROP INDEX CONCURRENTLY work.t_x;\n"), "SQLSTATE: 42704")


# Where statements go


def test_what_lives_on_one_shard_is_defined_there(work, apply):
    topology = sharded_topology(work)
    topology["databases"]["shop"]["sharding"]["unsharded"]["work.single"] = "s1"
    apply.braid.write(topology)
    done = apply("SET search_path = work;\nCREATE TABLE single (x int);\nCREATE INDEX single_x ON single (x);\n"
                 "CREATE INDEX CONCURRENTLY single_y ON single (x);\nCREATE TABLE others (x int);\n")
    assert (done.returncode, done.stdout) == (0, "applied 4 statements on 2 shards, definitions are equal\n"), done.stdout + done.stderr
    assert relations(work) == [["others"], ["others", "single", "single_x", "single_y"]]


def test_a_schema_of_one_shard(work, apply):
    topology = sharded_topology(work)
    topology["databases"]["shop"]["shards"][1]["schemas"] = ["work"]
    apply.braid.write(topology)
    done = apply("CREATE TABLE work.a (x int);\nSET search_path = work;\nCREATE TABLE b (x int);\n")
    assert done.returncode == 0 and "applied 2 statements on" in done.stdout, done.stdout + done.stderr
    assert relations(work) == [[], ["a", "b"]]


def test_rows_that_each_shard_gets_alike(work, apply):
    on_all(work, "GRANT ALL ON countries TO app")
    done = apply("INSERT INTO countries (code, name) VALUES ('QA', 'a');\nDELETE FROM countries WHERE code = 'QA';\n")
    assert done.returncode == 0, done.stderr


def test_dry_run_runs_nothing(work, apply):
    text = ("SET search_path = work;\nCREATE TABLE a (x int);\nCREATE INDEX CONCURRENTLY a_x ON a (x);\n"
            "ALTER TABLE public.settings ADD COLUMN note text;\n")
    done = apply(text, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ("lines 1 to 2, in one transaction:\n"
                           "  1: shards s0, s1: SET search_path = work\n"
                           "  2: shards s0, s1: CREATE TABLE a (x int)\n"
                           "line 3, outside of a transaction, shard by shard:\n"
                           "  3: shards s0, s1: CREATE INDEX CONCURRENTLY a_x ON a (x)\n"
                           "line 4, in one transaction:\n"
                           "  4: shard s0: ALTER TABLE public.settings ADD COLUMN note text\n")
    assert relations(work) == [[], []]
    done = apply(text + "CREATE ROLE somebody;\n", "--dry-run")
    assert failed(done, "schema.sql:5: error: CREATE ROLE over several shards") and "  5: refused: CREATE ROLE" in done.stdout


REFUSED = [("DO $$BEGIN END$$;", "SQLSTATE"), ("CREATE DATABASE other;", "CREATE DATABASE over several shards"),
           ("INSERT INTO countries VALUES (random()::text, 'x');", "SQLSTATE: 0A000"), ("SELECT 1;", "SELECT"),
           ("CREATE INDEX CONCURRENTLY ON customers (name);", "name")]


def test_what_is_refused_is_refused_before_anything_runs(work, apply):
    done = apply("\n".join(["CREATE TABLE work.a (x int);", *(line for line, _ in REFUSED)]))
    reports = done.stderr.split("schema.sql:")[1:]
    assert done.returncode == 1 and len(reports) == len(REFUSED), done.stderr
    for number, (report, (_, said)) in enumerate(zip(reports, REFUSED), 2):
        assert report.startswith(f"{number}: error: ") and said in report
    assert failed(apply("CREATE TABLE work.a (x int);\nCREATE TABEL x;\n"), "schema.sql:2: error: syntax error")
    assert relations(work) == [[], []]


# What comes out, and what stands in the way


def test_definitions_that_differ_are_told(work, apply):
    work.shards[1].primary.query("CREATE TABLE work.stray (x int); CREATE INDEX customers_stray ON customers (name)")
    try:
        done = apply("CREATE TABLE work.a (x int);\n")
        assert done.returncode == 1
        assert "applied 1 statement on 2 shards, but definitions differ" in done.stdout
        assert "table work.stray is not on shard s0" in done.stdout and "index public.customers_stray is not on shard s0" in done.stdout
        assert "column work.stray.x" not in done.stdout
        seen = apply.braid.command("check", "--servers")
        assert seen.returncode == 1 and "index public.customers_stray is not on shard s0" in seen.stdout
    finally:
        work.shards[1].primary.query("DROP INDEX customers_stray")


DIFFERENT = [
    ("ALTER TABLE work.t ALTER x SET DEFAULT 5", "column work.t.x"), ("ALTER TABLE work.t ADD CHECK (x > 0)", "constraint t_x_check on work.t"),
    ("GRANT SELECT ON work.t TO app_md5", "table work.t"), ("CREATE INDEX t_x ON work.t (x)", "index work.t_x"),
    ("CREATE FUNCTION work.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "function work.f()"),
    ("CREATE TYPE work.mood AS ENUM ('a')", "type work.mood"), ("CREATE VIEW work.v AS SELECT 1", "view work.v"),
    ("CREATE SEQUENCE work.s", "sequence work.s"), ("COMMENT ON COLUMN work.t.x IS 'x'", "comment on table column work.t.x"),
    ("CREATE POLICY p ON work.t USING (x > 0)", "policy p on work.t"),
    ("CREATE TRIGGER g BEFORE UPDATE ON work.t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()", "trigger g on work.t"),
    ("CREATE RULE r AS ON DELETE TO work.t DO INSTEAD NOTHING", "rule r on work.t"), ("CREATE STATISTICS work.st ON x, y FROM work.t", "statistics work.st"),
    ("CREATE DOMAIN work.d AS int CHECK (VALUE > 0)", "domain work.d"), ("CREATE SCHEMA other", "schema other"),
    ("CREATE AGGREGATE work.total(int) (sfunc = int4pl, stype = int)", "function work.total(integer)"),
]


def test_every_kind_of_definition_is_compared(work, apply):
    on_all(work, "CREATE TABLE work.t (x int, y int)")
    for made, _ in DIFFERENT:
        work.shards[1].primary.query(made)
    try:
        seen = apply.braid.command("check", "--servers")
        assert seen.returncode == 1
        told = [line.strip() for line in seen.stdout.splitlines() if " is not " in line]
        assert len(told) == len(DIFFERENT)
        for _, named in DIFFERENT:
            assert any(line.startswith(f"{named} is not ") for line in told), (named, told)
    finally:
        work.shards[1].primary.query("DROP SCHEMA IF EXISTS other")


def test_a_dump_makes_the_same_elsewhere(work, applying):
    """Of a database with what applications have: serials, identities, views, types, privileges."""
    on_all(work, "CREATE DATABASE dumped")
    try:
        work.shards[0].primary.query(
            "SET search_path = work; CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE t (id serial PRIMARY KEY, n int GENERATED BY DEFAULT AS IDENTITY, "
            "m mood DEFAULT 'a', at timestamptz DEFAULT now()); CREATE VIEW v AS SELECT id FROM t; GRANT SELECT ON t TO app; "
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; COMMENT ON VIEW v IS 'it''s'; CREATE INDEX t_m ON t (m)")
        dump = subprocess.run([PG_BIN / "pg_dump", "--schema-only", "-n", "work", "-h", "127.0.0.1", "-p", str(work.shards[0].primary.port),
                               "-U", "postgres", "shop"], capture_output=True, text=True, env={**os.environ, "PGPASSWORD": MONITOR_PASSWORD}).stdout
        topology = sharded_topology(work, users={"postgres": {"password": MONITOR_PASSWORD}})
        topology["databases"] = {"dumped": topology["databases"]["shop"]}
        done = applying(topology)(dump, "--user", "postgres")
        assert done.returncode == 0 and "definitions are equal" in done.stdout, done.stdout + done.stderr
        for shard in work.shards:
            assert shard.primary.value("SELECT count(*) FROM pg_class WHERE relnamespace = 'work'::regnamespace", dbname="dumped") == 6
    finally:
        on_all(work, "DROP DATABASE dumped WITH (FORCE)")


def test_files_users_and_shards_that_are_not_there(work, apply, applying):
    missing = subprocess.run(apply.command("/no/such/file.sql"), capture_output=True, text=True, env=apply.braid.environment)
    assert missing.returncode == 1 and "/no/such/file.sql: error: No such file or directory" in missing.stderr
    folder = subprocess.run(apply.command(apply.file.parent), capture_output=True, text=True, env=apply.braid.environment)
    assert folder.returncode == 1 and "error: Is a directory" in folder.stderr
    text = "CREATE TABLE work.a (x int);\n"
    assert failed(apply(text, "--database", "nope"), 'database "nope" is not in the topology')
    topology = sharded_topology(work)
    topology["users"]["app"]["password"] = "wrong"
    assert failed(applying(topology)(text), "shard s0: login as \"app\"", "shard s1: login as \"app\"", "password authentication failed", "Nothing has been run")
    topology["users"]["app"] = {"password": STORED_SECRET}
    assert failed(applying(topology, PGPASSWORD="wrong")(text), "PGPASSWORD")
    assert applying(topology, PGPASSWORD="secret")(text).returncode == 0
    topology = sharded_topology(work)
    lost = f"127.0.0.1:{free_port()}"
    topology["databases"]["shop"]["shards"][1]["servers"] = [lost]
    assert failed(applying(topology)("DROP TABLE work.a;\n"), f"shard s1 has no primary; {lost}: ")
    assert relations(work) == [["a"]] * 2


def test_servers_that_cannot_prepare(fresh_cluster, applying):
    primary = fresh_cluster.shards[1].primary
    primary.stop()
    with open(primary.folder / "postgresql.conf", "a") as settings:
        settings.write("max_prepared_transactions = 0\n")
    primary.start()
    done = applying(sharded_topology(fresh_cluster))("CREATE TABLE public.a (x int);\n")
    assert failed(done, "shard s1 cannot prepare transactions", "set max_prepared_transactions = ")
    assert on_all(fresh_cluster, "SELECT to_regclass('public.a')") == [[(None,)]] * 2


# What is left by a run that was killed

STEPS = {"record": (0, b"INSERT INTO pgbraid.commit_record", False, False), "prepare": (1, b"PREPARE TRANSACTION", False, False),
         "decision": (0, b"Q\0\0\0\x0bCOMMIT\0", False, True), "commit_prepared": (1, b"COMMIT PREPARED", True, True)}
KILLS = [(step, answered, False) for step in STEPS for answered in (False, True)] + [("prepare", True, True), ("decision", True, True)]


@pytest.fixture
def stopped_at(work, fault_proxy, applying):
    """stopped_at(step, answered, action): a run over proxies, when `action` of it and of the proxies has happened before a
    message of the commit reaches its server, or when the server has answered it; and what it has said."""
    def make(step, answered, action, **reads):
        shard, words, *_ = STEPS[step]
        proxies = [fault_proxy(s.primary.port) for s in work.shards]
        topology = sharded_topology(work)
        for entry, proxy in zip(topology["databases"]["shop"]["shards"], proxies):
            entry["servers"] = [proxy.address]
        topology["monitor"]["catalog_interval"] = "200ms"
        topology["databases"]["shop"]["reads"].update(reads)
        on_all(work, "CREATE TABLE work.t (x int); ALTER TABLE work.t OWNER TO app")
        apply = applying(topology)
        apply.file.write_text("ALTER TABLE work.t ADD COLUMN y int;\nCREATE TABLE work.made (x int);\n")
        # It waits for this lock when it no longer looks at the servers, whose questions are trapped as well.
        holding = work.shards[0].primary.connect(autocommit=False)
        try:
            holding.cursor().execute("LOCK TABLE work.t")
            running = subprocess.Popen(apply.command(apply.file), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                       env=apply.braid.environment, preexec_fn=die_with_parent)
            wait_until(lambda: work.shards[0].primary.query(
                "SELECT 1 FROM pg_stat_activity WHERE application_name = 'pgbraid apply' AND wait_event_type = 'Lock'"), 30, "it waits for the lock")
            proxies[shard].trap(words, lambda: action(running, proxies[shard]), answered)
            holding.rollback()
            said, _ = running.communicate(timeout=60)
        finally:
            holding.close()
        return topology, running.returncode, said
    return make


@pytest.mark.parametrize("step, answered, consistent", KILLS, ids=[f"{'after' if k[1] else 'before'}_{k[0]}{'_gated' if k[2] else ''}" for k in KILLS])
def test_a_killed_run_is_finished_by_an_instance(work, stopped_at, start_braid, step, answered, consistent):
    reads = {"snapshot": "consistent"} if consistent else {}
    topology, ended, said = stopped_at(step, answered, lambda run, proxy: run.kill(), **reads)
    assert ended == -9, said
    prepared = on_all(work, "SELECT count(*)::int FROM pg_prepared_xacts")[1] == [(1,)]
    if step != "record":
        assert prepared == (answered if step == "prepare" else not answered if step == "commit_prepared" else True)
    start_braid(topology)
    wait_until(lambda: on_all(work, "SELECT gid FROM pg_prepared_xacts") == [[], []], 30, "nothing is in doubt")
    assert relations(work) == [["made", "t"] if STEPS[step][3 if answered else 2] else ["t"]] * 2


@pytest.mark.parametrize("step, answered, told", [
    ("prepare", False, "Nothing of lines 1 to 2 has been kept"), ("decision", False, "is not known"), ("decision", True, "is not known"),
    ("commit_prepared", False, "It is committed there too as soon as")])
def test_a_link_that_is_lost(work, stopped_at, start_braid, step, answered, told):
    topology, ended, said = stopped_at(step, answered, lambda run, proxy: proxy._cut())
    assert ended == 1 and told in said, said
    start_braid(topology)
    wait_until(lambda: on_all(work, "SELECT gid FROM pg_prepared_xacts") == [[], []], 30, "nothing is in doubt")
    assert relations(work) == [["made", "t"] if STEPS[step][3 if answered else 2] else ["t"]] * 2
