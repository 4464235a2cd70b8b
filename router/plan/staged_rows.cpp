// Rows that have been fetched, as a query in a statement's text; see staged_source.hpp. Source for the types' OIDs:
// src/include/catalog/pg_type.dat.
#include <algorithm>
#include <array>

#include "router/plan/gather_text.hpp"
#include "router/plan/staged_source.hpp"
#include "router/plan/words.hpp"
#include "router/plan/written_type.hpp"

namespace pgbraid::router {

namespace {

struct named_type {
  oid type;
  std::string_view name;
};

constexpr std::array<named_type, 98> plain_types{{
    {16, "bool"},
    {17, "bytea"},
    {18, "\"char\""},
    {19, "name"},
    {20, "int8"},
    {21, "int2"},
    {23, "int4"},
    {25, "text"},
    {26, "oid"},
    {114, "json"},
    {142, "xml"},
    {600, "point"},
    {601, "lseg"},
    {602, "path"},
    {603, "box"},
    {604, "polygon"},
    {628, "line"},
    {650, "cidr"},
    {700, "float4"},
    {701, "float8"},
    {718, "circle"},
    {774, "macaddr8"},
    {829, "macaddr"},
    {790, "money"},
    {869, "inet"},
    {1042, "bpchar"},
    {1043, "\"varchar\""},
    {1082, "date"},
    {1083, "\"time\""},
    {1114, "\"timestamp\""},
    {1184, "timestamptz"},
    {1186, "\"interval\""},
    {1266, "timetz"},
    {1560, "\"bit\""},
    {1562, "varbit"},
    {1700, "\"numeric\""},
    {2950, "uuid"},
    {3614, "tsvector"},
    {3615, "tsquery"},
    {3802, "jsonb"},
    {3904, "int4range"},
    {3906, "numrange"},
    {3908, "tsrange"},
    {3910, "tstzrange"},
    {3912, "daterange"},
    {3926, "int8range"},
    {4072, "jsonpath"},
    {4451, "int4multirange"},
    {4532, "nummultirange"},
    {4533, "tsmultirange"},
    {4534, "tstzmultirange"},
    {4535, "datemultirange"},
    {4536, "int8multirange"},
    {1000, "_bool"},
    {1005, "_int2"},
    {1007, "_int4"},
    {1009, "_text"},
    {1015, "_varchar"},
    {1016, "_int8"},
    {1021, "_float4"},
    {1022, "_float8"},
    {1115, "_timestamp"},
    {1182, "_date"},
    {1185, "_timestamptz"},
    {1231, "_numeric"},
    {2951, "_uuid"},
    {199, "_json"},
    {3807, "_jsonb"},
    {1001, "_bytea"},
    {1014, "_bpchar"},
    {1041, "_inet"},
    {1183, "_time"},
    {1187, "_interval"},
    {27, "tid"},
    {3220, "pg_lsn"},
    {5069, "xid8"},
    {143, "_xml"},
    {651, "_cidr"},
    {791, "_money"},
    {1017, "_point"},
    {1028, "_oid"},
    {1040, "_macaddr"},
    {1270, "_timetz"},
    {1561, "_bit"},
    {1563, "_varbit"},
    {3221, "_pg_lsn"},
    {3643, "_tsvector"},
    {3645, "_tsquery"},
    {3905, "_int4range"},
    {3907, "_numrange"},
    {3909, "_tsrange"},
    {3911, "_tstzrange"},
    {3913, "_daterange"},
    {3927, "_int8range"},
    {4073, "_jsonpath"},
    {6150, "_int4multirange"},
    {6151, "_nummultirange"},
    {6157, "_int8multirange"},
}};

/// A text as a value of a type that users made, said by a column of some table that every shard has; "" without one.
std::string as_column_of_type(const plan_context& known, oid type, const std::string& value) {
  constexpr oid first_user_oid = 16384;
  if (type < first_user_oid) return {};
  for (const auto& [name, table] : known.schema->relations) {
    if (!known.map->tables.contains(name) && !known.map->reference_tables.contains(name)) continue;
    // A domain may refuse the NULL of a column that is not filled.
    const bool fills = !table.types_differ && std::all_of(table.columns.begin(), table.columns.end(),
                                                          [](const column& each) { return each.base_type == 0; });
    const auto c = std::find_if(table.columns.begin(), table.columns.end(),
                                [&](const column& each) { return each.type == type && each.modifier < 0; });
    if (!fills || c == table.columns.end()) continue;
    return "(pg_catalog.json_populate_record(NULL::" + quote_identifier(table.schema) + "." +
           quote_identifier(table.name) + ", pg_catalog.json_build_object(" + string_literal(c->name) + ", " + value +
           ")))." + quote_identifier(c->name);
  }
  return {};
}

}  // namespace

bool any_collatable(const std::vector<oid>& types) noexcept {
  constexpr std::array<oid, 6> collatable{25, 1042, 1043, 1009, 1014, 1015};
  return std::any_of(types.begin(), types.end(), [&](oid type) {
    return std::find(collatable.begin(), collatable.end(), type) != collatable.end();
  });
}

std::string_view plain_type_name(oid type) noexcept {
  const auto found =
      std::find_if(plain_types.begin(), plain_types.end(), [&](const named_type& t) { return t.type == type; });
  return found == plain_types.end() ? std::string_view{} : found->name;
}

std::string rows_select(const std::vector<source_column>& columns, std::string_view json, const plan_context& known) {
  constexpr oid name_type = 19;
  std::string list;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const source_column& c = columns[i];
    const std::string value = "(f.value OPERATOR(pg_catalog.->>) 'c" + std::to_string(i) + "')";
    const std::string_view plain = plain_type_name(c.type);
    const auto written = c.modifier < 0 ? std::nullopt : written_type(c.type, c.modifier);
    if (plain.empty() && c.modifier < 0) {
      const std::string typed = as_column_of_type(known, c.type, value);
      if (typed.empty()) return {};
      list += (i > 0 ? ", " : "") + typed;
    } else if (plain.empty() || (c.modifier >= 0 && !written)) {
      return {};
    } else {
      list += (i > 0 ? ", " : "") + value + "::" + written.value_or("pg_catalog." + std::string{plain});
    }
    if (!c.collation.empty()) list += " COLLATE " + c.collation;
    if (c.type == name_type) list += " COLLATE pg_catalog.\"C\"";  // as it has: said for those who read the text again
    list += " AS " + quote_identifier(c.name);
  }
  return "SELECT " + list + " FROM pg_catalog.json_array_elements(" + string_literal(json) +
         "::pg_catalog.json) AS f(value)";
}

