#include "proxy/session/settings.hpp"

#include <algorithm>
#include <array>

#include "router/plan/words.hpp"

namespace pgbraid::proxy {
namespace {

std::string signature_of(const std::vector<setting>& entries) {
  std::string text;
  for (const setting& entry : entries) {
    text.append(entry.name).push_back('\0');
    text.append(entry.value).push_back('\0');
    text.append(entry.sql).push_back('\0');
  }
  return text;
}

void append_identifier(std::string& out, std::string_view name) {
  // A custom setting's name has a dot that separates, not one that belongs to a part.
  out.push_back('"');
  for (const char c : name) {
    if (c == '"') out.push_back('"');
    if (c == '.') {
      out.append("\".\"");
      continue;
    }
    out.push_back(c);
  }
  out.push_back('"');
}

}  // namespace

bool is_hint_setting(std::string_view name) noexcept {
  return name == shard_setting || name == key_setting || name == target_setting;
}

const setting* settings::find(std::string_view name) const noexcept {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const setting& e) { return e.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

std::string_view settings::value_of(std::string_view name, std::string_view fallback) const noexcept {
  const setting* entry = find(name);
  return entry == nullptr ? fallback : std::string_view{entry->value};
}

bool is_true(std::string_view value) noexcept {
  constexpr std::array<std::string_view, 6> words{"on", "true", "yes", "1", "t", "y"};
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return std::equal(word.begin(), word.end(), value.begin(), value.end(), [](char a, char b) {
      return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b - 'A' + 'a') : b);
    });
  });
}

settings_registry::settings_registry() : none_(std::make_shared<const settings>()) {}

settings_ptr settings_registry::with(const settings_ptr& base, setting added) {
  std::vector<setting> entries = base->entries;
  std::erase_if(entries, [&](const setting& e) { return e.name == added.name; });
  entries.push_back(std::move(added));
  return intern(std::move(entries));
}

settings_ptr settings_registry::without(const settings_ptr& base, std::string_view name) {
  std::vector<setting> entries = base->entries;
  std::erase_if(entries, [&](const setting& e) { return e.name == name; });
  return intern(std::move(entries));
}

settings_ptr settings_registry::intern(std::vector<setting> entries) {
  if (entries.empty()) return none_;
  std::string signature = signature_of(entries);
  if (const auto found = known_.find(signature); found != known_.end()) {
    if (settings_ptr alive = found->second.lock()) return alive;
  }
  if (known_.size() >= sweep_at_) {
    std::erase_if(known_, [](const auto& item) { return item.second.expired(); });
    sweep_at_ = std::max<std::size_t>(64, known_.size() * 2);
  }
  auto made = std::make_shared<const settings>(settings{std::move(entries)});
  known_[std::move(signature)] = made;
  return made;
}

namespace {

// Who one is, in the order in which it is said. Everything else is set as the role that logged in: what a session may
// set before it takes another role, it may not afterwards.
constexpr std::string_view identity[] = {"session_authorization", "role"};

bool is_identity(const setting& entry) {
  return entry.name == identity[0] || entry.name == identity[1];
}

bool same(const setting* a, const setting* b) {
  return a == nullptr || b == nullptr ? a == b : *a == *b;
}

}  // namespace

std::string settings_difference(const settings* current, const settings& wanted) {
  std::string sql;
  const auto say = [&sql](std::string_view statement) {
    if (!sql.empty()) sql.append("; ");
    sql.append(statement);
  };
  if (current == nullptr) {
    say("RESET ALL");
  } else {
    for (const setting& entry : current->entries) {
      if (is_identity(entry) || is_hint_setting(entry.name) || wanted.find(entry.name) != nullptr) continue;
      say("RESET ");
      append_identifier(sql, entry.name);
    }
  }
  for (const setting& entry : wanted.entries) {
    if (is_identity(entry) || is_hint_setting(entry.name) || (current != nullptr && same(current->find(entry.name), &entry))) continue;
    say(entry.sql);
  }
  const auto kept = [&](std::string_view name) { return same(current->find(name), wanted.find(name)); };
  if (current != nullptr && kept(identity[0]) && kept(identity[1]) &&
      (sql.empty() || (current->find(identity[0]) == nullptr && current->find(identity[1]) == nullptr))) {
    return sql;
  }
  const bool other =
      current == nullptr || current->find(identity[0]) != nullptr || current->find(identity[1]) != nullptr;
  if (other)
    sql.insert(0,
               sql.empty() ? "RESET SESSION AUTHORIZATION; RESET ROLE" : "RESET SESSION AUTHORIZATION; RESET ROLE; ");
  for (const std::string_view name : identity) {
    if (const setting* entry = wanted.find(name)) say(entry->sql);
  }
  return sql;
}

