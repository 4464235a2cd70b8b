"""Writes over four shards: a fixed list, each carried out by one PostgreSQL and through pgbraid, in a transaction of its
own. Equal answers, and equal tables afterwards."""

from pathlib import Path

import pytest

from braid import Braid, Endpoint, sharded_topology
from cluster import Cluster
from sides import ask, compare, load, sharding_with
from statements import Statement
from wire import bind, describe_portal, describe_statement, errors, execute, parse, rows, sync, tags

KEYS = {"accounts": "id", "entries": "account_id", "archive": "account_id", "events": "id", "tickets": "account_id", "owned": "numbered_id",
        "numbered": "id"}
# Times and random values differ from one run to the next: what is compared is how many there are.
STATE = (
    "SELECT id, owner, balance, state, info, changed IS NULL, token IS NULL FROM accounts ORDER BY id",
    "SELECT count(*), count(DISTINCT opened), count(DISTINCT changed), count(DISTINCT token), max(opened) = now(), max(changed) = LOCALTIMESTAMP FROM accounts",
    "SELECT account_id, id, amount, note, day IS NULL FROM entries ORDER BY 1, 2",
    "SELECT count(DISTINCT day), count(DISTINCT at), max(at) <= now() FROM entries",
    "SELECT account_id, id, amount, note, moved IS NULL FROM archive ORDER BY 1, 2, 3, 4, 5",
    "SELECT count(DISTINCT moved) FROM archive",
    "SELECT id, name, account_id, n FROM events ORDER BY 1, 2, 3, 4",
    "SELECT count(DISTINCT at) FROM events",
    "SELECT code, rate, token IS NULL FROM rates ORDER BY code",
    "SELECT count(DISTINCT changed), count(DISTINCT token) FROM rates",
    "SELECT account_id, id, title, opened IS NULL FROM tickets ORDER BY 1, 2",
    "SELECT id, name, code, twice, price FROM numbered ORDER BY id",
    "SELECT numbered_id, n, what FROM owned ORDER BY 1, 2, 3",
    "SELECT id, name FROM kinds ORDER BY id",
    "SELECT id, word FROM signs ORDER BY id",
)
# A transaction that is rolled back does not give back what it has drawn.
SEQUENCES = ("tickets_id_seq", "codes", "numbered_id_seq", "owned_n_seq", "kinds_id_seq")

