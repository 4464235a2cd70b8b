-- More prepared statements than a backend keeps, each still there.
DO $$ BEGIN NULL; END $$;
SELECT format('PREPARE many_%s AS SELECT %s AS n', n, n) FROM generate_series(1, 40) n \gexec
SELECT format('EXECUTE many_%s', n) FROM generate_series(1, 40, 7) n \gexec
SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'many_%';
EXECUTE many_1;
DEALLOCATE many_1;
EXECUTE many_1;
EXECUTE many_2;
DEALLOCATE ALL;
EXECUTE many_2;
