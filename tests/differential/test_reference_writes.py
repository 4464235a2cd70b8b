"""Writes to reference tables of which each copy might make something else: UPDATE ... FROM, random values, subqueries that
depend on the order of rows. One PostgreSQL and pgbraid over four shards, whose copies must be the same after each of them."""

import threading

import pytest

from braid import Braid, Endpoint, sharded_topology
from cluster import Cluster
from sides import ask, compare, load, sharding_with
from statements import Statement
from waiting import wait_until
from wire import bind, describe_statement, errors, execute, parse, rows, sync, tags

SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'plain', 'happy');
CREATE TABLE prices (code varchar(10) COLLATE "C", region text, price numeric(12, 3), weight float8, felt mood, tags text[], at timestamptz DEFAULT now(),
                     mark uuid DEFAULT gen_random_uuid(), twice numeric GENERATED ALWAYS AS (price * 2) STORED, PRIMARY KEY (code, region));
INSERT INTO prices SELECT 'c' || n % 7, 'r' || n / 7, n * 1.10, n / 3.0, NULL, ARRAY['t' || n], '2024-01-01 00:00+00', NULL FROM generate_series(1, 30) AS n;
CREATE TABLE levels (n int PRIMARY KEY, name text, bonus numeric);
INSERT INTO levels SELECT n, 'level ' || n % 3, CASE WHEN n % 2 = 0 THEN 1.0 ELSE 1.00 END FROM generate_series(1, 9) AS n;
CREATE TABLE loose (n int, name text);
INSERT INTO loose SELECT n, 'loose ' || n FROM generate_series(1, 9) AS n;
CREATE TABLE late (n int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v int);
INSERT INTO late SELECT n, n FROM generate_series(1, 4) AS n;
CREATE TABLE sales (id bigint PRIMARY KEY, code text, amount numeric);
INSERT INTO sales SELECT n, 'c' || n % 7, n * 0.5 FROM generate_series(1, 100) AS n;
CREATE TABLE rates (n int PRIMARY KEY, v int);
INSERT INTO rates SELECT n, n FROM generate_series(1, 20) AS n;
GRANT ALL ON prices, levels, loose, late, sales, rates TO app;
CREATE ROLE reader;
GRANT reader TO app;
GRANT SELECT ON levels TO reader;
GRANT ALL ON loose TO reader;
"""
COPIES = ("prices", "levels", "loose", "late", "rates")
STATE = ("SELECT code, region, price, weight, felt, tags, at = '2024-01-01 00:00+00', mark IS NULL, twice FROM prices ORDER BY 1, 2",
         "SELECT * FROM levels ORDER BY 1", "SELECT * FROM loose ORDER BY 1", "SELECT * FROM late ORDER BY 1")

ANSWERED = """
    UPDATE prices SET price = l.bonus + l.n FROM levels l WHERE code = 'c' || l.n RETURNING code, region, price, twice, l.name, upper(l.name || code) AS u
    UPDATE prices p SET price = p.price + s.total, felt = 'happy' FROM (SELECT code, sum(amount) AS total FROM sales GROUP BY 1) s WHERE s.code = p.code RETURNING p.*, total
    UPDATE prices SET weight = weight / l.n FROM levels l WHERE region = 'r' || l.n RETURNING prices.code, weight
    UPDATE prices SET tags = tags || l.name, felt = CASE WHEN l.n > 2 THEN 'sad'::mood END FROM levels AS l WHERE region = 'r' || l.n
    UPDATE levels SET name = loose.name FROM loose WHERE loose.n = levels.n RETURNING *
    UPDATE levels SET name = s.code FROM sales s WHERE s.id = levels.n * 10 RETURNING levels.n, s.amount
    UPDATE levels SET (name, bonus) = (s.code, $$5$$) FROM sales s WHERE s.id = levels.n * 10 RETURNING name, bonus
    UPDATE levels SET n = levels.n + 100, name = 'x' FROM sales s WHERE s.id = levels.n AND levels.n < 4 RETURNING levels.n, s.id
    UPDATE levels SET bonus = (SELECT max(o.bonus) FROM levels o WHERE o.n < levels.n) RETURNING n, bonus
    UPDATE levels SET bonus = (SELECT max(o.bonus) FROM levels o WHERE o.n < levels.n) WHERE n < 7 RETURNING *
    UPDATE levels l SET bonus = (SELECT max(o.bonus) FROM levels o WHERE o.n < l.n) WHERE n < 7 RETURNING *, l.*, l.n + 1
    UPDATE levels l SET bonus = (SELECT sum(weight) FROM prices WHERE code = 'c' || l.n) WHERE n < 5
    UPDATE prices SET mark = gen_random_uuid() WHERE price > 10 RETURNING code, mark IS NULL
    UPDATE prices SET mark = DEFAULT, at = DEFAULT, price = floor(random()) RETURNING code, region, price
    UPDATE prices SET price = 1 WHERE random() < 2
    WITH w AS (SELECT id, amount FROM sales ORDER BY id DESC LIMIT 20) UPDATE levels SET bonus = w.amount FROM w WHERE w.id = n + 80 RETURNING levels.n, w.amount
    WITH w AS (SELECT n, name FROM loose) UPDATE levels SET name = w.name FROM w WHERE w.n = levels.n RETURNING levels.*
    UPDATE levels SET name = x.name FROM loose LEFT JOIN (VALUES (1, 'one'), (2, 'two')) x (n, name) USING (n) WHERE loose.n = levels.n
    UPDATE levels SET name = o.name FROM levels o WHERE o.n = levels.n + 1 RETURNING levels.n, levels.name, o.name
    UPDATE levels l SET name = o.name FROM loose AS o, late WHERE o.n = l.n AND late.n = o.n RETURNING late.*, l.name, ROW(l.*)::text, o.*
    UPDATE levels SET name = loose.name FROM loose WHERE false
    UPDATE levels SET n = 1 FROM loose WHERE loose.n = levels.n AND levels.n < 3
    UPDATE levels SET bonus = 1 / (loose.n - 3) FROM loose WHERE loose.n = levels.n
    UPDATE levels SET bonus = nonsense FROM loose
    UPDATE levels SET bonus = loose.name FROM loose WHERE loose.n = levels.n
    UPDATE levels SET bonus = x.v FROM LATERAL (SELECT levels.n AS v) x
    UPDATE prices SET code = 'far too long for it' FROM levels WHERE code = 'c1' AND levels.n = 1
    INSERT INTO prices (code, region, price) VALUES ('n1', 'x', 1), ('n2', 'y', 2) RETURNING code, mark IS NULL
    INSERT INTO prices (code, region, price, mark) VALUES ('n1', 'x', floor(random()), gen_random_uuid()), ('n2', 'y', 2, DEFAULT) RETURNING code, price, mark IS NULL
    INSERT INTO prices (code, region, price) VALUES ('c1', 'r0', 1), ('n2', 'y', 2) ON CONFLICT (code, region) DO UPDATE SET mark = excluded.mark, at = excluded.at RETURNING code, mark IS NULL
    INSERT INTO prices (code, region, at) VALUES ('n1', 'x', NULL), ('c1', 'r0', NULL)
    INSERT INTO levels (n, name) VALUES (70, left(gen_random_uuid()::text, 0)), (71, 'a') RETURNING n, name
    INSERT INTO levels (n, name) VALUES (70, repeat('it''s \\', (random() * 0)::int + 1)) RETURNING name