# One statement in a line. Rows of RETURNING are compared in no order: SQL gives them none.
GROUPS = {
    "the time": """
        UPDATE accounts SET changed = now(), state = 'touched' WHERE balance > 100
        UPDATE accounts SET opened = CURRENT_TIMESTAMP(0), changed = LOCALTIMESTAMP WHERE id IN (1, 2, 3, 4, 5, 6)
        UPDATE accounts SET changed = DEFAULT, state = DEFAULT WHERE id < 4
        UPDATE accounts SET opened = statement_timestamp() WHERE opened < pg_catalog.now() - INTERVAL '30 days' RETURNING id, opened = transaction_timestamp()
        DELETE FROM entries WHERE at < current_timestamp - interval '100 years'
        DELETE FROM entries WHERE day < CURRENT_DATE AND amount < 20 RETURNING account_id, id, current_date >= day AS past, CURRENT_DATE IS NULL
        UPDATE entries SET day = current_date, at = now() FROM accounts a WHERE a.id = entries.account_id AND a.state = 'new'
        INSERT INTO accounts (id, owner, opened) VALUES (1001, 'a', now()), (1002, 'b', now()), (1003, 'c', now() - INTERVAL '1 day'), (1004, 'd', 'infinity')
        INSERT INTO accounts (id, owner) VALUES (1001, 'a'), (1002, 'b'), (1003, 'c'), (1004, 'd') RETURNING id, owner, opened = now()
        INSERT INTO accounts VALUES (1001, 'a'), (1002, 'b', 5), (1003, 'c')
        INSERT INTO accounts VALUES (1001, 'a'), (1002, 'b'), (1003, 'c'), (1004, 'd')
        INSERT INTO entries (account_id, id, amount, day) VALUES (1, 9001, 5, DEFAULT), (2, 9002, 6, '2024-02-03'), (3, 9003, 7, DEFAULT), (4, 9004, 8, NULL)
        INSERT INTO "entries" ("account_id", "id", amount /* ) */ ) VALUES (1, 9001, 5), (2, 9002, 6), (3, 9003, (7))
        INSERT INTO accounts (id, owner) VALUES (5, 'x'), (6, 'y'), (1001, 'z') ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, changed = now()
        INSERT INTO rates (code, rate, changed, token) VALUES ('n1', 1, now(), NULL), ('n2', 2, current_date, NULL)
        INSERT INTO rates (code, rate, token) VALUES ('n1', 1, NULL), ('n2', 2, NULL) RETURNING code, changed = now()
        UPDATE rates SET changed = now(), rate = rate * 2 WHERE changed < now()
        DELETE FROM rates WHERE changed < now() - INTERVAL '1 year' AND rate > 1
    """,
    "random values": """
        UPDATE accounts SET token = gen_random_uuid()
        UPDATE accounts SET balance = floor(random()), token = DEFAULT WHERE random() < 2
        INSERT INTO accounts (id, owner, token) VALUES (1001, 'a', gen_random_uuid()), (1002, 'b', gen_random_uuid()), (1003, 'c', gen_random_uuid())
        DELETE FROM entries WHERE random() < 0
        UPDATE entries SET note = left(random()::text, 0), day = NULL WHERE id % 50 = 0
        UPDATE accounts SET balance = (SELECT floor(random())) WHERE id < 50
        UPDATE accounts SET balance = r.r * 0 FROM (SELECT random() AS r) r
    """,
    "subqueries on the row's own shard": """
        UPDATE accounts SET balance = (SELECT sum(amount) FROM entries e WHERE e.account_id = accounts.id)
        UPDATE accounts a SET balance = coalesce((SELECT max(e.amount) FROM entries e WHERE e.account_id = a.id AND e.note LIKE 'note 1%'), 0), changed = now() WHERE state = 'open' RETURNING id, balance
        DELETE FROM accounts a WHERE NOT EXISTS (SELECT FROM entries e WHERE e.account_id = a.id AND e.amount > 200) RETURNING a.id, a.owner
        DELETE FROM entries e WHERE e.amount = (SELECT max(x.amount) FROM entries x WHERE x.account_id = e.account_id)
        DELETE FROM entries e WHERE (SELECT count(*) FROM entries x WHERE x.account_id = e.account_id AND x.id < e.id) >= 3
        UPDATE entries e SET note = (SELECT a.owner FROM accounts a WHERE a.id = e.account_id AND a.balance > 10) WHERE id % 3 = 0
        UPDATE entries e SET amount = amount + (SELECT rate FROM rates WHERE code = 'r' || e.account_id) WHERE EXISTS (SELECT FROM rates WHERE code = 'r' || e.account_id)
    """,
    "subqueries on other shards' rows": """
        DELETE FROM entries WHERE account_id IN (SELECT id FROM accounts WHERE state = 'closed')
        DELETE FROM accounts WHERE id NOT IN (SELECT account_id FROM entries WHERE amount > 230) RETURNING id
        UPDATE accounts SET state = 'rich' WHERE balance > (SELECT avg(balance) FROM accounts)
        UPDATE accounts SET balance = balance + (SELECT max(n) FROM events), changed = now() WHERE id % 2 = 0
        UPDATE accounts SET owner = e.name FROM events e WHERE e.account_id = accounts.id AND e.n > 150
        UPDATE accounts a SET owner = q.name, balance = q.total FROM (SELECT account_id, min(name) AS name, sum(n) AS total FROM events GROUP BY account_id) q WHERE q.account_id = a.id
        DELETE FROM entries USING events v WHERE v.account_id = entries.account_id AND v.n < 40
        DELETE FROM events USING accounts a, entries e WHERE a.id = e.account_id AND events.account_id = a.id AND e.amount > 220 RETURNING events.name, events.n
        WITH rich AS (SELECT id, balance FROM accounts WHERE balance > 200) DELETE FROM entries USING rich WHERE rich.id = entries.account_id
        WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < 9) UPDATE entries SET note = 'low' FROM up WHERE up.n = entries.account_id
        WITH t AS (SELECT name, count(*) AS c FROM events GROUP BY name) UPDATE events SET n = t.c FROM t WHERE t.name = events.name AND t.c > 7 RETURNING events.name, events.n
        UPDATE accounts SET state = 'x' WHERE EXISTS (SELECT FROM events e WHERE e.name = 'event ' || accounts.id)
        UPDATE accounts AS a SET owner = b.owner FROM accounts AS b WHERE b.id = a.id + 1
        DELETE FROM entries a USING entries b WHERE a.account_id = b.account_id AND a.id > b.id AND a.note = b.note
        DELETE FROM public.entries WHERE account_id = ANY (ARRAY(SELECT id FROM public.accounts WHERE balance < 50))
        UPDATE accounts SET owner = owner || '!' WHERE (id, owner) IN (SELECT account_id, 'owner ' || account_id % 20 FROM events)
        UPDATE accounts SET owner = 'e' FROM events e LEFT JOIN rates r ON r.code = 'r' || e.n WHERE accounts.id = e.account_id AND r.code IS NULL AND e.n < 100
        UPDATE accounts SET info = (SELECT jsonb_agg(n ORDER BY n) FROM events WHERE events.account_id = accounts.id) WHERE id < 30
        UPDATE accounts SET balance = 1 WHERE id IN (SELECT nonsense FROM events)
        UPDATE accounts SET balance = 'x' WHERE id IN (SELECT account_id FROM events)
        UPDATE accounts SET balance = 1 / (n - n) FROM events WHERE events.account_id = accounts.id
        UPDATE accounts SET owner = NULL WHERE id IN (SELECT account_id FROM events WHERE n > 290)
    """,
    "subqueries that choose": """
        DELETE FROM entries WHERE (account_id, id) IN (SELECT account_id, id FROM entries ORDER BY amount DESC, id LIMIT 10) RETURNING account_id, id
        DELETE FROM accounts WHERE id IN (SELECT account_id FROM events ORDER BY n LIMIT 5 OFFSET 2)
        UPDATE accounts SET state = 'top', changed = now() WHERE id = (SELECT account_id FROM entries WHERE amount < 200 ORDER BY amount DESC, id LIMIT 1) RETURNING id, state
        UPDATE accounts SET balance = 0 WHERE state = 'new' AND id = ANY (ARRAY(SELECT id FROM accounts ORDER BY opened DESC LIMIT 20))
        DELETE FROM entries WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY note ORDER BY at, id) AS n FROM entries) AS ranked WHERE n > 2)
        DELETE FROM archive WHERE note NOT IN (SELECT DISTINCT ON (note) note FROM entries WHERE note IS NOT NULL ORDER BY note, id)
        UPDATE entries SET note = 'x' WHERE day = (SELECT day FROM entries ORDER BY day DESC, id LIMIT 1) OR id IN (SELECT n FROM events WHERE n < 10)
        DELETE FROM accounts a WHERE EXISTS (SELECT FROM entries e WHERE e.account_id = a.id AND e.amount > 200 LIMIT 1)
        DELETE FROM accounts WHERE balance = (SELECT balance / (balance - balance) FROM accounts ORDER BY id LIMIT 1)
        DELETE FROM accounts WHERE id IN (SELECT nonsense FROM events LIMIT 1)
    """,
    "parts that are answered once": """
        WITH last AS (SELECT account_id, max(amount) AS most FROM entries GROUP BY account_id ORDER BY 2 DESC, 1 LIMIT 8) UPDATE accounts SET balance = most, state = 'last' FROM last WHERE last.account_id = accounts.id RETURNING id, balance
        WITH last(who, n) AS MATERIALIZED (SELECT account_id, row_number() OVER (ORDER BY id) FROM entries), few AS (SELECT who FROM last WHERE n < 12) DELETE FROM archive USING few WHERE few.who = archive.account_id RETURNING archive.account_id
        WITH unused AS (SELECT id FROM entries ORDER BY id LIMIT 3), idle AS (SELECT 1 / 0) DELETE FROM archive WHERE id > 40
        WITH unused(x, y) AS (SELECT id, owner FROM accounts LIMIT 3) UPDATE accounts SET balance = 1 WHERE id IN (SELECT account_id FROM entries WHERE amount > 200)
        WITH a AS (SELECT id FROM accounts ORDER BY id LIMIT 3) DELETE FROM entries WHERE account_id IN (SELECT id FROM U&"\\0061")
        WITH RECURSIVE a AS (SELECT r FROM b), b AS (SELECT random() AS r) UPDATE accounts SET balance = a.r - b.r FROM a, b
        WITH unused AS (SELECT nonsense FROM entries LIMIT 3) DELETE FROM archive WHERE id > 40
        WITH RECURSIVE down(id, depth) AS (SELECT 1::bigint, 1 UNION ALL SELECT id + 3, depth + 1 FROM down WHERE depth < 9) DELETE FROM entries USING down WHERE down.id = entries.account_id AND depth > 4 RETURNING account_id, id, depth
        WITH top AS (SELECT id, owner FROM accounts ORDER BY balance DESC, id LIMIT 4) UPDATE entries SET note = owner FROM top WHERE top.id = entries.account_id AND amount > (SELECT avg(amount) FROM entries) RETURNING account_id, note
        UPDATE entries SET note = (SELECT owner FROM accounts ORDER BY balance DESC, id LIMIT 1), day = now() WHERE account_id IN (SELECT id FROM accounts ORDER BY id OFFSET 100) RETURNING account_id, id, note
        WITH few AS (SELECT id FROM accounts ORDER BY id LIMIT 7) UPDATE accounts SET state = 'few' WHERE id IN (SELECT id FROM few WHERE id > 2) OR id = (SELECT max(id) FROM few)
        WITH now_ones AS (SELECT id, now() AS t FROM accounts ORDER BY id LIMIT 3) UPDATE accounts SET changed = t FROM now_ones WHERE now_ones.id = accounts.id
        DELETE FROM accounts WHERE id IN (SELECT id FROM accounts ORDER BY random() LIMIT 200)
        SELECT id, owner FROM accounts WHERE id IN (SELECT account_id FROM entries ORDER BY amount DESC, id LIMIT 5) FOR UPDATE
        SELECT id, owner FROM accounts WHERE balance > (SELECT avg(balance) FROM accounts) ORDER BY id LIMIT 5 FOR UPDATE
        UPDATE accounts SET owner = title FROM (SELECT id, title FROM picks ORDER BY id LIMIT 3) p WHERE p.id = accounts.id
        UPDATE accounts SET state = 'picked' WHERE id IN (SELECT id FROM picks) RETURNING id, state
        WITH p AS (SELECT id, title FROM picks WHERE title <> 'no') UPDATE accounts SET owner = title FROM p WHERE p.id = accounts.id RETURNING id, owner
        DELETE FROM entries WHERE account_id = (SELECT max(id) FROM picks) AND id IN (SELECT n FROM events ORDER BY n LIMIT 200)
        INSERT INTO archive (account_id, id, note) SELECT id, id + 1, title FROM picks ORDER BY id LIMIT 9 RETURNING account_id, id, note
        SELECT id, owner FROM accounts WHERE balance > (SELECT avg(balance) FROM accounts) FOR UPDATE
    """,
    "rows of tables that the shards of a write do not have": """
        DELETE FROM entries e USING picks p WHERE p.id = e.account_id AND e.amount > 50 RETURNING e.id, p.title
        UPDATE accounts SET owner = (SELECT max(p.title) FROM picks p WHERE p.id < accounts.id) WHERE id < 30 AND EXISTS (SELECT FROM picks WHERE id = accounts.id % 7)
        WITH p AS (SELECT * FROM picks), e AS (SELECT max(amount) AS top FROM entries) DELETE FROM archive a USING e WHERE EXISTS (SELECT FROM p WHERE p.id = a.account_id) AND a.amount < e.top RETURNING *
        WITH unused AS (SELECT FROM accounts JOIN picks ON true) UPDATE accounts SET owner = s.title FROM (SELECT account_id AS k, max(note) AS title FROM entries GROUP BY 1) s WHERE s.k = accounts.id + 1
        DELETE FROM rates r USING picks p, accounts a WHERE r.code = 'r' || p.id AND a.id = p.id
        DELETE FROM rates USING ONLY events WHERE 'r' || n = code
        INSERT INTO picks SELECT id, owner FROM accounts WHERE id > 1000 OR id < 5 RETURNING *
        INSERT INTO picks SELECT 500 + count(*), max(note) FROM entries
        INSERT INTO picks (id, title) SELECT n, NULL FROM events WHERE n BETWEEN 150 AND 160
        WITH top AS (SELECT max(id) AS id FROM accounts) UPDATE picks SET title = title || top.id FROM top WHERE picks.id < 4 RETURNING *
        DELETE FROM picks WHERE id IN (SELECT account_id FROM entries WHERE amount > 60) OR EXISTS (SELECT FROM accounts a WHERE a.owner = title)
        INSERT INTO entries (account_id, id, amount) VALUES (1, 9001, 1), (2, 9002, 2), (3, 9003, 3) RETURNING id, (SELECT max(title) FROM picks), (SELECT count(*) FROM entries)
        INSERT INTO entries (account_id, id, amount) VALUES (1, 9001, 1) RETURNING id, (SELECT min(id) FROM accounts WHERE balance > 10)
        DELETE FROM entries WHERE amount > 100 RETURNING id, (SELECT max(owner) FROM accounts), (SELECT count(*) FROM picks)
        UPDATE accounts SET id = id + 5000 WHERE id IN (SELECT id FROM accounts ORDER BY balance, id LIMIT 3) RETURNING id
        UPDATE accounts SET id = id + 5000, (owner, balance) = (upper(owner), balance + 1) WHERE id < 4 RETURNING id, owner, (SELECT count(*) FROM picks)
        WITH gone AS (DELETE FROM entries WHERE id IN (SELECT id FROM picks) RETURNING account_id, id) SELECT account_id, gone.id, p.title FROM gone LEFT JOIN picks p ON p.id = gone.id ORDER BY 1, 2
        WITH gone AS (DELETE FROM entries WHERE amount > (SELECT avg(amount) FROM entries) RETURNING account_id, amount) SELECT count(*), sum(amount) FROM gone
        WITH gone AS (DELETE FROM entries e WHERE EXISTS (SELECT FROM archive a WHERE a.id = e.id) RETURNING account_id, id) INSERT INTO archive (account_id, id) SELECT account_id, id + 10000 FROM gone
    """,
    "of what each row of a write chooses": """
        UPDATE accounts SET owner = (SELECT e.note FROM entries e WHERE e.amount > accounts.balance ORDER BY e.amount, e.id, e.account_id LIMIT 1) WHERE id < 40
        DELETE FROM accounts a WHERE a.id IN (SELECT e.account_id FROM entries e WHERE e.id > a.id ORDER BY 1 DESC LIMIT 5)
        DELETE FROM entries e WHERE e.id = (SELECT DISTINCT ON (x.account_id) x.id FROM archive x WHERE x.amount > e.amount ORDER BY x.account_id, x.id LIMIT 1) RETURNING account_id, id
        UPDATE entries SET note = (SELECT r.code FROM rates r WHERE r.rate > entries.amount ORDER BY r.rate, r.code LIMIT 1)
    """,
    "locks on rows in an order that only a server knows": """
        SELECT id, owner FROM accounts ORDER BY owner, id LIMIT 5 FOR UPDATE
        SELECT * FROM accounts WHERE balance > 10 ORDER BY owner DESC NULLS LAST, id FOR NO KEY UPDATE
        SELECT id, owner AS who FROM accounts a WHERE a.id % 3 = 1 ORDER BY 2, 1 DESC LIMIT 4 OFFSET 2 FOR SHARE
        SELECT upper(owner) FROM accounts ORDER BY upper(owner), id FOR UPDATE
    """,
    "reference tables, from rows of others": """
        INSERT INTO rates (code, rate, changed, token) SELECT 'a' || id, balance, opened, token FROM accounts WHERE id < 12 RETURNING code, rate
        INSERT INTO rates (code, rate, changed, token) SELECT 'r' || n, n, NULL::timestamptz, NULL::uuid FROM events WHERE n < 20 ON CONFLICT (code) DO UPDATE SET rate = excluded.rate + 1
        INSERT INTO rates (code, rate, changed, token) SELECT note, sum(amount), max(at), NULL::uuid FROM entries WHERE note IS NOT NULL GROUP BY note ORDER BY 1 LIMIT 5 RETURNING *
        INSERT INTO rates (code, rate, changed, token) SELECT 'p' || id, id, NULL::timestamptz, NULL::uuid FROM picks
        WITH sums AS (SELECT account_id, sum(amount) AS all_of_it FROM entries GROUP BY account_id) INSERT INTO rates (code, rate, changed, token) SELECT 's' || account_id, all_of_it, NULL::timestamptz, NULL::uuid FROM sums
        UPDATE rates SET rate = (SELECT max(balance) FROM accounts), changed = now() WHERE code IN (SELECT 'r' || n FROM events WHERE n < 4) RETURNING code, rate
        UPDATE rates SET rate = rate + (SELECT count(*) FROM rates)
        UPDATE rates SET rate = (SELECT max(rate) FROM rates) WHERE code = 'r1'
        UPDATE rates SET rate = cardinality(ARRAY(SELECT code FROM rates)) WHERE code = 'r1' RETURNING *
        INSERT INTO rates (code, rate, changed, token) SELECT lower(upper(code)), rate + 1, changed, token FROM rates ON CONFLICT (code) DO UPDATE SET rate = excluded.rate
        WITH x AS (SELECT random() AS r) INSERT INTO rates (code, rate, changed, token) SELECT 'r' || id, r, NULL::timestamptz, NULL::uuid FROM accounts, x WHERE id < 9 ON CONFLICT (code) DO UPDATE SET rate = round(excluded.rate - (SELECT r::numeric FROM x), 6) RETURNING code, rate
        WITH known AS (SELECT 'r' || id AS code FROM picks) DELETE FROM rates WHERE code IN (SELECT code FROM known) RETURNING *
        DELETE FROM rates WHERE code NOT IN (SELECT 'r' || n FROM events WHERE n < 4)
        DELETE FROM rates WHERE EXISTS (SELECT FROM events WHERE 'r' || n = code)
        DELETE FROM rates USING events WHERE 'r' || n = code
        WITH unused AS (SELECT 1) UPDATE rates SET rate = 0 WHERE code = 'r1'
        DELETE FROM rates WHERE rate = (SELECT rate / (rate - rate) FROM entries, rates LIMIT 1)
        INSERT INTO rates (code, rate) SELECT 'a' || id, balance FROM accounts WHERE id < 12
        INSERT INTO rates (code, rate, changed, token) SELECT owner, 1, NULL, NULL FROM accounts WHERE id < 5
    """,
    "rows of JSON": """
        UPDATE events SET n = x.n FROM jsonb_to_recordset('[{"id": 1, "n": 77}, {"id": 2, "n": 78}]') AS x(id bigint, n int) WHERE x.id = events.id
        DELETE FROM events USING json_to_recordset('[{"id": 1}, {"id": 9}]') AS x(id bigint) WHERE x.id = events.id
        UPDATE accounts SET owner = (SELECT string_agg(x, ',' ORDER BY x DESC) FROM unnest(ARRAY[owner, state]) x) WHERE id < 9
        UPDATE accounts SET owner = (SELECT jsonb_object_agg(key, value) FROM jsonb_each_text('{"a": 1, "b": 2}') WHERE key <> owner)::text
        INSERT INTO accounts (id, owner) SELECT id, owner FROM jsonb_to_recordset('[{"id": 1, "owner": "x", "at": "2020-01-01"}, {"id": 7001, "owner": "y"}]') AS j(id bigint, owner text, at date) ON CONFLICT (id) DO UPDATE SET owner = excluded.owner RETURNING id, owner, (xmax = 0)
        INSERT INTO accounts (id, owner) VALUES (1, 'a'), (2, 'b'), (7003, 'c') ON CONFLICT (id) DO UPDATE SET owner = excluded.owner RETURNING id, (xmax = 0) AS inserted
    """,
    "constants beside GROUP BY": """
        INSERT INTO accounts (id, owner, balance) SELECT 8000 + max(id), 'x', NULL FROM accounts GROUP BY owner
        INSERT INTO accounts (id, balance, opened) SELECT 8000 + max(id), '5', '2020-01-01' FROM accounts GROUP BY owner RETURNING id, balance, opened
        INSERT INTO accounts (id, balance) SELECT 8000 + max(id), '5' AS b FROM accounts GROUP BY owner, b
        INSERT INTO rates (code, rate, changed, token) SELECT 'zz', max(rate), NULL, NULL FROM rates
        INSERT INTO rates (code, rate, changed, token) VALUES ((SELECT max(code) || 'z' FROM rates), 7, NULL, NULL)
    """,
    "row locks": """
        SELECT id, owner FROM accounts WHERE state = 'new' FOR UPDATE
        SELECT id, owner, opened < now() FROM accounts WHERE id IN (1, 2, 3, 4) AND opened < now() FOR NO KEY UPDATE SKIP LOCKED
        SELECT a.id, e.id FROM accounts a JOIN entries e ON e.account_id = a.id WHERE e.amount > 200 FOR SHARE OF e NOWAIT
        SELECT id, owner FROM accounts WHERE state = 'new' ORDER BY id FOR UPDATE
        SELECT id, owner FROM accounts WHERE state = 'new' ORDER BY id DESC LIMIT 7 FOR UPDATE
        SELECT id, owner FROM accounts WHERE state = 'new' ORDER BY id DESC LIMIT 3 FOR UPDATE
        SELECT id, owner FROM accounts WHERE state = 'new' ORDER BY id DESC FOR UPDATE SKIP LOCKED
        SELECT id, owner FROM accounts WHERE state = 'new' ORDER BY id DESC LIMIT 3 FOR UPDATE SKIP LOCKED
        SELECT opened, id FROM accounts WHERE opened < now() AND id IN (1, 2, 3, 4, 5, 6) ORDER BY opened DESC, id LIMIT 4 FOR NO KEY UPDATE
        SELECT * FROM accounts a WHERE a.balance > 20 ORDER BY 1 LIMIT 5 FOR SHARE
        SELECT count(*) > 3 FROM accounts WHERE id < 9 FOR UPDATE
        SELECT a.id, e.id AS entry FROM accounts a JOIN entries e ON e.account_id = a.id WHERE e.amount > 150 ORDER BY a.id, entry LIMIT 12 FOR UPDATE OF a
        SELECT id FROM accounts WHERE id < 0 LIMIT 1 FOR UPDATE
        SELECT 'one' FROM accounts LIMIT 4 FOR UPDATE
    """,
    "INSERT ... SELECT, shard by shard": """
        INSERT INTO archive (account_id, id, amount, note, moved) SELECT account_id, id, amount, note, at FROM entries WHERE amount > 150
        INSERT INTO archive (account_id, id, amount, note, moved) SELECT account_id, id, amount, note, at FROM entries WHERE account_id = 5
        INSERT INTO archive (moved, account_id, amount) SELECT now(), account_id, sum(amount) FROM entries GROUP BY account_id HAVING sum(amount) > 900 RETURNING account_id, amount, moved = now()
        INSERT INTO archive (account_id, id, moved) SELECT DISTINCT e.account_id, a.id, NULL::timestamptz FROM entries e JOIN accounts a ON a.id = e.account_id WHERE a.state = 'new'
        INSERT INTO archive SELECT e.account_id, e.id, r.rate, r.code, NULL FROM entries e JOIN rates r ON r.code = 'r' || e.id
        INSERT INTO archive SELECT *  FROM archive WHERE id < 9
        INSERT INTO entries (account_id, id, amount, day, at) SELECT a.id, 9000 + a.id, a.balance, NULL, NULL FROM accounts a ON CONFLICT (account_id, id) DO UPDATE SET note = 'again'
        INSERT INTO archive (account_id, id, amount, note, moved) SELECT account_id, id, random() * 0, 'x', NULL FROM entries ORDER BY id
    """,
    "INSERT ... SELECT, rows that go to other shards": """
        INSERT INTO accounts (id, owner) SELECT 1001, 'x' RETURNING id, owner, state
        INSERT INTO accounts (id, owner) SELECT id + 1000, owner FROM accounts WHERE id < 40
        INSERT INTO accounts (id, owner, balance, opened) SELECT 1000 + n, 'n' || n, n / 3.0, '2024-05-06' FROM generate_series(1, 30) AS n RETURNING id, owner, balance, opened
        INSERT INTO archive SELECT account_id, id, amount, note FROM entries WHERE id < 200
        INSERT INTO archive SELECT * FROM entries
        INSERT INTO archive (account_id, amount) SELECT id, sum(n) FROM (SELECT account_id AS id, n FROM events) q GROUP BY id HAVING id IS NOT NULL ORDER BY id
        INSERT INTO archive (account_id, id, note, moved) SELECT account_id, n, name, at FROM events ORDER BY n DESC LIMIT 25 RETURNING *
        INSERT INTO archive (account_id, id, note, moved) SELECT account_id, id, 'u', NULL FROM entries WHERE id < 50 UNION ALL SELECT account_id, n, name, at FROM events WHERE n < 50
        WITH best AS (SELECT account_id, max(amount) AS amount FROM entries GROUP BY account_id) INSERT INTO archive (account_id, amount) SELECT account_id, amount FROM best WHERE amount > 220 RETURNING account_id, moved = now(), amount
        INSERT INTO archive (account_id, moved) WITH b AS (SELECT id FROM accounts WHERE balance > 200) SELECT id * 10, now() FROM b
        INSERT INTO archive (account_id, id, note, moved) SELECT a.id, e.n, e.name, now() FROM accounts a LEFT JOIN events e ON e.account_id = a.id
        INSERT INTO archive (account_id, id, note, moved) SELECT e.account_id, e.id, NULL, NULL FROM accounts a LEFT JOIN entries e ON e.account_id = a.id AND e.amount > 200
        INSERT INTO accounts (id, owner, info, token) SELECT id + 1000, owner, info, gen_random_uuid() FROM accounts WHERE state = 'open'
        INSERT INTO accounts (id, owner) SELECT id, 'twice' FROM accounts WHERE id < 5 ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, changed = now() RETURNING accounts.id, accounts.owner
        INSERT INTO accounts (id, owner) SELECT account_id, name FROM events ORDER BY id ON CONFLICT DO NOTHING
        INSERT INTO accounts (id, owner) SELECT account_id, min(name) FROM events GROUP BY account_id ON CONFLICT DO NOTHING RETURNING id
        INSERT INTO accounts (id, owner) SELECT id, owner FROM accounts WHERE id = 7
        INSERT INTO accounts (id, owner, state) SELECT id + 1000, owner, 'much longer than that' FROM accounts
        INSERT INTO accounts (id, owner, balance) SELECT id + 1000, owner, id / (id - id) FROM accounts
        INSERT INTO accounts (id, owner) SELECT NULL, 'x' FROM accounts
        INSERT INTO accounts (id, owner, opened) SELECT id + 1000, owner, 'no time' FROM accounts
        INSERT INTO accounts (id, owner, opened) SELECT id + 1000, owner, owner FROM accounts
        INSERT INTO accounts (id, owner) SELECT id + 1000, owner, balance FROM accounts
        INSERT INTO accounts (owner) SELECT name FROM events
        INSERT INTO events (id, name, account_id) SELECT row_number() OVER (ORDER BY code) + 1000, code, 1 FROM rates
        INSERT INTO accounts (id, owner) VALUES ((SELECT max(id) + 1 FROM accounts), 'one more') RETURNING id
        INSERT INTO accounts (id, owner, balance) VALUES (1000 + 1, 'a', (SELECT avg(amount) FROM entries)) RETURNING id, balance
        INSERT INTO entries (account_id, id, amount, note) TABLE archive
        INSERT INTO entries (account_id, id, amount, note) (SELECT account_id, id + 90000, coalesce(amount, 0), note FROM archive)
    """,
    "rows that move": """
        UPDATE accounts SET id = id + 1000
        UPDATE accounts SET id = id + 1000, owner = upper(owner), changed = now() WHERE state = 'open' RETURNING id, owner, state, changed IS NULL AS same
        UPDATE accounts SET id = id + 1000 WHERE id < 5 RETURNING id, now()
        UPDATE accounts SET id = id + 1 WHERE id < 10
        UPDATE accounts SET id = 2001 WHERE id = 1
        UPDATE accounts SET id = 1, owner = 'same' WHERE id = 1 RETURNING *
        UPDATE accounts SET id = id, owner = 'same' WHERE id < 10 RETURNING id, owner
        UPDATE accounts SET id = 2, owner = 'there already' WHERE id = 1
        UPDATE accounts SET id = 2002 WHERE id IN (1, 2)
        UPDATE accounts SET id = NULL WHERE id = 1
        UPDATE accounts SET id = NULL WHERE id = 99999
        UPDATE accounts SET id = NULL
        UPDATE accounts SET id = 'x' WHERE id = 1
        UPDATE accounts SET id = '2003' WHERE id = 1 RETURNING id, info, opened, token
        UPDATE accounts SET id = 2004.4 WHERE id = 1 RETURNING id
        UPDATE accounts SET id = 10 ^ 40 WHERE id = 1
        UPDATE accounts SET id = 2005, nonsense = 1 WHERE id = 1
        UPDATE accounts SET id = 2005, state = 'much longer than that' WHERE id = 1
        UPDATE accounts SET id = 2005, owner = NULL WHERE id = 1
        UPDATE accounts SET id = 2005, state = DEFAULT, balance = '7.5', info = '{"a": [1, null]}', opened = '2024-02-03' WHERE id = 1 RETURNING *
        UPDATE accounts SET id = -id WHERE balance > 200 RETURNING accounts.id, public.accounts.owner
        UPDATE accounts AS a SET id = a.id * 100000 WHERE a.owner LIKE 'owner 1_' RETURNING a.*
        UPDATE accounts SET id = 1000 + account_id, owner = 'e' FROM events WHERE events.n = accounts.id AND events.n < 5
        UPDATE accounts SET id = (SELECT max(id) + 1 FROM accounts) WHERE id = 3 RETURNING id
        UPDATE accounts SET id = id + 5000 WHERE id IN (SELECT account_id FROM events WHERE n < 30) RETURNING id
        WITH e AS (SELECT account_id AS a FROM events WHERE n > 290) UPDATE accounts SET id = id + 6000 FROM e WHERE a = id
        UPDATE accounts SET token = gen_random_uuid(), id = id + 7000 WHERE id < 5
        UPDATE accounts SET id = id + 1000 WHERE id = 99999 RETURNING id
        UPDATE entries SET account_id = account_id + 1 WHERE id < 100 RETURNING account_id, id, at, day
        UPDATE entries SET account_id = 5 WHERE note = 'note 3' RETURNING account_id, id
        UPDATE entries SET account_id = 5, amount = amount / 0
        UPDATE archive SET account_id = account_id * 2, id = NULL WHERE id > 30
        UPDATE archive SET account_id = 7, moved = NULL WHERE account_id = 8 RETURNING *
        UPDATE events SET id = id + 1
        UPDATE events SET id = 3 WHERE n > 200 RETURNING id, name, at
        UPDATE numbered SET id = DEFAULT WHERE id = 5
        UPDATE numbered SET id = 7 WHERE id = 5
        UPDATE owned SET numbered_id = 3 WHERE what = 'o1' RETURNING numbered_id, n, what
        UPDATE owned SET numbered_id = numbered_id + 1
        UPDATE owned SET numbered_id = 4000 WHERE what = 'o1'
        INSERT INTO accounts (id, owner) VALUES (1, 'a'), (2, 'b'), (1003, 'c') ON CONFLICT (id) DO UPDATE SET id = excluded.id, owner = excluded.owner RETURNING id, owner
    """,
    "numbers of sequences": """
        INSERT INTO tickets (account_id, title) VALUES (1, 'a') RETURNING id, opened = now()
        INSERT INTO tickets (account_id, title) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd') RETURNING id, account_id, title
        INSERT INTO tickets (account_id, id, title) VALUES (1, DEFAULT, 'a'), (2, 77, 'b'), (3, DEFAULT, 'c') RETURNING id, account_id
        INSERT INTO tickets VALUES (DEFAULT, 9, 'x', DEFAULT), (DEFAULT, 10, 'y', '2024-01-01') RETURNING id, account_id, title
        INSERT INTO tickets (id, account_id) VALUES (nextval('tickets_id_seq'), 3), (nextval('tickets_id_seq'::regclass) * 10, 4) RETURNING id
        INSERT INTO tickets (title) VALUES ('nobody''s')
        INSERT INTO tickets (account_id, title) SELECT id, owner FROM accounts WHERE id < 20 ORDER BY id RETURNING id, account_id
        INSERT INTO tickets (account_id, title) SELECT account_id, name FROM events ORDER BY n DESC LIMIT 7 RETURNING id, account_id, title
        INSERT INTO tickets (title, account_id) SELECT 'n' || n, n FROM generate_series(1, 9) AS n RETURNING id, account_id, opened = now()
        INSERT INTO tickets (account_id, title) SELECT 5, 'five' RETURNING id
        INSERT INTO tickets (account_id, title) WITH x AS (SELECT id FROM accounts WHERE id < 4) SELECT id, 'w' FROM x ORDER BY 1 RETURNING id, account_id
        INSERT INTO tickets (account_id, title) SELECT account_id, count(*) FROM tickets GROUP BY account_id ORDER BY account_id
        INSERT INTO numbered (name) VALUES ('one') RETURNING id, name, code, twice
        INSERT INTO numbered (name, price) VALUES ('one', 1), ('two', 2), ('three', 3), ('four', 4) RETURNING id, name, code, twice
        INSERT INTO numbered DEFAULT VALUES RETURNING id, name, code
        INSERT INTO numbered VALUES (DEFAULT, 'x', 'own') RETURNING id, code
        INSERT INTO numbered (id, name) VALUES (5, 'taken')
        INSERT INTO numbered (id, name) OVERRIDING SYSTEM VALUE VALUES (5, 'taken')
        INSERT INTO numbered (id, name) OVERRIDING SYSTEM VALUE VALUES (2000, 'mine'), (2001, 'too') RETURNING id, code
        INSERT INTO numbered (id, name) VALUES (DEFAULT, 'a'), (5, 'b')
        INSERT INTO numbered (price) VALUES (-1)
        INSERT INTO numbered (price) VALUES ('x')
        INSERT INTO numbered (name) VALUES (NULL)
        INSERT INTO numbered (nonsense) VALUES (1)
        INSERT INTO numbered (name, price) SELECT owner, balance + 1 FROM accounts WHERE id < 9 ORDER BY id RETURNING id, name, code, price
        INSERT INTO numbered (name) VALUES ('a'), ('b') ON CONFLICT (id) DO NOTHING RETURNING id
        INSERT INTO owned (numbered_id, what) VALUES (1, 'a'), (2, 'b'), (3, 'c') RETURNING n, numbered_id
        INSERT INTO owned (numbered_id, what) VALUES (9000, 'nowhere')
        INSERT INTO owned VALUES (1, 7, 'a'), (2, DEFAULT, 'b') RETURNING n
        INSERT INTO kinds (name) VALUES ('a'), ('b') RETURNING id, name
        INSERT INTO kinds VALUES (DEFAULT, 'c') RETURNING *
        INSERT INTO kinds (id, name) VALUES (100, 'd')
        SELECT nextval('codes'), nextval('codes')
        SELECT nextval('codes') FROM generate_series(1, 5)
        SELECT setval('codes', 42, false)
        SELECT setval('codes', 42), currval('codes')
        SELECT last_value, is_called FROM tickets_id_seq
        SELECT nextval(pg_get_serial_sequence('tickets', 'id'))
        SELECT nextval('no_such_sequence')
    """,
    "several columns from one subquery": """
        UPDATE accounts SET (owner, balance) = (SELECT 'z', 7) WHERE id = 3 RETURNING id, owner, balance
        UPDATE accounts SET (owner, balance) = (SELECT 'z', 7.5) WHERE id < 30
        UPDATE accounts SET (owner, balance) = (SELECT max(note), coalesce(sum(amount), 0) FROM entries e WHERE e.account_id = accounts.id) WHERE id IN (SELECT account_id FROM entries WHERE note IS NOT NULL) AND id < 30
        UPDATE accounts SET state = 'x', (owner, balance) = (SELECT name, n FROM events WHERE id = 9), info = NULL WHERE id < 9
        UPDATE rates SET (rate, token) = (SELECT max(balance), NULL::uuid FROM accounts) WHERE code < 'r4'
        UPDATE picks SET (id, title) = (SELECT 1000 + max(id), 'x' FROM accounts) WHERE id = 7
        INSERT INTO accounts (id, owner) VALUES (3, 'x'), (4, 'y') ON CONFLICT (id) DO UPDATE SET (owner, balance) = (SELECT excluded.owner, 5)
        UPDATE accounts SET (owner, balance) = (SELECT 'z', 7, 8) WHERE id < 9
        UPDATE accounts SET (owner, balance) = (SELECT owner, balance FROM accounts) WHERE id < 9
    """,
    "joined with a subquery that chooses": """
        UPDATE accounts SET owner = s.note FROM (WITH entries AS (SELECT * FROM entries WHERE amount > 50) (SELECT account_id, note FROM entries ORDER BY amount, id LIMIT 1)) s WHERE s.account_id = accounts.id
        UPDATE accounts SET balance = s.place FROM (SELECT id, row_number() OVER (ORDER BY balance DESC, id) AS place FROM accounts) s WHERE s.id = accounts.id RETURNING accounts.id, balance
        UPDATE accounts a SET owner = s.note FROM rates, (SELECT DISTINCT ON (account_id) account_id, note FROM entries WHERE note IS NOT NULL ORDER BY account_id, id) s WHERE s.account_id = a.id AND rates.code = 'r1'
        DELETE FROM entries e USING (SELECT account_id, id, row_number() OVER (PARTITION BY note ORDER BY id) AS copy FROM entries) d WHERE d.copy > 20 AND d.account_id = e.account_id AND d.id = e.id RETURNING e.account_id, e.id
        DELETE FROM entries USING (SELECT id AS account FROM accounts ORDER BY balance, id LIMIT 5) a JOIN events ON events.account_id = a.account WHERE entries.account_id = a.account AND events.n < 200
        WITH best AS (SELECT id FROM accounts WHERE balance > 200) UPDATE accounts SET state = 'best' FROM (SELECT id FROM best ORDER BY id DESC LIMIT 4) b WHERE b.id = accounts.id RETURNING accounts.id
        UPDATE accounts SET owner = title FROM (SELECT id, title FROM picks ORDER BY id LIMIT 3) p WHERE p.id = accounts.id
    """,
    "a WITH that is named behind the rows": """
        WITH first AS (SELECT owner AS u FROM accounts ORDER BY balance, id LIMIT 1) INSERT INTO accounts (id, owner) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET owner = (SELECT u FROM first) RETURNING id, owner
        WITH entries AS (SELECT owner AS note FROM accounts ORDER BY id DESC LIMIT 1) INSERT INTO accounts (id, owner) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET owner = (SELECT max(note) FROM entries) RETURNING id, owner
        WITH entries AS (SELECT owner AS note FROM accounts ORDER BY id DESC LIMIT 1) INSERT INTO accounts (id, owner) VALUES (1001, 'x') RETURNING id, (SELECT max(note) FROM entries)
        WITH entries AS (SELECT id, owner FROM accounts ORDER BY id LIMIT 3) INSERT INTO accounts (id, owner) SELECT id + 9000, owner FROM entries ON CONFLICT (id) DO UPDATE SET owner = 'again' WHERE EXISTS (SELECT FROM entries WHERE entries.owner = accounts.owner) RETURNING id, (SELECT count(*) FROM entries)
        WITH few AS (SELECT id FROM accounts ORDER BY id LIMIT 1) INSERT INTO accounts (id, owner) VALUES (1, 'x'), (2, 'y'), (3, 'z') ON CONFLICT (id) DO UPDATE SET owner = 'new', changed = now() WHERE accounts.id > (SELECT id FROM few)
    """,
    "sets in VALUES": """
        INSERT INTO events VALUES (generate_series(9130, 9135))
        INSERT INTO events VALUES (generate_series(9140, 9142), 'x', generate_series(1, 3)) RETURNING *
        INSERT INTO accounts (id, owner, balance, opened) VALUES (generate_series(9120, 9125), 'seven', 5, '2024-01-01') RETURNING id, owner, balance, opened
        INSERT INTO events VALUES (generate_series(1, 9140), 'x', 1) ON CONFLICT DO NOTHING
        INSERT INTO entries (account_id, id, amount) VALUES (7, generate_series(9180, 9182), 1)
        INSERT INTO events VALUES (9001, 'x', generate_series(1, 3)), (9002, 'x', 2)
    """,
    "rows of VALUES with subqueries": """
        INSERT INTO events (id, name, n) VALUES (9001, 'a', (SELECT count(*) FROM rates)), (9002, 'b', (SELECT length(code) FROM rates WHERE code = 'r2')), (9003, 'c', 4)
        INSERT INTO events (id, name) VALUES (9001, (SELECT code FROM rates WHERE rate = 1)), (9002, (SELECT max(code) FROM rates)) RETURNING id, name
        INSERT INTO events (id, name) VALUES (9001, 'a'), (9002, 'b'), (9003, 'c') RETURNING id, (SELECT code FROM rates ORDER BY code LIMIT 1)
    """,
    "rows of different lengths": """
        INSERT INTO events VALUES (9001), (9002, 'x')
        INSERT INTO events VALUES (9001, 'x', 1), (9002, 'x', 1, 2), (9003, 'y', 2)
        INSERT INTO events (id, name) VALUES (9001, 'x'), (9002)
        INSERT INTO events VALUES (9001, 'x'), (9002, 'x'), (9003, 'x'), (9004, 'x'), (9005)
    """,
    "objects as rows": """
        INSERT INTO events (id, name) SELECT id, name FROM json_to_recordset('[{"id": 9001, "name": "a"}, {"id": 9002, "name": "b"}]') AS x(id bigint, name text)
        INSERT INTO events SELECT * FROM jsonb_populate_recordset(NULL::events, '[{"id": 9001, "name": "a"}, {"id": 9002, "n": 5}]')
        INSERT INTO picks SELECT id, title FROM jsonb_to_recordset('[{"id": 9001, "title": "a"}]') AS x(id bigint, title text)
        UPDATE events SET n = x.n FROM jsonb_to_recordset('[{"id": 1, "n": 77}, {"id": 2, "n": 78}]') AS x(id bigint, n int) WHERE x.id = events.id
    """,
    "a table of one shard with a default of the moment": """
        UPDATE signs SET word = 'x' WHERE id IN (SELECT id FROM accounts WHERE balance > 100)
        UPDATE signs SET word = (SELECT max(owner) FROM accounts)
        UPDATE signs SET word = owner FROM accounts WHERE accounts.id = signs.id RETURNING signs.id, word
        DELETE FROM signs WHERE id IN (SELECT id FROM accounts)
    """,
    "errors of the server's own": """
        SELEC 1
        UPDATE accounts SET WHERE id = 1
        INSERT INTO accounts (id, owner VALUES (1, 'x')
        UPDATE accounts SET nonsense = 1, id = id + 1
        INSERT INTO accounts (nonsense) VALUES (1)
        DELETE FROM accounts WHERE no_such_function(id)
        SELECT id FROM accounts FULL JOIN entries ON nonsense FOR UPDATE
    """,
    "WITH that writes": """
        WITH gone AS (DELETE FROM entries WHERE amount > 200 RETURNING *) SELECT count(*), sum(amount), min(at) FROM gone
        WITH gone AS (DELETE FROM entries WHERE amount > 220 RETURNING account_id, id, amount * 2 AS twice, note, day) SELECT * FROM gone ORDER BY account_id, id
        WITH gone AS (DELETE FROM entries WHERE amount > 220 RETURNING *) SELECT gone.id, a.owner, a.info FROM gone JOIN accounts a ON a.id = gone.account_id ORDER BY 1
        WITH gone AS (DELETE FROM entries e WHERE amount > 220 RETURNING e.*) SELECT g.* FROM gone g ORDER BY g.id LIMIT 3
        WITH gone AS (DELETE FROM entries WHERE amount > 200 RETURNING account_id, id, amount, note) INSERT INTO archive (account_id, id, amount, note) SELECT * FROM gone
        WITH gone AS (DELETE FROM entries WHERE amount > 200 RETURNING account_id AS a, id AS i) INSERT INTO archive (id, account_id, moved) SELECT a, i, now() FROM gone RETURNING account_id, id, moved = now()
        WITH gone AS (DELETE FROM archive WHERE id < 30 RETURNING *) INSERT INTO archive SELECT account_id + 1, id, amount * 2, note, moved FROM gone RETURNING *
        WITH gone AS (DELETE FROM entries WHERE amount > 200 RETURNING account_id), kept AS (SELECT count(*) AS n FROM entries) SELECT kept.n, count(*) FROM gone, kept GROUP BY 1
        WITH up AS (UPDATE accounts SET balance = balance + 1, changed = now() WHERE state = 'open' RETURNING id, balance, changed = LOCALTIMESTAMP AS now, info, balance::float4 AS f, token IS NULL) SELECT * FROM up WHERE now ORDER BY id
        WITH up AS (UPDATE accounts SET state = 'x' WHERE id < 50) SELECT count(*) FROM accounts WHERE state = 'x'
        WITH up AS (UPDATE accounts SET state = 'x' WHERE id < 50) SELECT 1
        WITH up AS (UPDATE accounts SET state = 'x' WHERE id = 5 RETURNING id), gone AS (DELETE FROM entries WHERE account_id = 6 RETURNING id) SELECT 'up', id FROM up UNION ALL SELECT 'gone', id FROM gone ORDER BY 1, 2
        WITH up AS (UPDATE accounts SET owner = 'o' || id WHERE id < 9 RETURNING id, owner), gone AS (DELETE FROM entries WHERE account_id < 9 RETURNING account_id, amount, note) SELECT up.owner, max(gone.amount), count(gone.note) FROM up LEFT JOIN gone ON gone.account_id = up.id GROUP BY 1 ORDER BY 1
        WITH gone AS (DELETE FROM entries WHERE amount > 100 RETURNING account_id, amount) UPDATE accounts SET balance = balance - s.s, changed = now() FROM (SELECT account_id, sum(amount) AS s FROM gone GROUP BY 1) s WHERE s.account_id = accounts.id RETURNING id, balance
        WITH up AS (UPDATE accounts SET state = 'closed' WHERE balance > 200 RETURNING id) DELETE FROM entries USING up WHERE up.id = entries.account_id
        WITH up AS (UPDATE accounts SET state = 'closed' WHERE balance > 200 RETURNING id) DELETE FROM entries WHERE account_id IN (SELECT id FROM up) RETURNING account_id, id
        WITH a (x, y) AS (UPDATE accounts SET owner = upper(owner) WHERE id < 10 RETURNING id, owner) SELECT x, y FROM a ORDER BY x
        WITH a AS (UPDATE accounts SET owner = upper(owner) WHERE id < 10 RETURNING id, id, owner AS owner) SELECT owner FROM a ORDER BY 1
        WITH a AS (UPDATE accounts SET owner = upper(owner) WHERE id < 3 RETURNING accounts) SELECT * FROM a
        WITH a AS (UPDATE accounts SET owner = r.code FROM rates r WHERE r.code = 'r' || accounts.id RETURNING id, r.rate) SELECT id, rate FROM a ORDER BY 1
        WITH a AS (UPDATE accounts SET balance = e.amount FROM entries e WHERE e.account_id = accounts.id AND e.id = accounts.id - 1 RETURNING accounts.id, e.note, balance) SELECT * FROM a ORDER BY 1 LIMIT 20
        WITH a AS (DELETE FROM archive RETURNING to_jsonb(note) AS j, ARRAY[id, 1] AS l, '1 day'::interval AS i, 'x' AS unknown, NULL) SELECT * FROM a ORDER BY 2 LIMIT 4
        WITH a AS (DELETE FROM archive WHERE id < 3 RETURNING id), b AS (SELECT * FROM a), c AS (SELECT count(*) AS n FROM b) SELECT * FROM b, c ORDER BY 1
        WITH a AS (DELETE FROM archive WHERE id < 3 RETURNING nonsense) SELECT * FROM a
        WITH a AS (DELETE FROM archive WHERE id < 3 RETURNING id) SELECT nonsense FROM a
        WITH a AS (DELETE FROM archive WHERE id < 3) SELECT * FROM a
        WITH a AS (DELETE FROM archive RETURNING id) SELECT 1 / (id - id) FROM a
        WITH a AS (UPDATE accounts SET owner = NULL RETURNING id) SELECT * FROM a
        WITH a AS (UPDATE accounts SET balance = 1 WHERE id < 9 RETURNING id) UPDATE accounts SET owner = 'z' FROM a WHERE a.id = accounts.id
        WITH a AS (INSERT INTO archive (account_id, id) VALUES (1, 2), (3, 4), (5, 6) RETURNING account_id, id, moved = now() AS m) SELECT * FROM a ORDER BY 1
        WITH a AS (INSERT INTO archive VALUES (1, 2, 3, 'x', NULL), (3, 4, 5, 'y', NULL) RETURNING *) SELECT count(*), sum(amount), max(note) FROM a
        WITH a AS (INSERT INTO accounts (id, owner, opened) VALUES (1001, 'a', now()), (1002, 'b', '2024-01-01')) SELECT count(*) FROM accounts
        WITH a AS (INSERT INTO accounts VALUES (1, 'a'), (1003, 'b') ON CONFLICT (id) DO UPDATE SET owner = excluded.owner RETURNING id, owner) SELECT a.*, x.balance FROM a LEFT JOIN accounts x USING (id) ORDER BY id
        WITH a AS (INSERT INTO accounts (id, owner) VALUES (1001, 'a'), (1002, 'b'), (1003, 'c') RETURNING id, owner) INSERT INTO entries (account_id, id, amount) SELECT id, 1, 5 FROM a RETURNING account_id, id
        WITH a AS (INSERT INTO accounts (id, owner) VALUES (1, 'taken'), (1002, 'b')) SELECT 1
        WITH a AS (INSERT INTO accounts (id, owner) VALUES (1001, 'a'), (NULL, 'b')) SELECT 1
        WITH gone AS (DELETE FROM entries WHERE account_id IN (1, 2, 3, 4) RETURNING *), a AS (INSERT INTO archive (account_id, id, moved) VALUES (7, 7, NULL), (8, 8, NULL) RETURNING id) SELECT (SELECT count(*) FROM gone), (SELECT sum(id) FROM a)
        WITH a AS (INSERT INTO archive (account_id, id, moved) SELECT account_id, id, at FROM entries WHERE amount > 200 RETURNING *) SELECT count(*), max(id), min(moved) FROM a
        WITH gone AS (DELETE FROM numbered WHERE id < 5 RETURNING id) DELETE FROM owned USING gone WHERE owned.numbered_id = gone.id
        WITH gone AS (DELETE FROM numbered WHERE id < 5 RETURNING id) SELECT * FROM gone
        WITH gone AS (DELETE FROM owned WHERE numbered_id < 7 RETURNING numbered_id) DELETE FROM numbered USING gone WHERE id = numbered_id RETURNING id
        WITH t AS (INSERT INTO tickets (account_id, title) VALUES (1, 'x'), (2, 'y'), (3, 'z') RETURNING id) SELECT * FROM t
        WITH d AS (DELETE FROM entries WHERE account_id = 6 RETURNING account_id, id) INSERT INTO picks SELECT 100000 + id, 'x' FROM d
        WITH d AS (DELETE FROM entries WHERE amount > 200 RETURNING account_id, id) INSERT INTO picks SELECT 200000 + id, 'x' FROM d RETURNING id
        INSERT INTO picks SELECT 1 / 0 FROM accounts
        MERGE INTO picks USING (SELECT account_id, max(amount) AS t FROM entries GROUP BY account_id) s ON picks.id = s.account_id WHEN MATCHED THEN UPDATE SET title = s.t::text WHEN NOT MATCHED THEN INSERT VALUES (s.account_id, s.t::text)
        MERGE INTO picks USING (SELECT id % 9 AS k, max(amount) AS t FROM entries GROUP BY 1) s ON picks.id = s.k WHEN MATCHED AND s.t > 100 THEN UPDATE SET title = s.t::text WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.k, s.t::text)
        MERGE INTO picks USING (SELECT account_id, count(*) AS t FROM entries GROUP BY account_id ORDER BY 2 DESC, 1 LIMIT 5) s ON picks.id = s.account_id WHEN MATCHED THEN UPDATE SET title = s.t::text WHEN NOT MATCHED THEN INSERT VALUES (s.account_id, s.t::text)
        MERGE INTO rates USING (SELECT 'r' || account_id AS k, count(*) AS t FROM entries GROUP BY account_id) s ON rates.code = s.k WHEN MATCHED THEN UPDATE SET rate = s.t
        MERGE INTO rates USING (SELECT DISTINCT ON (id % 5) 'r' || id AS k, balance AS t FROM accounts ORDER BY id % 5, id) s ON rates.code = s.k WHEN MATCHED AND s.t > 50 THEN UPDATE SET rate = s.t WHEN MATCHED THEN DELETE
        UPDATE accounts SET owner = (SELECT string_agg(code, ',' ORDER BY code) FROM rates)
        UPDATE accounts SET owner = (SELECT jsonb_agg(code ORDER BY code)::text FROM rates) WHERE id < 9 RETURNING id, owner
        UPDATE accounts SET owner = r.n FROM (SELECT string_agg(code, ',' ORDER BY code) AS n FROM rates) r WHERE id < 9
        DELETE FROM accounts WHERE 'r' || id = ANY ((SELECT array_agg(code ORDER BY code) FROM rates)::text[])
        UPDATE accounts SET owner = (SELECT sum(e.amount * r.rate)::text FROM entries e JOIN rates r ON r.code = 'r' || e.account_id) WHERE id < 9
        UPDATE accounts SET owner = s.x::text FROM (SELECT e.id AS v, sum(e.amount * a.balance) AS x FROM entries e JOIN accounts a ON a.id = e.account_id JOIN rates r ON r.code = 'r' || a.id GROUP BY e.id) s WHERE s.v = accounts.id
        WITH gone AS (DELETE FROM entries WHERE account_id = 6 RETURNING *), kept AS (INSERT INTO archive SELECT account_id, id, amount, note, at FROM gone WHERE amount > 3 RETURNING *) SELECT count(*), sum(amount) FROM kept
        WITH a AS (INSERT INTO accounts (id, owner) VALUES (1001, 'x') RETURNING id AS no, owner), e AS (INSERT INTO entries (account_id, id, amount) SELECT no, 1, 5 FROM a RETURNING account_id, amount) SELECT * FROM e
        WITH a (no, owner) AS (INSERT INTO accounts (id, owner) VALUES (1001, 'x') RETURNING id, owner), e AS (INSERT INTO archive (account_id, id, note, moved) SELECT x.no, 1, x.owner, NULL FROM rates, a AS x WHERE rates.code = 'r1' RETURNING account_id, note) SELECT * FROM e
        WITH a AS (UPDATE accounts SET owner = 'x' FROM rates WHERE id = 9 AND code = 'r' || id RETURNING accounts.*) INSERT INTO archive (account_id, note, moved) SELECT id, owner, NULL FROM a
        WITH a AS (DELETE FROM archive WHERE account_id = 3 RETURNING id, account_id), b AS (INSERT INTO archive (account_id, id, moved) SELECT id, account_id, NULL FROM a RETURNING account_id) SELECT * FROM b
        WITH a AS (INSERT INTO accounts (id, owner) VALUES (1001, 'x') RETURNING id), b AS (INSERT INTO accounts (id, owner) SELECT id + 1, 'y' FROM a RETURNING id) SELECT * FROM b
        WITH t AS (INSERT INTO owned (numbered_id, what) VALUES (1, 'a'), (2, 'b') RETURNING n, what) INSERT INTO picks SELECT 700000 + n, what FROM t RETURNING title
        INSERT INTO events (id, name) (WITH c AS (SELECT id + 3000 AS id, owner FROM accounts) SELECT * FROM c)
        (WITH c AS (SELECT id, owner FROM accounts ORDER BY id LIMIT 2) SELECT * FROM c)
        WITH d AS (UPDATE accounts SET balance = 0 WHERE id < 9 RETURNING id, owner), c AS (SELECT count(*) AS n FROM d) INSERT INTO picks (id, title) SELECT 300000 + d.id, owner || n FROM d, c ON CONFLICT (id) DO NOTHING RETURNING *
        WITH d AS (DELETE FROM archive RETURNING account_id) INSERT INTO picks SELECT 7, 'x' FROM d
        WITH d AS (DELETE FROM archive RETURNING account_id) INSERT INTO picks SELECT 600000 + max(account_id), min(account_id) FROM d ON CONFLICT (id) DO UPDATE SET title = 'y'
        WITH d AS (DELETE FROM entries WHERE amount > 50 RETURNING id) INSERT INTO signs (word, made) SELECT 'w' || max(id), '2024-01-01' FROM d RETURNING *
        WITH d AS (DELETE FROM entries WHERE amount > 50 RETURNING id) INSERT INTO signs (word) SELECT 'w' || id FROM d
        WITH d AS (DELETE FROM entries WHERE amount > 50 RETURNING id) INSERT INTO picks SELECT id, 'x' FROM d RETURNING (SELECT max(id) FROM d)
        WITH a AS (UPDATE accounts SET id = id + 1000 WHERE id < 3 RETURNING id) SELECT * FROM a
        WITH a AS (INSERT INTO archive (account_id, id) SELECT account_id, id FROM entries WHERE amount > 200 RETURNING *) SELECT count(*), max(id), bool_and(moved = now()) FROM a
    """,
    "rows of VALUES": """
        INSERT INTO accounts (id, owner) VALUES (1, 'a'), (2, 'b'), (1001, 'c'), (1002, 'd') ON CONFLICT DO NOTHING RETURNING id, owner
        INSERT INTO accounts (id, owner) VALUES (1, 'a'), (2, 'b'), (1001, 'c') ON CONFLICT (id) DO UPDATE SET owner = excluded.owner WHERE accounts.balance > 50 RETURNING id, owner
        INSERT INTO accounts (id, owner) VALUES (1001, 'a'), (2, 'b')
        INSERT INTO accounts (owner) VALUES ('nobody')
        INSERT INTO accounts (owner, id) VALUES ('nobody', NULL), ('x', 1001)
        INSERT INTO accounts (id, owner) VALUES (1000 + 1, 'a'), (1000 + 2, 'b'), (1003, 'c') RETURNING id, owner, state, balance
        INSERT INTO accounts (id, owner, balance, opened) VALUES (1000 + 1, 'a', 1.5, '2024-02-03'), (-1 * -1002, 'b', 2, '2024-02-03 12:00+01'), (1003, 'c', -7 / 2, '2024-02-04') RETURNING id, owner, balance, opened
        INSERT INTO accounts (id, owner) VALUES (abs(-1001), 'a'), (abs(-1002), 'b')
        INSERT INTO accounts (id, owner) VALUES (abs(-1001), 'a'), (length('xyz') + 1000, 'b'), (abs(-1006), 'c'), (1007, 'd')
        INSERT INTO accounts (id, owner, info) VALUES (1000 + 1, lower('AB'), '{"a": 1}'), (1002, lower('C'), NULL), (1003, NULL, '[]')
        INSERT INTO accounts (id, owner, changed) VALUES (999 + 2, 'a', now()), (999 + 3, 'b', now()) RETURNING id, changed = now()
        INSERT INTO accounts (id, owner) VALUES (1 + 0, 'a'), (1000 + 2, 'b') ON CONFLICT (id) DO UPDATE SET owner = excluded.owner RETURNING id, owner
        INSERT INTO accounts (id, owner) VALUES (1 + 0, 'a'), (1000 + 2, 'b')
        INSERT INTO accounts (id, owner) VALUES (NULLIF(1, 1), 'a'), (1000 + 2, 'b')
        INSERT INTO accounts (id, owner) VALUES (1000 + 1, 'a'), (1000 / 0, 'b')
        INSERT INTO accounts (id, owner, opened) VALUES (1000 + 1, 'a', 'no date'), (1000 + 2, 'b', '2024-01-01')
        INSERT INTO accounts (id, owner) VALUES (1000 + 1, 'a'), ('1002', 'b'), (DEFAULT, 'c')
        INSERT INTO accounts (id, owner, balance) VALUES (1000 + 1, 'a', length('ab,c')), ('1002', 'b', '3'), (round(1002.7), upper('c''d'), (SELECT 4)) RETURNING id, owner, balance
        WITH picks AS (SELECT 7001 AS id) INSERT INTO accounts (id, owner, balance) VALUES ((SELECT id FROM picks), 'a', DEFAULT)
        INSERT INTO accounts (id, owner) VALUES (1001, 'a'), ('1002'::text || '', 'b'), (1003, 'c')
        INSERT INTO accounts (id, owner) VALUES (1001, 'a'), (length(nonsense), 'b'), (1003, 'c')
        INSERT INTO accounts (id, owner, opened) VALUES (1001, 'a', now()), (length('abc'), 'b', '2024-02-03'), (1003, 'c', now()) ON CONFLICT DO NOTHING
    """,
}


