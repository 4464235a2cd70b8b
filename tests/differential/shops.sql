-- Tables beside the demonstration's: types of one's own, views, functions; the same rows everywhere, since nothing in
-- them is left to chance.
CREATE TYPE mood AS ENUM ('sad', 'plain', 'happy');
CREATE DOMAIN price AS numeric(10, 2) CHECK (VALUE >= 0);
CREATE TYPE spot AS (street text, number int);
CREATE TABLE shops (
  id bigint PRIMARY KEY,
  name text NOT NULL,
  mood mood,
  rent price,
  spot spot,
  tags text[],
  info jsonb
);
INSERT INTO shops
SELECT n, 'shop ' || n % 37, (enum_range(NULL::mood))[1 + n % 3], CASE WHEN n % 11 > 0 THEN n * 7 % 1000 + 0.5 END,
       ROW('street "' || n % 5 || '"', n)::spot, ARRAY['a' || n % 3, 'b,{}' || n % 4],
       jsonb_build_object('size', n % 10, 'open', n % 2 = 0, 'kinds', jsonb_build_array(n % 3, n % 5))
  FROM generate_series(1, 200) AS n;
CREATE TABLE sales (
  shop_id bigint NOT NULL,
  id bigint NOT NULL,
  day date NOT NULL,
  amount price NOT NULL,
  seller text,
  PRIMARY KEY (shop_id, id)
);
INSERT INTO sales
SELECT n % 200 + 1, n, DATE '2024-01-01' + n % 90, (n * 31 % 5000) / 7.0, CASE WHEN n % 13 > 0 THEN 'seller ' || n % 17 END
  FROM generate_series(1, 2000) AS n;
CREATE TABLE visits (
  shop_id bigint NOT NULL,
  at timestamp NOT NULL,
  visitor text COLLATE "C"
);
INSERT INTO visits
SELECT n * 7 % 200 + 1, TIMESTAMP '2024-01-01' + n * INTERVAL '37 minutes', CASE WHEN n % 5 > 0 THEN 'v' || n % 23 END
  FROM generate_series(1, 600) AS n;
-- The key in another type, and arrays of which some give no row.
CREATE TABLE stalls (id int NOT NULL, sales bigint, marks text[], name text);
INSERT INTO stalls SELECT n, n % 9, CASE WHEN n > 40 THEN ARRAY['m' || n, NULL, 'x'] WHEN n > 20 THEN '{}' END, 'stall ' || n % 6 FROM generate_series(1, 60) AS n;
CREATE TABLE prices (name text, sales int, fee numeric);
INSERT INTO prices SELECT 'stall ' || n, n, n * 1.5 FROM generate_series(1, 5) AS n;
CREATE VIEW shop_sales AS
  SELECT s.id, s.name, count(x.id) AS sold, sum(x.amount) AS total FROM shops s LEFT JOIN sales x ON x.shop_id = s.id GROUP BY s.id;
CREATE VIEW good_shops (shop, label, taken) AS SELECT id, name, total FROM shop_sales WHERE sold > 9;
CREATE VIEW days AS SELECT day FROM sales UNION SELECT at::date FROM visits;
CREATE VIEW monthly AS
  WITH shops AS (SELECT date_trunc('month', day) AS month, amount FROM sales)
  SELECT month, sum(amount) AS taken, avg(amount) AS mean FROM shops GROUP BY month;
CREATE VIEW flagged WITH (security_barrier) AS SELECT id, name, rent FROM shops WHERE mood = 'sad';
CREATE FUNCTION twice(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE FUNCTION thrice(n numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT twice(n) + n';
CREATE FUNCTION label(n bigint, t text) RETURNS text LANGUAGE sql STABLE AS $$ SELECT t || ' #' || n $$;
CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM sales';
CREATE FUNCTION indirect() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT counted()';
CREATE FUNCTION spoken(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + 1; END';
CREATE FUNCTION asking(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + (SELECT count(*) FROM shops); END';
CREATE FUNCTION mixed(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
CREATE FUNCTION mixed(text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM 1; RETURN 1; END';
-- What an extension does: another replace(), whose body calls the server's own.
CREATE DOMAIN loose_text AS text;
CREATE FUNCTION replace(loose_text, loose_text, loose_text) RETURNS text LANGUAGE sql IMMUTABLE AS
  $$ SELECT pg_catalog.replace(pg_catalog.lower($1::pg_catalog.text), pg_catalog.lower($2::pg_catalog.text), $3::pg_catalog.text) $$;
CREATE FUNCTION year_of(date) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT extract(year FROM $1)::int';
GRANT SELECT ON stalls, prices, shops, sales, visits, shop_sales, good_shops, days, monthly, flagged TO app;
