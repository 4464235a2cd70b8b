set(sql_tests ${PROJECT_SOURCE_DIR}/tests/unit/router_sql)
pgbraid_fuzz_target(tokenizer LIBS pgbraid_router_sql pg_query SOURCES tokenizer.cpp ${sql_tests}/reference_scan.cpp)
pgbraid_fuzz_target(parser LIBS pgbraid_router_sql SOURCES parser.cpp ${sql_tests}/print.cpp ${sql_tests}/visit.cpp)
pgbraid_fuzz_target(copy LIBS pgbraid_router_copy SOURCES copy.cpp)
