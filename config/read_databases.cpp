// databases: servers, shards, reads and pool.
#include "config/fields.hpp"
#include "config/sections.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace pgbraid::config {
namespace {

using yaml::node;

class database_reader {
 public:
  database_reader(database& out, std::string shown, const std::string& folder, std::vector<finding>& findings)
      : out_(out), shown_(std::move(shown)), folder_(folder), findings_(findings) {}

  void read(const node& value, position name_at) {
    const fields section(&value);
    read_server_tls(section.at("tls"), fmt::format("{}.tls", shown_), folder_, tls_, findings_);
    const node* servers = section.at("servers");
    const node* shards = section.at("shards");
    if (servers != nullptr && shards != nullptr)
      error(value.find("servers")->where,
            fmt::format("{}: servers and shards are both given; servers stand under their shard", shown_));
    else if (servers != nullptr)
      read_short_form(*servers, section.at("discovery"));
    else if (shards != nullptr)
      read_shards(*shards, section.at("discovery"));
    else if (value.what == node::kind::map || value.what == node::kind::null)
      error(name_at, fmt::format("{}: no servers are given; write servers, or shards and sharding", shown_));
    read_sharding(value, shown_, out_, findings_);
    read_reads(fields(section.at("reads")));
    const fields commits(section.at("commits"));
    commits.choice("answer", "databases.*.commits.answer", out_.commits.answer);
    const fields pool(section.at("pool"));
    pool.choice("mode", "databases.*.pool.mode", out_.pool.mode);
    pool.integer("size", out_.pool.size);
    pool.integer("max_connections", out_.pool.max_connections);
    pool.integer("reserve", out_.pool.reserve);
    pool.duration("reserve_after", out_.pool.reserve_after);
    pool.integer("prepared_statements", out_.pool.prepared_statements);
    pool.duration("idle_timeout", out_.pool.idle_timeout);
    pool.duration("lifetime", out_.pool.lifetime);
    section.integer("max_clients", out_.max_clients);
    if (out_.pool.mode == pool_mode::session && out_.reads.replicas == replica_policy::require)
      error(
          pool.at("mode")->where,
          fmt::format("{}.pool.mode: a session that keeps one connection keeps the primary's; reads.replicas cannot be "
                      "require",
                      shown_));
    if (out_.commits.answer == commit_answer::decided && out_.reads.consistency == consistency::global)
      error(commits.at("answer")->where,
            fmt::format("{}.commits.answer: with decided a session may miss what another has been told; "
                        "reads.consistency cannot be global",
                        shown_));
    if (out_.reads.snapshot == read_snapshot::consistent && out_.reads.replicas == replica_policy::require)
      error(
          section.at("reads")->where,
          fmt::format(
              "{}.reads.snapshot: consistent reads of several shards go to primaries; reads.replicas cannot be require",
              shown_));
  }

 private:
  void error(position at, std::string text) { findings_.push_back({finding::level::error, at, std::move(text)}); }

  void read_short_form(const node& servers, const node* discovery) {
    shard only;
    only.name = "default";
    only.where = servers.where;
    read_servers(servers, fmt::format("{}.servers", shown_), only);
    read_discovery(discovery, fmt::format("{}.discovery", shown_), only, findings_);
    out_.shards.push_back(std::move(only));
  }

  void read_shards(const node& shards, const node* discovery) {
    if (shards.what == node::kind::scalar || shards.what == node::kind::map) return;
    if (shards.items.empty()) return error(shards.where, fmt::format("{}.shards: the list is empty", shown_));
    if (discovery != nullptr && discovery->what == node::kind::map) {
      error(discovery->where,
            fmt::format("{}.discovery: each shard has addresses of its own; they stand under their shard", shown_));
      discovery = nullptr;
    }
    std::map<std::string, position> names;
    for (std::size_t i = 0; i < shards.items.size(); ++i) {
      const node& item = *shards.items[i];
      if (item.what != node::kind::map) continue;
      const fields section(&item);
      shard one;
      one.where = item.where;
      section.text("name", one.name);
      const std::string shown = fmt::format("{}.shards[{}]", shown_, i);
      if (!one.name.empty()) {
        const auto [first, fresh] = names.emplace(one.name, section.at("name")->where);
        if (!fresh)
          error(section.at("name")->where, fmt::format("{}.name: a shard named \"{}\" stands on line {} already", shown,
                                                       one.name, first->second.line));
      }
      read_ranges(section.at("buckets"), one);
      read_value_ranges(section.at("ranges"), one);
      section.texts("values", one.values);
      section.texts("schemas", one.schemas);
      if (const node* servers = section.at("servers")) read_servers(*servers, fmt::format("{}.servers", shown), one);
      const node* own = section.at("discovery");
      read_discovery(own != nullptr ? own : discovery, fmt::format("{}.discovery", own != nullptr ? shown : shown_), one,
                     findings_);
      out_.shards.push_back(std::move(one));
    }
  }

  static void read_value_ranges(const node* ranges, shard& out) {
    if (ranges == nullptr) return;
    for (const auto& item : ranges->items) {
      if (item->what != node::kind::map) continue;
      const fields section(item.get());
      value_range& range = out.ranges.emplace_back();
      if (const std::string* from = section.scalar("from")) range.from = *from;
      if (const std::string* to = section.scalar("to")) range.to = *to;
    }
  }