"""
REFUSED = """
    UPDATE loose SET name = levels.name FROM levels WHERE levels.n = loose.n
    UPDATE late SET v = levels.n FROM levels WHERE levels.n = late.n
    UPDATE levels SET name = loose.name FROM loose WHERE loose.n = levels.n RETURNING loose
    UPDATE levels SET name = loose.name FROM loose WHERE loose.n = levels.n RETURNING (SELECT max(s.n) FROM loose s WHERE s.n < loose.n)
    UPDATE levels SET name = loose.name FROM loose WHERE loose.ctid = levels.ctid
    WITH levels AS (SELECT 1 AS n) UPDATE levels SET name = o.name FROM loose o WHERE o.n = levels.n
    WITH w AS (UPDATE levels SET name = loose.name FROM loose WHERE loose.n = levels.n RETURNING levels.n) SELECT * FROM w
    DELETE FROM levels WHERE random() < 0
    INSERT INTO prices (code, region) SELECT 'n' || n, 'x' FROM loose
    INSERT INTO prices (code, region) VALUES ('c1', 'r0') ON CONFLICT (code, region) DO UPDATE SET mark = gen_random_uuid()
    INSERT INTO prices (code, region) VALUES ('c1', 'r0') ON CONFLICT (code, region) DO UPDATE SET mark = DEFAULT
