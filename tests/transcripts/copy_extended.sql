-- COPY by the extended protocol, among other statements.
CREATE TABLE ce (id int);
COPY ce FROM STDIN;
1
2
\.
--: parse - COPY ce TO STDOUT
--: bind - -
--: execute -
--: sync
COPY ce FROM STDIN;
x
\.
SELECT count(*) FROM ce;
BEGIN;
COPY ce FROM STDIN;
3
\.
COPY ce TO STDOUT;
COMMIT;
COPY ce TO STDOUT;
DROP TABLE ce;
