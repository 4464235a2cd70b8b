-- The unsharded table: created on the first shard only.
CREATE TABLE settings (
  key text PRIMARY KEY,
  value text
);
GRANT SELECT, INSERT, UPDATE, DELETE ON settings TO app;
INSERT INTO settings VALUES ('greeting', 'hello from one shard'), ('currency', 'EUR');
