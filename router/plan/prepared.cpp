// PREPARE and EXECUTE as messages; see prepared.hpp.
#include "router/plan/prepared.hpp"

#include <algorithm>
#include <array>
#include <variant>

#include "router/sql/parser.hpp"

namespace pgbraid::router {
namespace {

struct known_type {
  std::string_view name;  ///< in pg_catalog
  oid id, array;
};

// src/include/catalog/pg_type.dat
constexpr std::array<known_type, 40> known_types{
    {{"bool", 16, 1000},        {"bytea", 17, 1001},       {"char", 18, 1002},        {"name", 19, 1003},
     {"int8", 20, 1016},        {"int2", 21, 1005},        {"int4", 23, 1007},        {"text", 25, 1009},
     {"oid", 26, 1028},         {"json", 114, 199},        {"xml", 142, 143},         {"point", 600, 1017},
     {"cidr", 650, 651},        {"float4", 700, 1021},     {"float8", 701, 1022},     {"money", 790, 791},
     {"macaddr", 829, 1040},    {"inet", 869, 1041},       {"bpchar", 1042, 1014},    {"varchar", 1043, 1015},
     {"date", 1082, 1182},      {"time", 1083, 1183},      {"timestamp", 1114, 1115}, {"timestamptz", 1184, 1185},
     {"interval", 1186, 1187},  {"timetz", 1266, 1270},    {"bit", 1560, 1561},       {"varbit", 1562, 1563},
     {"numeric", 1700, 1231},   {"uuid", 2950, 2951},      {"pg_lsn", 3220, 3221},    {"tsvector", 3614, 3643},
     {"jsonb", 3802, 3807},     {"int4range", 3904, 3905}, {"numrange", 3906, 3907},  {"tsrange", 3908, 3909},
     {"tstzrange", 3910, 3911}, {"daterange", 3912, 3913}, {"int8range", 3926, 3927}, {"jsonpath", 4072, 4073}}};

std::optional<oid> type_named(const sql::type_name& type) {
  const bool known = type.name.size() == 1 || (type.name.size() == 2 && type.name.front() == "pg_catalog");
  if (!known || type.set_of) return std::nullopt;
  if (type.name.back() == "unknown" && !type.array) return oid{0};
  const auto named = [&](const known_type& each) { return each.name == type.name.back(); };
  const auto found = std::find_if(known_types.begin(), known_types.end(), named);
  if (found == known_types.end()) return std::nullopt;
  return type.array ? found->array : found->id;
}

/// The text's only statement.
template <class Read>
void read_statement(std::string_view text, Read&& read) {
  const sql::parse_result parsed = sql::parse(text);
  const auto* statements = std::get_if<std::vector<sql::statement>>(&parsed);
  if (statements != nullptr && statements->size() == 1) read(statements->front());
}

execute_argument argument_of(const sql::expr& e) {
  using written = execute_argument::written;
  if (e.kind == sql::expr_kind::cast && e.children.size() == 1 && e.children.front() != nullptr) {
    execute_argument inner = argument_of(*e.children.front());
    const auto type = type_named(e.type);
    // A modifier may cut or round the value.
    const bool plain = type && *type != 0 && e.type.modifiers.empty() && inner.cast == 0;
    if (plain && inner.as == written::boolean && *type == type_oid::boolean) return inner;
    if (!plain || (inner.as != written::string && inner.as != written::null)) return {};
    inner.cast = *type;
    return inner;
  }
  if (e.kind != sql::expr_kind::constant) return {};
  switch (e.constant) {
    case sql::constant_kind::null:
      return {written::null, {}};
    case sql::constant_kind::boolean:
      return {written::boolean, e.text};
    case sql::constant_kind::integer:
      return {written::integer, e.text};
    case sql::constant_kind::decimal:
      return {written::decimal, e.text};
    case sql::constant_kind::string:
      return {written::string, e.text};
    case sql::constant_kind::bit_string:
      break;
  }
  return {};
}

bool is_one_of(oid type, std::initializer_list<oid> types) {
  return std::find(types.begin(), types.end(), type) != types.end();
}

}  // namespace

std::optional<std::vector<oid>> declared_types(std::string_view prepare) {
  std::optional<std::vector<oid>> out;
  read_statement(prepare, [&](const sql::statement& s) {
    if (s.kind != sql::statement_kind::prepare) return;
    out.emplace();
    for (const sql::type_name& type : s.parameter_types) {
      const auto known = type_named(type);
      if (!known) return out.reset();
      out->push_back(*known);
    }
  });
  return out;
}

std::vector<execute_argument> arguments_of(std::string_view execute) {
  std::vector<execute_argument> out;
  read_statement(execute, [&](const sql::statement& s) {
    for (const sql::expr_ptr& e : s.arguments) out.push_back(e == nullptr ? execute_argument{} : argument_of(*e));
  });
  return out;
}

bool as_parameter(const execute_argument& argument, oid type, std::optional<std::string>& out) {
  using written = execute_argument::written;
  namespace t = type_oid;
  out.reset();
  if (argument.cast != 0 && argument.cast != type) return false;
  bool readable = false;
  switch (argument.as) {
    case written::null:
      return true;
    case written::boolean:
      readable = type == t::boolean;
      break;
    case written::integer:
      readable = is_one_of(type, {t::int2, t::int4, t::int8, t::numeric, t::float4, t::float8});
      break;
    case written::decimal:
      // Whole numbers that are too large for an integer are written so, too; others are rounded on their way to one.
      readable = is_one_of(type, {t::numeric, t::float4, t::float8}) ||
                 (argument.text.find_first_not_of("-0123456789") == std::string::npos &&
                  is_one_of(type, {t::int2, t::int4, t::int8}));
      break;
    case written::string:
      readable = true;
      break;
    case written::computed:
      break;
  }
  if (readable) out = argument.text;
  return readable;
}

}  // namespace pgbraid::router
