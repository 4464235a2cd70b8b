# What pgbraid is built with. All of it is in Debian 12; `scripts/packages` names the packages.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Boost 1.81 REQUIRED)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(PQ REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(IDN REQUIRED IMPORTED_TARGET libidn)

# libpg_query's raw parse tree is described by PostgreSQL's own server headers (headers only, nothing is linked).
find_path(PGBRAID_PG_SERVER_INCLUDE postgres.h
  PATHS ${PROJECT_SOURCE_DIR}/.deps/postgresql-server-dev-15/usr/include/postgresql/15/server
        /usr/include/postgresql/15/server
  NO_DEFAULT_PATH)
if(NOT PGBRAID_PG_SERVER_INCLUDE)
  message(FATAL_ERROR "PostgreSQL 15's server headers are missing: run scripts/packages build")
endif()
find_path(PG_QUERY_INCLUDE pg_query.h REQUIRED)
find_library(PG_QUERY_LIBRARY pg_query REQUIRED)
add_library(pg_query INTERFACE)
target_include_directories(pg_query SYSTEM INTERFACE ${PG_QUERY_INCLUDE} ${PG_QUERY_INCLUDE}/pg_query ${PGBRAID_PG_SERVER_INCLUDE})
target_link_libraries(pg_query INTERFACE ${PG_QUERY_LIBRARY})
