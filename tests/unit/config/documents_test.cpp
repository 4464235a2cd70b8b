// The table of keys against what is made from it: the documents shipped, and the defaults of the structs.
#include "config/keys.hpp"
#include "config/yaml_tree.hpp"
#include "example.hpp"

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include <fstream>
#include <set>
#include <sstream>

using namespace pgbraid::config;
using namespace pgbraid::config::test;

namespace {

std::string contents(const std::string& path) {
  std::ifstream in(std::string(PGBRAID_SOURCE_DIR) + "/" + path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

/// A file that sets one key, given by its path in the table, to `value`.
std::string file_with(std::string_view path, std::string_view value) {
  constexpr std::string_view below = "databases.*.";
  std::string rest(path), server = "h", sharding, other;
  const auto last = [&] { return rest.substr(rest.rfind('.') + 1); };
  if (rest.starts_with("databases.*.servers[].tls.")) {
    server = fmt::format("{{host: h, tls: {{ca: c, {}: {}}}}}", last(), value);
  } else if (rest.starts_with("databases.*.tls.")) {
    other = fmt::format(", tls: {{ca: c, {}: {}}}", last(), value);
  } else if (rest.starts_with("databases.*.discovery.")) {
    other = fmt::format(", discovery: {{patroni: h, {}: {}}}", last(), value);
  } else if (rest.starts_with("databases.*.sharding.lookup.")) {
    other = fmt::format(", sharding: {{lookup: {{table: t, key: k, shard: s, {}: {}}}}}", last(), value);
  } else if (rest.starts_with("databases.*.sharding.patterns[].")) {
    other = fmt::format(", sharding: {{patterns: [{{tables: t, key: k, {}: {}}}]}}", last(), value);
  } else if (rest.starts_with("databases.*.servers[].")) {
    server = fmt::format("{{host: h, {}: {}}}", last(), value);
  } else if (rest.starts_with(below)) {
    rest.erase(0, below.size());
    other = rest.find('.') == rest.npos ? fmt::format(", {}: {}", rest, value)
                                        : fmt::format(", {}: {{{}: {}}}", rest.substr(0, rest.find('.')), last(), value);
  } else if (rest.starts_with("users.*.")) {
    sharding = fmt::format("users: {{u: {{password: p, {}: {}}}}}\n", last(), value);
  } else if (rest.starts_with("auth.rules[].")) {
    sharding = fmt::format("auth: {{rules: [{{{}: {}}}]}}\n", last(), value);
  } else if (rest.starts_with("instances.peers[].")) {
    sharding = fmt::format("instances: {{own: 7, peers: [{{address: \"h:1\", {}: {}}}]}}\n", last(), value);
  } else if (rest.starts_with("listen.tls.")) {
    sharding = fmt::format("listen: {{tls: {{cert: c, key: k, {}: {}}}}}\n", last(), value);
  } else {
    const auto dot = rest.find('.');
    sharding = dot == rest.npos ? fmt::format("{}: {}\n", rest, value)
                                : fmt::format("{}:\n  {}: {}\n", rest.substr(0, dot), last(), value);
  }
  return fmt::format("{}databases: {{d: {{servers: [{}]{}}}}}\n", sharding, server, other);
}

/// What the key stands in, without the key.
std::string file_without(std::string_view path) {
  constexpr std::string_view rest = "databases: {d: {servers: [h]}}\n";
  if (path.find("lookup") != path.npos)
    return "databases: {d: {servers: [h], sharding: {lookup: {table: t, key: k, shard: s}}}}\n";
  if (path.find("sharding") != path.npos) return file_with("databases.*.sharding.buckets", "4096");
  if (path.find(".discovery.") != path.npos) return "databases: {d: {servers: [h], discovery: {patroni: h}}}\n";
  if (path.starts_with("listen.tls.")) return fmt::format("listen: {{tls: {{cert: c, key: k}}}}\n{}", rest);
  if (path.find(".tls.") != path.npos) return "databases: {d: {servers: [{host: h, tls: {ca: c}}]}}\n";
  return std::string(rest);
}

}  // namespace

TEST_CASE("docs/configuration.md is what the table says") {
  INFO("make it anew: pgbraid_config_reference markdown > docs/configuration.md");
  CHECK((contents("docs/configuration.md") == reference_markdown()));
}

TEST_CASE("docs/pgbraid.schema.json is what the table says") {
  INFO("make it anew: pgbraid_config_reference schema > docs/pgbraid.schema.json");
  CHECK((contents("docs/pgbraid.schema.json") == json_schema()));
}

TEST_CASE("the schema is well formed and knows every key") {
  const yaml::tree parsed = yaml::parse(json_schema());  // JSON is YAML
  REQUIRE(parsed.findings.empty());
  const std::string schema = json_schema();
  for (const key_row& row : keys())
    if (row.name() != "*" && row.name() != "[]")
      CHECK(schema.find(fmt::format("\"{}\": {{", row.name())) != schema.npos);
}

TEST_CASE("the table has each path once, below a path that it has, with a meaning that is a sentence") {
  std::set<std::string_view> paths;
  for (const key_row& row : keys()) {
    INFO(row.path);
    CHECK(paths.insert(row.path).second);
    CHECK(row.meaning.ends_with('.'));
    const std::string_view above = row.path.substr(0, row.path.size() - row.name().size());
    const bool top = above.empty();
    CHECK((top || paths.contains(above.ends_with('.') ? above.substr(0, above.size() - 1) : above)));
    CHECK(row.minimum <= row.maximum);
    CHECK((row.what == key_kind::choice) == !row.choices.empty());
    if (row.what == key_kind::named) CHECK(find_key(fmt::format("{}.*", row.path)) != nullptr);
    if (row.what == key_kind::items) CHECK(find_key(fmt::format("{}[]", row.path)) != nullptr);
  }
}

TEST_CASE("a default of the table is the default of the struct, and the limits of the table can be reached") {
  unsigned tried = 0;
  for (const key_row& row : keys()) {
    if (row.path.find("shards[]") != row.path.npos || row.status != stage::built) continue;
    INFO(row.path);
    if (!row.fallback.empty()) {
      const load_result plain = load_text(file_without(row.path), "t");
      const load_result set = load_text(file_with(row.path, row.fallback), "t");
      CHECK(set.ok());
      CHECK(describe(set.value) == describe(plain.value));
      ++tried;
    }
    if (row.what == key_kind::integer || row.what == key_kind::power_of_two) {
      for (const auto& [value, good] : {std::pair(row.minimum, true), std::pair(row.maximum, true),
                                        std::pair(row.minimum - 1, false), std::pair(row.maximum + 1, false)}) {
        INFO(value);
        CHECK(load_text(file_with(row.path, std::to_string(value)), "t").ok() == good);
      }
    }
  }
  CHECK(tried > 20);
}

TEST_CASE("what is not built stops the start or warns, key by key and choice by choice") {
  for (const key_row& row : keys()) {
    if (row.path.find("shards[]") != row.path.npos || row.path.starts_with("databases.*.tls")) continue;
    INFO(row.path);
    if (row.status == stage::refused) {
      const auto found = told(file_with(row.path, "x"));
      REQUIRE_FALSE(found.empty());
      CHECK(found.back().find(" is not supported yet") != std::string::npos);
    }
    for (const choice_row& c : row.choices) {
      const load_result r = load_text(file_with(row.path, c.name), "t");
      CHECK(r.ok() == (c.status == stage::built));
    }
  }
}
