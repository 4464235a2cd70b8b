#include "proxy/session/routing_context.hpp"

#include "router/plan/hints.hpp"

#include <algorithm>
#include <atomic>

namespace pgbraid::proxy {
namespace {

std::string lower(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  return out;
}

// Client encodings in which a byte of a character may look like a backslash or a quote.
bool multibyte_unsafe(std::string_view encoding) {
  std::string name;
  for (const char c : lower(encoding)) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) name.push_back(c);
  }
  static constexpr std::string_view unsafe[] = {"sjis", "mskanji", "shiftjis", "win932", "windows932", "big5", "win950", "windows950",
                                                "gbk", "win936", "windows936", "gb18030", "johab", "uhc", "win949", "windows949", "shiftjis2004"};
  return std::find(std::begin(unsafe), std::end(unsafe), name) != std::end(unsafe);
}

bool is_utf8(std::string_view encoding) {
  const std::string name = lower(encoding);
  return name == "utf8" || name == "utf-8" || name == "unicode";
}

constexpr const char* default_path = "\"$user\", public";

std::string_view default_of(const std::map<std::string, std::string, std::less<>>& by_role, const std::string& role, std::string_view fallback) {
  if (const auto found = by_role.find(role); found != by_role.end()) return found->second;
  if (const auto found = by_role.find(""); found != by_role.end()) return found->second;
  return fallback;
}

}  // namespace

std::vector<std::string> split_search_path(std::string_view value, const std::string& user, const router::catalog& schema) {
  std::vector<std::string> path;
  std::size_t i = 0;
  const auto skip_blanks = [&] { while (i < value.size() && (value[i] == ' ' || (value[i] >= '\t' && value[i] <= '\r'))) ++i; };
  while (true) {
    skip_blanks();
    if (i >= value.size()) break;
    std::string name;
    if (value[i] == '"') {
      for (++i; i < value.size(); ++i) {
        if (value[i] == '"') {
          if (i + 1 >= value.size() || value[i + 1] != '"') break;
          ++i;
        }
        name.push_back(value[i]);
      }
      ++i;
    } else {
      const std::size_t begin = i;
      while (i < value.size() && value[i] != ',' && value[i] != ' ') ++i;
      name = lower(value.substr(begin, i - begin));
    }
    if (name == "$user") {
      if (schema.schemas.contains(user)) path.push_back(user);
    } else if (!name.empty()) {
      path.push_back(std::move(name));
    }
    skip_blanks();
    if (i >= value.size() || value[i] != ',') break;
    ++i;
  }
  return path;
}

void routing_context::derive() {
  context.map = state_->map.get();
  context.schema = state_->schema.get();
  static const router::catalog empty;
  const router::catalog& schema = state_->schema ? *state_->schema : empty;
  const std::string_view path = search_path_setting_.empty() ? default_of(schema.default_search_path, context.user, default_path)
                                                             : std::string_view{search_path_setting_}.substr(1);
  context.search_path = split_search_path(path, role_.empty() ? context.user : role_, schema);
  context.hint = {};
  context.hint.shard = hints_.shard;
  if (!hints_.key.empty()) context.hint.key = hints_.key;
  // What is no target, SET has refused.
  protocol::error_report unused;
  (void)router::add_hint("target", hints_.target, *context.map, context.hint, unused);
}

void routing_context::update(database_state_ptr state) {
  const bool changed = !state_ || state->map != state_->map || state->schema != state_->schema;
  state_ = std::move(state);
  if (!changed) return;
  derive();
  cache.clear();
  generation = fresh_number();
}

std::uint64_t routing_context::fresh_number() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

/// What a context depends on, beside the database's state.
struct routing_contexts::key_of_context {
  const std::string& user;
  std::string path;  // a leading '=' tells an empty search_path from none at all
  bool conforming;
  std::string_view encoding, zone;
  std::string_view hints[3];
  std::string role;

  key_of_context(const std::string& of_user, const settings& wanted)
      : user{of_user},
        conforming{lower(wanted.value_of("standard_conforming_strings", "on")) != "off"},
        encoding{wanted.value_of("client_encoding", "UTF8")},
        zone{wanted.value_of("timezone", "")},
        hints{wanted.value_of(shard_setting, ""), wanted.value_of(key_setting, ""),
              wanted.value_of(target_setting, "")},
        role{wanted.value_of("role", wanted.value_of("session_authorization", ""))} {
    if (const setting* own = wanted.find("search_path")) path = "=" + own->value;
  }

  [[nodiscard]] std::string text() const {
    std::string out = user;
    for (const std::string_view part :
         {std::string_view{path}, std::string_view{conforming ? "1" : "0"}, encoding, zone, std::string_view{role}}) {
      out.push_back('\0');
      out.append(part);
    }
    for (const std::string_view part : hints) out.append(1, '\0').append(part);
    return out;
  }
};

std::shared_ptr<routing_context> routing_contexts::make(const key_of_context& key,
                                                        const database_state_ptr& state) const {
  auto made = std::make_shared<routing_context>();
  made->context.user = key.user;
  made->context.standard_conforming_strings = key.conforming;
  made->context.multibyte_unsafe = multibyte_unsafe(key.encoding);
  made->context.max_parse_bytes = max_parse_bytes_;
  made->context.utf8 = is_utf8(key.encoding);
  made->hints_ = {std::string{key.hints[0]}, std::string{key.hints[1]}, std::string{key.hints[2]}};
  made->time_zone = key.zone;
  made->literals.utf8 = is_utf8(key.encoding);
  made->literals.time_zone = made->time_zone;
  made->search_path_setting_ = key.path;
  made->role_ = key.role;
  made->update(state);
  return made;
}

std::shared_ptr<routing_context> routing_contexts::get(const std::string& user, const settings& wanted,
                                                       const database_state_ptr& state) {
  const key_of_context key{user, wanted};
  std::string text = key.text();
  if (const auto found = known_.find(text); found != known_.end()) {
    if (auto alive = found->second.lock()) return alive;
  }
  std::erase_if(known_, [](const auto& item) { return item.second.expired(); });
  auto made = make(key, state);
  known_[std::move(text)] = made;
  return made;
}

std::shared_ptr<routing_context> routing_contexts::apart(const std::string& user, const settings& wanted,
                                                         const database_state_ptr& state) const {
  return make({user, wanted}, state);
}

void routing_contexts::set_max_parse(std::size_t bytes) {
  if (bytes == max_parse_bytes_) return;
  max_parse_bytes_ = bytes;
  for (auto& [key, weak] : known_) {
    const auto alive = weak.lock();
    if (!alive) continue;
    alive->context.max_parse_bytes = bytes;
    alive->cache.clear();
    alive->generation = routing_context::fresh_number();
  }
}

void routing_contexts::update(const database_state_ptr& state) {
  for (auto& [key, weak] : known_) {
    if (auto alive = weak.lock()) alive->update(state);
  }
}

}  // namespace pgbraid::proxy
