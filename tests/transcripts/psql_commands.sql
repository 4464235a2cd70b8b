-- What psql asks catalogs for: \d and its family, \df, \dn, \l left out, \gdesc, \gset, \gexec, \crosstabview.
CREATE TABLE parent (id serial PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'x', score numeric(5, 2) CHECK (score > 0));
CREATE TABLE child (id int GENERATED ALWAYS AS IDENTITY, parent int REFERENCES parent ON DELETE CASCADE, u uuid UNIQUE);
CREATE INDEX by_name ON parent (lower(name)) WHERE score > 1;
CREATE VIEW names AS SELECT id, name FROM parent;
COMMENT ON TABLE parent IS 'the parents';
CREATE FUNCTION plus(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
\d
\d parent
\d+ parent
\d child
\d+ names
\di
\ds
\dv
\df
\df+ plus
\sf plus
\sv names
\dT
\dD
\dn
\dp parent
\d no_such
\dt pub*.*
SELECT id, name, score FROM parent \gdesc
SELECT 1 AS a, 'x'::text AS b, now() AS c, NULL::mood AS d \gdesc
SELEC nonsense \gdesc
SELECT 42 AS answer, 'deep' AS thought \gset
SELECT :answer, :'thought';
SELECT format('SELECT %s AS generated', n) FROM generate_series(1, 3) n \gexec
SELECT a, b, a * b AS p FROM generate_series(1, 2) a, generate_series(1, 3) b \crosstabview
SELECT 1 AS x, 2 AS y \gx
SELECT 'unaligned' AS u, 1 AS v \g (format=unaligned tuples_only=on)
\x on
SELECT * FROM names;
\x off
\pset null 'NULL'
SELECT NULL AS n;
\set AUTOCOMMIT off
INSERT INTO parent (name, score) VALUES ('uncommitted', 2);
ROLLBACK;
SELECT count(*) FROM parent;
COMMIT;
\set AUTOCOMMIT on
\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO parent (name, score) VALUES ('kept', 2);
INSERT INTO parent (name, score) VALUES ('bad', -2);
INSERT INTO parent (name, score) VALUES ('kept too', 3);
COMMIT;
SELECT name FROM parent ORDER BY id;
\set ON_ERROR_ROLLBACK off
\set FETCH_COUNT 2
SELECT n FROM generate_series(1, 5) n;
SELECT 1 / (3 - n) FROM generate_series(1, 5) n;
\set FETCH_COUNT 0
\errverbose
SELECT 1 / 0;
\errverbose
DROP TABLE parent, child CASCADE;
DROP FUNCTION plus;
DROP TYPE mood, pair;
DROP DOMAIN positive;
