// describe(): a topology as YAML that load_text reads back to the same topology, but for the masked passwords.
#include "config/config.hpp"
#include "config/keys.hpp"
#include "config/units.hpp"
#include "config/yaml_tree.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgbraid::config {
namespace {

constexpr std::string_view masked = "\"********\"";

/// A text as a YAML scalar that reads back to itself: plain where that is certain, else in double quotes.
std::string quoted(std::string_view text) {
  constexpr std::string_view safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
  constexpr std::string_view special[] = {"null", "Null", "NULL", "true", "false", "yes", "no", "on", "off"};
  const bool starts_well = !text.empty() && ((text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z') ||
                                             (text[0] >= '0' && text[0] <= '9') || text[0] == '/' || text[0] == '_');
  if (starts_well && text.find_first_not_of(safe) == text.npos &&
      std::find(std::begin(special), std::end(special), text) == std::end(special))
    return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      out += c;
  }
  return out + "\"";
}

std::string list(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (std::size_t i = 0; i < texts.size(); ++i) out += (i == 0 ? "" : ", ") + quoted(texts[i]);
  return out + "]";
}

std::string text_or_list(const std::vector<std::string>& texts) {
  return texts.size() == 1 ? quoted(texts.front()) : list(texts);
}

template <typename Enum>
std::string_view name_of(std::string_view path, Enum value) {
  return find_key(path)->choices[static_cast<std::size_t>(value)].name;
}

/// What a table, or a pattern, may have beside its key.
template <typename Sharded>
std::string further(const Sharded& table) {
  std::string out;
  if (table.function) out += fmt::format(", function: {}", name_of("databases.*.sharding.function", *table.function));
  if (!table.unique.empty()) out += fmt::format(", unique: {}", text_or_list(table.unique));
  return out;
}

std::string address(const host_port& a) {
  return a.host.find(':') == std::string::npos ? fmt::format("{}:{}", a.host, a.port)
                                               : fmt::format("[{}]:{}", a.host, a.port);
}

std::string spelled(const discovery& d) {
  const auto places = [](const std::vector<host_port>& all) {
    std::vector<std::string> texts;
    for (const host_port& one : all) texts.push_back(address(one));
    return list(texts);
  };
  std::string out = "{";
  if (!d.patroni.empty()) out += fmt::format("patroni: {}, ", places(d.patroni));
  if (!d.etcd.empty()) out += fmt::format("etcd: {}, ", places(d.etcd));
  if (!d.scope.empty()) out += fmt::format("scope: {}, ", quoted(d.scope));
  return out + fmt::format("namespace: {}}}", quoted(d.name_space.empty() ? "/" : d.name_space));
}

std::string spelled(const lag_limit& lag) {
  if (lag.bytes) return format_size(*lag.bytes);
  // "0" alone is a size; keep a time of zero a time.
  if (lag.time) return lag.time->count() == 0 ? "0ms" : format_duration(*lag.time);
  return "none";
}

std::string spelled(const std::vector<bucket_range>& ranges) {
  std::string out;
  for (const bucket_range& r : ranges)
    out += (out.empty() ? "" : ",") +
           (r.first == r.last ? fmt::format("{}", r.first) : fmt::format("{}-{}", r.first, r.last));
  return quoted(out);
}

std::string spelled(const access_rule& rule) {
  std::string out = "{";
  if (!rule.databases.empty()) out += fmt::format("database: {}, ", list(rule.databases));
  if (!rule.users.empty()) out += fmt::format("user: {}, ", list(rule.users));
  std::vector<std::string> addresses;
  for (const network& n : rule.addresses) addresses.push_back(to_string(n));
  if (!addresses.empty()) out += fmt::format("address: {}, ", list(addresses));
  if (rule.tls) out += fmt::format("tls: {}, ", *rule.tls);
  return out + fmt::format("method: {}}}", name_of("auth.rules[].method", rule.method));
}

/// TLS to a server as one more key of it; nothing where there is none.
std::string spelled(const server_tls& tls) {
  if (tls == server_tls{}) return {};
  std::string out = fmt::format(", tls: {{mode: {}", name_of("databases.*.tls.mode", tls.mode));
  if (!tls.ca.empty()) out += fmt::format(", ca: {}", quoted(tls.ca));
  if (!tls.cert.empty()) out += fmt::format(", cert: {}, key: {}", quoted(tls.cert), quoted(tls.key));
  return out + "}";
}

/// Lines with an indentation, two blanks a level.
class writer {
 public:
  template <typename... Values>
  void line(int level, fmt::format_string<Values...> form, Values&&... values) {
    text_.append(static_cast<std::size_t>(level) * 2, ' ');
    text_ += fmt::format(form, std::forward<Values>(values)...);
    text_ += '\n';
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void write_settings(writer& out, const topology& t) {
  out.line(0, "listen:");
  out.line(1, "host: {}", list(t.listen.hosts));
  out.line(1, "port: {}", t.listen.port);
  out.line(1, "backlog: {}", t.listen.backlog);
  if (const client_tls& tls = t.listen.tls; !tls.cert.empty()) {
    out.line(1, "tls:");
    out.line(2, "mode: {}", name_of("listen.tls.mode", tls.mode));
    out.line(2, "cert: {}", quoted(tls.cert));
    out.line(2, "key: {}", quoted(tls.key));
    if (!tls.ca.empty()) out.line(2, "ca: {}", quoted(tls.ca));
    out.line(2, "min_version: {}", name_of("listen.tls.min_version", tls.min_version));
  }
  if (!t.admin.users.empty() || t.admin.http) out.line(0, "admin:");
  if (!t.admin.users.empty()) out.line(1, "users: {}", list(t.admin.users));
  if (t.admin.http) out.line(1, "http: {}", quoted(address(*t.admin.http)));
  if (!t.zone.empty()) out.line(0, "zone: {}", quoted(t.zone));
  if (t.instances.own != 0) {
    out.line(0, "instances:");
    out.line(1, "own: {}", t.instances.own);
    if (!t.instances.peers.empty()) out.line(1, "peers:");
    for (const instance_options::peer& peer : t.instances.peers) {
      out.line(2, "- {{instance: {}, address: {}}}", peer.instance, quoted(address(peer.at)));
    }
  }
  out.line(0, "workers: {}", t.workers == 0 ? std::string("auto") : std::to_string(t.workers));
  out.line(0, "auth:");
  out.line(1, "method: {}", name_of("auth.method", t.auth));
  if (!t.auth_query.empty()) {
    out.line(1, "query: {}", quoted(t.auth_query));
    out.line(1, "query_keep: {}", format_duration(t.auth_query_keep));
  }
  if (!t.access.empty()) out.line(1, "rules:");
  for (const access_rule& rule : t.access) out.line(2, "- {}", spelled(rule));
  out.line(0, "monitor:");
  out.line(1, "user: {}", quoted(t.monitor.user));
  if (t.monitor.password) out.line(1, "password: {}", masked);
  if (!t.monitor.dbname.empty()) out.line(1, "dbname: {}", quoted(t.monitor.dbname));
  out.line(1, "interval: {}", format_duration(t.monitor.interval));
  out.line(1, "timeout: {}", format_duration(t.monitor.timeout));
  out.line(1, "catalog_interval: {}", format_duration(t.monitor.catalog_interval));
  out.line(1, "probe_rate: {}", t.monitor.probe_rate);
  if (t.users.empty()) return;
  out.line(0, "users:");
  for (const user& u : t.users) {
    std::vector<std::string> keys;
    if (u.password) keys.push_back(fmt::format("password: {}", masked));
    if (u.max_clients != 0) keys.push_back(fmt::format("max_clients: {}", u.max_clients));
    if (u.max_server_connections != 0) keys.push_back(fmt::format("max_server_connections: {}", u.max_server_connections));
    out.line(1, "{}: {{{}}}", quoted(u.name), fmt::join(keys, ", "));
  }
}

void write_servers(writer& out, int level, const std::vector<server>& servers) {
  out.line(level, "servers:");
  for (const server& s : servers) {
    const std::string dbname = s.dbname.empty() ? std::string() : fmt::format(", dbname: {}", quoted(s.dbname));
    const std::string zone = s.zone.empty() ? std::string() : fmt::format(", zone: {}", quoted(s.zone));
    const std::string member = s.member.empty() ? std::string() : fmt::format(", member: {}", quoted(s.member));
    out.line(level + 1, "- {{host: {}, port: {}{}, weight: {}{}{}{}{}}}", quoted(s.host), s.port, dbname, s.weight, zone,
             s.drain ? ", drain: true" : "", member, spelled(s.tls));
  }
}

void write_sharding(writer& out, const sharding& s) {
  out.line(2, "sharding:");
  out.line(3, "function: {}", name_of("databases.*.sharding.function", s.function));
  out.line(3, "buckets: {}", s.buckets);
  if (!s.default_shard.empty()) out.line(3, "default_shard: {}", quoted(s.default_shard));
  out.line(3, "tables:{}", s.tables.empty() ? " {}" : "");
  for (const sharded_table& table : s.tables) {
    out.line(4, "{}: {{key: {}{}}}", quoted(table.name), text_or_list(table.key), further(table));
  }
  if (!s.patterns.empty()) out.line(3, "patterns:");
  for (const table_pattern& pattern : s.patterns) {
    out.line(4, "- {{tables: {}, key: {}{}}}", text_or_list(pattern.tables), text_or_list(pattern.key),
             further(pattern));
  }
  if (s.lookup) {
    const std::string age =
        s.lookup->max_age ? fmt::format(", max_age: {}", format_duration(*s.lookup->max_age)) : std::string{};
    out.line(3, "lookup: {{table: {}, key: {}, shard: {}, cache: {}{}}}", quoted(s.lookup->table),
             quoted(s.lookup->key), quoted(s.lookup->shard), s.lookup->cache, age);
  }
  out.line(3, "reference_tables: {}", list(s.reference_tables));
  out.line(3, "unsharded:{}", s.unsharded.empty() ? " {}" : "");
  for (const unsharded_table& table : s.unsharded) out.line(4, "{}: {}", quoted(table.name), quoted(table.shard));
  out.line(3, "accept_unenforced: {}", list(s.accept_unenforced));
  out.line(3, "shard_local: {}", list(s.shard_local));
  out.line(3, "sequence_blocks: {}", s.sequence_blocks);
  out.line(3, "check_placement: {}", s.check_placement);
}

void write_owned(writer& out, const shard& s) {
  if (!s.ranges.empty()) out.line(4, "ranges:");
  for (const value_range& range : s.ranges) {
    const std::string from = range.from ? "from: " + quoted(*range.from) : std::string{};
    const std::string to = range.to ? "to: " + quoted(*range.to) : std::string{};
    out.line(5, "- {{{}{}{}}}", from, range.from && range.to ? ", " : "", to);
  }
  if (!s.values.empty()) out.line(4, "values: {}", list(s.values));
  if (!s.schemas.empty()) out.line(4, "schemas: {}", list(s.schemas));
}

void write_database(writer& out, const database& d) {
  out.line(1, "{}:", quoted(d.name));
  const bool short_form = !d.sharding && d.shards.size() == 1 && d.shards.front().name == "default";
  if (short_form) {
    write_servers(out, 2, d.shards.front().servers);
    if (const auto& said = d.shards.front().discovery) out.line(2, "discovery: {}", spelled(*said));
  } else {
    out.line(2, "shards:");
    const auto ranges = bucket_ranges(d);
    for (std::size_t i = 0; i < d.shards.size(); ++i) {
      out.line(3, "- name: {}", quoted(d.shards[i].name));
      if (d.sharding && d.sharding->function != shard_function::consistent_hash) out.line(4, "buckets: {}", spelled(ranges[i]));
      write_owned(out, d.shards[i]);
      write_servers(out, 4, d.shards[i].servers);
      if (const auto& said = d.shards[i].discovery) out.line(4, "discovery: {}", spelled(*said));
    }
  }
  if (d.sharding) write_sharding(out, *d.sharding);
  out.line(2, "reads:");
  out.line(3, "replicas: {}", name_of("databases.*.reads.replicas", d.reads.replicas));
  out.line(3, "max_lag: {}", spelled(d.reads.max_lag));
  out.line(3, "consistency: {}", name_of("databases.*.reads.consistency", d.reads.consistency));
  out.line(3, "snapshot: {}", name_of("databases.*.reads.snapshot", d.reads.snapshot));
  out.line(3, "wait_for_replica: {}", format_duration(d.reads.wait_for_replica));
  out.line(3, "choose: {}", name_of("databases.*.reads.choose", d.reads.choose));
  out.line(3, "treat_as_read: {}", list(d.reads.treat_as_read));
  out.line(3, "treat_as_write: {}", list(d.reads.treat_as_write));
  out.line(2, "commits:");
  out.line(3, "answer: {}", name_of("databases.*.commits.answer", d.commits.answer));
  out.line(2, "pool:");
  out.line(3, "mode: {}", name_of("databases.*.pool.mode", d.pool.mode));
  out.line(3, "size: {}", d.pool.size);
  out.line(3, "max_connections: {}", d.pool.max_connections);
  out.line(3, "reserve: {}", d.pool.reserve);
  out.line(3, "reserve_after: {}", format_duration(d.pool.reserve_after));
  out.line(3, "prepared_statements: {}", d.pool.prepared_statements);
  out.line(3, "idle_timeout: {}", format_duration(d.pool.idle_timeout));
  out.line(3, "lifetime: {}", format_duration(d.pool.lifetime));
  if (d.max_clients != 0) out.line(2, "max_clients: {}", d.max_clients);
}

void write_bounds(writer& out, const topology& t) {
  out.line(0, "failover:");
  out.line(1, "hold: {}", format_duration(t.failover.hold));
  out.line(1, "max_held: {}", t.failover.max_held);
  out.line(1, "max_held_bytes: {}", format_size(t.failover.max_held_bytes));
  if (t.failover.max_loss) out.line(1, "max_loss: {}", format_size(*t.failover.max_loss));
  out.line(0, "limits:");
  out.line(1, "max_clients: {}", t.limits.max_clients);
  out.line(1, "max_clients_per_user: {}", t.limits.max_clients_per_user);
  out.line(1, "max_clients_per_database: {}", t.limits.max_clients_per_database);
  out.line(1, "max_message: {}", format_size(t.limits.max_message));
  out.line(1, "max_parse: {}", format_size(t.limits.max_parse));
  out.line(1, "max_statements: {}", t.limits.max_statements);
  out.line(1, "max_gather: {}", format_size(t.limits.max_gather));
  out.line(1, "max_gather_total: {}", format_size(t.limits.max_gather_total));
  out.line(1, "max_notifications: {}", format_size(t.limits.max_notifications));
  out.line(0, "timeouts:");
  out.line(1, "login: {}", format_duration(t.timeouts.login));
  out.line(1, "connect: {}", format_duration(t.timeouts.connect));
  out.line(1, "checkout: {}", format_duration(t.timeouts.checkout));
  out.line(1, "query: {}", format_duration(t.timeouts.query));
  out.line(1, "transaction: {}", format_duration(t.timeouts.transaction));
  out.line(1, "idle_in_transaction: {}", format_duration(t.timeouts.idle_in_transaction));
  out.line(1, "idle_client: {}", format_duration(t.timeouts.idle_client));
  out.line(1, "shutdown: {}", format_duration(t.timeouts.shutdown));
  out.line(0, "log:");
  out.line(1, "level: {}", name_of("log.level", t.log.level));
  out.line(1, "connections: {}", t.log.connections);
}

}  // namespace

std::vector<std::vector<bucket_range>> bucket_ranges(const database& d) {
  std::vector<std::vector<bucket_range>> out(d.shards.size());
  if (!d.sharding) return out;
  const std::uint64_t count = d.sharding->buckets, shards = d.shards.size();
  for (std::size_t i = 0; i < d.shards.size(); ++i) {
    out[i] = d.shards[i].buckets;
    if (!out[i].empty()) continue;
    out[i].push_back(
        {static_cast<std::uint32_t>(i * count / shards), static_cast<std::uint32_t>((i + 1) * count / shards - 1)});
  }
  return out;
}

std::string describe(const topology& t) {
  writer out;
  write_settings(out, t);
  out.line(0, "databases:");
  for (const database& d : t.databases) write_database(out, d);
  write_bounds(out, t);
  return out.take();
}

}  // namespace pgbraid::config
