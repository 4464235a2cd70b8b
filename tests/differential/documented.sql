-- What the examples of documented.py need beside writes.sql.
CREATE TABLE notes (id bigint PRIMARY KEY, title text);
INSERT INTO notes SELECT n, 'note ' || n FROM generate_series(1, 5) AS n;
CREATE TABLE drafts (id bigint PRIMARY KEY, title text);
CREATE TABLE unlisted (id bigint);
CREATE TABLE unique_owners (id bigint PRIMARY KEY, owner text UNIQUE);
CREATE TABLE watched (id bigint PRIMARY KEY);
CREATE FUNCTION spoken(bigint) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN $1 + 1; END';
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER watch BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION watch();
CREATE FUNCTION doubled(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE VIEW rich AS SELECT a.id, sum(e.amount) AS total FROM accounts a JOIN entries e ON e.account_id = a.id GROUP BY a.id HAVING sum(e.amount) > 500;
CREATE VIEW lucky AS SELECT id FROM accounts WHERE random() < 0.5;
CREATE VIEW alike_rates AS SELECT code, rate FROM rates;
CREATE VIEW first_rates AS SELECT code, rate FROM rates ORDER BY rate, code LIMIT 3;
CREATE VIEW above_first_rates AS SELECT code FROM first_rates;
GRANT ALL ON notes, drafts, unlisted, unique_owners, watched, rich, lucky, alike_rates, first_rates, above_first_rates TO app;
-- Its owner may change its definition.
ALTER TABLE archive OWNER TO app;
GRANT CREATE ON SCHEMA public TO app;
