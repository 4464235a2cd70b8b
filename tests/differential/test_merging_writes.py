"""MERGE over four shards: a fixed list, each carried out by one PostgreSQL and through pgbraid. Equal answers, and equal tables
afterwards."""

import pytest

from sides import ask, compare
from statements import Statement
from test_writes import STATE, carry_out, two_sides  # noqa: F401 (a fixture)

GROUPS = {
    "tied to one value of the key": """
        MERGE INTO accounts a USING (VALUES (5, 'x')) v(id, owner) ON a.id = v.id WHEN MATCHED THEN UPDATE SET owner = v.owner WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (v.id, v.owner)
        MERGE INTO accounts a USING (VALUES (1005, 'x')) v(id, owner) ON a.id = v.id WHEN MATCHED THEN UPDATE SET owner = v.owner WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (v.id, v.owner)
        MERGE INTO accounts USING (SELECT 1007 AS id, 'seven' AS name) s ON accounts.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.name, 12.5)
        MERGE INTO accounts AS a USING (SELECT 7 AS id, 'seven' AS name) s ON a.id = s.id AND a.balance > 1 WHEN MATCHED AND a.state = 'nothing' THEN DELETE WHEN MATCHED THEN UPDATE SET (owner, changed) = (s.name, now())
        MERGE INTO accounts a USING (VALUES (5, 'x'), (5, 'y')) v(id, owner) ON a.id = v.id WHEN MATCHED THEN UPDATE SET owner = v.owner
        MERGE INTO accounts a USING (VALUES (5, 'x'), (5, 'y')) v(id, owner) ON a.id = v.id AND v.owner = 'y' WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN DO NOTHING
        MERGE INTO accounts a USING entries e ON a.id = e.account_id AND a.id = 5 AND e.id = 4 WHEN MATCHED THEN UPDATE SET owner = e.note, opened = e.at
        MERGE INTO accounts a USING rates r ON a.id = 5 AND r.code = 'r5' WHEN MATCHED THEN UPDATE SET balance = r.rate WHEN NOT MATCHED THEN DO NOTHING
        MERGE INTO accounts a USING rates r ON a.id = 5 AND r.code = 'r5' WHEN MATCHED THEN UPDATE SET balance = r.rate WHEN NOT MATCHED AND r.code = 'r7' THEN INSERT (id, owner) VALUES (5, r.code)
        MERGE INTO accounts a USING rates r ON a.id = 1005 AND r.code = 'r5' WHEN NOT MATCHED AND r.code = 'r5' THEN INSERT (id, owner, info) VALUES (1005, r.code, to_jsonb(r.rate))
        MERGE INTO entries e USING (SELECT * FROM archive WHERE account_id = 7) x ON e.account_id = 7 AND e.id = x.id WHEN MATCHED THEN UPDATE SET amount = x.amount WHEN NOT MATCHED THEN INSERT (account_id, id, amount) VALUES (7, x.id + 10000, x.amount)
        MERGE INTO accounts a USING (VALUES (NULL::bigint, 'x')) v(id, owner) ON a.id = v.id WHEN MATCHED THEN DELETE
        MERGE INTO accounts a USING (VALUES ('5', 'x')) v(id, owner) ON a.id = v.id WHEN MATCHED THEN DELETE
        MERGE INTO accounts a USING (VALUES (5, 'x')) v(id, owner) ON a.id = v.id WHEN MATCHED THEN UPDATE SET owner = NULL
        MERGE INTO accounts a USING (VALUES (5)) v(id) ON a.id = v.id WHEN MATCHED THEN UPDATE SET owner = (SELECT max(note) FROM entries WHERE account_id = a.id)
    """,
    "shard by shard": """
        MERGE INTO accounts a USING archive x ON x.account_id = a.id AND x.id < 20 WHEN MATCHED THEN UPDATE SET owner = x.note, changed = now() WHEN NOT MATCHED THEN DO NOTHING
        MERGE INTO accounts a USING archive x ON a.id = x.account_id WHEN MATCHED AND a.balance > 100 THEN DELETE WHEN MATCHED THEN UPDATE SET balance = balance + x.amount
        MERGE INTO entries e USING archive x ON e.account_id = x.account_id AND e.id = x.id WHEN MATCHED THEN UPDATE SET note = 'both' WHEN NOT MATCHED THEN INSERT (account_id, id, amount) VALUES (x.account_id, x.id, x.amount)
        MERGE INTO archive USING entries ON archive.account_id = entries.account_id AND archive.id = entries.id WHEN NOT MATCHED AND entries.amount > 200 THEN INSERT (account_id, id, note) VALUES (account_id, id, note) WHEN NOT MATCHED THEN DO NOTHING
        MERGE INTO archive t USING entries e ON t.account_id = e.account_id AND t.id = e.id WHEN NOT MATCHED THEN INSERT (note, account_id, amount, moved) VALUES (e.note, e.account_id, e.amount, now())
        MERGE INTO archive t USING entries e ON t.account_id = e.account_id AND t.id = e.id WHEN NOT MATCHED THEN INSERT VALUES (e.account_id, e.id, e.amount, e.note, DEFAULT)
        MERGE INTO archive t USING entries e ON t.account_id = e.account_id AND t.id = e.id WHEN NOT MATCHED THEN INSERT VALUES (e.account_id, e.id)
        MERGE INTO accounts a USING accounts b ON a.id = b.id AND b.balance > 100 WHEN MATCHED THEN UPDATE SET owner = b.owner || '!' WHEN NOT MATCHED AND b.id = 3 THEN DO NOTHING
        MERGE INTO accounts a USING entries e ON a.id = e.account_id WHEN MATCHED THEN UPDATE SET balance = e.amount
        MERGE INTO accounts a USING rates r ON r.code = 'r' || a.id WHEN MATCHED THEN UPDATE SET balance = r.rate, opened = DEFAULT
        MERGE INTO accounts a USING (VALUES (1, 'x'), (2, 'y'), (3, 'z'), (2000, 'w')) v(id, owner) ON a.id = v.id WHEN MATCHED THEN UPDATE SET owner = v.owner
        MERGE INTO accounts a USING (VALUES ('owner 3', 1), ('owner 4', 2)) v(owner, n) ON a.owner = v.owner WHEN MATCHED THEN UPDATE SET balance = v.n, token = gen_random_uuid()
        MERGE INTO accounts a USING (VALUES ('owner 3', 1), ('owner 3', 2)) v(owner, n) ON a.owner = v.owner WHEN MATCHED THEN UPDATE SET balance = v.n
        MERGE INTO accounts a USING generate_series(1, 20) AS g ON g = a.id WHEN MATCHED THEN UPDATE SET state = 'g'
        MERGE INTO entries e USING accounts a ON a.id = e.account_id WHEN MATCHED AND e.amount > (SELECT avg(x.amount) FROM entries x WHERE x.account_id = a.id) THEN DELETE
        MERGE INTO accounts a USING archive x ON a.id = x.account_id WHEN MATCHED THEN UPDATE SET id = x.account_id, balance = 0
        WITH few AS (SELECT code, rate FROM rates WHERE rate > 1) MERGE INTO accounts a USING few ON few.code = 'r' || a.id WHEN MATCHED THEN UPDATE SET balance = few.rate
    """,
    "with the source's rows fetched first": """
        MERGE INTO accounts a USING (VALUES (1, 'x'), (2, 'y'), (3, 'z'), (1001, 'w'), (1002, 'v')) v(id, owner) ON a.id = v.id WHEN MATCHED THEN UPDATE SET owner = v.owner WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (v.id, v.owner)
        MERGE INTO accounts a USING (VALUES (1, 'x'), (2, 'y'), (3, 'z'), (1001, 'w'), (1002, 'v')) AS v(id, owner) ON v.id = a.id WHEN MATCHED AND a.id = 2 THEN DELETE WHEN MATCHED THEN UPDATE SET owner = v.owner, changed = now() WHEN NOT MATCHED AND v.id = 1001 THEN INSERT (id, owner, opened) VALUES (v.id, v.owner, now()) WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'other')
        MERGE INTO accounts USING (VALUES (1, 'x'), (1, 'y'), (2, 'z')) v(id, owner) ON accounts.id = v.id WHEN MATCHED THEN UPDATE SET owner = v.owner WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (v.id, v.owner)
        MERGE INTO accounts USING (VALUES (1001, 'x'), (1001, 'y'), (1002, 'z')) v(id, owner) ON accounts.id = v.id WHEN MATCHED THEN UPDATE SET owner = v.owner WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (v.id, v.owner)
        MERGE INTO accounts a USING events e ON a.id = e.account_id AND e.n < 140 WHEN MATCHED THEN UPDATE SET owner = e.name WHEN NOT MATCHED AND e.n < 160 THEN INSERT (id, owner) VALUES (e.account_id, e.name)
        MERGE INTO accounts a USING (SELECT account_id, min(name) AS name, max(at) AS at FROM events GROUP BY account_id) e ON a.id = e.account_id WHEN MATCHED THEN UPDATE SET owner = e.name WHEN NOT MATCHED THEN INSERT (id, owner, opened) VALUES (e.account_id, e.name, e.at)
        MERGE INTO accounts a USING (SELECT account_id AS id, name, n FROM events WHERE n > 250 ORDER BY n LIMIT 40) AS e ON (a.id = e.id) WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (owner, id, balance) VALUES (e.name, e.id, e.n)
        WITH e AS (SELECT account_id AS id, count(*) AS n FROM events GROUP BY 1) MERGE INTO accounts a USING e ON e.id = a.id WHEN MATCHED AND e.n > 1 THEN UPDATE SET balance = e.n WHEN NOT MATCHED THEN INSERT (id, owner, balance) VALUES (e.id, 'new', e.n)
        MERGE INTO accounts a USING (SELECT substr(code, 2)::bigint AS id, * FROM rates) r ON r.id = a.id WHEN MATCHED THEN UPDATE SET balance = r.rate WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (r.id, r.code)
        MERGE INTO accounts a USING (SELECT substr(code, 2)::bigint + 117 AS id, * FROM rates) r ON r.id = a.id WHEN MATCHED THEN UPDATE SET balance = r.rate WHEN NOT MATCHED THEN INSERT (id, owner, token) VALUES (r.id, r.code, r.token)
        MERGE INTO accounts a USING (SELECT id + 1000 AS id, name FROM kinds) AS k ON k.id = a.id WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (k.id, k.name)
        MERGE INTO accounts a USING (SELECT id, owner FROM accounts WHERE state = 'new' UNION ALL SELECT account_id + 1000, name FROM events WHERE n < 9) s ON a.id = s.id WHEN MATCHED THEN UPDATE SET owner = s.owner || '+' WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (id, owner)
        MERGE INTO accounts a USING generate_series(115, 125) AS g ON g = a.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (g, 'g')
        MERGE INTO accounts a USING generate_series(115, 125) WITH ORDINALITY AS g (n, o) ON g.n = a.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (g.n, 'g' || g.o)
        MERGE INTO accounts a USING (events e JOIN rates r ON r.code = 'r' || e.n) AS j ON a.id = j.account_id WHEN MATCHED THEN UPDATE SET balance = j.rate WHEN NOT MATCHED THEN DO NOTHING
        MERGE INTO accounts a USING events e ON a.owner = e.name AND e.n < 40 WHEN MATCHED THEN UPDATE SET balance = e.n
        MERGE INTO accounts a USING events e ON a.owner LIKE 'owner 1_' AND e.n = a.id - 100 WHEN MATCHED THEN UPDATE SET balance = e.n, info = to_jsonb(e.name)
        MERGE INTO accounts a USING (SELECT avg(balance) AS middle FROM accounts) m ON a.balance > m.middle WHEN MATCHED THEN UPDATE SET state = 'rich'
        MERGE INTO accounts a USING events e ON a.id = e.account_id::numeric AND e.n < 140 WHEN MATCHED THEN UPDATE SET owner = e.name
        MERGE INTO accounts a USING (SELECT account_id::numeric AS id, name FROM events WHERE n < 140) e ON a.id = e.id WHEN MATCHED THEN UPDATE SET owner = e.name
        MERGE INTO accounts a USING (SELECT NULLIF(account_id, 130) AS id, name FROM events WHERE n < 140) e ON a.id = e.id WHEN MATCHED THEN UPDATE SET owner = e.name
        MERGE INTO accounts a USING (SELECT NULLIF(account_id, 130) AS id, name FROM events WHERE n < 140) e ON a.id = e.id WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (e.id, e.name)
        MERGE INTO archive a USING (SELECT NULLIF(account_id, 130) AS id, name FROM events WHERE n < 140) e ON a.account_id = e.id WHEN NOT MATCHED THEN INSERT (account_id, note) VALUES (e.id, e.name)
        MERGE INTO entries e USING (SELECT account_id, max(id) AS id, sum(amount) AS amount FROM entries GROUP BY account_id) s ON e.account_id = s.account_id AND e.id = s.id WHEN MATCHED THEN UPDATE SET amount = s.amount, day = DEFAULT WHEN NOT MATCHED THEN INSERT (account_id, id, amount) VALUES (s.account_id, s.id, s.amount)
        MERGE INTO entries e USING (SELECT account_id + 500 AS account_id, id, amount FROM entries WHERE id < 90) s ON e.account_id = s.account_id AND e.id = s.id WHEN NOT MATCHED THEN INSERT (account_id, id, amount, day) VALUES (s.account_id, s.id, s.amount, DEFAULT)
        MERGE INTO entries e USING (SELECT account_id + 500 AS account_id, id, amount FROM entries WHERE id < 90) s ON e.account_id = s.account_id AND e.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (account_id, id, amount);
        MERGE INTO archive a USING (SELECT account_id + 500 AS k, now() AS at FROM entries WHERE id < 90) s ON a.account_id = s.k WHEN NOT MATCHED THEN INSERT VALUES (s.k, 1, 2, 'x', s.at)
        MERGE INTO archive a USING (SELECT n AS k, ARRAY[n, 1] AS l, 'x' AS t, 1.50::numeric(8, 3) AS d, '1 day'::interval AS i, row_to_json(e) AS j FROM events e WHERE n < 50) s ON a.account_id = s.k WHEN MATCHED THEN UPDATE SET note = s.l::text || s.t || s.d || s.i || s.j WHEN NOT MATCHED THEN INSERT (account_id) VALUES (s.k)
        MERGE INTO accounts a USING (SELECT id, id / (id - id) AS n FROM events) e ON a.id = e.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (e.id, 'x')
        MERGE INTO accounts a USING (SELECT id, owner FROM accounts WHERE id < 4) s ON a.id = s.id WHEN MATCHED THEN UPDATE SET balance = 1 / (a.id - 3) WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (s.id, 'x')
        MERGE INTO accounts a USING events e ON a.id = e.nonsense WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (e.nonsense, 'x')
        MERGE INTO accounts a USING events e ON a.id = e.name WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (e.name, 'x')
    """,
    "reference tables": """
        MERGE INTO rates r USING (VALUES ('r1', 10), ('n1', 11)) v(code, rate) ON r.code = v.code WHEN MATCHED THEN UPDATE SET rate = v.rate, changed = now() WHEN NOT MATCHED THEN INSERT (code, rate, token) VALUES (v.code, v.rate, NULL)
        MERGE INTO rates r USING kinds k ON r.code = 'r' || k.id WHEN MATCHED AND k.id > 2 THEN DELETE WHEN MATCHED THEN UPDATE SET rate = k.id, token = NULL WHEN NOT MATCHED THEN DO NOTHING
        MERGE INTO rates r USING (VALUES ('r1', 10), ('r1', 11)) v(code, rate) ON r.code = v.code WHEN MATCHED THEN UPDATE SET rate = v.rate
        MERGE INTO kinds k USING rates r ON r.code = k.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (100 + r.rate * 3, r.code)
        MERGE INTO kinds k USING (VALUES (1, 'one'), (77, 'more')) v(id, name) ON k.id = v.id WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.name)
    """,
    "rows of other tables first": """
        MERGE INTO accounts a USING events e ON a.id = e.account_id AND e.n < 100 WHEN MATCHED THEN UPDATE SET balance = (SELECT max(n) FROM events)
        MERGE INTO rates r USING accounts a ON r.code = 'r' || a.id WHEN MATCHED THEN UPDATE SET rate = a.balance
        MERGE INTO accounts a USING events e ON a.id = e.account_id AND e.n < 100 WHEN MATCHED AND EXISTS (SELECT FROM picks p WHERE p.id = e.n) THEN DELETE WHEN MATCHED THEN UPDATE SET owner = (SELECT max(note) FROM archive x WHERE x.account_id < a.id)
        WITH low AS (SELECT id FROM accounts ORDER BY balance, id LIMIT 3) MERGE INTO entries e USING low ON low.id = e.account_id WHEN MATCHED AND e.id % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET note = 'low'
    """,
    "refused": """
        MERGE INTO accounts a USING (VALUES (5, 'x')) v(id, owner) ON a.id = v.id WHEN MATCHED THEN UPDATE SET id = v.id, owner = 'same'
        MERGE INTO archive t USING (VALUES (5, 6)) v(id, n) ON t.account_id = v.id AND t.id = -1 WHEN NOT MATCHED THEN INSERT (id, account_id, amount) VALUES (v.*, v.id)
        MERGE INTO archive t USING (SELECT n AS id, n + 100 AS other FROM generate_series(1, 9) n) v ON t.account_id = v.id AND t.id = -1 WHEN NOT MATCHED THEN INSERT (id, account_id, amount) VALUES (v.*, v.id)
        MERGE INTO accounts a USING (VALUES (9007199254740992::float8)) v(f) ON a.id = v.f WHEN MATCHED THEN UPDATE SET id = v.f
        MERGE INTO accounts a USING (SELECT oid::int8 AS id, relname::text AS name FROM pg_class WHERE oid < 20) v ON a.id = v.id WHEN MATCHED AND a.owner < v.name THEN DELETE WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (v.id, v.name)
        MERGE INTO accounts a USING rates r ON r.code = 'r' || a.id WHEN MATCHED THEN UPDATE SET owner = r.code WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (5000, r.code)
        MERGE INTO accounts a USING kinds k ON k.id = a.id AND k.id < 3 WHEN MATCHED THEN UPDATE SET owner = k.name WHEN NOT MATCHED AND k.id > 4 THEN INSERT (id, owner) VALUES (id + 10000, name)
        MERGE INTO accounts a USING (SELECT account_id::numeric AS id, name FROM events WHERE n < 160) e ON a.id = e.id WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (e.id, e.name)
        MERGE INTO accounts a USING events e ON a.id = e.account_id WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (a.id, 'x')
        MERGE INTO accounts a USING entries e ON a.id = e.account_id WHEN MATCHED THEN UPDATE SET id = e.id
        MERGE INTO accounts a USING (VALUES (5, 6)) v(id, n) ON a.id = v.id WHEN MATCHED THEN UPDATE SET id = v.n
        MERGE INTO accounts a USING (VALUES (1), (2), (3), (4)) v(id) ON a.id = v.id WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (v.id + 1, 'x')
        MERGE INTO accounts a USING rates r ON a.owner = r.code WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (1005, r.code)
        MERGE INTO accounts a USING events e ON a.id = e.account_id AND e.n < 100 WHEN MATCHED THEN UPDATE SET balance = (SELECT random())
        MERGE INTO tickets t USING (VALUES (1, 'a'), (2, 'b')) v(id, title) ON t.account_id = v.id AND t.id = 1 WHEN NOT MATCHED THEN INSERT (account_id, title) VALUES (v.id, v.title)
        MERGE INTO tickets t USING (VALUES (1, 'a')) v(id, title) ON t.account_id = v.id AND t.id = 1 WHEN NOT MATCHED THEN INSERT (account_id, title) VALUES (v.id, v.title)
        MERGE INTO rates r USING (VALUES ('r1', 10), ('n1', 11)) v(code, rate) ON r.code = v.code WHEN NOT MATCHED THEN INSERT (code, rate) VALUES (v.code, v.rate)
        MERGE INTO rates r USING (VALUES ('r1')) v(code) ON r.code = v.code WHEN MATCHED THEN UPDATE SET rate = random()
        MERGE INTO kinds k USING rates r ON r.code = k.name WHEN NOT MATCHED THEN INSERT (name) VALUES (r.code)
        WITH gone AS (DELETE FROM entries WHERE amount > 200 RETURNING account_id AS id) MERGE INTO accounts a USING gone ON gone.id = a.id WHEN MATCHED THEN UPDATE SET state = 'x'
        MERGE INTO archive a USING (SELECT account_id + 500 AS k, now() AS at FROM entries WHERE id < 90) s ON a.account_id = s.k WHEN NOT MATCHED THEN INSERT VALUES (s.k, 1, 2, 'x')
        MERGE INTO accounts a USING (SELECT id, owner COLLATE "C" AS owner FROM accounts WHERE id < 9) s ON a.id = s.id WHEN MATCHED AND s.owner < 'p' THEN UPDATE SET balance = 1 WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (s.id, s.owner)
        MERGE INTO accounts a USING (SELECT account_id AS id FROM events WHERE n < 9) s ON a.id = s.id AND a.ctid = '(0,1)' WHEN MATCHED THEN DELETE
        MERGE INTO accounts a USING events e JOIN rates r ON r.code = e.name ON a.id = e.account_id WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (e.account_id, r.code)
        MERGE INTO entries e USING accounts a ON a.id = e.account_id WHEN NOT MATCHED THEN INSERT (account_id, id, amount) VALUES (a.balance, 1, 1)
    """,
}