def statements():
    return [(group, line.strip()) for group, lines in GROUPS.items() for line in lines.strip().splitlines()]


REFUSED = {
    # One server's answer depends on the order in which it changes the rows.
    "UPDATE accounts SET id = id + 1 WHERE id < 10", "UPDATE accounts SET id = id + 1000 WHERE id < 5 RETURNING id, now()",
    "UPDATE numbered SET id = DEFAULT WHERE id = 5",

    # It would meet rows that WITH has changed already; rows that are not yet known to be of one shard.
    "WITH a AS (UPDATE accounts SET balance = 1 WHERE id < 9 RETURNING id) UPDATE accounts SET owner = 'z' FROM a WHERE a.id = accounts.id",
    "WITH a AS (UPDATE accounts SET id = id + 1000 WHERE id < 3 RETURNING id) SELECT * FROM a",
    "WITH gone AS (DELETE FROM numbered WHERE id < 5 RETURNING id) DELETE FROM owned USING gone WHERE owned.numbered_id = gone.id",
    # The time of another shard; what stands behind the rows reads those of WITH.
    "WITH d AS (DELETE FROM entries WHERE amount > 50 RETURNING id) INSERT INTO signs (word) SELECT 'w' || id FROM d",
    "WITH d AS (DELETE FROM entries WHERE amount > 50 RETURNING id) INSERT INTO picks SELECT id, 'x' FROM d RETURNING (SELECT max(id) FROM d)",
    "WITH a AS (INSERT INTO archive (account_id, id) SELECT account_id, id FROM entries WHERE amount > 200 RETURNING *) SELECT count(*), max(id), bool_and(moved = now()) FROM a",
    # Rows of WITH that go to another key than theirs, in WITH.
    "WITH a AS (DELETE FROM archive WHERE account_id = 3 RETURNING id, account_id), b AS (INSERT INTO archive (account_id, id, moved) SELECT id, account_id, NULL FROM a RETURNING account_id) SELECT * FROM b",
    "WITH a AS (INSERT INTO accounts (id, owner) VALUES (1001, 'x') RETURNING id), b AS (INSERT INTO accounts (id, owner) SELECT id + 1, 'y' FROM a RETURNING id) SELECT * FROM b",
    # A whole row.
    "WITH a AS (UPDATE accounts SET owner = upper(owner) WHERE id < 3 RETURNING accounts) SELECT * FROM a",
    # Parentheses around a part of it.
    "UPDATE accounts SET owner = s.note FROM (WITH entries AS (SELECT * FROM entries WHERE amount > 50) (SELECT account_id, note FROM entries ORDER BY amount, id LIMIT 1)) s WHERE s.account_id = accounts.id",
    # A time in words would be another one on each shard.
    """UPDATE events SET n = x.n FROM jsonb_to_recordset('[{"id": 1, "n": 77}, {"id": 2, "n": 78}]') AS x(id bigint, n int, at date) WHERE x.id = events.id""",

    # Names that do not stand as they are meant; entries that name later ones; WITH beside rows with DEFAULT.
    "WITH a AS (SELECT id FROM accounts ORDER BY id LIMIT 3) DELETE FROM entries WHERE account_id IN (SELECT id FROM U&\"\\0061\")",
    "WITH RECURSIVE a AS (SELECT r FROM b), b AS (SELECT random() AS r) UPDATE accounts SET balance = a.r - b.r FROM a, b",
    "WITH picks AS (SELECT 7001 AS id) INSERT INTO accounts (id, owner, balance) VALUES ((SELECT id FROM picks), 'a', DEFAULT)",
    # How its rows are merged is known before the subquery is answered.
    "SELECT id, owner FROM accounts WHERE balance > (SELECT avg(balance) FROM accounts) ORDER BY id LIMIT 5 FOR UPDATE",
    # A default that is the time, and one that is another value each time: copies would differ.
    "INSERT INTO rates (code, rate) SELECT 'a' || id, balance FROM accounts WHERE id < 12"}


