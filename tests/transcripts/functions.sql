-- Functions in SQL and PL/pgSQL: created, replaced, called, dropped between calls; procedures with their own COMMIT.
CREATE FUNCTION f(i int) RETURNS int LANGUAGE sql AS 'SELECT i + 1';
SELECT f(1);
CREATE OR REPLACE FUNCTION f(i int) RETURNS int LANGUAGE sql AS 'SELECT i + 2';
SELECT f(1);
CREATE FUNCTION f(i text) RETURNS text LANGUAGE sql AS 'SELECT i || i';
SELECT f('x'), f(5);
DROP FUNCTION f(int);
SELECT f(5);
CREATE FUNCTION rows_of(n int, OUT a int, OUT b text) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
  FOR a IN 1..n LOOP b := repeat('*', a); RETURN NEXT; END LOOP;
END $$;
SELECT * FROM rows_of(3);
SELECT rows_of(2);
CREATE FUNCTION fails() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 / 0; END $$;
SELECT fails();
CREATE TABLE log (what text);
CREATE PROCEDURE step_by_step(n int) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..n LOOP
    INSERT INTO log VALUES ('step ' || i);
    IF i % 2 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
  END LOOP;
END $$;
CALL step_by_step(4);
SELECT * FROM log ORDER BY what;
BEGIN;
CALL step_by_step(1);
ROLLBACK;
CREATE PROCEDURE gives_back(INOUT x int) LANGUAGE plpgsql AS $$ BEGIN x := x * 2; END $$;
CALL gives_back(21);
CREATE FUNCTION catches() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  BEGIN
    PERFORM 1 / 0;
  EXCEPTION WHEN division_by_zero THEN
    RETURN SQLERRM;
  END;
END $$;
SELECT catches();
CREATE FUNCTION cursor_over() RETURNS refcursor LANGUAGE plpgsql AS $$
DECLARE c refcursor := 'named_cursor';
BEGIN
  OPEN c FOR SELECT * FROM generate_series(1, 3);
  RETURN c;
END $$;
BEGIN;
SELECT cursor_over();
FETCH ALL FROM named_cursor;
COMMIT;
SELECT proname, prokind FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1;
DROP TABLE log;
DROP FUNCTION fails, catches, cursor_over, rows_of, f(text);
DROP PROCEDURE step_by_step, gives_back;
