-- Statements prepared by the protocol, described to the client, and DDL in between.
CREATE TABLE shape (a int, b text);
INSERT INTO shape VALUES (1, 'x');
--: parse every SELECT a, b FROM shape
--: describe-statement every
--: sync
--: parse undescribed SELECT b FROM shape
--: parse one SELECT a FROM shape
--: sync
--: bind - every
--: execute -
--: sync
ALTER TABLE shape ADD COLUMN c int DEFAULT 3;
--: bind - one
--: execute -
--: sync
--: bind - every
--: execute -
--: sync
--: bind - undescribed
--: execute -
--: sync
ALTER TABLE shape DROP COLUMN c;
--: bind - every
--: execute -
--: sync
DROP TABLE shape;
--: bind - one
--: execute -
--: sync
CREATE TABLE shape (a int, b text);
--: bind - one
--: execute -
--: sync
--: bind - every
--: execute -
--: sync
DROP TABLE shape;