WITH_VALUES = [
    ("MERGE INTO accounts a USING (VALUES ($1, 'x')) v(id, owner) ON a.id = v.id WHEN MATCHED THEN UPDATE SET owner = v.owner WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (v.id, v.owner)", [5]),
    ("MERGE INTO accounts a USING (VALUES ($1, 'x')) v(id, owner) ON a.id = v.id WHEN MATCHED THEN UPDATE SET owner = v.owner WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (v.id, v.owner)", [1005]),
    ("MERGE INTO accounts a USING (SELECT $1 AS id) v ON a.id = v.id WHEN MATCHED THEN UPDATE SET balance = $2 WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (v.id, 'x')", [1005, 7]),
    ("MERGE INTO accounts a USING (VALUES ($1, $2), ($3, $4), ($5, $6)) v(id, n) ON a.id = v.id WHEN MATCHED THEN UPDATE SET balance = v.n WHEN NOT MATCHED THEN INSERT (id, owner, balance) VALUES (v.id, 'x', v.n)", [1, 10, 1001, 11, 1002, 12]),
    ("MERGE INTO accounts a USING (VALUES ($1, $2), ($3, $4), ($5, $6)) v(id, n) ON a.id = v.id WHEN MATCHED THEN UPDATE SET balance = v.n + $7 WHEN NOT MATCHED THEN INSERT (id, owner, balance) VALUES (v.id, 'x', v.n + $8)", [1, 10, 2, 11, 1002, 12, 5, 6]),
    ("MERGE INTO accounts a USING events e ON a.id = e.account_id AND e.n < $1 WHEN MATCHED THEN UPDATE SET balance = $2 WHEN NOT MATCHED AND e.n = $3 THEN DO NOTHING", [120, 3, 4]),
    ("MERGE INTO accounts a USING rates r ON r.code = 'r' || a.id AND a.id > $1 WHEN MATCHED THEN UPDATE SET balance = $2", [3, 9]),
    ("MERGE INTO accounts a USING archive x ON a.id = x.account_id WHEN MATCHED AND x.id > $1 THEN DELETE WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (x.account_id, x.note)", [30]),
]


