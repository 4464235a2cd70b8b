-- Errors: positions, details, hints, contexts, constraint names; verbose and terse.
SELECT 1 FROM no_such_table;
SELECT no_such_column FROM pg_class;
SELECT * FROM pg_class WHERE;
SELECT no_such_function(1);
SELECT 'x'::int;
SELECT 1 / 0;
SELECT 'ünï' || nocolumn;
SELECT
  1,
  2,
  wrong
FROM pg_class;
CREATE TABLE e (id int PRIMARY KEY, ref int REFERENCES e, len text CHECK (length(len) < 3));
INSERT INTO e VALUES (1, 2, 'x');
INSERT INTO e VALUES (1, NULL, 'xxxx');
INSERT INTO e VALUES (NULL, NULL, 'x');
INSERT INTO e VALUES (1, NULL, 'x');
INSERT INTO e VALUES (1, NULL, 'x');
CREATE TABLE e (id int);
CREATE TABLE IF NOT EXISTS e (id int);
DROP TABLE nothing;
DROP TABLE IF EXISTS nothing;
SELECT lenght('typo');
SELECT e.idd FROM e;
SELECT count(*) FROM e GROUP BY nope;
SELECT id FROM e GROUP BY ref;
SELECT 1 WHERE 'unterminated;
';
\set VERBOSITY verbose
SELECT 1 / 0;
SELECT nothing;
\set VERBOSITY terse
SELECT 1 / 0;
\set VERBOSITY sqlstate
SELECT 1 / 0;
\set VERBOSITY default
\set SHOW_CONTEXT always
DO $$ BEGIN RAISE NOTICE 'with context'; PERFORM 1 / 0; END $$;
\set SHOW_CONTEXT errors
GRANT SELECT ON pg_authid TO app;
SELECT * FROM pg_authid;
SELECT pg_terminate_backend(1);
LOCK TABLE e IN EXCLUSIVE MODE;
CREATE DATABASE inside_nothing;
BEGIN;
VACUUM;
ROLLBACK;
DROP TABLE e;
