-- COPY in and out: text, csv, failures on either side, in and out of transactions.
CREATE TABLE c (id int PRIMARY KEY, name text, made date);
COPY c FROM STDIN;
1	one	2020-01-01
2	\N	\N
3	tab\tinside	2020-01-03
\.
SELECT * FROM c ORDER BY id;
COPY c (id, name) FROM STDIN WITH (FORMAT csv, HEADER);
id,name
4,"quoted, comma"
5,"two
lines"
\.
COPY c TO STDOUT;
COPY (SELECT id, name FROM c ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER);
COPY c FROM STDIN;
6	six	2020-01-06
7	seven	not a date
8	eight	2020-01-08
\.
SELECT count(*) FROM c;
COPY c FROM STDIN;
1	duplicate	2020-01-01
\.
COPY c (id, nothing) FROM STDIN;
COPY c FROM STDIN;
9	too few
\.
BEGIN;
COPY c FROM STDIN;
10	ten	2020-01-10
\.
ROLLBACK;
SELECT count(*) FROM c;
BEGIN;
COPY c FROM STDIN;
bad
\.
SELECT 'aborted';
ROLLBACK;
COPY (SELECT 1 / 0) TO STDOUT;
COPY (SELECT 1 / (3 - n) FROM generate_series(1, 5) n) TO STDOUT;
COPY no_such TO STDOUT;
COPY (INSERT INTO c VALUES (11, 'eleven') RETURNING id) TO STDOUT;
COPY c FROM '/no/such/file';
COPY c (id, name) FROM STDIN\; SELECT count(*) FROM c;
12	twelve
\.
COPY c TO STDOUT WITH (FORMAT csv, FORCE_QUOTE *);
COPY c FROM STDIN WITH (FORMAT xml);
DROP TABLE c;