def statements():
    return [(group, line.strip()) for group, lines in GROUPS.items() for line in lines.strip().splitlines()]


@pytest.mark.parametrize("protocol", ["simple", "extended"])
@pytest.mark.parametrize("group, sql", [pytest.param(group, sql, id=f"{group} {i}") for i, (group, sql) in enumerate(statements())])
def test_merge(two_sides, group, sql, protocol):  # noqa: F811
    verdict = carry_out(two_sides, Statement(sql, extended=protocol == "extended"))
    if group == "refused":
        assert verdict is not True and verdict["C"] == "0A000" and verdict["H"], verdict
    else:
        assert verdict is True, f"{sql}: {verdict}"


@pytest.mark.parametrize("sql, values", WITH_VALUES)
def test_parameters(two_sides, sql, values):  # noqa: F811
    assert carry_out(two_sides, Statement(sql, values=[str(value).encode() for value in values])) is True


def test_without_a_block(two_sides):  # noqa: F811
    """A MERGE of its own commits on all shards or on none."""
    merge = "MERGE INTO archive a USING (VALUES {}) v(id, note) ON a.account_id = v.id WHEN MATCHED THEN UPDATE SET note = v.note " \
            "WHEN NOT MATCHED THEN INSERT (account_id, id, note, moved) VALUES (v.id, v.id, v.note, NULL)"
    for rows in ("(1, 'a'), (2, 'b'), (301, 'c'), (302, 'd'), (303, 'e')", "(1, 'f'), (3, 'g'), (3, 'g'), (304, 'h')"):
        statement = Statement(merge.format(rows))
        one, many = (ask(client, statement) for client in two_sides)
        assert compare(statement, one, many) is True, many
        one, many = (ask(client, Statement(STATE[4])) for client in two_sides)
        assert one[2] == many[2]
    for client in two_sides:
        client.query("DELETE FROM archive WHERE account_id > 300")
