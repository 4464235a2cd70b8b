-- Tables that are written to: two with one key, one with another, a reference table; defaults of all kinds. The same rows
-- everywhere, since nothing in them is left to chance.
CREATE TABLE accounts (
  id bigint PRIMARY KEY,
  owner text NOT NULL,
  balance numeric(12, 2) NOT NULL DEFAULT 0,
  state varchar(10) DEFAULT 'new',
  info jsonb,
  opened timestamptz NOT NULL DEFAULT now(),
  changed timestamp DEFAULT LOCALTIMESTAMP,
  token uuid DEFAULT gen_random_uuid()
);
INSERT INTO accounts (id, owner, balance, state, info, opened, changed, token)
SELECT n, 'owner ' || n % 20, n * 37 % 1000 / 4.0, CASE n % 4 WHEN 0 THEN 'new' WHEN 1 THEN 'open' WHEN 2 THEN 'closed' END,
       jsonb_build_object('n', n % 7), TIMESTAMPTZ '2024-01-01 00:00+00' + n * INTERVAL '1 day', NULL, NULL
  FROM generate_series(1, 120) AS n;
CREATE TABLE entries (
  account_id bigint NOT NULL,
  id bigint NOT NULL,
  amount numeric(10, 2) NOT NULL,
  note varchar(20),
  day date DEFAULT CURRENT_DATE,
  at timestamptz DEFAULT now(),
  PRIMARY KEY (account_id, id)
);
INSERT INTO entries
SELECT n % 120 + 1, n, n * 13 % 700 / 3.0, CASE WHEN n % 9 > 0 THEN 'note ' || n % 31 END, DATE '2024-01-01' + n % 60,
       TIMESTAMPTZ '2024-01-01 00:00+00' + n * INTERVAL '1 hour'
  FROM generate_series(1, 900) AS n;
CREATE TABLE archive (account_id bigint NOT NULL, id bigint, amount numeric, note text, moved timestamptz DEFAULT now());
INSERT INTO archive SELECT n, n, n, 'old ' || n % 5, NULL FROM generate_series(1, 60) AS n;
CREATE TABLE events (id bigint NOT NULL, name text, account_id bigint, n int, at timestamptz);
INSERT INTO events
SELECT n, 'event ' || n % 40, n % 150, n, TIMESTAMPTZ '2024-01-01 00:00+00' + n * INTERVAL '1 minute' FROM generate_series(1, 300) AS n;
CREATE TABLE rates (code text PRIMARY KEY, rate numeric, changed timestamptz DEFAULT now(), token uuid DEFAULT gen_random_uuid());
INSERT INTO rates SELECT 'r' || n, n / 3.0, TIMESTAMPTZ '2024-01-01 00:00+00', NULL FROM generate_series(1, 8) AS n;
GRANT ALL ON accounts, entries, archive, events, rates TO app;
