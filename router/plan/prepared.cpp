// PREPARE and EXECUTE as messages; see prepared.hpp.
#include "router/plan/prepared.hpp"

#include <algorithm>
#include <array>
#include <variant>

#include "router/plan/words.hpp"
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

/// What EXPLAIN explains, or the statement itself.
const sql::statement& execute_in(const sql::statement& s) {
  return s.kind == sql::statement_kind::explain && s.inner != nullptr ? *s.inner : s;
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

/// Whether it means the same in a SELECT without FROM as among the arguments of EXECUTE.
bool may_be_selected(const sql::expr& e, const catalog& schema) {
  using kind = sql::expr_kind;
  switch (e.kind) {
    case kind::parameter:
    case kind::subquery:
    case kind::default_:
    case kind::grouping:
    case kind::current_of:
    case kind::other:
      return false;
    case kind::column:
      if (e.star) return false;
      break;
    case kind::call: {
      if (e.name.empty() || e.star || e.distinct || e.over || e.within_group || e.filter != nullptr || !e.order.empty())
        return false;
      // The moment of the statement would be another one's.
      if (e.name.back() == "statement_timestamp") return false;
      const auto known = schema.functions.find(std::string_view{e.name.back()});
      if (known == schema.functions.end()) break;
      const function_traits& traits = known->second;
      if (traits.any_aggregate || traits.any_window || traits.any_set_returning) return false;
      break;
    }
    default:
      break;
  }
  return std::all_of(e.children.begin(), e.children.end(),
                     [&](const sql::expr_ptr& child) { return child == nullptr || may_be_selected(*child, schema); });
}

}  // namespace

computed_arguments arguments_to_compute(std::string_view execute, const catalog& schema) {
  computed_arguments out;
  read_statement(execute, [&](const sql::statement& outer) {
    const sql::statement& s = execute_in(outer);
    if (s.kind != sql::statement_kind::execute || s.arguments.empty()) return;
    std::size_t open = 0, close = 0, depth = 0;
    for (std::size_t i = text_before_execute(execute).size(); i < execute.size();) {
      if (const std::size_t past = skip_quoted(execute, i); past != i) {
        i = past;
        continue;
      }
      if (execute[i] == '(' && depth++ == 0 && open == 0) open = i + 1;
      if (execute[i] == ')' && --depth == 0) close = i;
      ++i;
    }
    out.list = execute.substr(open, close - open);
    out.before = execute.substr(0, open);
    out.judged = std::all_of(s.arguments.begin(), s.arguments.end(),
                             [&](const sql::expr_ptr& e) { return e != nullptr && may_be_selected(*e, schema); });
  });
  return out;
}

std::string text_before_execute(std::string_view explain) {
  std::size_t depth = 0;
  for (std::size_t i = 0; i < explain.size();) {
    if (const std::size_t past = skip_quoted(explain, i); past != i) {
      i = past;
    } else if (is_word_start(explain[i])) {
      const std::size_t end = end_of_word(explain, i);
      if (depth == 0 && lower_word(explain.substr(i, end - i)) == "execute") return std::string{explain.substr(0, i)};
      i = end;
    } else {
      if (explain[i] == '(') ++depth;
      if (explain[i] == ')') --depth;
      ++i;
    }
  }
  return {};
}

bool is_assignable(oid from, oid to) {
  namespace t = type_oid;
  const auto number = [](oid type) {
    return is_one_of(type, {t::int2, t::int4, t::int8, t::numeric, t::float4, t::float8});
  };
  const auto characters = [](oid type) { return is_one_of(type, {t::text, t::varchar, t::bpchar}); };
  const auto day = [](oid type) { return is_one_of(type, {t::date, t::timestamp, t::timestamptz}); };
  if (from == to) return true;
  if (number(from)) return number(to) || characters(to);
  if (day(from)) return day(to) || characters(to);
  constexpr oid name = 19;
  return (is_one_of(from, {t::boolean, t::uuid, name}) || characters(from)) && characters(to);
}

std::string type_in_catalog(oid type) {
  for (const known_type& each : known_types) {
    if (each.id == type || each.array == type)
      return "pg_catalog.\"" + std::string{each.name} + "\"" + (each.array == type ? "[]" : "");
  }
  return {};
}

bool has_one_text(oid type) {
  namespace t = type_oid;
  return is_one_of(type, {t::boolean, t::int2, t::int4, t::int8, t::numeric, t::text, t::varchar, t::bpchar, t::uuid});
}

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
  read_statement(execute, [&](const sql::statement& outer) {
    const sql::statement& s = execute_in(outer);
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