@pytest.fixture(scope="module")
def two_sides():
    """(one PostgreSQL with all rows, pgbraid over four shards), as raw clients."""
    whole, parts = Cluster(shards=1, replicas=0), Cluster(shards=4, replicas=0)
    try:
        whole.start(), parts.start()
        load(whole, parts, Path(__file__).with_name("writes.sql").read_text(), KEYS)
        topology = sharded_topology(parts)
        sharding = sharding_with(topology, KEYS, ["rates", "kinds"])
        home, *others = parts.shards[2:] + parts.shards[:2]
        sharding["unsharded"] = sharding.get("unsharded", {}) | {"picks": home.name, "signs": home.name}
        for shard in others:
            shard.primary.query("DROP TABLE picks, signs", dbname="shop")
        with Braid(sharded_topology(parts, sharding=sharding)) as braid:
            one, many = Endpoint(whole.shards[0].primary.port).raw(), braid.raw()
            yield one, many
            one.close(), many.close()
    finally:
        whole.stop(), parts.stop()


def carry_out(two_sides, statement):
    """The verdict on one statement and on the tables that it leaves."""
    answers, tables = [], []
    for client in two_sides:
        for sequence in SEQUENCES:
            client.query(f"SELECT setval('{sequence}', 1000)")
        client.query("BEGIN")
        answers.append(ask(client, statement))
        tables.append([ask(client, Statement(sql))[2] for sql in STATE] if answers[-1][0] is None else None)
        client.query("ROLLBACK")
    verdict = compare(statement, *answers)
    if verdict is not True:
        return verdict if verdict is not None else answers[1][4][0]
    differing = [sql for k, sql in enumerate(STATE) if tables[0] and tables[0][k] != tables[1][k]]
    return True if not differing else f"other tables: {differing}"


