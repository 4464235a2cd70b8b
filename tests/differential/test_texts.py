"""Texts of several statements, PREPARE and EXECUTE over four shards: what a session says in turn, as one PostgreSQL answers it."""

from pathlib import Path

import pytest

from braid import Braid, Endpoint, sharded_topology
from cluster import Cluster
from sides import ask, compare, load, sharding_with
from statements import Statement
from wire import bind, errors, execute, parse, query, rows, sync

KEYS = {"shops.sql": {"shops": "id", "sales": "shop_id", "visits": "shop_id", "stalls": "id"},
        "writes.sql": {"accounts": "id", "entries": "account_id", "archive": "account_id", "events": "id", "tickets": "account_id",
                       "owned": "numbered_id", "numbered": "id"}}

# Each session's texts, one in a line; they are told all that came before.
SESSIONS = {
    "reads": """
        SELECT count(*) FROM shops; SELECT count(*) FROM sales
        ;;SELECT count(*) FROM shops;; ;SELECT count(*) FROM sales;;
        SELECT count(*) FROM shops; SELECT 1/0; SELECT count(*) FROM sales
        SELECT count(*) FROM shops; SELECT nosuch FROM shops; SELECT 1
        SELECT count(*) FROM shops; SELECT * FROM nosuch
        SELECT count(*) FROM shops; SELEC
        SELECT name FROM shops WHERE id = 4; SELECT name FROM shops WHERE id = 7; SELECT name FROM shops WHERE id = 44
        COPY (SELECT id FROM accounts ORDER BY id LIMIT 2) TO STDOUT; SELECT count(*) FROM shops
        EXPLAIN (COSTS OFF) SELECT count(*) FROM rates; SELECT count(*) FROM shops
        SELECT count(*) FROM shops; DECLARE c CURSOR FOR SELECT code FROM rates ORDER BY code; FETCH 3 FROM c; CLOSE c
    """,
    "writes": """
        UPDATE accounts SET balance = 6 WHERE id = 5; UPDATE accounts SET balance = 7 WHERE id = 7; SELECT sum(balance) FROM accounts WHERE id IN (5, 7)
        UPDATE accounts SET balance = 600 WHERE id = 5; UPDATE accounts SET balance = 1/0 WHERE id = 7; SELECT 1
        SELECT balance FROM accounts WHERE id IN (5, 7) ORDER BY id
        INSERT INTO tickets (account_id, title) VALUES (1, 'a'), (2, 'b'), (3, 'c'); SELECT count(*) FROM tickets; DELETE FROM tickets WHERE title = 'a'
        INSERT INTO accounts (id, owner) VALUES (4001, 'x'), (4002, 'y'); INSERT INTO accounts (id, owner) VALUES (4002, 'z'); SELECT 1
        SELECT count(*) FROM accounts WHERE id > 4000
        WITH u AS (UPDATE accounts SET balance = 3 RETURNING id) SELECT count(*) FROM u; SELECT sum(balance) FROM accounts
        UPDATE rates SET rate = 1 WHERE code = 'r1'; SELECT rate FROM rates WHERE code = 'r1'; DELETE FROM entries; SELECT count(*) FROM entries
    """,
    "transactions": """
        BEGIN; SELECT count(*) FROM shops; COMMIT
        BEGIN; SELECT count(*) FROM shops
        UPDATE accounts SET balance = 9 WHERE id IN (5, 7)
        COMMIT; SELECT sum(balance) FROM accounts WHERE id IN (5, 7)
        BEGIN; UPDATE accounts SET balance = 1 WHERE id = 5; SAVEPOINT a; UPDATE accounts SET balance = 2 WHERE id = 7; ROLLBACK TO a; COMMIT; SELECT sum(balance) FROM accounts WHERE id IN (5, 7)
        UPDATE accounts SET balance = 11 WHERE id = 5; COMMIT; UPDATE accounts SET balance = 22 WHERE id = 7; ROLLBACK; SELECT id, balance FROM accounts WHERE id IN (5, 7) ORDER BY id
        UPDATE accounts SET balance = 111 WHERE id = 5; BEGIN; UPDATE accounts SET balance = 222 WHERE id = 7; ROLLBACK; SELECT id, balance FROM accounts WHERE id IN (5, 7) ORDER BY id
        UPDATE accounts SET balance = 111 WHERE id = 5; BEGIN; UPDATE accounts SET balance = 222 WHERE id = 7; COMMIT; SELECT id, balance FROM accounts WHERE id IN (5, 7) ORDER BY id
        UPDATE accounts SET balance = 0 WHERE id = 5; COMMIT AND CHAIN; SELECT 1
        SELECT count(*) FROM shops; BEGIN; BEGIN; COMMIT; COMMIT
        SAVEPOINT a; SELECT count(*) FROM shops
        SELECT count(*) FROM shops; ROLLBACK TO a
        START TRANSACTION READ ONLY; SELECT count(*) FROM shops; INSERT INTO accounts (id, owner) VALUES (9999, 'x'), (9998, 'y')
        ROLLBACK; SELECT count(*) FROM shops
    """,
    "modes of a transaction": """
        BEGIN; SAVEPOINT a; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
        ROLLBACK
        BEGIN
        SAVEPOINT a
        SET TRANSACTION ISOLATION LEVEL REPEATABLE READ
        ROLLBACK
        SET default_transaction_read_only = on
        START TRANSACTION READ WRITE
        UPDATE accounts SET balance = 1 WHERE id IN (5, 7)
        COMMIT AND CHAIN
        UPDATE accounts SET balance = 2 WHERE id IN (6, 8)
        SHOW transaction_read_only
        ROLLBACK AND CHAIN
        UPDATE accounts SET balance = 3 WHERE id IN (1, 2, 3)
        COMMIT
        UPDATE accounts SET balance = 4 WHERE id IN (5, 7)
        RESET default_transaction_read_only
        SELECT sum(balance) FROM accounts WHERE id < 9
    """,
    "transactions that have failed": """
        BEGIN
        SELECT 1/(id - 4) FROM shops WHERE id = 4
        SELECT 1; ROLLBACK
        ROLLBACK; SELECT count(*) FROM shops
        BEGIN
        SELECT 1/(id - 4) FROM shops WHERE id = 4
        ROLLBACK; INSERT INTO accounts (id, owner) VALUES (3001, 'x'), (3002, 'y'), (3003, 'z'); SELECT 1
        SELECT count(*) FROM accounts
        BEGIN; SAVEPOINT a; SELECT count(*)/0 FROM shops
        ROLLBACK TO a; SELECT count(*) FROM shops; COMMIT
    """,
    "settings": """
        SET work_mem = '8MB'; SELECT count(*) FROM shops
        SHOW work_mem
        SET work_mem = '9MB'; SELECT count(*)/0 FROM shops
        SHOW work_mem
        SET LOCAL work_mem = '10MB'; SELECT current_setting('work_mem'), count(*) FROM shops
        SHOW work_mem
        SELECT set_config('work_mem', '11MB', false); SELECT count(*) FROM shops; SHOW work_mem
        SHOW work_mem
        LISTEN a; SELECT count(*) FROM shops; UNLISTEN a
        DISCARD ALL; SELECT count(*) FROM shops
        VACUUM shops; SELECT count(*) FROM shops
        SELECT count(*) FROM shops; VACUUM shops
    """,
    "PREPARE and EXECUTE": """
        PREPARE q AS SELECT count(*) FROM shops WHERE id > $1
        EXECUTE q (100)
        EXECUTE q (-1)
        EXECUTE q ('17')
        EXECUTE q (NULL)
        EXECUTE q
        EXECUTE q (1, 2)
        EXECUTE q ('x')
        PREPARE q AS SELECT count(*) FROM sales
        PREPARE typed (bigint, text) AS SELECT id, name, $2 FROM shops WHERE id = $1
        EXECUTE typed (4, 'it''s')
        EXECUTE typed (7, NULL)
        PREPARE day (date) AS SELECT count(*), sum(amount) FROM sales WHERE day > $1
        EXECUTE day ('2024-01-20')
        EXECUTE day (DATE '2024-01-20')
        PREPARE bad AS SELECT nosuch FROM shops WHERE id = $1
        EXECUTE bad (1)
        PREPARE ins AS INSERT INTO accounts (id, owner) VALUES ($1, $2), ($3, $2)
        EXECUTE ins (7001, 'n', 7002)
        EXECUTE ins (7001, 'n', 7002)
        PREPARE upd AS UPDATE accounts SET balance = balance + $1 WHERE id IN ($2, $3)
        EXECUTE upd (1.5, 7001, 7002)
        SELECT sum(balance) FROM accounts WHERE id > 7000
        BEGIN
        EXECUTE upd (1, 7001, 7002)
        ROLLBACK
        EXECUTE q (1); EXECUTE typed (8, 'b'); SELECT sum(balance) FROM accounts WHERE id > 7000
        BEGIN; EXECUTE q (5); PREPARE z AS SELECT count(*) FROM shops; EXECUTE z; COMMIT
        SELECT name FROM pg_prepared_statements ORDER BY name
        DEALLOCATE q
        EXECUTE q (1)
        DEALLOCATE ALL
        EXECUTE z
    """,
    "EXECUTE with arguments that are computed": """
        PREPARE q AS SELECT count(*), $1::bigint FROM shops WHERE id > $1
        EXECUTE q (100 + 1)
        EXECUTE q (-(1 + 2))
        EXECUTE q (1.6::numeric * 2)
        EXECUTE q (length('abc'))
        EXECUTE q (NULL::int + 1)
        EXECUTE q (1 / 0)
        EXECUTE q (nosuch)
        EXECUTE q (nosuch(1))
        EXECUTE q (1 +)
        PREPARE t (text, date, bigint[], float8) AS SELECT name || $1, $2, $4, $1 FROM shops WHERE id = ANY ($3) ORDER BY id
        EXECUTE t ('a' || 'b', DATE '2024-01-31' + 1, ARRAY[1, 2, 4]::bigint[], 1 / 3.0)
        EXECUTE t (1 + 1, '2024-02-03', '{1, 4}', 0.1 + 0.2)
        EXECUTE t (upper('é'), DATE '2024-01-31' - INTERVAL '1 day', ARRAY[1]::bigint[] || NULL::bigint, 1)
        EXECUTE t (current_user, TIMESTAMP '2024-01-31 10:00' + INTERVAL '1 day', ARRAY[7, 8]::bigint[], 'NaN'::float8)
        PREPARE ins AS INSERT INTO accounts (id, owner, balance) VALUES ($1, $2, $3), ($4, $2, $3)
        EXECUTE ins (8000 + 1, 'n' || 1, 10 / 4.0, 8000 + 2)
        EXECUTE ins (8000 + 1, 'n' || 1, 10 / 4.0, 8000 + 2)
        SELECT id, owner, balance FROM accounts WHERE id > 8000 ORDER BY id
        PREPARE one AS SELECT name FROM shops WHERE id = $1
        EXECUTE one (2 + 2)
        PREPARE dated (timestamptz) AS SELECT count(*) FROM accounts WHERE opened < $1
        EXECUTE dated (now())
        EXECUTE dated (now() - INTERVAL '100 years')
        BEGIN
        EXECUTE dated (now())
        EXECUTE q (1 + 1)
        EXECUTE q (1 / 0)
        EXECUTE q (1 + 1)
        ROLLBACK
        EXECUTE q (1 + 1); EXECUTE dated (now()); SELECT count(*) FROM shops
        BEGIN; EXECUTE ins (8100 + 1, upper('x'), 1, 8103); SELECT count(*) FROM accounts WHERE id > 8000; ROLLBACK
        SELECT count(*) FROM accounts WHERE id > 8000
    """,
    "names mean what the search_path says when it is executed": """
        PREPARE s AS SELECT count(*) FROM shops
        SET search_path = alt, public
        EXECUTE s
        RESET search_path
        SET timezone = 'Asia/Tokyo'
        EXECUTE s
        SET search_path = pg_catalog
        EXECUTE s
        RESET search_path
        SET ROLE app
        EXECUTE s
        SET search_path = alt; EXECUTE s; SET search_path = public; EXECUTE s; SELECT count(*) FROM sales
    """,
    "PREPARE of what is drawn first; arguments that nobody looks at": """
        PREPARE i AS INSERT INTO tickets (account_id, title) VALUES ($1, $2), ($3, $2)
        EXECUTE i (1, 'drawn', 2)
        SELECT count(DISTINCT id) FROM tickets WHERE title = 'drawn'
        PREPARE n AS SELECT count(*) FROM shops
        EXECUTE n (1)
        EXECUTE n ()
    """,
    "what pools say between clients": """
        BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT code FROM rates; COMMIT; SELECT count(*) FROM shops
        SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL
        UNLISTEN *
        UNLISTEN a
    """,
}


