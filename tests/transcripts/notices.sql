-- Notices, warnings and their levels, from DO, functions and the server itself.
DO $$ BEGIN RAISE NOTICE 'hello %', 'world'; END $$;
DO $$ BEGIN RAISE WARNING 'careful' USING HINT = 'a hint', DETAIL = 'a detail', ERRCODE = '01999'; END $$;
DO $$ BEGIN RAISE INFO 'always shown'; RAISE DEBUG 'hidden'; RAISE LOG 'logged'; END $$;
SET client_min_messages TO debug1;
DO $$ BEGIN RAISE DEBUG 'shown now'; END $$;
SELECT 1;
RESET client_min_messages;
SET client_min_messages TO error;
DO $$ BEGIN RAISE WARNING 'hidden'; END $$;
RESET client_min_messages;
DO $$ BEGIN RAISE EXCEPTION 'own error' USING ERRCODE = 'P0077', COLUMN = 'col', TABLE = 'tab'; END $$;
CREATE FUNCTION chatty(n int) RETURNS SETOF int LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..n LOOP
    RAISE NOTICE 'row %', i;
    RETURN NEXT i;
  END LOOP;
END $$;
SELECT * FROM chatty(3);
CREATE TABLE IF NOT EXISTS pg_class_like (LIKE pg_class);
CREATE TABLE IF NOT EXISTS pg_class_like (LIKE pg_class);
DROP SCHEMA IF EXISTS nope CASCADE;
CREATE VIEW dependent AS SELECT relname FROM pg_class_like;
DROP TABLE pg_class_like CASCADE;
TRUNCATE pg_class_like;
COMMIT;
ROLLBACK;
BEGIN;
BEGIN;
END;
END;
DO LANGUAGE plpgsql $$ DECLARE x int; BEGIN SELECT count(*) INTO x FROM chatty(1); RAISE NOTICE 'x = %', x; END $$;
DROP FUNCTION chatty;