@pytest.mark.parametrize("protocol", ["simple", "extended"])
@pytest.mark.parametrize("sql", [pytest.param(sql, id=f"{group} {i}") for i, (group, sql) in enumerate(statements())])
def test_write(two_sides, sql, protocol):
    verdict = carry_out(two_sides, Statement(sql, extended=protocol == "extended"))
    if sql in REFUSED:
        assert verdict["C"] == "0A000" and verdict["H"], verdict
    else:
        assert verdict is True, f"{sql}: {verdict}"


def test_without_a_block(two_sides):
    """A statement of its own commits on all shards, and a second one sees it."""
    for sql in ("UPDATE accounts SET owner = owner || '+', changed = now() WHERE id IN (SELECT account_id FROM events WHERE n < 20)",
                "INSERT INTO entries (account_id, id, amount) VALUES (1, 8001, 1), (2, 8002, 2), (3, 8003, 3)",
                "DELETE FROM archive WHERE account_id IN (SELECT account_id FROM entries WHERE amount > 100)"):
        one, many = (ask(client, Statement(sql)) for client in two_sides)
        assert compare(Statement(sql), one, many) is True, (sql, many)
        for state in STATE:
            one, many = (ask(client, Statement(state)) for client in two_sides)
            # Outside a block now() is another one.
            assert one[2] == many[2] or "now()" in state or "LOCAL" in state, (sql, state, one[2], many[2])


