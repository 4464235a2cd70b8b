#include "proxy/cluster/leader_record.hpp"

#include "protocol/crypto.hpp"

#include <fmt/format.h>
#include <boost/json.hpp>

#include <charconv>
#include <map>
#include <optional>
#include <utility>

namespace pgbraid::proxy {

namespace json = boost::json;

namespace {

constexpr std::size_t longest_shown = 100, longest_name = 255;

record_reading unreadable(std::string_view what, std::string_view body) {
  return {{}, fmt::format("its answer is not {}: {}", what, body.empty() ? "it is empty" : harmless(body))};
}

const json::value* member(const json::object& object, std::string_view name) {
  return object.if_contains(name);
}

std::optional<std::string> text_of(const json::object& object, std::string_view name) {
  const json::value* const found = member(object, name);
  if (found == nullptr || !found->is_string() || found->get_string().size() > longest_name) return std::nullopt;
  return std::string(found->get_string());
}

std::uint16_t port_of(std::string_view digits) {
  std::uint16_t port = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return failed == std::errc{} && end == digits.data() + digits.size() ? port : std::uint16_t{0};
}

bool true_in(const json::object& object, std::string_view name) {
  const json::value* const found = member(object, name);
  return found != nullptr && found->is_bool() && found->get_bool();
}

std::optional<json::object> object_of(std::string_view text) {
  json::error_code failed;
  json::value parsed = json::parse(json::string_view(text.data(), text.size()), failed);
  if (failed || !parsed.is_object()) return std::nullopt;
  return std::move(parsed.get_object());
}

// postgres://10.0.0.1:5432/postgres, with brackets around an IPv6 address.
void take_address(std::string_view url, leader_record& out) {
  const auto scheme = url.find("://");
  if (scheme == url.npos) return;
  url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find_first_of("/?"));
  if (const auto login = url.rfind('@'); login != url.npos) url.remove_prefix(login + 1);
  const auto colon = url.rfind(':');
  if (colon == url.npos) return;
  std::string_view host = url.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  out.host = host;
  out.port = port_of(url.substr(colon + 1));
}

struct etcd_value {
  std::string text;
  std::string revision;  ///< of its last change
};

// The keys of an answer to a range question, without the folder.
std::optional<std::map<std::string, etcd_value>> values_below(const json::object& answer, std::string_view folder) {
  std::map<std::string, etcd_value> found;
  // A header is in every answer of etcd's; keys are left out where there are none.
  if (member(answer, "header") == nullptr) return std::nullopt;
  const json::value* const listed = member(answer, "kvs");
  if (listed == nullptr) return found;
  if (!listed->is_array()) return std::nullopt;
  for (const json::value& item : listed->get_array()) {
    const json::object* const pair = item.if_object();
    const json::value* const key = pair == nullptr ? nullptr : member(*pair, "key");
    if (key == nullptr || !key->is_string()) return std::nullopt;
    const auto name = protocol::base64_decode(std::string_view(key->get_string().data(), key->get_string().size()));
    if (!name || !name->starts_with(folder)) return std::nullopt;
    etcd_value& entry = found[name->substr(folder.size())];
    if (const json::value* const value = member(*pair, "value"); value != nullptr) {
      if (!value->is_string()) return std::nullopt;
      auto text = protocol::base64_decode(std::string_view(value->get_string().data(), value->get_string().size()));
      if (!text) return std::nullopt;
      entry.text = std::move(*text);
    }
    entry.revision = text_of(*pair, "mod_revision").value_or("");
  }
  return found;
}

// Patroni's key "failover": {"leader": "a", "member": "b", "scheduled_at": "..."}, each of them optional. It goes away
// when it has been carried out or given up.
std::string switchover_of(const etcd_value& asked, const leader_record& record) {
  const auto request = object_of(asked.text);
  if (!request || record.name.empty() || member(*request, "scheduled_at") != nullptr) return {};
  const std::string from = text_of(*request, "leader").value_or(""), to = text_of(*request, "member").value_or("");
  const bool away = from.empty() ? !to.empty() && to != record.name : from == record.name;
  return away ? "revision " + asked.revision : std::string{};
}

std::string one_range(std::string_view first, std::string_view behind) {
  return fmt::format(R"("key":"{}","range_end":"{}")", protocol::base64_encode(first), protocol::base64_encode(behind));
}

}  // namespace

