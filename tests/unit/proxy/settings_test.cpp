// What brings a server connection in line with a session's settings.
#include "proxy/session/settings.hpp"

#include <catch2/catch.hpp>

using namespace pgbraid::proxy;

namespace {

setting plain(const char* name, const char* value) {
  return {name, value, set_statement(name, value)};
}

const setting role{"role", "clerk", "SET ROLE clerk"};
const setting authorization{"session_authorization", "clerk", "SET SESSION AUTHORIZATION clerk"};

settings made(std::vector<setting> entries) {
  return settings{std::move(entries)};
}

std::string difference(const settings& current, const settings& wanted) {
  return settings_difference(&current, wanted);
}

}  // namespace

TEST_CASE("settings that are the same cost nothing") {
  const settings both = made({plain("work_mem", "1MB"), role});
  CHECK(difference(both, both).empty());
  CHECK(difference(made({}), made({})).empty());
}

TEST_CASE("what differs is reset or set") {
  CHECK(difference(made({plain("a", "1"), plain("b", "2")}), made({plain("b", "3")})) ==
        "RESET \"a\"; SET \"b\" TO '3'");
  CHECK(settings_difference(nullptr, made({plain("a", "1")})) ==
        "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; SET \"a\" TO '1'");
}

TEST_CASE("what a role may not set is set before it is taken") {
  const std::string back = "RESET SESSION AUTHORIZATION; RESET ROLE; ";
  CHECK(difference(made({}), made({role, plain("a", "1")})) == "SET \"a\" TO '1'; SET ROLE clerk");
  CHECK(difference(made({plain("a", "1"), role}), made({plain("a", "2"), role})) ==
        back + "SET \"a\" TO '2'; SET ROLE clerk");
  CHECK(difference(made({plain("a", "1"), authorization}), made({authorization})) ==
        back + "RESET \"a\"; SET SESSION AUTHORIZATION clerk");
  CHECK(difference(made({role}), made({})) == "RESET SESSION AUTHORIZATION; RESET ROLE");
  CHECK(difference(made({role}), made({role, authorization})) ==
        back + "SET SESSION AUTHORIZATION clerk; SET ROLE clerk");
}

TEST_CASE("DateStyle is two settings in one") {
  const auto statement = [](const setting* before, const char* value) {
    return date_style_setting(before, value, "SET datestyle TO X").sql;
  };
  const setting sql_dmy = date_style_setting(nullptr, "SQL, DMY", "");
  CHECK(sql_dmy.sql == "SET datestyle TO 'sql, dmy'");
  CHECK(statement(&sql_dmy, "ymd") == "SET datestyle TO 'sql, ymd'");
  CHECK(statement(&sql_dmy, "ISO") == "SET datestyle TO 'iso, dmy'");
  CHECK(statement(&sql_dmy, "PostgreSQL, US") == "SET datestyle TO 'postgres, mdy'");
  CHECK(statement(nullptr, "German") == "SET datestyle TO 'german, dmy'");
  CHECK(statement(nullptr, "NonEuropean, iso") == "SET datestyle TO 'iso, mdy'");
  // What was not said is the server's own, whatever the connection has had before.
  CHECK(statement(nullptr, "European") == "RESET datestyle; SET datestyle TO 'dmy'");
  CHECK(statement(nullptr, "ISO") == "RESET datestyle; SET datestyle TO 'iso'");
  CHECK(statement(&sql_dmy, "default") == "RESET datestyle; SET datestyle TO X");
}
