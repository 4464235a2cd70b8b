-- One name space for statements prepared in SQL and by the protocol.
CREATE TABLE n (id int);
INSERT INTO n VALUES (1), (2);
PREPARE by_sql AS SELECT id FROM n WHERE id = $1;
--: bind - by_sql 2
--: describe-portal -
--: execute -
--: sync
--: describe-statement by_sql
--: sync
--: parse by_sql SELECT 1
--: sync
--: parse by_protocol SELECT id + 10 FROM n WHERE id = $1
--: sync
EXECUTE by_protocol(1);
PREPARE by_protocol AS SELECT 1;
SELECT name, from_sql FROM pg_prepared_statements ORDER BY name;
DEALLOCATE by_protocol;
EXECUTE by_protocol(1);
--: bind - by_protocol 1
--: sync
--: close-statement by_sql
--: sync
EXECUTE by_sql(1);
PREPARE by_sql AS SELECT 'once more';
EXECUTE by_sql;
--: bind - by_sql
--: execute -
--: sync
DISCARD ALL;
--: bind - by_sql
--: sync
DROP TABLE n;
