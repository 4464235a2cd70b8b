// listen, admin, workers, auth, monitor, limits, timeouts, log; and users.
#include "config/fields.hpp"
#include "config/secrets.hpp"
#include "config/sections.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgbraid::config {
namespace {

void read_client_tls(const fields& listen, const std::string& folder, client_tls& out, std::vector<finding>& findings) {
  const yaml::node* given = listen.at("tls");
  if (given == nullptr || given->what != yaml::node::kind::map) return;
  const fields section(given);
  section.choice("mode", "listen.tls.mode", out.mode);
  section.choice("min_version", "listen.tls.min_version", out.min_version);
  section.path("cert", folder, out.cert);
  section.path("key", folder, out.key);
  section.path("ca", folder, out.ca);
  const auto fail = [&](const char* why) {
    findings.push_back({finding::level::error, given->where, fmt::format("listen.tls: {}", why)});
  };
  if (out.cert.empty() != out.key.empty()) return fail("cert and key are given together or not at all");
  if (out.cert.empty() && out.mode != client_tls_mode::disable) fail("cert and key are missing");
}

void read_listen(const fields& section, const std::string& folder, listen_options& out,
                 std::vector<finding>& findings) {
  section.integer("port", out.port);
  section.integer("backlog", out.backlog);
  read_client_tls(section, folder, out.tls, findings);
  const yaml::node* host = section.at("host");
  if (host == nullptr || host->what == yaml::node::kind::null) return;
  const auto fail = [&findings](position at, const std::string& why) {
    findings.push_back({finding::level::error, at, fmt::format("listen.host: {}", why)});
  };
  out.hosts.clear();
  const auto one = [&](const yaml::node& n) {
    if (n.what != yaml::node::kind::scalar || n.text.empty()) return;
    std::string name = n.text;
    if (name.size() > 2 && name.front() == '[' && name.back() == ']') name = name.substr(1, name.size() - 2);
    if (name == "*") return fail(n.where, "\"*\" is no address: write 0.0.0.0 and \"::\" for all");
    if (const std::string why = wrong_host(name); !why.empty()) return fail(n.where, why);
    if (std::find(out.hosts.begin(), out.hosts.end(), name) != out.hosts.end())
      return fail(n.where, fmt::format("{} stands here twice", name));
    out.hosts.push_back(name);
  };
  if (host->what == yaml::node::kind::scalar) one(*host);
  if (host->what != yaml::node::kind::list) return;
  for (const auto& item : host->items) one(*item);
  if (host->items.empty()) fail(host->where, "the list is empty: nobody could connect");
}

void read_monitor(const fields& section, const std::string& folder, monitor_options& out,
                  std::vector<finding>& findings) {
  section.text("user", out.user);
  out.password = read_password(section, "monitor", folder, findings);
  section.text("dbname", out.dbname);
  section.duration("interval", out.interval);
  section.duration("timeout", out.timeout);
  section.duration("catalog_interval", out.catalog_interval);
  section.integer("probe_rate", out.probe_rate);
}

void read_failover(const fields& section, failover_options& out) {
  section.duration("hold", out.hold);
  section.integer("max_held", out.max_held);
  section.size("max_held_bytes", out.max_held_bytes);
  if (section.scalar("max_loss") != nullptr) section.size("max_loss", out.max_loss.emplace());
}

void read_limits(const fields& section, limits& out) {
  section.integer("max_clients", out.max_clients);
  section.integer("max_clients_per_user", out.max_clients_per_user);
  section.integer("max_clients_per_database", out.max_clients_per_database);
  section.size("max_message", out.max_message);
  section.size("max_parse", out.max_parse);
  section.integer("max_statements", out.max_statements);
  section.size("max_gather", out.max_gather);
  section.size("max_gather_total", out.max_gather_total);
  section.size("max_notifications", out.max_notifications);
}

void read_timeouts(const fields& section, timeouts& out) {
  section.duration("login", out.login);
  section.duration("connect", out.connect);
  section.duration("checkout", out.checkout);
  section.duration("query", out.query);
  section.duration("transaction", out.transaction);
  section.duration("idle_in_transaction", out.idle_in_transaction);
  section.duration("idle_client", out.idle_client);
  section.duration("shutdown", out.shutdown);
}

void read_instances(const yaml::node* value, instance_options& out, std::vector<finding>& findings) {
  const fields section(value);
  section.integer("own", out.own);
  const yaml::node* peers = section.at("peers");
  if (peers == nullptr) return;
  for (const auto& item : peers->items) {
    const fields given(item.get());
    instance_options::peer peer;
    given.integer("instance", peer.instance);
    std::string why;
    const std::string* address = given.scalar("address");
    const auto at = address == nullptr ? std::nullopt : parse_address(*address, 6432, why);
    if (peer.instance == 0 || !at) continue;
    peer.at = *at;
    const auto known = [&](const instance_options::peer& other) { return other.instance == peer.instance; };
    if (peer.instance == out.own || std::any_of(out.peers.begin(), out.peers.end(), known)) {
      findings.push_back({finding::level::error, item->where,
                          fmt::format("instances.peers: {} is the number of another instance", peer.instance)});
    }
    out.peers.push_back(std::move(peer));
  }
}

/// Whether a client with this password could ever log in by `method`.
std::string wrong_for(auth_method method, const std::optional<std::string>& password) {
  if (method == auth_method::trust || method == auth_method::cert) return {};
  if (!password) return "no password is given; give one, or set auth.method to trust";
  if (method == auth_method::scram_sha_256 && is_md5_secret(*password))
    return "an md5 secret cannot be used with auth.method scram-sha-256";
  return {};
}

}  // namespace

