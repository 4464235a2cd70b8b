-- A new connection of the same psql has nothing of the old one.
SET work_mem TO '5MB';
PREPARE p AS SELECT 1;
CREATE TEMP TABLE t (id int);
SELECT pg_advisory_lock(9);
LISTEN r;
BEGIN;
SET LOCAL work_mem TO '6MB';
\c -
SHOW work_mem;
EXECUTE p;
SELECT * FROM t;
SELECT pg_advisory_unlock(9);
SELECT * FROM pg_listening_channels();
SELECT current_setting('transaction_isolation');
\c "options='-c work_mem=11MB -c my.option=x'"
SHOW work_mem;
SHOW my.option;
SET work_mem TO '12MB';
RESET work_mem;
SHOW work_mem;
RESET ALL;
SHOW work_mem;
DISCARD ALL;
SHOW work_mem;
SHOW my.option;
