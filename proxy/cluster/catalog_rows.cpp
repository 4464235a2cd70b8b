#include "proxy/cluster/catalog_rows.hpp"

#include "proxy/cluster/function_safety.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace pgbraid::proxy {

namespace {

const std::string& text(const std::optional<std::string>& value) {
  static const std::string none;
  return value ? *value : none;
}

bool truth(const std::optional<std::string>& value) {
  return value && *value == "t";
}

template <typename Number>
Number number(const std::optional<std::string>& value) {
  Number parsed{};
  if (value) std::from_chars(value->data(), value->data() + value->size(), parsed);
  return parsed;
}

// What `name=value` settings and configuration files may say for true; anything else is false.
bool setting_is_on(std::string_view value) {
  std::string lower;
  for (const char c : value) lower.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
  if (lower.empty()) return false;
  const auto begins = [&](std::string_view word) { return word.starts_with(lower); };
  return lower == "1" || begins("true") || begins("yes") || lower == "on";
}

void take_setting(router::catalog& content, const std::string& role, std::string_view name, const std::string& value) {
  if (name == "default_transaction_isolation") {
    content.default_isolation[role] = value;
  } else if (name == "default_transaction_read_only") {
    content.default_read_only[role] = setting_is_on(value);
  } else if (name == "search_path") {
    content.default_search_path[role] = value;
  }
}

// Precedence of PostgreSQL: role in database, role, database, server. The server's own value is what this connection
// would fall back to, unless a setting of the monitor's own role hides it: then the built-in value stands in. (One of
// the database or of all roles hides it too, but then it is in force for everybody.)
void read_settings(router::catalog& content, const catalog_answers& answers) {
  for (const pg_row& row : answers.server_settings) {
    const std::string prefix = text(row[0]) + "=";
    const bool hidden =
        std::any_of(answers.role_settings.begin(), answers.role_settings.end(),
                    [&](const pg_row& setting) { return truth(setting[3]) && text(setting[2]).starts_with(prefix); });
    take_setting(content, "", text(row[0]), text(hidden ? row[2] : row[1]));
  }
  std::string all;
  for (const pg_row& row : answers.server_settings) all.append(text(row[1])).append(1, '\0');
  for (const bool specific : {false, true}) {
    for (const pg_row& row : answers.role_settings) {
      if (truth(row[1]) != specific) continue;
      const std::string_view setting = text(row[2]);
      const std::size_t equals = setting.find('=');
      if (equals == std::string_view::npos) continue;
      take_setting(content, text(row[0]), setting.substr(0, equals), std::string{setting.substr(equals + 1)});
      all.append(text(row[0])).append(1, '\0').append(setting).append(specific ? "\1" : "\2");
    }
  }
  content.defaults = std::hash<std::string>{}(all);
}

void read_relations(router::catalog& content, const catalog_answers& answers) {
  std::unordered_map<router::oid, router::relation*> by_oid;
  for (const pg_row& row : answers.relations) {
    router::relation& relation = content.relations[text(row[1]) + "." + text(row[2])];
    relation.id = number<router::oid>(row[0]);
    relation.schema = text(row[1]);
    relation.name = text(row[2]);
    relation.kind = text(row[3]).empty() ? 'r' : text(row[3]).front();
    relation.persistence = text(row[4]).empty() ? 'p' : text(row[4]).front();
    relation.row_security = truth(row[5]);
    relation.writes_spread = truth(row[6]);
    by_oid[relation.id] = &relation;
  }
  for (const pg_row& row : answers.columns) {
    const auto found = by_oid.find(number<router::oid>(row[0]));
    if (found == by_oid.end()) continue;
    found->second->columns.push_back({text(row[1]), number<router::oid>(row[2]), number<std::int32_t>(row[3]),
                                      truth(row[4]), truth(row[5]), truth(row[6]), number<router::oid>(row[7]),
                                      truth(row[8]), truth(row[9]), truth(row[10]), truth(row[11]),
                                      truth(row[8]) ? text(row[12]) : std::string{}, truth(row[13]), text(row[14])});
  }
}

void read_functions(router::catalog& content, const catalog_answers& answers) {
  content.functions.reserve(answers.functions.size());
  for (const pg_row& row : answers.functions) {
    content.functions.emplace(
        text(row[0]), router::function_traits{truth(row[1]), truth(row[2]), truth(row[3]), truth(row[4]), truth(row[5]),
                                              truth(row[6]), truth(row[7])});
  }
  for (const pg_row& row : answers.operators) {
    if (truth(row[1])) content.user_operators.insert(text(row[0]));
    if (truth(row[2])) content.volatile_operators.insert(text(row[0]));
    if (truth(row[3])) content.code_operators.insert(text(row[0]));
  }
}

void read_types(shard_catalog& shard, const catalog_answers& answers) {
  for (const pg_row& row : answers.types) {
    type_facts& type = shard.types[number<router::oid>(row[0])];
    type.name = text(row[1]) + "." + text(row[2]);
    if (row[3]) type.parts.push_back(number<router::oid>(row[3]));
    shard.content.user_types.insert(text(row[2]));
  }
}

// Functions have been judged.
void read_code_types(shard_catalog& shard, const catalog_answers& answers) {
  std::set<router::oid> found;
  for (const pg_row& row : answers.domain_checks) {
    const auto known = shard.content.functions.find(std::string_view{text(row[1])});
    if (known == shard.content.functions.end() || known->second.any_user_code)
      found.insert(number<router::oid>(row[0]));
  }
  for (std::size_t before = 0; before != found.size();) {
    before = found.size();
    for (const auto& [id, type] : shard.types) {
      if (std::any_of(type.parts.begin(), type.parts.end(), [&](router::oid part) { return found.contains(part); }))
        found.insert(id);
    }
  }
  for (const auto& [id, type] : shard.types) {
    if (found.contains(id)) shard.content.code_types.insert(type.name.substr(type.name.rfind('.') + 1));
  }
}

void read_table_facts(shard_catalog& shard, const catalog_answers& answers) {
  for (const pg_row& row : answers.constraints) {
    if (text(row[7]) == "1" || shard.constraints.empty()) {
      const char kind = text(row[1]).empty() ? 'u' : text(row[1]).front();
      shard.constraints.push_back({text(row[0]), kind, text(row[2]), text(row[4]), {}, text(row[8])});
    }
    shard.constraints.back().parts.push_back({row[3], text(row[5]), text(row[6])});
  }
  for (const pg_row& row : answers.sequences) shard.sequences.push_back({text(row[0]), text(row[1])});
  for (const pg_row& row : answers.user_code)
    shard.code.push_back({text(row[0]), text(row[1]), row[2], truth(row[3]), text(row[4]), truth(row[5])});
}

view_map read_views(const std::vector<pg_row>& rows, const router::catalog& content) {
  std::unordered_map<router::oid, const std::string*> names;
  for (const auto& [name, relation] : content.relations) {
    if (relation.kind == 'v') names[relation.id] = &name;
  }
  view_map views;
  for (const pg_row& row : rows) {
    const auto found = names.find(number<router::oid>(row[0]));
    if (found != names.end()) views[*found->second].definition = text(row[1]);
  }
  return views;
}

}  // namespace