namespace {

struct date_style {
  std::string style, order;
};

// False: a word that is none of these; the server says so, or knows what it means.
bool read_date_style(std::string_view value, date_style& out) {
  while (true) {
    const std::size_t begin = value.find_first_not_of(" \t\n,");
    if (begin == std::string_view::npos) return true;
    value.remove_prefix(begin);
    std::string word{value.substr(0, value.find_first_of(" \t\n,"))};
    value.remove_prefix(word.size());
    std::transform(word.begin(), word.end(), word.begin(),
                   [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
    if (word == "iso" || word == "sql" || word.starts_with("postgres") || word == "german") {
      out.style = word.starts_with("postgres") ? "postgres" : word;
    } else if (word == "ymd") {
      out.order = word;
    } else if (word == "dmy" || word.starts_with("euro")) {
      out.order = "dmy";
    } else if (word == "mdy" || word == "us" || word.starts_with("noneuro")) {
      out.order = "mdy";
    } else {
      return false;
    }
  }
}

}  // namespace

setting date_style_setting(const setting* before, std::string_view value, std::string_view sql) {
  date_style old, merged;
  if (before != nullptr) (void)read_date_style(before->value, old);
  setting made{"datestyle", std::string{value}, "RESET datestyle; "};
  if (!read_date_style(value, merged)) {
    made.sql.append(sql);
    return made;
  }
  if (merged.order.empty() && merged.style == "german") merged.order = "dmy";
  if (merged.style.empty()) merged.style = old.style;
  if (merged.order.empty()) merged.order = old.order;
  const bool whole = !merged.style.empty() && !merged.order.empty();
  made.value = merged.style + (whole ? ", " : "") + merged.order;
  const std::string statement = "SET datestyle TO '" + made.value + "'";
  made.sql = whole ? statement : made.sql + statement;
  return made;
}

std::string set_config_statement(std::string_view name, std::optional<std::string_view> value, bool local) {
  std::string sql = "SELECT pg_catalog.set_config(";
  router::append_literal(sql, name);
  sql.append(", ");
  if (value) {
    router::append_literal(sql, *value);
  } else {
    sql.append("NULL");
  }
  sql.append(local ? ", true)" : ", false)");
  return sql;
}

std::string set_statement(std::string_view name, std::string_view value) {
  // DateStyle and search_path are lists: as one quoted text the former is understood, the latter would be one name.
  if (name == "search_path") return set_config_statement(name, value);
  std::string sql = "SET ";
  append_identifier(sql, name);
  sql.append(" TO ");
  router::append_literal(sql, value);
  return sql;
}

bool parse_startup_options(std::string_view options, std::vector<std::pair<std::string, std::string>>& out) {
  // pg_split_opts(): words are separated by blanks, a backslash takes the next character as it is.
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  for (std::size_t i = 0; i < options.size(); ++i) {
    const char c = options[i];
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
    } else {
      in_word = true;
      if (c == '\\' && i + 1 < options.size()) {
        word.push_back(options[++i]);
      } else {
        word.push_back(c);
      }
    }
  }
  if (in_word) words.push_back(std::move(word));

  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string assignment;
    if (words[i] == "-c" && i + 1 < words.size()) {
      assignment = words[++i];
    } else if (words[i].starts_with("-c") && words[i].size() > 2) {
      assignment = words[i].substr(2);
    } else if (words[i].starts_with("--")) {
      assignment = words[i].substr(2);
    } else {
      return false;
    }
    const auto equals = assignment.find('=');
    if (equals == std::string::npos || equals == 0) return false;
    std::string name = assignment.substr(0, equals);
    std::replace(name.begin(), name.end(), '-', '_');
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char ch) { return static_cast<char>(ch >= 'A' && ch <= 'Z' ? ch + 32 : ch); });
    out.emplace_back(std::move(name), assignment.substr(equals + 1));
  }
  return true;
}

}  // namespace pgbraid::proxy