"""


def listed(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def running():
    """(a client of one PostgreSQL, one of pgbraid, the shards, pgbraid, the one PostgreSQL)."""
    whole, parts = Cluster(shards=1, replicas=0), Cluster(shards=4, replicas=0)
    try:
        whole.start(), parts.start()
        load(whole, parts, SCHEMA, {"sales": "id"})
        sharding = sharding_with(sharded_topology(parts), {"sales": "id"}, COPIES)
        with Braid(sharded_topology(parts, sharding=sharding)) as braid:
            one, many = Endpoint(whole.shards[0].primary.port).raw(), braid.raw()
            yield one, many, parts.shards, braid, whole.shards[0].primary
            one.close(), many.close()
    finally:
        whole.stop(), parts.stop()


def check_copies(many, names):
    """Within the transaction under way: what stands on each shard."""
    for table in COPIES:
        told = [ask(many, Statement(f"/* pgbraid: shard={name} */ SELECT t::text FROM {table} t ORDER BY 1")) for name in names]
        assert told[0][0] is None and all(copy == told[0] for copy in told), (table, told)


@pytest.mark.parametrize("protocol", ["simple", "extended"])
@pytest.mark.parametrize("sql", listed(ANSWERED))
def test_answered(running, sql, protocol):
    one, many, shards = running[:3]
    statement = Statement(sql, extended=protocol == "extended")
    answers, left = [], []
    for client in (one, many):
        client.query("BEGIN")
        answers.append(ask(client, statement))
        if answers[-1][0] is None:
            left.append([ask(client, Statement(state))[2] for state in STATE])
    if many.status == "T":
        check_copies(many, [shard.name for shard in shards])
    for client in (one, many):
        client.query("ROLLBACK")
    assert compare(statement, *answers) is True, answers
    assert not left or left[0] == left[1]


@pytest.mark.parametrize("sql", listed(REFUSED))
def test_refused(running, sql):
    one, many = running[:2]
    told = ask(many, Statement(sql))
    assert told[0] == "0A000" and told[4][0]["H"], told
    one.query("BEGIN")
    assert ask(one, Statement(sql))[0] is None
    one.query("ROLLBACK")


def test_without_a_block(running):
    one, many, shards = running[:3]
    for sql in ("UPDATE levels SET bonus = s.amount FROM sales s WHERE s.id = levels.n", "UPDATE prices SET mark = gen_random_uuid(), price = l.n FROM levels l WHERE region = 'r' || l.n",
                "INSERT INTO prices (code, region, price) VALUES ('n8', 'x', 1), ('n9', 'y', 2)"):
        answers = [ask(client, Statement(sql)) for client in (one, many)]
        assert compare(Statement(sql), *answers) is True, answers
        for table in COPIES:
            told = [shard.primary.query(f"SELECT t::text FROM {table} t ORDER BY 1") for shard in shards]
            assert all(copy == told[0] for copy in told), (sql, table, told)
    left = [[ask(client, Statement(state))[2] for state in STATE] for client in (one, many)]
    assert left[0] == left[1]


@pytest.mark.parametrize("values", [("level 1", 5), ("nowhere", 100)])
def test_prepared(running, values):
    sql = "UPDATE levels SET name = $2, bonus = loose.n + $3 FROM loose WHERE loose.n = levels.n AND levels.name = $1 RETURNING levels.n, bonus, loose.name"
    told = []
    for client in running[:2]:
        client.query("BEGIN")
        client.send(parse(sql, "twice"), describe_statement("twice"), sync())
        described = [message for message in client.until_ready() if message[0] == "t"]
        answers = [described]
        for _ in range(2):
            client.send(bind([values[0], "other", values[1]], statement="twice"), execute(), sync())
            got = client.until_ready()
            answers.append((errors(got), tags(got), sorted(rows(got))))
        told.append(answers)
        client.query("ROLLBACK")
        client.query("DEALLOCATE twice")
    assert told[0] == told[1] and not told[0][1][0]


@pytest.mark.parametrize("changed", ["bonus = 50", "n = 60", "name = 'gone'"])
def test_waits_for_another_writer(running, changed):
    """The row is looked at anew when it can be had, as one server does."""
    sql = "UPDATE levels SET bonus = bonus + loose.n FROM loose WHERE loose.n = levels.n AND levels.name = 'other' RETURNING levels.n, bonus"
    told = []
    for client, address in zip(running[:2], ("one", "many")):
        client.query("UPDATE levels SET name = 'other', bonus = 1 WHERE n = 5")
        with_lock = running[3].raw() if address == "many" else Endpoint(running[4].port).raw()
        with_lock.query("BEGIN")
        with_lock.query(f"UPDATE levels SET {changed} WHERE n = 5")
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(ask(client, Statement(sql))))
        waiting.start()
        first = running[4] if address == "one" else running[2][0].primary
        wait_until(lambda: first.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = 'shop'") > 0, 30, "somebody waits")
        with_lock.query("COMMIT")
        waiting.join(timeout=30)
        with_lock.close()
        told.append((answers[0][:4], [ask(client, Statement(state))[2] for state in STATE]))
        client.query("UPDATE levels SET n = 5, name = 'level 2', bonus = 1 WHERE n IN (5, 60)")
    assert told[0] == told[1]
    check = [shard.primary.query("SELECT t::text FROM levels t ORDER BY 1") for shard in running[2]]
    assert all(copy == check[0] for copy in check)


READING = ["UPDATE levels SET bonus = (SELECT sum(v) FROM rates) + n WHERE n < 7",
           "UPDATE levels SET bonus = (SELECT v FROM rates r WHERE r.n = levels.n) WHERE n < 7",
           "UPDATE levels SET bonus = (SELECT count(*) FROM levels o, rates WHERE v > 1000) WHERE n < 7",
           "DELETE FROM levels USING rates r WHERE CASE WHEN v > 1000 THEN levels.n = 5 ELSE levels.n IN (5, 6) END AND r.n = 3",
           "INSERT INTO levels (n, name) VALUES (5, 'x') ON CONFLICT (n) DO UPDATE SET bonus = (SELECT v FROM rates WHERE rates.n = 5)",
           "INSERT INTO levels (n, bonus) SELECT CASE WHEN l.n = 1 THEN 5 ELSE l.n + 100 END, v FROM levels l JOIN rates r ON r.n = l.n ON CONFLICT (n) DO NOTHING",
           "WITH w AS (UPDATE levels SET name = 'x' WHERE bonus > 5 RETURNING n) SELECT count(*) FROM w",
           "MERGE INTO levels l USING rates r ON r.n = l.n AND l.n = 5 WHEN MATCHED THEN UPDATE SET bonus = v"]


def waits_for_lock(server):
    return server.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = 'shop'") > 0


@pytest.fixture
def others_change(running):
    """A transaction that has changed what READING read, and rows that they write."""
    other = running[3].raw()
    other.query("BEGIN")
    other.query("UPDATE rates SET v = v + 1000")
    other.query("UPDATE levels SET bonus = bonus WHERE n = 5")
    yield other
    other.query("ROLLBACK")  # if it has not been committed
    other.query("UPDATE rates SET v = n")
    other.close()


@pytest.mark.parametrize("protocol", ["simple", "extended"])
@pytest.mark.parametrize("sql", READING)
def test_reads_the_same_for_every_copy(running, others_change, sql, protocol):
    """What others commit between two copies would be seen by one of them only."""
    many, shards = running[1], running[2]
    many.query("BEGIN")
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(ask(many, Statement(sql, extended=protocol == "extended"))))
    waiting.start()
    wait_until(lambda: waits_for_lock(shards[0].primary), 30, "somebody waits")
    others_change.query("COMMIT")
    waiting.join(timeout=30)
    if answers[0][0] is None:
        check_copies(many, [shard.name for shard in shards])
    many.query("ROLLBACK")
    assert answers[0][0] is None, answers


def test_cancelled_while_it_waits(running, others_change):
    many, shards = running[1], running[2]
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(ask(many, Statement(READING[0]))))
    waiting.start()
    wait_until(lambda: waits_for_lock(shards[0].primary), 30, "somebody waits")
    many.cancel()
    waiting.join(timeout=30)
    assert answers[0][0] == "57014" and ask(many, Statement("SELECT count(*) FROM levels"))[0] is None


def test_reads_what_it_may_not_lock(running):
    """LOCK TABLE needs more than SELECT."""
    with_less = running[3].raw()
    with_less.query("SET ROLE reader")
    told = ask(with_less, Statement("UPDATE loose SET name = (SELECT min(name) FROM levels)"))
    assert told[0] == "42501" and "UPDATE" in told[4][0]["H"], told
    assert ask(with_less, Statement("UPDATE loose SET name = name"))[0] is None
    with_less.close()
