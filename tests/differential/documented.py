"""Examples for every row of the tables in docs/sql-support.md. A row is named by the beginning of its first cell; under it
stand statements, one in a line: what begins with a SQLSTATE is refused with it, `runs` is carried out though its answer cannot
be held against another server's, `see` names a test that shows what one statement cannot; all else is answered as one
PostgreSQL answers it. Tables: writes.sql and documented.sql."""

READS = {
    "every sharded table tied to one shard": """
        SELECT owner, rank() OVER (ORDER BY balance), (SELECT count(*) FROM entries e WHERE e.account_id = a.id) FROM accounts a WHERE id = 7
        WITH x AS (SELECT * FROM entries WHERE account_id = 7) SELECT count(*), max(amount) FROM x UNION SELECT 1, 2 ORDER BY 1 LIMIT 1
    """,
    "only reference tables, constants": """
        SELECT code, rate FROM rates ORDER BY code
        SELECT n, n * 2 FROM generate_series(1, 3) AS n
    """,
    "`pg_catalog`": """
        SELECT relname FROM pg_class WHERE relname IN ('accounts', 'entries') ORDER BY 1
        SELECT to_regclass('accounts') IS NULL
        0A000 SELECT count(*) FROM pg_class c JOIN accounts a ON a.id = c.relpages
    """,
    "unsharded tables": """
        SELECT title FROM notes JOIN rates ON code = 'r' || notes.id ORDER BY 1
        SELECT title, owner FROM notes JOIN accounts USING (id) ORDER BY id
        0A000 SELECT count(*) FROM notes, drafts
    """,
    "tables with row-level security": """
        SELECT id, code FROM allowed
        SELECT count(*) FROM allowed WHERE id IN (1, 2, 3, 4)
        UPDATE allowed SET code = 'r' || (id + 1) WHERE id < 3
        INSERT INTO allowed VALUES (5, 'r1') ON CONFLICT (id) DO NOTHING
        42501 INSERT INTO allowed VALUES (100, 'none')
        SELECT id FROM entered
        0A000 INSERT INTO entered VALUES (20)
        0A000 SELECT id FROM guarded
        0A000 SELECT id FROM guarded WHERE id = 1
        0A000 SELECT id FROM shown
        0A000 TABLE notes UNION ALL SELECT id, '' FROM guarded
    """,
    "plain SELECT on sharded tables": """
        SELECT id, upper(owner) FROM accounts WHERE balance > 100
        SELECT a.id, r.rate FROM accounts a JOIN rates r ON r.code = 'r' || a.id
    """,
    "keys of several shards": """
        SELECT id, owner FROM accounts WHERE id IN (1, 2, 3, 4)
        SELECT count(DISTINCT owner) FROM accounts WHERE id IN (1, 2, 3, 4)
    """,
    "joins of sharded tables on key = key": """
        SELECT a.id, e.id FROM accounts a LEFT JOIN entries e ON e.account_id = a.id AND e.amount > 200
        SELECT j.account_id, j.*, e.id, x.note FROM entries e JOIN archive x USING (account_id) AS j WHERE j.account_id < 20
    """,
    "joins not on the key": """
        SELECT a.id, e.name FROM accounts a JOIN events e ON e.account_id = a.id WHERE e.n < 20
        SELECT count(*) FROM accounts FULL JOIN entries ON entries.account_id = accounts.id
        SELECT r.code, a.id FROM rates r LEFT JOIN accounts a ON 'r' || a.id = r.code
    """,
    "count, sum, avg, min, max": """
        SELECT state, count(*), sum(balance), avg(balance), min(id), max(id), bool_or(id > 5) FILTER (WHERE balance > 1) FROM accounts GROUP BY state HAVING count(*) > 3 ORDER BY 2 DESC, 1 LIMIT 2
        SELECT sum(balance::float4) FROM accounts WHERE id < 4
    """,
    "other aggregates": """
        SELECT string_agg(owner, ',' ORDER BY id), count(DISTINCT owner) FROM accounts WHERE id < 20
        SELECT state, count(*) FROM accounts GROUP BY GROUPING SETS ((state), ())
        SELECT DISTINCT state FROM accounts
        SELECT id, row_number() OVER (PARTITION BY state ORDER BY id) FROM accounts
    """,
    "columns that stand beside GROUP BY": """
        SELECT a.id, a.owner, count(e.id) FROM accounts a JOIN entries e ON e.account_id = a.id GROUP BY a.id
        0A000 SELECT a.id, a.owner, count(*) FROM accounts a JOIN entries e ON e.id = a.id GROUP BY GROUPING SETS ((a.id), (a.id, a.state))
    """,
    "ORDER BY [LIMIT] of rows": """
        SELECT id, balance FROM accounts ORDER BY balance DESC NULLS LAST, id LIMIT 7
        see integration/test_merge.py::test_results_of_any_size_in_their_order
        see integration/test_merge.py::test_a_row_that_is_too_large_to_wait
    """,
    "ORDER BY, LIMIT, OFFSET": """
        SELECT id, owner FROM accounts ORDER BY owner, id OFFSET 5 FETCH FIRST 4 ROWS WITH TIES
    """,
    "UNION, INTERSECT, EXCEPT": """
        SELECT id FROM accounts EXCEPT SELECT account_id FROM entries WHERE amount > 50
        WITH RECURSIVE up AS (SELECT id, 1 AS depth FROM accounts WHERE id = 1 UNION ALL SELECT a.id, depth + 1 FROM up JOIN accounts a ON a.id = up.id + 7) SELECT * FROM up
    """,
    "tables written with their schema": """
        SELECT count(DISTINCT public.accounts.owner) FROM ONLY public.accounts
        0A000 SELECT DISTINCT public.accounts.* FROM public.accounts
    """,
    "a whole row in": """
        SELECT json_agg(a ORDER BY id) FROM accounts a WHERE id < 4 AND changed IS NULL
        0A000 SELECT DISTINCT a FROM accounts a
    """,
    "subquery that reads a sharded table": """
        SELECT count(*) FROM accounts WHERE id IN (SELECT account_id FROM events WHERE n < 50)
    """,
    "subquery that reads reference tables": """
        SELECT id FROM accounts WHERE 'r' || id IN (SELECT code FROM rates)
        SELECT id FROM accounts WHERE balance < (SELECT max(rate) FROM rates)
    """,
    "FOR UPDATE, FOR SHARE": """
        SELECT id FROM accounts WHERE state = 'new' FOR UPDATE SKIP LOCKED
        0A000 SELECT id FROM accounts WHERE state = 'new' OFFSET 2 FOR UPDATE
    """,
    "the same with ORDER BY": """
        SELECT id FROM accounts WHERE state = 'new' ORDER BY id LIMIT 3 FOR UPDATE
        SELECT id FROM accounts WHERE state = 'new' ORDER BY id DESC LIMIT 3 FOR UPDATE
    """,
    "row locks with ORDER BY otherwise": """
        SELECT id FROM accounts WHERE state = 'new' ORDER BY abs(id) LIMIT 3 FOR UPDATE
        SELECT id, owner FROM accounts ORDER BY owner, 1 LIMIT 4 OFFSET 2 FOR SHARE
        0A000 SELECT id FROM accounts WHERE id IN (SELECT account_id FROM events) ORDER BY owner LIMIT 3 FOR UPDATE
    """,
    "LIMIT with SKIP LOCKED or NOWAIT": """
        SELECT id FROM accounts WHERE state = 'new' ORDER BY id LIMIT 3 FOR UPDATE SKIP LOCKED
        SELECT id FROM accounts a WHERE state = 'new' AND opened <= now() ORDER BY owner, id FOR NO KEY UPDATE OF a NOWAIT LIMIT 3
        UPDATE accounts SET state = 'taken' WHERE id = (SELECT id FROM accounts WHERE state = 'new' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
        DELETE FROM events WHERE id IN (SELECT id FROM accounts WHERE opened <= now() ORDER BY owner, id LIMIT 3 FOR UPDATE SKIP LOCKED)
        WITH next AS (SELECT id FROM accounts WHERE state = 'new' ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED), taken AS (UPDATE accounts SET state = 'taken' FROM next WHERE next.id = accounts.id RETURNING accounts.id) SELECT count(*) FROM taken
        0A000 SELECT id FROM accounts ORDER BY 1 LIMIT 3 FOR UPDATE SKIP LOCKED
        0A000 SELECT id FROM accounts WHERE id IN (SELECT account_id FROM events) ORDER BY id LIMIT 3 FOR UPDATE SKIP LOCKED
    """,
    "`now()`, `random()`": """
        SELECT count(DISTINCT now()) FROM accounts
        SELECT count(*) FROM accounts WHERE random() >= 0
    """,
    "`'today'`": """
        SELECT count(*) FROM accounts WHERE opened < 'today'::date AND id = 5
        0A000 SELECT id FROM accounts WHERE opened < 'today'::timestamptz
    """,
    "a read that would be gathered, with": """
        SELECT count(DISTINCT owner) FROM accounts WHERE id = 3 AND pg_relation_size('accounts') > 0
        0A000 SELECT count(DISTINCT owner) FROM accounts WHERE pg_relation_size('accounts') > 0
        SELECT current_query(), owner FROM accounts WHERE id = 3
        0A000 SELECT current_query(), count(DISTINCT owner) FROM accounts
        see integration/test_gather.py::test_what_means_more_than_its_rows_is_refused
    """,
    "more than `limits.max_gather`": """
        see integration/test_gather.py::test_more_than_may_be_gathered_is_refused
    """,
    "tables with a type of one's own": """
        see integration/test_type_numbers.py::test_what_applications_do
        see integration/test_type_numbers.py::test_binary_results
    """,
    "tables with an array, range": """
        see integration/test_type_numbers.py::test_columns_made_of_the_type
    """,
    "`ctid`, `xmin`": """
        SELECT tableoid::regclass FROM accounts WHERE id = 3
        0A000 SELECT ctid FROM accounts
    """,
    "TABLESAMPLE": """
        SELECT id, owner FROM accounts TABLESAMPLE BERNOULLI (100)
        SELECT a.id, e.id FROM accounts a TABLESAMPLE SYSTEM (100) JOIN entries e ON e.account_id = a.id
        0A000 SELECT count(*) FROM accounts TABLESAMPLE BERNOULLI (100)
        0A000 SELECT DISTINCT owner FROM accounts TABLESAMPLE BERNOULLI (100)
        0A000 SELECT id FROM accounts, rates TABLESAMPLE BERNOULLI (100)
    """,
    "view over reference tables alone": """
        runs SELECT count(*) FROM alike_rates
        SELECT a.id FROM accounts a JOIN first_rates r ON r.code = 'r' || a.id
        UPDATE accounts SET balance = 1 WHERE 'r' || id IN (SELECT code FROM first_rates) RETURNING id
        DELETE FROM accounts WHERE 'r' || id IN (SELECT code FROM above_first_rates) RETURNING id
        0A000 UPDATE first_rates SET rate = 1
        0A000 INSERT INTO alike_rates VALUES ('x', 1)
    """,
    "view over sharded tables": """
        SELECT count(*), max(total) FROM rich
        0A000 SELECT count(*) FROM lucky
    """,
    "COPY (query) TO STDOUT": """
        COPY (SELECT id, owner FROM accounts WHERE id < 9 ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER)
    """,
    "COPY table TO STDOUT": """
        COPY rates (code) TO STDOUT
        COPY entries (account_id, id) TO STDOUT
        COPY numbered TO STDOUT
    """,
    "EXPLAIN": """
        runs EXPLAIN SELECT count(*) FROM accounts
        runs EXPLAIN (ANALYZE, FORMAT json) SELECT id FROM accounts ORDER BY id
        runs EXPLAIN UPDATE accounts SET owner = 'x'
        runs EXPLAIN MERGE INTO accounts a USING rates r ON r.code = 'r' || a.id WHEN MATCHED THEN DELETE
        0A000 EXPLAIN MERGE INTO accounts a USING events e ON e.name = a.owner WHEN MATCHED THEN DELETE
        0A000 EXPLAIN (FORMAT yaml) SELECT count(*) FROM accounts
    """,
    "DECLARE CURSOR": """
        runs DECLARE c CURSOR FOR SELECT id FROM accounts ORDER BY owner, id
        see differential/test_reads.py::test_a_cursor
        0A000 DECLARE c CURSOR WITH HOLD FOR SELECT id FROM accounts ORDER BY owner
    """,
    "portal with a row limit": """
        see integration/test_gather.py::test_a_portal_of_concatenated_rows_that_is_fetched_in_parts
    """,
}

