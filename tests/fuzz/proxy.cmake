pgbraid_fuzz_target(session LIBS pgbraid_proxy_machine
  SOURCES session.cpp ${PROJECT_SOURCE_DIR}/tests/unit/router_plan/fixture.cpp)
