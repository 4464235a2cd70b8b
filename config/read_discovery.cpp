// discovery: where Patroni says which server of a shard is primary.
#include "config/fields.hpp"
#include "config/sections.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace pgbraid::config {
namespace {

using yaml::node;

constexpr std::uint16_t patroni_port = 8008, etcd_port = 2379;
constexpr std::string_view patroni_alone = "patroni";

class discovery_reader {
 public:
  discovery_reader(const std::string& shown, std::vector<finding>& findings) : shown_(shown), findings_(findings) {}

  /// `discovery: patroni`: at every server's own host.
  void at_servers(const node& value, shard& out) {
    if (value.text != patroni_alone)
      return error(value, fmt::format("{}: expected patroni, or a map with patroni or etcd, found {}", shown_,
                                      yaml::spelled(value)));
    discovery found;
    for (const server& s : out.servers) {
      if (s.host.starts_with('/'))
        return error(value, fmt::format("{}: {} is a directory, not a host at which Patroni could be asked; list "
                                        "Patroni's addresses",
                                        shown_, s.host));
      // Several servers on one host have one Patroni each, and only one of them can have the usual port.
      const host_port place{s.host, patroni_port};
      if (std::find(found.patroni.begin(), found.patroni.end(), place) == found.patroni.end())
        found.patroni.push_back(place);
    }
    if (!found.patroni.empty()) out.discovery = std::move(found);
  }

  void at_addresses(const node& value, shard& out) {
    const fields section(&value);
    discovery found;
    addresses(section.at("patroni"), "patroni", patroni_port, found.patroni);
    addresses(section.at("etcd"), "etcd", etcd_port, found.etcd);
    section.text("scope", found.scope);
    section.text("namespace", found.name_space);
    while (found.name_space.starts_with('/')) found.name_space.erase(0, 1);
    while (found.name_space.ends_with('/')) found.name_space.pop_back();
    if (section.at("patroni") == nullptr && section.at("etcd") == nullptr)
      return error(value, fmt::format("{}: neither patroni nor etcd is given", shown_));
    if (section.at("etcd") != nullptr && found.scope.empty())
      return error(*section.at("etcd"),
                   fmt::format("{}.etcd: Patroni's record is found there by its scope; give scope too", shown_));
    if (!found.patroni.empty() || !found.etcd.empty()) out.discovery = std::move(found);
  }

 private:
  void error(const node& at, std::string text) {
    findings_.push_back({finding::level::error, at.where, std::move(text)});
  }

  void addresses(const node* value, std::string_view key, std::uint16_t port, std::vector<host_port>& out) {
    if (value == nullptr) return;
    if (value->what == node::kind::scalar) return one_address(*value, fmt::format("{}.{}", shown_, key), port, out);
    for (std::size_t i = 0; i < value->items.size(); ++i)
      if (value->items[i]->what == node::kind::scalar)
        one_address(*value->items[i], fmt::format("{}.{}[{}]", shown_, key, i), port, out);
  }

  void one_address(const node& value, const std::string& shown, std::uint16_t port, std::vector<host_port>& out) {
    if (value.text.empty()) return;  // reported with the shapes
    std::string why;
    const auto place = parse_address(value.text, port, why);
    if (!place) return error(value, fmt::format("{}: {}", shown, why));
    if (place->host.starts_with('/'))
      return error(value, fmt::format("{}: expected host:port, found the directory {}", shown, place->host));
    out.push_back(*place);
  }

  const std::string& shown_;
  std::vector<finding>& findings_;
};

}  // namespace

void read_discovery(const node* value, const std::string& shown, shard& out, std::vector<finding>& findings) {
  if (value == nullptr) return;
  discovery_reader reader(shown, findings);
  if (value->what == node::kind::scalar) reader.at_servers(*value, out);
  if (value->what == node::kind::map) reader.at_addresses(*value, out);
}

}  // namespace pgbraid::config