@pytest.fixture(scope="module")
def two_sides():
    """(one PostgreSQL with all rows, pgbraid over four shards): where to connect."""
    whole, parts = Cluster(shards=1, replicas=0), Cluster(shards=4, replicas=0)
    try:
        whole.start(), parts.start()
        for file, keys in KEYS.items():
            load(whole, parts, Path(__file__).with_name(file).read_text(), keys)
        for shard in whole.shards + parts.shards:
            shard.primary.query("CREATE SCHEMA alt; CREATE VIEW alt.shops AS SELECT 1::bigint AS id, 'alt'::text AS name; "
                                "GRANT USAGE ON SCHEMA alt TO app; GRANT SELECT ON alt.shops TO app", dbname="shop")
        topology = sharded_topology(parts)
        sharding = sharding_with(topology, {table: key for keys in KEYS.values() for table, key in keys.items()}, ["rates", "kinds"])
        home, *others = parts.shards
        sharding["unsharded"] = sharding.get("unsharded", {}) | {"picks": home.name, "signs": home.name}
        for shard in others:
            shard.primary.query("DROP TABLE picks, signs", dbname="shop")
        with Braid(sharded_topology(parts, sharding=sharding)) as braid:
            yield Endpoint(whole.shards[0].primary.port), braid
    finally:
        whole.stop(), parts.stop()


