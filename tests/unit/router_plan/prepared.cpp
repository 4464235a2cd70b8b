// Arguments of EXECUTE as parameters, and the types that PREPARE declares.
#include "router/plan/prepared.hpp"

#include <catch2/catch.hpp>

using namespace pgbraid::router;

namespace {

/// What the only argument is for a parameter of `type`: its text, NULL or "?" where that cannot be told.
std::string told(const std::string& argument, oid type) {
  const auto arguments = arguments_of("EXECUTE p (" + argument + ")");
  REQUIRE(arguments.size() == 1);
  std::optional<std::string> out;
  if (!as_parameter(arguments.front(), type, out)) return "?";
  return out ? *out : "NULL";
}

}  // namespace

TEST_CASE("types of PREPARE", "[prepared]") {
  using types = std::vector<oid>;
  CHECK(declared_types("PREPARE p AS SELECT $1::int") == types{});
  CHECK(declared_types(
            "PREPARE p (int, bigint, varchar(5), text[], unknown, timestamp with time zone, float) AS SELECT 1") ==
        types{23, 20, 1043, 1009, 0, 1184, 701});
  CHECK(declared_types("PREPARE p (public.text) AS SELECT 1") == std::nullopt);
  CHECK(declared_types("PREPARE p (mood) AS SELECT 1") == std::nullopt);
  CHECK(declared_types("SELECT 1") == std::nullopt);
  CHECK(declared_types("PREPARE") == std::nullopt);
}

TEST_CASE("arguments of EXECUTE", "[prepared]") {
  CHECK(arguments_of("EXECUTE p").empty());
  CHECK(arguments_of("EXECUTE p (1, 'a', NULL)").size() == 3);
  CHECK(told("42", type_oid::int8) == "42");
  CHECK(told("-42", type_oid::int2) == "-42");
  CHECK(told("42", type_oid::numeric) == "42");
  CHECK(told("3000000000", type_oid::int8) == "3000000000");
  CHECK(told("4.50", type_oid::numeric) == "4.50");
  CHECK(told("'it''s'", type_oid::text) == "it's");
  CHECK(told("E'a\\nb'", type_oid::text) == "a\nb");
  CHECK(told("'4'", type_oid::int8) == "4");
  CHECK(told("NULL", type_oid::int8) == "NULL");
  CHECK(told("NULL::bigint", type_oid::int8) == "NULL");
  CHECK(told("true", type_oid::boolean) == "true");
  CHECK(told("DATE '2024-02-03'", type_oid::date) == "2024-02-03");
  CHECK(told("'{1,2}'::int[]", 1007) == "{1,2}");
}

TEST_CASE("arguments that only a server can convert", "[prepared]") {
  CHECK(told("4.5", type_oid::int8) == "?");  // rounded
  CHECK(told("42", type_oid::text) == "?");   // shown
  CHECK(told("1", type_oid::boolean) == "?");
  CHECK(told("true", type_oid::int8) == "?");
  CHECK(told("5", type_oid::date) == "?");
  CHECK(told("'2024-02-03'::date", type_oid::timestamp) == "?");
  CHECK(told("'2024-02-03 10:11:12.13'::timestamp(0)", type_oid::timestamp) == "?");
  CHECK(told("1 + 1", type_oid::int8) == "?");
  CHECK(told("now()", type_oid::timestamptz) == "?");
  CHECK(told("4::bigint", type_oid::int8) == "?");
  CHECK(told("B'1'", type_oid::int8) == "?");
}

namespace {

std::string list_of(const std::string& text, bool judged = true) {
  catalog known;
  known.functions["sum"].any_aggregate = true;
  known.functions["unnest"].any_set_returning = true;
  const computed_arguments found = arguments_to_compute(text, known);
  CHECK(found.judged == judged);
  return found.before + "|" + found.list;
}

}  // namespace

TEST_CASE("arguments that a query computes", "[prepared]") {
  CHECK(list_of("EXECUTE p (1 + 1, ')')") == "EXECUTE p (|1 + 1, ')'");
  CHECK(list_of("EXECUTE \"a(b\" ((1), f(2)) ;") == "EXECUTE \"a(b\" (|(1), f(2)");
  CHECK(list_of("EXPLAIN (COSTS OFF) EXECUTE p (1 + 1)") == "EXPLAIN (COSTS OFF) EXECUTE p (|1 + 1");
  CHECK(list_of("EXECUTE p", false) == "|");
  for (const std::string each : {"(SELECT 1)", "$1 + 1", "sum(1)", "unnest('{1}'::int[])", "count(*) OVER ()",
                                 "statement_timestamp()", "abs(sum(1))"})
    CHECK(list_of("EXECUTE p (" + each + ")", false) == "EXECUTE p (|" + each);
  CHECK(text_before_execute("EXPLAIN (ANALYZE) EXECUTE p (1)") == "EXPLAIN (ANALYZE) ");
  CHECK(text_before_execute("EXECUTE p (1)").empty());
}

TEST_CASE("types that an assignment converts", "[prepared]") {
  CHECK(is_assignable(type_oid::numeric, type_oid::int4));
  CHECK(is_assignable(type_oid::int4, type_oid::text));
  CHECK(is_assignable(type_oid::timestamp, type_oid::date));
  CHECK(is_assignable(1007, 1007));
  CHECK_FALSE(is_assignable(type_oid::text, type_oid::int4));
  CHECK_FALSE(is_assignable(type_oid::int4, type_oid::boolean));
  CHECK_FALSE(is_assignable(1007, 1016));
  CHECK(type_in_catalog(1016) == "pg_catalog.\"int8\"[]");
  CHECK(type_in_catalog(99999).empty());
}
