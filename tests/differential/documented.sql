-- What the examples of documented.py need beside writes.sql.
CREATE TABLE notes (id bigint PRIMARY KEY, title text);
INSERT INTO notes SELECT n, 'note ' || n FROM generate_series(1, 5) AS n;
CREATE TABLE drafts (id bigint PRIMARY KEY, title text);
CREATE TABLE unlisted (id bigint);
CREATE TABLE unique_owners (id bigint PRIMARY KEY, owner text UNIQUE);
CREATE TABLE watched (id bigint PRIMARY KEY);
CREATE FUNCTION spoken(bigint) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM notes) + $1; END';
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO drafts VALUES (NEW.id); RETURN NEW; END';
CREATE TRIGGER watch BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION watch();
CREATE TABLE allowed (id bigint PRIMARY KEY, code text);
INSERT INTO allowed SELECT n, CASE WHEN n % 3 = 0 THEN 'none' ELSE 'r' || n END FROM generate_series(1, 12) AS n;
ALTER TABLE allowed ENABLE ROW LEVEL SECURITY;
CREATE POLICY rated ON allowed USING (code IN (SELECT r.code FROM rates r) AND id < (SELECT current_setting('work_mem')::text <> '')::int + 9);
CREATE TABLE guarded (id bigint PRIMARY KEY, account_id bigint);
INSERT INTO guarded SELECT n, n % 7 FROM generate_series(1, 12) AS n;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON guarded USING (account_id IN (SELECT a.id FROM accounts a));
CREATE FUNCTION tenant() RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT length(current_setting('work_mem')) $$;
CREATE TABLE entered (id bigint PRIMARY KEY);
INSERT INTO entered SELECT generate_series(1, 12);
ALTER TABLE entered ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON entered FOR SELECT USING (id > tenant());
CREATE POLICY written ON entered FOR INSERT WITH CHECK (id IN (SELECT a.id FROM accounts a));
CREATE VIEW shown AS SELECT id FROM guarded;
CREATE TABLE remarks (id bigint PRIMARY KEY, guarded_id bigint REFERENCES guarded (id));
CREATE TABLE noted (id bigint PRIMARY KEY);
CREATE TRIGGER watch BEFORE INSERT ON noted FOR EACH ROW EXECUTE FUNCTION watch();
CREATE DOMAIN uid AS uuid DEFAULT gen_random_uuid();
CREATE TABLE marked (code text PRIMARY KEY, u uid, at timestamp DEFAULT ('now'::text)::timestamp);
CREATE FUNCTION doubled(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE FUNCTION band(n numeric, low numeric DEFAULT 100, high numeric DEFAULT 500) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF n IS NULL THEN
    RETURN 'none';
  ELSIF n < low THEN
    RETURN 'low';
  END IF;
  RETURN CASE WHEN n > high THEN 'high' ELSE 'middle' END;
END $$;
CREATE FUNCTION vat(n numeric) RETURNS numeric LANGUAGE sql IMMUTABLE RETURN n * 0.2;
CREATE FUNCTION longer(text, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN CASE WHEN $1 IS NULL OR length($2) > length($1) OR (length($2) = length($1) AND $2 > $1) THEN $2 ELSE $1 END; END';
CREATE AGGREGATE longest(text) (SFUNC = longer, STYPE = text);
CREATE FUNCTION spoken_sum(bigint, bigint) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN coalesce($1, 0) + spoken($2); END';
CREATE AGGREGATE spoken_total(bigint) (SFUNC = spoken_sum, STYPE = bigint);
CREATE VIEW banded AS SELECT id, band(balance) AS band FROM accounts;
CREATE TABLE articles (id bigint PRIMARY KEY, title text NOT NULL, slug text, changes int NOT NULL DEFAULT 0);
CREATE FUNCTION slug_of() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.title = 'skip' THEN RETURN NULL; END IF;
  IF NEW.title = '' THEN RAISE EXCEPTION 'article % has no title', NEW.id USING ERRCODE = 'check_violation'; END IF;
  NEW.slug := lower(replace(NEW.title, ' ', '-'));
  IF TG_OP = 'UPDATE' AND NEW.title IS DISTINCT FROM OLD.title THEN NEW.changes = OLD.changes + 1; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER slug_of BEFORE INSERT OR UPDATE ON articles FOR EACH ROW EXECUTE FUNCTION slug_of();
INSERT INTO articles SELECT n, 'Article no ' || n FROM generate_series(1, 12) AS n;
CREATE TABLE visitors (id bigint PRIMARY KEY, name text, seen timestamptz);
CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.seen := now(); RETURN NEW; END';
CREATE TRIGGER seen BEFORE INSERT OR UPDATE ON visitors FOR EACH ROW EXECUTE FUNCTION seen();
INSERT INTO visitors SELECT n, 'visitor ' || n FROM generate_series(1, 12) AS n;
CREATE VIEW visitors_shown AS SELECT id, name, seen FROM visitors;
CREATE TABLE moving (id bigint PRIMARY KEY, n int);
CREATE FUNCTION elsewhere() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.id := NEW.id + 1; RETURN NEW; END';
CREATE TRIGGER elsewhere BEFORE INSERT ON moving FOR EACH ROW EXECUTE FUNCTION elsewhere();
CREATE TABLE tickets_by_uuid (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text);
CREATE VIEW rich AS SELECT a.id, sum(e.amount) AS total FROM accounts a JOIN entries e ON e.account_id = a.id GROUP BY a.id HAVING sum(e.amount) > 500;
CREATE VIEW plain AS SELECT id AS account, owner, opened, changed FROM accounts;
CREATE VIEW rich_entries AS SELECT account_id AS account, id AS no, amount FROM entries WHERE amount > 100 WITH CHECK OPTION;
CREATE VIEW lucky AS SELECT id FROM accounts WHERE random() < 0.5;
CREATE VIEW alike_rates AS SELECT code, rate FROM rates;
CREATE VIEW first_rates AS SELECT code, rate FROM rates ORDER BY rate, code LIMIT 3;
CREATE VIEW above_first_rates AS SELECT code FROM first_rates;
GRANT ALL ON banded, articles, visitors, visitors_shown, moving, tickets_by_uuid, entered, marked, allowed, guarded, shown, remarks, noted, notes, drafts, unlisted, unique_owners, watched, rich, plain, rich_entries, lucky, alike_rates, first_rates, above_first_rates TO app;
-- Its owner may change its definition.
ALTER TABLE archive OWNER TO app;
GRANT CREATE ON SCHEMA public TO app;