WRITES = {
    "INSERT ... VALUES with the key": """
        INSERT INTO accounts (id, owner) VALUES (7, 'x') ON CONFLICT (id) DO UPDATE SET owner = excluded.owner RETURNING id, owner
    """,
    "INSERT ... VALUES with rows of several": """
        INSERT INTO accounts (id, owner, opened) VALUES (1001, 'a', now()), (1002, 'b', now()), (1003, 'c', now()) RETURNING id, owner
        0A000 WITH x AS (SELECT 1 AS n) INSERT INTO accounts (id, owner) VALUES (1001, (SELECT n FROM x)), (1002, 'b')
    """,
    "INSERT of one row whose key": """
        INSERT INTO accounts (id, owner) VALUES ((SELECT max(id) + 1 FROM accounts), 'x') RETURNING id
        0A000 INSERT INTO accounts (id, owner) VALUES (1001::numeric, 'x')
    """,
    "INSERT of several rows of which": """
        INSERT INTO accounts (id, owner) VALUES (1000 + 1, 'a'), (1000 + 2, 'b') RETURNING id
        INSERT INTO accounts (id, owner) VALUES (length('abc') + 1000, 'a'), ('1002', 'b'), (abs(-1004), 'c') RETURNING id
        0A000 INSERT INTO accounts (id, owner) VALUES (length((SELECT max(code) FROM rates)) + 1000, 'a'), ('1002', 'b')
    """,
    "columns of sharded and of reference tables": """
        INSERT INTO tickets (account_id, title) VALUES (1, 'a'), (2, 'b'), (3, 'c') RETURNING id, account_id
        INSERT INTO kinds (name) VALUES ('x') RETURNING id
        0A000 INSERT INTO numbered (name) OVERRIDING USER VALUE VALUES ('a'), ('b')
    """,
    "a key that is left to a default": """
        runs INSERT INTO tickets_by_uuid (title) VALUES ('a')
        INSERT INTO tickets_by_uuid (title) VALUES ('a'), ('b'), ('c') RETURNING title, id IS NOT NULL
        INSERT INTO tickets_by_uuid VALUES (DEFAULT, 'a'), ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'b') RETURNING title
        INSERT INTO tickets_by_uuid DEFAULT VALUES RETURNING title
        INSERT INTO tickets_by_uuid (title) SELECT owner FROM accounts WHERE id < 5 ORDER BY id RETURNING title
        see differential/test_numbered_copies.py::test_a_key_left_to_chance
    """,
    "INSERT without a value for the key": """
        23502 INSERT INTO accounts (owner) VALUES ('nobody')
        23502 INSERT INTO accounts (id, owner) VALUES (NULL, 'nobody')
    """,
    "a key that is no value": """
        22P02 INSERT INTO accounts (id, owner) VALUES ('seven', 'x')
    """,
    "INSERT ... SELECT into a sharded table": """
        INSERT INTO archive (account_id, id, moved) SELECT account_id, id, at FROM entries WHERE amount > 200
    """,
    "INSERT ... SELECT otherwise": """
        INSERT INTO archive (account_id, amount) SELECT id % 7, sum(balance) FROM accounts GROUP BY 1 ORDER BY 2 LIMIT 3 RETURNING account_id
        INSERT INTO archive (account_id) SELECT id + 1 FROM accounts ORDER BY id LIMIT 4 RETURNING (SELECT max(n) FROM events WHERE events.account_id = archive.account_id)
    """,
    "COPY FROM STDIN into a sharded table": """
        see differential/test_copies.py::test_random_copies
        see integration/test_copy.py::test_by_a_driver
    """,
    "COPY FROM that leaves columns to a sequence": """
        see differential/test_numbered_copies.py::test_random_copies
        see differential/test_numbered_copies.py::test_large_copies
    """,
    "columns that are listed under": """
        see differential/test_unique.py::test_a_write
        see integration/test_claims.py::test_two_want_one_value
    """,
    "COPY FROM: NULL as the key": """
        see integration/test_copy.py::test_the_key_is_missing_or_not_certain
    """,
    "UPDATE, DELETE tied to one shard": """
        UPDATE accounts SET owner = coalesce(e.note, owner) FROM entries e WHERE e.account_id = accounts.id AND accounts.id = 7 RETURNING accounts.id
    """,
    "UPDATE, DELETE not tied": """
        UPDATE accounts SET balance = balance + r.rate FROM rates r WHERE r.code = 'r' || accounts.id RETURNING id, balance
        DELETE FROM entries WHERE amount < 20
        runs UPDATE accounts SET balance = r.r FROM (SELECT random() AS r) r
    """,
    "with subqueries that are tied to the written row": """
        UPDATE accounts SET balance = (SELECT sum(amount) FROM entries e WHERE e.account_id = accounts.id)
    """,
    "with FROM, USING, WITH and subqueries": """
        UPDATE accounts SET owner = e.name FROM events e WHERE e.account_id = accounts.id AND e.n > 150
        DELETE FROM accounts WHERE id IN (SELECT account_id FROM events WHERE n < 9 FOR UPDATE)
        0A000 DELETE FROM accounts WHERE id IN (SELECT account_id FROM events, rates WHERE n < 9 FOR UPDATE)
    """,
    "WITH that writes": """
        WITH gone AS (DELETE FROM entries WHERE amount > 200 RETURNING *) SELECT count(*), (SELECT count(*) FROM entries) FROM gone
        WITH gone AS (DELETE FROM entries WHERE amount > 200 RETURNING account_id, id, at) INSERT INTO archive (account_id, id, moved) SELECT * FROM gone
        WITH t AS (INSERT INTO tickets (account_id, title) VALUES (1, 'x'), (2, 'y'), (3, 'z') RETURNING id) SELECT * FROM t
        WITH t AS (INSERT INTO tickets (account_id, title) VALUES (1, 'x') RETURNING id, account_id) INSERT INTO archive (account_id, id, note) SELECT account_id, id, 'of ' || id FROM t RETURNING account_id, id, note
        WITH t AS (INSERT INTO numbered (name, price) VALUES ('x', 1), ('y', 2) RETURNING id, name) INSERT INTO owned (numbered_id, what) SELECT id, name FROM t RETURNING what
        WITH debit AS (UPDATE accounts SET balance = balance - 5 WHERE id = 1 RETURNING id, balance), credit AS (UPDATE accounts SET balance = balance + 5 WHERE id = 2 RETURNING id, balance) SELECT * FROM debit UNION ALL SELECT * FROM credit
        WITH gone AS (DELETE FROM entries WHERE account_id = 1 RETURNING id), kept AS (UPDATE entries SET note = 'kept' WHERE account_id = 2 RETURNING id) SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM kept)
        WITH a AS (INSERT INTO accounts (id, owner) VALUES (1001, 'a'), (1002, 'b') RETURNING id), b AS (INSERT INTO accounts (id, owner) VALUES (1003, 'c') RETURNING id), c AS (UPDATE accounts SET owner = owner || '!' RETURNING id) SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b), (SELECT count(*) FROM c), (SELECT count(*) FROM accounts)
        0A000 WITH a AS (UPDATE accounts SET owner = 'a' WHERE id < 5 RETURNING id), b AS (UPDATE accounts SET owner = 'b' WHERE id = 2 RETURNING id) SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)
        0A000 WITH a AS (DELETE FROM accounts WHERE id = 1001), b AS (INSERT INTO accounts (id, owner) VALUES (1001, 'a'), (1002, 'b')) SELECT 1
        0A000 WITH t AS (INSERT INTO tickets (account_id, title) SELECT id, owner FROM accounts RETURNING id) SELECT * FROM t
        0A000 WITH a AS (UPDATE accounts SET balance = 1 RETURNING id) UPDATE accounts SET owner = 'z' FROM a WHERE a.id = accounts.id
    """,
    "with WITH entries, also recursive ones": """
        DELETE FROM entries WHERE (account_id, id) IN (SELECT account_id, id FROM entries ORDER BY amount DESC, id LIMIT 10) RETURNING id
        WITH top AS (SELECT id, owner FROM accounts ORDER BY balance DESC, id LIMIT 4) UPDATE entries SET note = owner FROM top WHERE top.id = entries.account_id
        UPDATE accounts SET owner = 'x' FROM (SELECT id FROM accounts ORDER BY id LIMIT 4) f WHERE f.id = accounts.id
        0A000 UPDATE accounts SET owner = 'x' FROM rates, LATERAL (SELECT id FROM accounts WHERE owner <> rates.code ORDER BY id LIMIT 4) f WHERE f.id = accounts.id
    """,
    "with subqueries that name columns of the row": """
        UPDATE accounts SET owner = coalesce((SELECT e.note FROM entries e WHERE e.amount > accounts.balance ORDER BY e.amount, e.id, e.account_id LIMIT 1), owner)
        0A000 UPDATE accounts SET balance = (SELECT e.amount FROM entries e WHERE e.amount > accounts.balance ORDER BY random() LIMIT 1)
    """,
    "with an unsharded table or a table of the catalog": """
        DELETE FROM entries USING notes WHERE notes.id = entries.account_id RETURNING entries.id, notes.title
        UPDATE accounts SET owner = 'x' WHERE EXISTS (SELECT FROM notes n WHERE n.id = accounts.id % 9)
        0A000 DELETE FROM entries USING notes WHERE notes.id = entries.account_id AND public.notes.title > ''
    """,
    "RETURNING and ON CONFLICT with subqueries": """
        INSERT INTO entries (account_id, id, amount) VALUES (1, 9001, 1), (2, 9002, 2) RETURNING id, (SELECT max(title) FROM notes), (SELECT count(*) FROM entries)
        DELETE FROM entries WHERE amount > 200 RETURNING id, (SELECT max(owner) FROM accounts)
    """,
    "`now()`, `CURRENT_TIMESTAMP`": """
        UPDATE accounts SET changed = now(), opened = DEFAULT WHERE balance > 100 RETURNING id, opened = now()
    """,
    "UPDATE of the key where": """
        UPDATE accounts SET id = 7 WHERE id = 7
    """,
    "UPDATE of the key otherwise": """
        UPDATE accounts SET id = id + 5000 WHERE id < 9 RETURNING id, owner
        0A000 UPDATE accounts SET id = id + 1 WHERE id < 10
    """,
    "INSERT, UPDATE and DELETE through a view": """
        INSERT INTO plain (account, owner) VALUES (1001, 'a'), (1002, 'b') RETURNING account
        UPDATE plain SET owner = 'x' WHERE account < 50
        DELETE FROM rich_entries WHERE amount > 200 RETURNING no
        0A000 UPDATE plain SET account = account + 5000 WHERE account < 9
        55000 UPDATE rich SET total = 5
        see differential/test_written_views.py::test_a_write
    """,
    "ON CONFLICT DO UPDATE SET key": """
        INSERT INTO accounts (id, owner) VALUES (1, 'a'), (1001, 'b') ON CONFLICT (id) DO UPDATE SET id = EXCLUDED.id RETURNING id
        0A000 INSERT INTO accounts (id, owner) VALUES (1, 'a'), (1001, 'b') ON CONFLICT (id) DO UPDATE SET id = 9
    """,
    "MERGE whose rows are tied": """
        MERGE INTO accounts a USING (VALUES (1005, 'x')) v(id, owner) ON a.id = v.id WHEN MATCHED THEN UPDATE SET owner = v.owner WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (v.id, v.owner)
        MERGE INTO accounts a USING entries e ON a.id = e.account_id AND a.id = 5 AND e.id = 4 WHEN MATCHED THEN UPDATE SET owner = e.note
        0A000 MERGE INTO tickets t USING (VALUES (1, 'a')) v(id, title) ON t.account_id = v.id AND t.id = 1 WHEN NOT MATCHED THEN INSERT (account_id, title) VALUES (v.id, v.title)
    """,
    "MERGE otherwise, where each row": """
        MERGE INTO entries e USING archive x ON e.account_id = x.account_id AND e.id = x.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (account_id, id, amount) VALUES (x.account_id, x.id, x.amount)
        MERGE INTO accounts a USING rates r ON r.code = 'r' || a.id WHEN MATCHED THEN UPDATE SET balance = r.rate, changed = now()
    """,
    "MERGE otherwise: the source": """
        MERGE INTO accounts a USING (SELECT account_id AS id, count(*) AS n FROM events GROUP BY 1) e ON a.id = e.id WHEN MATCHED THEN UPDATE SET balance = e.n WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (e.id, 'new')
        WITH e AS (SELECT name, max(n) AS n FROM events GROUP BY name) MERGE INTO accounts a USING e ON a.owner = e.name WHEN MATCHED THEN UPDATE SET balance = e.n
        0A000 MERGE INTO accounts a USING events e ON a.id = e.account_id WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (e.n, 'new')
        0A000 MERGE INTO accounts a USING entries e ON e.account_id = a.id WHEN MATCHED THEN UPDATE SET id = e.id
        0A000 MERGE INTO accounts a USING (SELECT account_id AS id, name COLLATE "C" AS name FROM events) e ON a.id = e.id WHEN MATCHED THEN UPDATE SET owner = e.name WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (e.id, e.name)
    """,
    "MERGE into a reference table": """
        MERGE INTO rates r USING (VALUES ('r1', 10), ('n1', 11)) v(code, rate) ON r.code = v.code WHEN MATCHED THEN UPDATE SET rate = v.rate WHEN NOT MATCHED THEN INSERT (code, rate, token) VALUES (v.code, v.rate, NULL)
        MERGE INTO rates r USING accounts a ON r.code = 'r' || a.id WHEN MATCHED THEN UPDATE SET rate = a.balance
        MERGE INTO rates r USING (SELECT 'r' || account_id AS code, max(n) AS n FROM events GROUP BY 1) e ON r.code = e.code WHEN MATCHED THEN UPDATE SET rate = e.n
        MERGE INTO rates r USING (SELECT DISTINCT 'r' || account_id AS code, (array_agg(n ORDER BY n))[1] AS n FROM events GROUP BY account_id) e ON r.code = e.code WHEN MATCHED THEN UPDATE SET rate = e.n
    """,
    "unsharded tables, COPY FROM included": """
        INSERT INTO notes (id, title) VALUES (50, 'x') RETURNING id
        INSERT INTO notes (id, title) SELECT id + 10000, owner FROM accounts
        UPDATE notes SET title = (SELECT max(owner) FROM accounts) WHERE id IN (SELECT account_id FROM entries WHERE amount > 60)
        runs INSERT INTO notes (id, title) SELECT id + 10000, now()::text FROM accounts
    """,
    "reference tables: INSERT": """
        INSERT INTO rates (code, rate, token) VALUES ('n', 1, NULL) ON CONFLICT (code) DO UPDATE SET rate = 2 RETURNING code, rate
        UPDATE rates SET rate = rate + 1
        INSERT INTO rates (code, rate, changed, token) SELECT 'a' || id, balance, NULL::timestamptz, NULL::uuid FROM accounts WHERE id < 12
        DELETE FROM rates WHERE code NOT IN (SELECT 'r' || n FROM events WHERE n < 4)
        0A000 INSERT INTO rates (code, rate, token) SELECT 'n', random(), NULL
        INSERT INTO marked VALUES ('a', NULL, '2024-01-01')
        INSERT INTO marked (code, at) VALUES ('a', NULL) RETURNING code, u IS NULL
        0A000 INSERT INTO marked (code, u) VALUES ('a', NULL)
        0A000 DELETE FROM rates WHERE ctid = '(0,1)'
        0A000 UPDATE rates SET changed = 'now()'
        0A000 DELETE FROM rates WHERE random() < 0
    """,
    "UPDATE of a reference table with FROM": """
        UPDATE rates SET rate = a.balance FROM accounts a WHERE code = 'r' || a.id RETURNING code, rate, a.owner
        UPDATE rates SET rate = n.n FROM (SELECT code, count(*) AS n FROM rates GROUP BY 1) n WHERE n.code = rates.code
        UPDATE rates SET token = gen_random_uuid(), rate = floor(random()) RETURNING code, rate, token IS NULL
        UPDATE rates SET rate = (SELECT max(o.rate) FROM rates o WHERE o.code < rates.code) RETURNING code, rate
        0A000 UPDATE rates SET rate = o.rate FROM rates o WHERE o.code < rates.code RETURNING o
        0A000 WITH w AS (UPDATE rates SET rate = o.rate FROM rates o WHERE o.code < rates.code RETURNING rates.code) SELECT * FROM w
    """,
    "`random()`, `gen_random_uuid()` and the like among": """
        INSERT INTO rates (code, rate) VALUES ('n', floor(random())), ('o', 2) RETURNING code, rate, token IS NULL
        0A000 INSERT INTO rates (code, rate) SELECT 'n', 1
        0A000 INSERT INTO rates (code) VALUES ('r1') ON CONFLICT (code) DO UPDATE SET token = DEFAULT
    """,
    "COPY FROM STDIN into a reference table": """
        see integration/test_copy.py::test_a_reference_table
        see differential/test_numbered_copies.py::test_a_reference_table
    """,
    "tables with a constraint that holds per shard": """
        0A000 INSERT INTO unique_owners (id, owner) VALUES (1, 'x')
        0A000 INSERT INTO remarks VALUES (1, 1)
    """,
    "tables, unsharded ones too, whose triggers": """
        0A000 INSERT INTO watched (id) VALUES (1)
        0A000 INSERT INTO noted VALUES (1)
        SELECT id FROM noted
        0A000 INSERT INTO moving VALUES (1, 1)
    """,
    "`nextval()`, `setval()`": """
        SELECT nextval('codes') > 0
        0A000 SELECT nextval('codes') FROM accounts
    """,
    "TRUNCATE, COMMENT": """
        CREATE INDEX ON archive (id)
        ALTER TABLE archive ADD COLUMN more int DEFAULT 5
        ALTER TABLE archive ADD COLUMN price numeric(8, 2) NOT NULL DEFAULT 0.5 CHECK (price > 0), ADD COLUMN twice numeric GENERATED ALWAYS AS (amount * 2) STORED
        TRUNCATE archive
        ALTER TABLE archive ALTER COLUMN note TYPE varchar(50) USING (note::varchar(50))
        0A000 ALTER TABLE archive ALTER COLUMN note TYPE text USING note || 'x'
        0A000 ALTER TABLE archive ALTER COLUMN account_id TYPE bigint USING id
        0A000 ALTER TABLE archive DROP COLUMN account_id
        0A000 CREATE UNIQUE INDEX ON archive (note)
        ALTER TABLE archive DROP COLUMN note
        CREATE POLICY own ON archive USING (id > 5)
        CREATE AGGREGATE added (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0')
        ALTER TABLE archive ENABLE ROW LEVEL SECURITY
        see integration/test_upkeep.py::test_an_extension
        0A000 ALTER TABLE archive ADD COLUMN late timestamptz DEFAULT now()
        CREATE VIEW seen AS SELECT n.*, r.rate FROM notes n LEFT JOIN rates r ON true
        0A000 CREATE VIEW seen AS SELECT n.* FROM notes n, accounts
        0A000 CREATE VIEW seen AS SELECT n.* FROM notes n, drafts
    """,
    "LOCK TABLE": """
        LOCK TABLE accounts, rates IN SHARE MODE
        LOCK TABLE notes
        0A000 LOCK TABLE accounts, notes
        see integration/test_upkeep.py::test_a_lock_outside_of_a_transaction
    """,
    "ANALYZE, REINDEX TABLE": """
        ANALYZE accounts
        REINDEX TABLE archive
        0A000 ANALYZE accounts, notes
        see integration/test_upkeep.py::test_every_shard_is_done
    """,
    "VACUUM, CREATE INDEX CONCURRENTLY": """
        25001 VACUUM accounts
        0A000 CREATE INDEX CONCURRENTLY ON archive (id)
        see integration/test_upkeep.py::test_every_shard_is_done
        see integration/test_upkeep.py::test_a_failure_is_mended_and_taken_up
    """,
    "roles, databases, tablespaces": """
        0A000 CREATE ROLE somebody
        0A000 CREATE TABLE made AS SELECT * FROM accounts
        0A000 CREATE MATERIALIZED VIEW made AS SELECT * FROM accounts
    """,
}