void read_settings(const yaml::node& root, const std::string& folder, topology& out, std::vector<finding>& findings) {
  const fields file(&root);
  read_listen(fields(file.at("listen")), folder, out.listen, findings);
  const fields admin(file.at("admin"));
  admin.texts("users", out.admin.users);
  std::string why;
  if (const std::string* http = admin.scalar("http")) out.admin.http = parse_address(*http, 0, why);
  file.text("zone", out.zone);
  read_instances(file.at("instances"), out.instances, findings);
  file.integer("workers", out.workers);
  read_access(fields(file.at("auth")), out, findings);
  read_monitor(fields(file.at("monitor")), folder, out.monitor, findings);
  read_failover(fields(file.at("failover")), out.failover);
  read_limits(fields(file.at("limits")), out.limits);
  read_timeouts(fields(file.at("timeouts")), out.timeouts);
  const fields log(file.at("log"));
  log.choice("level", "log.level", out.log.level);
  log.boolean("connections", out.log.connections);
}

void read_users(const yaml::node& root, const std::string& folder, topology& out, std::vector<finding>& findings) {
  const fields file(&root);
  const auto fail = [&findings](position at, std::string text) {
    findings.push_back({finding::level::error, at, std::move(text)});
  };
  // Rules say method by method, and a query finds what is missing here.
  const bool other_ways = !out.access.empty() || !out.auth_query.empty();
  for (const yaml::node::entry& e : file.entries("users")) {
    user u;
    u.name = e.key;
    u.where = e.where;
    const std::string shown = fmt::format("users.{}", e.key);
    const std::size_t before = findings.size();
    if (e.value->what == yaml::node::kind::scalar) {
      u.password = e.value->text;
      std::string why = e.value->text.empty() ? "the password is empty" : wrong_secret(e.value->text);
      if (!why.empty()) fail(e.value->where, fmt::format("{}: {}", shown, why));
    } else {
      const fields section(e.value.get());
      u.password = read_password(section, shown, folder, findings);
      section.integer("max_clients", u.max_clients);
      section.integer("max_server_connections", u.max_server_connections);
    }
    const bool told = findings.size() > before || e.value->what == yaml::node::kind::list;
    const std::string why = other_ways || told ? std::string() : wrong_for(out.auth, u.password);
    if (!why.empty()) fail(e.where, fmt::format("{}: {}", shown, why));
    out.users.push_back(std::move(u));
  }
  if (out.users.empty() && out.auth != auth_method::trust && !other_ways)
    findings.push_back(
        {finding::level::warning, {}, "no users are given, and auth.method is not trust: nobody can log in"});
}

}  // namespace pgbraid::config
