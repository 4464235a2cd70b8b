// What the console takes for a command, and what not.
#include "proxy/admin/console_command.hpp"

#include <catch2/catch.hpp>

using namespace pgbraid::proxy;
using kind = console_command::kind;

TEST_CASE("commands of the console") {
  const auto is = [](const char* text, const console_command& wanted) {
    INFO(text);
    CHECK(read_console_command(text) == wanted);
  };
  is("SHOW CLIENTS", {kind::show_clients, {}, {}});
  is("  show\tservers ;; ", {kind::show_servers, {}, {}});
  is("Show Transactions;", {kind::show_transactions, {}, {}});
  is("SHOW DATABASES", {kind::show_databases, {}, {}});
  is("PAUSE", {kind::pause, {}, {}});
  is("pause shop;", {kind::pause, "shop", {}});
  is("PAUSE Shop.s0", {kind::pause, "Shop", "s0"});
  is("PAUSE shop . s0", {kind::pause, "shop", "s0"});
  is("RESUME \"a \"\"b\"\".c\".\";\"", {kind::resume, "a \"b\".c", ";"});
  is("RESUME \"shop.s0\"", {kind::resume, "shop.s0", {}});
  is("", {kind::none, {}, {}});
  is(" ; ", {kind::none, {}, {}});
}

TEST_CASE("whatever else is said to the console is none") {
  for (const char* const text : {"SELECT 1", "SHOW", "SHOW ALL", "SHOW CLIENTS CLIENTS", "PAUSE a b", "PAUSE a.", "PAUSE .a", "PAUSE a.b.c", "PAUSE \"a",
                                 "\"PAUSE\" a", "PAUSE; PAUSE", "RESUMED", "SHOW \"clients\"", "PAUSE a \".\" b", "BEGIN"}) {
    INFO(text);
    CHECK(read_console_command(text).what == kind::unknown);
  }
}
