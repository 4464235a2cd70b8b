// Names of types; see written_type.hpp. Source for modifiers: the types' own typmodout functions (varchar.c, numeric.c,
// timestamp.c, date.c).
#include "router/plan/written_type.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace pgbraid::router {
namespace {

/// What a type's modifier means.
enum class modifier_kind : std::uint8_t { none, length, precision_and_scale, precision, fixed };

struct named_type {
  oid id;
  std::string_view name;
  modifier_kind modifier;
};

constexpr std::array<named_type, 22> types{{{16, "bool", modifier_kind::none},
                                            {17, "bytea", modifier_kind::none},
                                            {20, "int8", modifier_kind::none},
                                            {21, "int2", modifier_kind::none},
                                            {23, "int4", modifier_kind::none},
                                            {25, "text", modifier_kind::none},
                                            {26, "oid", modifier_kind::none},
                                            {650, "cidr", modifier_kind::none},
                                            {701, "float8", modifier_kind::none},
                                            {829, "macaddr", modifier_kind::none},
                                            {869, "inet", modifier_kind::none},
                                            {1042, "bpchar", modifier_kind::length},
                                            {1043, "varchar", modifier_kind::length},
                                            {1082, "date", modifier_kind::none},
                                            {1083, "time", modifier_kind::precision},
                                            {1114, "timestamp", modifier_kind::precision},
                                            {1184, "timestamptz", modifier_kind::precision},
                                            {1186, "interval", modifier_kind::fixed},
                                            {1266, "timetz", modifier_kind::precision},
                                            {1700, "numeric", modifier_kind::precision_and_scale},
                                            {2950, "uuid", modifier_kind::none},
                                            {774, "macaddr8", modifier_kind::none}}};

constexpr std::int32_t header = 4;  // VARHDRSZ

}  // namespace

std::optional<std::string> written_type(oid type, std::int32_t modifier) {
  const auto found = std::find_if(types.begin(), types.end(), [&](const named_type& t) { return t.id == type; });
  if (found == types.end()) return std::nullopt;
  std::string out = "pg_catalog." + std::string{found->name};
  if (modifier < 0) return out;
  const auto in_parentheses = [&](const std::string& inside) { return out + "(" + inside + ")"; };
  switch (found->modifier) {
    case modifier_kind::none:
    case modifier_kind::fixed:
      return std::nullopt;
    case modifier_kind::length:
      return in_parentheses(std::to_string(modifier - header));
    case modifier_kind::precision:
      return in_parentheses(std::to_string(modifier));
    case modifier_kind::precision_and_scale: {
      const std::int32_t packed = modifier - header;
      // The scale is a number of eleven bits with its sign.
      const std::int32_t scale = ((packed & 0x7ff) ^ 1024) - 1024;
      return in_parentheses(std::to_string((packed >> 16) & 0xffff) + "," + std::to_string(scale));
    }
  }
  return std::nullopt;
}

std::string as_text(const std::string& expression, oid type) {
  constexpr oid timetz = 1266;
  constexpr std::array<oid, 5> times{type_oid::date, type_oid::time, timetz, type_oid::timestamp,
                                     type_oid::timestamptz};
  // JSON has one form for each of these.
  if (std::find(times.begin(), times.end(), type) != times.end())
    return "(pg_catalog.to_json(" + expression + ") OPERATOR(pg_catalog.#>>) '{}')";
  return expression + "::pg_catalog.text";
}

}  // namespace pgbraid::router
