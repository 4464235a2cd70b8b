-- The demonstration's schema, the same on every shard.
--   customers, orders   sharded by the customer: a customer's orders live beside the customer
--   countries           a reference table: a full copy on every shard
--   settings            unsharded: lives on the first shard only (see settings.sql)
-- The primary key of orders contains the sharding key and its own id is a uuid, so that what each shard checks alone
-- holds over all of them.
CREATE TABLE countries (
  code text PRIMARY KEY,
  name text NOT NULL
);

CREATE TABLE customers (
  id bigint PRIMARY KEY,
  name text NOT NULL,
  country text REFERENCES countries (code),
  balance numeric(12, 2) NOT NULL DEFAULT 0,
  created date NOT NULL DEFAULT DATE '2024-01-01'
);

CREATE TABLE orders (
  customer_id bigint NOT NULL REFERENCES customers (id),
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  amount numeric(12, 2) NOT NULL,
  note text,
  created timestamptz NOT NULL DEFAULT TIMESTAMPTZ '2024-01-01 00:00:00+00',
  PRIMARY KEY (customer_id, id)
);

GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON countries, customers, orders TO app;