@pytest.mark.parametrize("sql", [
    "DELETE FROM entries USING picks WHERE picks.id = entries.account_id AND entries.id < $1 RETURNING entries.id",
    "UPDATE accounts SET id = id + 7000 WHERE id IN (SELECT id FROM picks WHERE id < $1) RETURNING id",
    "INSERT INTO picks SELECT id + (SELECT max(id) FROM picks), owner FROM accounts WHERE id < $1 RETURNING id",
    # The key comes back from what WITH has written.
    "WITH upd AS (UPDATE accounts SET balance = balance - 5 WHERE id = $1 RETURNING id, balance) INSERT INTO archive (account_id, id, moved) SELECT id, 70000 + $1, NULL FROM upd RETURNING account_id, id",
    "WITH gone AS (DELETE FROM entries WHERE account_id = $1 RETURNING *), kept AS (INSERT INTO archive SELECT account_id, id, amount, note, at FROM gone RETURNING id) SELECT count(*) + $1 FROM kept"])
def test_prepared_and_carried_out_twice(two_sides, sql):
    """A statement of which one shard alone knows all tables."""
    told = []
    for client in two_sides:
        client.query("BEGIN")
        client.send(parse(sql, "twice"), describe_statement("twice"), sync())
        client.until_ready()
        answers = []
        for _ in range(2):
            client.send(bind([20], statement="twice"), describe_portal(), execute(), sync())
            got = client.until_ready()
            answers.append((errors(got), tags(got), sorted(rows(got))))
        told.append(answers)
        client.query("ROLLBACK")
        client.query("DEALLOCATE twice")
    assert told[0] == told[1] and not told[0][0][0]


