-- The demonstration's rows: 1,000 customers and 5,000 orders over all shards. Each shard gets those whose bucket lies
-- between the psql variables first_bucket and last_bucket. The bucket is the remainder that PostgreSQL's own
-- PARTITION BY HASH with modulus 4096 computes for a bigint key.
INSERT INTO countries VALUES
  ('AT', 'Austria'), ('BR', 'Brazil'), ('CA', 'Canada'), ('CH', 'Switzerland'), ('DE', 'Germany'),
  ('FR', 'France'), ('IN', 'India'), ('JP', 'Japan'), ('KE', 'Kenya'), ('US', 'United States');

CREATE FUNCTION pg_temp.bucket(key bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT ((hashint8extended(key, 8816678312871386365) & 4095) + (x'49a0f4dd15e5a8e3'::bit(64)::int8 & 4095)) & 4095
$$;

INSERT INTO customers (id, name, country, balance, created)
SELECT n, 'customer ' || n, (array['AT','BR','CA','CH','DE','FR','IN','JP','KE','US'])[1 + n % 10], 100,
       DATE '2024-01-01' + (n % 365)::int
FROM generate_series(1::bigint, 1000) AS n
WHERE pg_temp.bucket(n) BETWEEN :first_bucket AND :last_bucket;

INSERT INTO orders (customer_id, id, amount, note, created)
SELECT c, md5('order ' || n)::uuid, (n % 997) / 4.0, 'order ' || n, TIMESTAMPTZ '2024-01-01 00:00:00+00' + n * INTERVAL '7 minutes'
FROM (SELECT n, 1 + (n * 7919) % 1000 AS c FROM generate_series(1::bigint, 5000) AS n) AS numbered
WHERE pg_temp.bucket(c) BETWEEN :first_bucket AND :last_bucket;
ANALYZE;