@pytest.mark.parametrize("session", SESSIONS)
def test_as_one_server_says(two_sides, session):
    one, many = (side.raw() for side in two_sides)
    for line in filter(None, map(str.strip, SESSIONS[session].splitlines())):
        statement = Statement(line)
        verdict = compare(statement, ask(one, statement), ask(many, statement))
        assert verdict is True, (line, verdict)
        assert one.status == many.status, line
    one.close(), many.close()


def test_a_statement_means_what_the_search_path_says_when_it_is_bound(two_sides):
    one, many = (side.raw() for side in two_sides)
    answers = []
    for client in (one, many):
        answers.append([])
        client.query("SET search_path = alt, public")
        client.send(parse("SELECT count(*) FROM shops", "s"), sync())
        client.until_ready()
        for change in ("", "RESET search_path; SET timezone = 'Asia/Tokyo'", "SET search_path = alt", "SET search_path = public",
                       "RESET ALL", "SET ROLE app", "SET search_path = alt; SET timezone = 'UTC'", "RESET search_path; RESET timezone"):
            for setting in filter(None, change.split("; ")):
                client.query(setting)
            client.send(bind(statement="s"), execute(), sync())
            answers[-1].append(rows(client.until_ready()))
        client.close()
    assert answers[0] == answers[1]