  /// Leaves none when one of them cannot be read: then whether they cover all buckets is not asked.
  static void read_ranges(const node* buckets, shard& out) {
    if (buckets == nullptr) return;
    std::string why;
    bool readable = true;
    const auto one = [&](const node& n) {
      const auto ranges = n.what == node::kind::scalar ? parse_buckets(n.text, why) : std::nullopt;
      if (ranges)
        out.buckets.insert(out.buckets.end(), ranges->begin(), ranges->end());
      else
        readable = false;
    };
    if (buckets->what != node::kind::list) one(*buckets);
    for (const auto& item : buckets->items) one(*item);
    if (!readable) out.buckets.clear();
  }

  void read_servers(const node& servers, const std::string& shown, shard& out) {
    if (servers.what != node::kind::list && servers.what != node::kind::null) return;
    if (servers.items.empty()) return error(servers.where, fmt::format("{}: the list is empty", shown));
    for (std::size_t i = 0; i < servers.items.size(); ++i) {
      const auto one = read_server(*servers.items[i], fmt::format("{}[{}]", shown, i));
      if (!one) continue;
      for (const server& other : out.servers)
        if (other.host == one->host && other.port == one->port)
          error(one->where, fmt::format("{}[{}]: {}:{} stands on line {} already", shown, i, one->host, one->port,
                                        other.where.line));
      check_other_shards(*one, fmt::format("{}[{}]", shown, i));
      out.servers.push_back(*one);
    }
  }

  /// One database of one server in two shards would give each of its rows twice.
  void check_other_shards(const server& one, const std::string& shown) {
    const auto identity = [this](const server& s) {
      return std::tuple(s.host, s.port, s.dbname.empty() ? out_.name : s.dbname);
    };
    for (const shard& other : out_.shards)
      for (const server& s : other.servers)
        if (identity(s) == identity(one))
          error(one.where, fmt::format("{}: {}:{} holds shard \"{}\" already; give another server or another dbname",
                                       shown, one.host, one.port, other.name));
  }

  std::optional<server> read_server(const node& value, const std::string& shown) {
    server out;
    out.where = value.where;
    out.tls = tls_;
    std::string why;
    if (value.what == node::kind::scalar) {
      const auto address = parse_address(value.text, out.port, why);
      if (!address) {
        error(value.where, fmt::format("{}: {}", shown, why));
        return std::nullopt;
      }
      out.host = address->host;
      out.port = address->port;
      return out;
    }
    const fields section(&value);
    const std::string* host = section.scalar("host");
    if (host == nullptr || host->empty()) return std::nullopt;
    why = wrong_host(*host);
    if (!why.empty()) {
      error(section.at("host")->where, fmt::format("{}.host: {}", shown, why));
      return std::nullopt;
    }
    out.host = *host;
    section.integer("port", out.port);
    section.text("dbname", out.dbname);
    section.integer("weight", out.weight);
    section.text("zone", out.zone);
    section.boolean("drain", out.drain);
    section.text("member", out.member);
    if (const node* own = section.at("tls")) {
      out.tls = {};
      read_server_tls(own, fmt::format("{}.tls", shown), folder_, out.tls, findings_);
    }
    return out;
  }

  void read_reads(const fields& section) {
    section.choice("replicas", "databases.*.reads.replicas", out_.reads.replicas);
    section.choice("consistency", "databases.*.reads.consistency", out_.reads.consistency);
    section.choice("snapshot", "databases.*.reads.snapshot", out_.reads.snapshot);
    section.duration("wait_for_replica", out_.reads.wait_for_replica);
    section.choice("choose", "databases.*.reads.choose", out_.reads.choose);
    std::string why;
    if (const std::string* lag = section.scalar("max_lag"))
      if (const auto limit = parse_lag(*lag, why)) out_.reads.max_lag = *limit;
    section.texts("treat_as_read", out_.reads.treat_as_read);
    section.texts("treat_as_write", out_.reads.treat_as_write);
    const node* writes = section.at("treat_as_write");
    if (writes == nullptr) return;
    const auto& reads = out_.reads.treat_as_read;
    for (const auto& item : writes->items)
      if (std::find(reads.begin(), reads.end(), item->text) != reads.end() && !item->text.empty())
        error(item->where, fmt::format("{}.reads.treat_as_write: {} is under treat_as_read too", shown_, item->text));
  }

  database& out_;
  std::string shown_;
  const std::string& folder_;
  server_tls tls_;  ///< of servers that give none of their own
  std::vector<finding>& findings_;
};

}  // namespace

void read_databases(const node& root, const std::string& folder, topology& out, std::vector<finding>& findings) {
  const node::entry* section = root.find("databases");
  if (section == nullptr) return;  // reported as missing
  const node& value = *section->value;
  if ((value.what == node::kind::map || value.what == node::kind::null) && value.entries.empty())
    findings.push_back({finding::level::error, value.where, "databases: at least one is needed"});
  for (const node::entry& e : value.entries) {
    database d;
    d.name = e.key;
    d.where = e.where;
    const std::string shown = fmt::format("databases.{}", e.key);
    database_reader(d, shown, folder, findings).read(*e.value, e.where);
    out.databases.push_back(std::move(d));
  }
}

}  // namespace pgbraid::config
