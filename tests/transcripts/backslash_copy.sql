-- \copy from and to files and programs, errors with their context.
CREATE TABLE b (id int, name text);
INSERT INTO b SELECT n, 'row ' || n FROM generate_series(1, 5) n;
\copy b to 'b.txt'
\copy b from 'b.txt'
SELECT count(*) FROM b;
\copy (SELECT id, name FROM b ORDER BY id LIMIT 2) to 'b.csv' csv header
\copy b from 'b.csv' csv header
SELECT count(*) FROM b;
\copy b to stdout csv
\copy b from program 'echo "77,program"' csv
\copy b from program 'echo "x,program"' csv
\copy no_such to 'x.txt'
\copy b from 'no_such_file'
SELECT count(*) FROM b WHERE id = 77;
\copy b (id) from stdin
1
2
\.
SELECT count(*) FROM b;
BEGIN;
\copy b to 'b.bin' binary
TRUNCATE b;
\copy b from 'b.bin' binary
SELECT count(*) FROM b;
ROLLBACK;
DROP TABLE b;