def test_execute_of_what_the_protocol_has_prepared(two_sides):
    one, many = (side.raw() for side in two_sides)
    for client in (one, many):
        client.send(parse("SELECT count(*) FROM shops", "p"), parse("SELECT id, name FROM shops WHERE id = $1", "k"), sync())
        client.until_ready()
    for line in ("EXECUTE p", "EXECUTE k (4)", "EXECUTE k (7)", "EXECUTE k (44)", "EXECUTE k", "EXECUTE p; EXECUTE k (7); EXECUTE p"):
        statement = Statement(line)
        assert compare(statement, ask(one, statement), ask(many, statement)) is True, line
    one.close(), many.close()


def test_what_execute_cannot_carry_out(two_sides):
    _, braid = two_sides
    client = braid.raw()
    refused = lambda: errors(client.until_ready())[0]["C"] == "0A000"  # noqa: E731
    client.send(parse("COPY picks FROM STDIN", "c"), parse("BEGIN", "b"), parse("EXECUTE p", "e"), sync())
    client.until_ready()
    client.send(parse("SELECT count(*) FROM shops", "p"), parse("SELECT count(*) FROM shops WHERE id = $1", "g"), sync())
    client.until_ready()
    for line in ("EXECUTE c", "EXECUTE b", "CREATE TABLE made AS EXECUTE p", "EXPLAIN EXECUTE c", "EXECUTE g ('1' || '2')", "EXECUTE g ((SELECT 1))", "/* pgbraid: shard=s1 */ EXECUTE p",
                 "/* pgbraid: shard=s1 */ PREPARE h AS SELECT count(*) FROM shops"):
        client.send(query(line))
        assert refused(), line
    client.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
    client.send(query("EXECUTE g (1 + 1)"))
    assert refused()
    client.query("ROLLBACK")
    # Parsed when there was no statement of that name yet.
    client.send(bind(statement="e"), execute(), sync())
    assert refused()
    client.close()