std::string harmless(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, longest_shown)) out += c >= ' ' && c <= '~' ? c : '?';
  if (text.size() > longest_shown) out += "...";
  return out;
}

record_reading read_cluster_answer(std::string_view body) {
  constexpr std::string_view wanted = "Patroni's list of a cluster's members";
  const auto answer = object_of(body);
  const json::value* const members = answer ? member(*answer, "members") : nullptr;
  if (members == nullptr || !members->is_array()) return unreadable(wanted, body);
  record_reading out;
  out.record.paused = true_in(*answer, "pause");
  for (const json::value& item : members->get_array()) {
    const json::object* const one = item.if_object();
    const auto name = one == nullptr ? std::nullopt : text_of(*one, "name");
    const auto role = one == nullptr ? std::nullopt : text_of(*one, "role");
    if (!name || name->empty() || !role) return unreadable(wanted, body);
    if (*role != "leader" && *role != "standby_leader") continue;
    if (!out.record.name.empty())
      return {{}, fmt::format("it names two leaders, {} and {}", harmless(out.record.name), harmless(*name))};
    out.record.name = *name;
    out.record.host = text_of(*one, "host").value_or("");
    const json::value* const port = member(*one, "port");
    if (port != nullptr && port->is_string()) {
      out.record.port = port_of(text_of(*one, "port").value_or(""));
    } else if (port != nullptr && port->is_int64() && port->get_int64() > 0 && port->get_int64() < 65536) {
      out.record.port = static_cast<std::uint16_t>(port->get_int64());
    }
  }
  return out;
}

record_reading read_range_answer(std::string_view body, std::string_view folder) {
  const auto answer = object_of(body);
  const auto values = answer ? values_below(*answer, folder) : std::nullopt;
  if (!values) return unreadable("etcd's to a question for keys", body);
  if (values->empty()) return {{}, fmt::format("it has nothing below {}: scope or namespace is another", folder)};
  record_reading out;
  if (const auto config = values->find("config"); config != values->end()) {
    const auto settings = object_of(config->second.text);
    out.record.paused = settings && true_in(*settings, "pause");
  }
  const auto leader = values->find("leader");
  if (leader == values->end() || leader->second.text.empty()) return out;
  if (leader->second.text.size() > longest_name) return {{}, "the leader's name in it is too long"};
  out.record.name = leader->second.text;
  if (const auto self = values->find("members/" + out.record.name); self != values->end()) {
    if (const auto facts = object_of(self->second.text))
      take_address(text_of(*facts, "conn_url").value_or(""), out.record);
  }
  if (const auto asked = values->find("failover"); asked != values->end())
    out.record.switchover = switchover_of(asked->second, out.record);
  return out;
}

std::string record_folder(std::string_view name_space, std::string_view scope) {
  return name_space.empty() ? fmt::format("/{}/", scope) : fmt::format("/{}/{}/", name_space, scope);
}

std::string range_question(std::string_view folder) {
  // All that begins with the folder's name: up to the name with its last character, a slash, made one more.
  std::string behind(folder);
  behind.back() = static_cast<char>(behind.back() + 1);
  return "{" + one_range(folder, behind) + "}";
}

std::string watch_question(std::string_view folder) {
  // "failover" and "leader" are the first and last of a few keys in a row, of which the others hardly ever change.
  const std::string first = fmt::format("{}failover", folder), behind = fmt::format("{}leader", folder) + '\0';
  return R"({"create_request":{)" + one_range(first, behind) + "}}";
}

}  // namespace pgbraid::proxy