shard_catalog read_catalog(const catalog_answers& answers, bool functions) {
  shard_catalog shard;
  router::catalog& content = shard.content;
  for (const pg_row& row : answers.schemas) content.schemas.insert(text(row[0]));
  read_relations(content, answers);
  for (const pg_row& row : answers.heirs) shard.heirs.insert(text(row[0]));
  for (const pg_row& row : answers.declared) shard.declared.emplace(text(row[0]), text(row[1]));
  read_functions(content, answers);
  read_types(shard, answers);
  for (const pg_row& row : answers.collations) content.user_collations.insert(text(row[0]));
  content.user_casts = !answers.user_casts.empty() && truth(answers.user_casts.front()[0]);
  read_settings(content, answers);
  read_table_facts(shard, answers);
  shard.views = read_views(answers.views, content);
  std::unordered_map<router::oid, view_facts*> by_oid;
  for (auto& [name, facts] : shard.views) by_oid[content.relations.find(name)->second.id] = &facts;
  for (const pg_row& row : answers.view_functions) {
    const auto found = by_oid.find(number<router::oid>(row[0]));
    if (found != by_oid.end()) found->second->functions.push_back({text(row[1]), truth(row[2]), truth(row[3])});
  }
  if (!functions) return shard;
  std::vector<function_body> bodies;
  for (const pg_row& row : answers.bodies)
    bodies.push_back(
        {text(row[0]), truth(row[1]), text(row[2]), text(row[3]), text(row[4]), text(row[5]), truth(row[6])});
  std::set<std::string> only_user_code;
  for (const pg_row& row : answers.functions) {
    if (truth(row[8])) only_user_code.insert(text(row[0]));
  }
  judge_functions(content, bodies, only_user_code);
  read_code_types(shard, answers);
  for (const pg_row& row : answers.row_triggers) {
    if (auto trigger = text(row[2]) == "c" ? judge_c_trigger(text(row[0])) : judge_row_trigger(content, text(row[1])))
      shard.row_triggers.emplace(text(row[0]), std::move(*trigger));
  }
  return shard;
}

std::string array_literal(const std::vector<std::string>& values) {
  std::string literal = "{";
  for (const std::string& value : values) {
    if (literal.size() > 1) literal += ',';
    literal += '"';
    for (const char c : value) {
      if (c == '"' || c == '\\') literal += '\\';
      literal += c;
    }
    literal += '"';
  }
  return literal + "}";
}

}  // namespace pgbraid::proxy