def test_explained_with_its_arguments(two_sides):
    """What the shards are asked, and that nothing is left of it: not the client's statement without a name."""
    _, braid = two_sides
    client = braid.raw()
    client.query("PREPARE p AS SELECT count(*) FROM shops WHERE id > $1")
    client.query("PREPARE w (bigint, numeric) AS UPDATE accounts SET balance = $2 WHERE id = $1")
    for sql, wanted in (("(COSTS OFF) EXECUTE p (20)", b"Scan"), ("(ANALYZE, COSTS OFF, TIMING OFF) EXECUTE p (10 + 10)", b"actual rows"),
                        ("EXECUTE w (5, 1)", b"Update on accounts"), ("EXECUTE w (5, 1 / 2.0)", b"Update on accounts")):
        client.send(query(f"EXPLAIN {sql}"))
        assert any(wanted in row for row, in rows(client.until_ready())), sql
    client.send(query("EXPLAIN EXECUTE p ('x')"))
    assert errors(client.until_ready())[0]["C"] == "22P02"
    client.send(bind(), execute(), sync())
    assert errors(client.until_ready())[0]["C"] == "26000"
    client.close()


def test_a_position_is_that_in_the_clients_text(two_sides):
    one, many = (side.raw() for side in two_sides)
    for line in ("INSERT INTO events (id, name, n) VALUES (9001, '\u00fc', 1), (9002, 'b', 2), (9003, 'c', 'bad'), (9004, 'd', 4)",
                 "UPDATE accounts SET opened = now(), balance = 'bad'", "UPDATE accounts SET opened = now() WHERE nosuch = 1",
                 "INSERT INTO events (id, name) VALUES (9001, 'a'), (9002, 'b'), (9003, 'c'), (9004, 'd') RETURNING nosuch",
                 "INSERT INTO events (id, nosuch) VALUES (9001, 'a'), (9002, 'b'), (9003, 'c'), (9004, 'd')",
                 "SELECT 1; INSERT INTO events (id, n) VALUES (9001, 5), (9002, 6), (9003, 'bad'), (9004, 8); SELECT 2",
                 "PREPARE q AS SELECT count(*) FROM shops WHERE id > $1", "EXECUTE q (1 + nosuch)", "SELECT 1; EXECUTE q (nosuch + 1)"):
        for client in (one, many):
            client.send(query(line))
        told = [(errors(client.until_ready()) or [{}])[0] for client in (one, many)]
        assert told[0].get("C") == told[1].get("C"), line
        assert told[0].get("P") == told[1].get("P"), line
    one.close(), many.close()


def test_a_position_is_that_in_the_whole_text(two_sides):
    one, many = (side.raw() for side in two_sides)
    for line in ("SELECT count(*) FROM shops; /* \u00fc */ SELECT nosuch FROM shops", "PREPARE bad AS SELECT nosuch FROM shops WHERE id = $1",
                 "SELECT count(*) FROM shops; PREPARE bad AS SELECT nosuch FROM shops WHERE id = $1"):
        for client in (one, many):
            client.send(query(line))
        told = [errors(client.until_ready())[0] for client in (one, many)]
        assert told[0]["P"] == told[1]["P"], line
    one.close(), many.close()


def test_long_texts(two_sides):
    """Longer than a batch that is worked off as a whole; many statements, with the client's next message behind them."""
    one, many = (side.raw() for side in two_sides)
    long = "x" * 300_000
    inserts = "; ".join(f"INSERT INTO events (id, name) VALUES ({n}, 'many')" for n in range(500))
    for line in (f"PREPARE long AS SELECT count(*) FROM shops WHERE name <> '{long}' AND id > $1", "EXECUTE long (5)",
                 "PREPARE given AS SELECT count(*) FROM shops WHERE name <> $1", f"EXECUTE given ('{long}')",
                 f"{inserts}; SELECT count(*) FROM events WHERE name = 'many'", "DELETE FROM events WHERE name = 'many'; SELECT 1"):
        statement = Statement(line)
        assert compare(statement, ask(one, statement), ask(many, statement)) is True, line[:80]
    for client in (one, many):
        client.send(query("SELECT count(*) FROM shops; SELECT count(*) FROM sales"), query("EXECUTE long (5)"), query("SELECT 1"))
    answers = [[rows(client.until_ready()) for _ in range(3)] for client in (one, many)]
    assert answers[0] == answers[1]
    one.close(), many.close()
