// auth: method, query and rules. And TLS to servers.
#include "config/fields.hpp"
#include "config/keys.hpp"
#include "config/sections.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace pgbraid::config {

namespace {

/// Words that pg_hba.conf gives a meaning of their own. Taken for names they would fit nobody, and a rule that rejects
/// would be passed by.
void check_names(const yaml::node* at, const std::vector<std::string>& names, const std::string& shown,
                 std::vector<finding>& findings) {
  constexpr std::string_view words[] = {"all", "*", "sameuser", "samerole", "samegroup", "replication"};
  for (const std::string& name : names) {
    if (std::find(std::begin(words), std::end(words), name) == std::end(words)) continue;
    findings.push_back({finding::level::error, at->where,
                        fmt::format("{}: \"{}\" is no name here; a key that is left out fits everybody", shown, name)});
  }
}

access_rule read_rule(const yaml::node& value, const std::string& shown, std::vector<finding>& findings) {
  const fields section(&value);
  access_rule rule;
  section.texts("database", rule.databases);
  section.texts("user", rule.users);
  section.choice("method", "auth.rules[].method", rule.method);
  if (section.scalar("tls") != nullptr) section.boolean("tls", rule.tls.emplace());
  // A list that is there and empty would fit nobody, and must not come to fit all.
  for (const char* key : {"database", "user", "address"}) {
    const yaml::node* list = section.at(key);
    if (list != nullptr && list->what != yaml::node::kind::scalar && list->items.empty())
      findings.push_back({finding::level::error, list->where, fmt::format("{}.{}: the list is empty", shown, key)});
  }
  check_names(section.at("database"), rule.databases, fmt::format("{}.database", shown), findings);
  check_names(section.at("user"), rule.users, fmt::format("{}.user", shown), findings);
  const yaml::node* addresses = section.at("address");
  if (addresses == nullptr) return rule;
  const auto one = [&](const yaml::node& n) {
    if (n.what != yaml::node::kind::scalar || n.text.empty()) return;
    std::string why;
    if (const auto parsed = parse_network(n.text, why))
      rule.addresses.push_back(*parsed);
    else
      findings.push_back({finding::level::error, n.where, fmt::format("{}.address: {}", shown, why)});
  };
  if (addresses->what == yaml::node::kind::scalar) one(*addresses);
  for (const auto& item : addresses->items) one(*item);
  return rule;
}

}  // namespace

void read_access(const fields& auth, topology& out, std::vector<finding>& findings) {
  auth.choice("method", "auth.method", out.auth);
  auth.text("query", out.auth_query);
  auth.duration("query_keep", out.auth_query_keep);
  bool by_certificate = out.auth == auth_method::cert;
  if (const yaml::node* rules = auth.at("rules")) {
    for (std::size_t i = 0; i < rules->items.size(); ++i) {
      const yaml::node& rule = *rules->items[i];
      if (rule.what != yaml::node::kind::map) continue;
      out.access.push_back(read_rule(rule, fmt::format("auth.rules[{}]", i), findings));
      by_certificate = by_certificate || out.access.back().method == auth_method::cert;
    }
    if (rules->what == yaml::node::kind::list && rules->items.empty())
      findings.push_back({finding::level::error, rules->where, "auth.rules: the list is empty: nobody could log in"});
  }
  if (by_certificate && (out.listen.tls.ca.empty() || !out.listen.tls.offered()))
    findings.push_back({finding::level::warning,
                        {},
                        "method cert is used, and listen.tls.ca is not given: nobody can log in by a certificate"});
}

void read_server_tls(const yaml::node* value, const std::string& shown, const std::string& folder, server_tls& out,
                     std::vector<finding>& findings) {
  if (value == nullptr) return;
  const auto fail = [&](const std::string& why) {
    findings.push_back({finding::level::error, value->where, fmt::format("{}: {}", shown, why)});
  };
  const key_row& row = *find_key("databases.*.tls.mode");
  if (value->what == yaml::node::kind::scalar) {
    bool known = false;
    for (std::size_t i = 0; i < row.choices.size(); ++i) {
      if (row.choices[i].name != value->text) continue;
      out.mode = static_cast<server_tls_mode>(i);
      known = true;
    }
    if (!known) return fail(fmt::format("expected {}, found \"{}\"", expectation(row), value->text));
  } else {
    const fields section(value);
    section.choice("mode", row.path, out.mode);
    section.path("ca", folder, out.ca);
    section.path("cert", folder, out.cert);
    section.path("key", folder, out.key);
  }
  if (out.cert.empty() != out.key.empty()) return fail("cert and key are given together or not at all");
  const bool verifies = out.mode == server_tls_mode::verify_ca || out.mode == server_tls_mode::verify_full;
  if (verifies && out.ca.empty()) fail("ca is missing: nothing says whose certificates to believe");
}

}  // namespace pgbraid::config
