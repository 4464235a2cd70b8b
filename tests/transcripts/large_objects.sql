-- Large objects: server side functions inside transactions, psql's own commands.
SELECT lo_create(424242);
BEGIN;
SELECT lo_open(424242, x'60000'::int) AS fd;
SELECT lowrite(0, 'hello large world');
SELECT lo_lseek(0, 6, 0);
SELECT convert_from(loread(0, 5), 'UTF8');
SELECT lo_tell(0);
SELECT lo_truncate(0, 11);
SELECT lo_close(0);
COMMIT;
SELECT convert_from(lo_get(424242), 'UTF8');
SELECT lo_open(424242, x'40000'::int);
SELECT loread(0, 5);
SELECT lo_put(424242, 0, 'J');
SELECT convert_from(lo_get(424242, 0, 5), 'UTF8');
SELECT lo_from_bytea(424243, '\xdeadbeef');
SELECT lo_get(424243);
\! printf 'imported text' > lo.txt
\lo_import lo.txt 'a comment'
\lo_export :LASTOID lo_out.txt
\! cat lo_out.txt
\lo_unlink :LASTOID
SELECT lo_unlink(424242), lo_unlink(424243);
SELECT lo_get(424242);
SELECT lo_unlink(424242);
