#include "proxy/session/listening.hpp"

#include "protocol/backend.hpp"
#include "protocol/frame.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;

namespace {

// NAMEDATALEN of PostgreSQL: longer identifiers are cut.
constexpr std::size_t longest_name = 63;

bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::string lower_case(std::string_view text) {
  std::string out{text};
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

bool contains(const std::vector<std::string>& names, std::string_view name) noexcept {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

bool listening_state::hears(std::string_view channel) const noexcept {
  return contains(channels, channel) || (joined && contains(joining, channel));
}

std::vector<std::string> listening_state::after_changes() const {
  std::vector<std::string> out = channels;
  for (const change& c : changes) {
    if (c.channel.empty()) {
      out.clear();
    } else if (!c.listen) {
      std::erase(out, c.channel);
    } else if (!contains(out, c.channel)) {
      out.push_back(c.channel);
    }
  }
  return out;
}

void listening_state::end(bool committed) {
  std::vector<std::string> after = committed ? after_changes() : channels;
  stale = stale || after != channels || !joining.empty();
  channels = std::move(after);
  changes.clear();
  joining.clear();
  joined = false;
  std::string kept;
  p::frame_view frame;
  for (std::string_view rest = held; p::next_frame(rest, held.size(), frame) == p::frame_status::complete;
       rest.remove_prefix(frame.total)) {
    p::notification_view told;
    if (p::decode(frame.body, told) && contains(channels, told.channel)) kept.append(frame.bytes);
  }
  held = std::move(kept);
}

bool is_plain_channel(std::string_view name) noexcept {
  return name.size() < longest_name &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

std::string with_channels(std::string_view sql, const std::vector<std::string>& channels) {
  constexpr std::string_view call = "pg_listening_channels()", schema = "pg_catalog.";
  const std::string lower = lower_case(sql);
  const std::size_t at = lower.find(call);
  if (at == std::string::npos || lower.find(call.substr(0, call.size() - 2), at + 1) != std::string::npos) return {};
  std::string_view before = std::string_view{lower}.substr(0, at),
                   after = std::string_view{lower}.substr(at + call.size());
  if (before.ends_with(schema)) before.remove_suffix(schema.size());
  const std::size_t from = before.size();
  while (!before.empty() && is_blank(before.back())) before.remove_suffix(1);
  while (!after.empty() && is_blank(after.front())) after.remove_prefix(1);
  const bool column = before.ends_with("select");
  const bool named =
      after.empty() || after.front() == ';' || after.starts_with("order by") || after.starts_with("where");
  if ((!column && !before.ends_with("from")) || !named || from == before.size()) return {};
  std::string out{sql.substr(0, from)};
  out.append("pg_catalog.unnest(ARRAY[");
  for (const std::string& name : channels) {
    out.append(out.back() == '[' ? "'" : ", '");
    for (const char c : name) out.append(c == '\'' ? 2 : 1, c);
    out.push_back('\'');
  }
  out.append("]::pg_catalog.text[]) AS pg_listening_channels").append(sql.substr(at + call.size()));
  return out;
}

std::string quoted_channel(std::string_view name) {
  std::string out{"\""};
  for (const char c : name) out.append(c == '"' ? 2 : 1, c);
  out.push_back('"');
  return out;
}

std::string encoding_key(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') out.push_back(static_cast<char>(c - 'A' + 'a'));
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out.push_back(c);
  }
  return out == "unicode" ? "utf8" : out;
}

}  // namespace pgbraid::proxy
