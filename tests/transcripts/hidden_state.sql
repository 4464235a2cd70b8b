-- State that only the server sees: temporary tables, settings, locks, listens and prepared names made by code.
DO $$ BEGIN CREATE TEMP TABLE made_by_do AS SELECT 1 AS id; END $$;
SELECT * FROM made_by_do;
CREATE FUNCTION make_temp(n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TEMP TABLE made_%s AS SELECT %s AS id', n, n);
END $$;
SELECT make_temp(7);
SELECT * FROM made_7;
DO $$ BEGIN SET work_mem TO '12MB'; END $$;
SHOW work_mem;
SELECT 1;
SHOW work_mem;
DO $$ BEGIN PERFORM set_config('lock_timeout', '4s', false); END $$;
SELECT 1;
SHOW lock_timeout;
CREATE FUNCTION change_path() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('search_path', 'pg_catalog', false);
  RETURN 'changed';
END $$;
SELECT change_path();
SELECT 1;
SHOW search_path;
SET search_path TO public;
DO $$ BEGIN PERFORM pg_advisory_lock(77); END $$;
SELECT 1;
SELECT pg_advisory_unlock(77);
DO $$ BEGIN EXECUTE 'LISTEN by_do'; END $$;
SELECT 1;
SELECT * FROM pg_listening_channels();
DO $$ BEGIN EXECUTE 'PREPARE by_do AS SELECT 5 AS five'; END $$;
SELECT 1;
EXECUTE by_do;
CREATE FUNCTION set_within() RETURNS text LANGUAGE sql SET work_mem TO '1MB' AS 'SELECT current_setting(''work_mem'')';
SELECT set_within();
SHOW work_mem;
RESET ALL;
SHOW work_mem;
DISCARD ALL;
SELECT * FROM made_7;
SELECT * FROM pg_listening_channels();
DROP FUNCTION make_temp, change_path, set_within;