def test_numbers_of_a_table_on_another_shard(two_sides):
    """Its sequence counts where it is, and lastval() is not told by the first shard then."""
    _, many = two_sides
    told = [[ask(client, Statement(sql))[:3] for sql in (
        "SELECT setval('signs_id_seq', 700)", "INSERT INTO signs (word) VALUES ('a') RETURNING id", "SELECT nextval('public.signs_id_seq')",
        "SELECT setval(pg_get_serial_sequence('signs', 'id'), (SELECT max(id) + 50 FROM signs))", "INSERT INTO signs VALUES (nextval('signs_id_seq'), 'b') RETURNING id",
        "DELETE FROM signs WHERE id > 600")] for client in two_sides]
    assert told[0] == told[1] and all(answer[0] is None for answer in told[0])
    assert ask(many, Statement("SELECT lastval()"))[0] == "0A000"
    many.query("INSERT INTO tickets (account_id, title) VALUES (17, 'a')")
    assert ask(many, Statement("SELECT lastval() = max(id) FROM tickets WHERE account_id = 17"))[0] == "0A000", "with a table, as ever"
    assert ask(many, Statement("SELECT lastval()"))[0] is None
    many.query("DELETE FROM tickets WHERE account_id = 17 AND title = 'a'")


def test_what_a_session_has_drawn(two_sides):
    """currval() and lastval() tell what an INSERT of the session's own has drawn, in its transaction and after it."""
    for begin, end in (("BEGIN", "ROLLBACK"), ("SELECT 1", "SELECT 1")):
        told = []
        for client in two_sides:
            client.query("SELECT setval('tickets_id_seq', 5000)")
            client.query(begin)
            told.append([ask(client, Statement(sql))[:3] for sql in (
                "INSERT INTO tickets (account_id, title) VALUES (17, 'a'), (18, 'b') RETURNING id", "SELECT lastval()",
                "SELECT currval('tickets_id_seq')", "INSERT INTO tickets (account_id, title) VALUES (19, 'c')", "SELECT lastval()",
                "INSERT INTO tickets (account_id, id, title) VALUES (20, currval('tickets_id_seq') + 500, 'd') RETURNING id",
                "SELECT nextval('tickets_id_seq')", "SELECT lastval()")])
            client.query(end)
        assert told[0] == told[1]
    for client in two_sides:
        client.query("DELETE FROM tickets WHERE account_id IN (17, 18, 19, 20) AND id > 1000")