std::string collations_query(std::string_view sql, const std::vector<oid>& types) {
  std::string list, names;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const std::string name = "k" + std::to_string(i);
    names += (i > 0 ? ", " : "") + name;
    list += i > 0 ? ", " : "";
    list += any_collatable({types[i]}) ? "pg_catalog.pg_collation_for(q." + name + ")" : "NULL";
  }
  std::string out = "SELECT " + list + " FROM (SELECT) AS one LEFT JOIN (SELECT * FROM (";
  return out.append(sql).append("\n) AS z(" + names + ") LIMIT 0) AS q ON true");
}

std::string source_select(const staged_source& source, const std::vector<oid>& types,
                          const std::vector<std::optional<std::string>>& constants, std::string_view json) {
  constexpr oid first_user_oid = 16384;
  if (types.size() > source.columns.size()) return {};
  std::string list, names;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const std::string name = "c" + std::to_string(i);
    if (i > 0) list += ", ", names += ", ";
    names += name + " pg_catalog.text";
    const source_column& c = source.columns[i];
    const oid type = c.of_rows ? c.type : types[i];
    if (c.untyped && !c.of_rows) {
      list += i < constants.size() && constants[i] ? string_literal(*constants[i]) : "NULL";
    } else if (const std::string_view plain = plain_type_name(type); !plain.empty()) {
      list.append("f." + name + "::pg_catalog.").append(plain);
    } else if (type >= first_user_oid && type == c.type) {
      list += "(pg_catalog.json_populate_record(NULL::" + source.relation + ", pg_catalog.json_build_object(" +
              string_literal(c.name) + ", f." + name + "))).";
      list += quote_identifier(c.name);
    } else {
      return {};
    }
  }
  return "SELECT " + list + source.more_columns + " FROM pg_catalog.json_to_recordset(" + string_literal(json) +
         "::pg_catalog.json) AS f(" + names + ") ";
}

}  // namespace pgbraid::router