SESSIONS = {
    "functions of pg_catalog": """
        SELECT id, initcap(owner) FROM accounts
    """,
    "`pgbraid.id()`, the ids": """
        see integration/test_ids.py::test_no_id_is_given_twice
        see integration/test_ids.py::test_copies_of_a_reference_table_are_alike
        see integration/test_ids.py::test_copy_draws_what_it_leaves_out
        see integration/test_ids.py::test_other_writes
        see integration/test_ids.py::test_replicas_are_not_asked
    """,
    "functions of your own, SQL": """
        SELECT id, doubled(balance) FROM accounts
        SELECT id, vat(balance), band(balance), band(balance, 10, 20), band(balance, high => 300) FROM accounts
        SELECT band(balance), count(*) FROM accounts GROUP BY band(balance) ORDER BY 1
        SELECT longest(owner) FROM accounts WHERE band(balance) <> 'low'
        SELECT band, count(*) FROM banded GROUP BY band
        0A000 SELECT spoken_total(id) FROM accounts
    """,
    "triggers for each row, in PL/pgSQL": """
        INSERT INTO articles (id, title) VALUES (101, 'One More'), (102, 'And Another One'), (103, 'THE LAST')
        INSERT INTO articles (id, title) VALUES (101, 'One More'), (102, 'skip'), (103, 'THE LAST'), (104, 'skip') RETURNING id, slug
        INSERT INTO articles (id, title) VALUES (102, 'skip') RETURNING id, slug
        INSERT INTO articles (id, title) SELECT id + 200, CASE WHEN id % 3 = 0 THEN 'skip' ELSE owner END FROM accounts RETURNING id, slug
        UPDATE articles SET title = CASE WHEN id % 2 = 0 THEN 'skip' ELSE 'x' END RETURNING id
        MERGE INTO articles t USING accounts a ON a.id = t.id WHEN MATCHED THEN UPDATE SET title = CASE WHEN a.id % 2 = 0 THEN 'skip' ELSE a.owner END WHEN NOT MATCHED THEN INSERT (id, title) VALUES (a.id, CASE WHEN a.id % 3 = 0 THEN 'skip' ELSE a.owner END)
        WITH t AS (INSERT INTO articles (id, title) VALUES (101, 'One More'), (102, 'skip'), (103, 'THE LAST') RETURNING id, slug) SELECT * FROM t
        23514 INSERT INTO articles (id, title) VALUES (101, 'One More'), (102, '')
        INSERT INTO articles (id, title) VALUES (1, 'Again') ON CONFLICT (id) DO UPDATE SET title = EXCLUDED.title RETURNING slug, changes
        UPDATE articles SET title = title || ' (' || id || ')' RETURNING id, slug, changes
        INSERT INTO visitors VALUES (77, 'new', NULL) RETURNING seen = now()
        UPDATE visitors SET name = 'again' WHERE id = 3 RETURNING seen = now()
        0A000 UPDATE visitors SET name = 'again'
        0A000 INSERT INTO visitors (id) VALUES (78), (79), (80), (81), (82), (83)
        0A000 WITH a AS (INSERT INTO visitors (id) VALUES (78) RETURNING seen), b AS (INSERT INTO visitors (id) VALUES (79) RETURNING seen), c AS (INSERT INTO visitors (id) VALUES (80) RETURNING seen) SELECT a.seen = b.seen FROM a, b, c
        0A000 MERGE INTO visitors v USING accounts a ON a.id = v.id WHEN MATCHED THEN UPDATE SET name = a.owner
        0A000 INSERT INTO visitors (id) VALUES (generate_series(101, 120))
        0A000 EXPLAIN ANALYZE INSERT INTO visitors (id) VALUES (78), (79), (80), (81), (82), (83)
        0A000 UPDATE visitors_shown SET name = 'again'
        UPDATE visitors_shown SET name = 'again' WHERE id = 3 RETURNING name
        DELETE FROM articles WHERE id > 6 RETURNING slug
    """,
    "other functions of your own": """
        0A000 SELECT id, spoken(id) FROM accounts
    """,
    "CALL, DO": """
        0A000 DO 'BEGIN END'
    """,
    "LISTEN, UNLISTEN": """
        see integration/test_listen.py::test_every_shard_is_heard
        see integration/test_listen.py::test_what_is_refused_over_several_shards
    """,
    "`set_config()`": """
        SELECT set_config('work_mem', '1024kB', true), pg_catalog.set_config('app.tenant', '5'::text, true) AS tenant
        SELECT set_config('search_path', '', true)
        22023 SELECT set_config('work_mem', 'much', false)
        0A000 SELECT set_config('work_mem', owner, false) FROM accounts
        0A000 SELECT set_config('pgbraid.shard', 's0', false)
        0A000 SELECT 1, set_config('work_mem', '1MB', false)
        see integration/test_transactions.py::test_set_config_holds_on_every_server
    """,
    "`setseed()`": """
        0A000 SELECT setseed(0.5)
    """,
    "advisory locks": """
        SELECT pg_advisory_xact_lock(5)
        0A000 SELECT pg_advisory_xact_lock(id) FROM accounts
    """,
    "SET, SHOW, RESET": """
        SET LOCAL work_mem = '2MB'
        SHOW client_encoding
        SAVEPOINT s
    """,
    "PREPARE, EXECUTE in SQL": """
        PREPARE p AS SELECT count(*) FROM accounts
        0A000 CREATE TABLE made AS EXECUTE p
        see differential/test_texts.py::test_as_one_server_says
    """,
    "prepared statements of the protocol": """
        see integration/test_sharding.py::test_named_statement_over_shards
    """,
    "LOAD, PREPARE TRANSACTION": """
        0A000 CREATE TEMPORARY TABLE scratch (n int)
    """,
    "function call by OID": """
        see integration/test_extended.py::test_function_call
    """,
    "several statements in one text": """
        UPDATE accounts SET owner = 'x' WHERE id = 7; SELECT owner FROM accounts WHERE id = 7
        UPDATE accounts SET owner = 'x'; SELECT 1
        see differential/test_texts.py::test_as_one_server_says
    """,
    "statement that PostgreSQL 15": """
        42601 SELEC 1
        0A000 SELECT xmlelement(name a, owner) FROM accounts
    """,
    "statement longer than": """
        see integration/test_bad_input.py::test_statement_too_long_to_route
    """,
    "expression nested too deeply": """
        see integration/test_bad_input.py::test_deep_expression
    """,
    "table that the topology does not list": """
        0A000 SELECT * FROM unlisted
    """,
    "table that does not exist": """
        42P01 SELECT * FROM nowhere
    """,
    "writes of a table with a type": """
        see integration/test_type_numbers.py::test_parameters_of_the_type
    """,
}

SECTIONS = {"Reads": READS, "Writes": WRITES, "Code and sessions": SESSIONS}
