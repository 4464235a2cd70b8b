#include "proxy/session/settings.hpp"

#include <algorithm>

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

const setting* settings::find(std::string_view name) const noexcept {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const setting& e) { return e.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

std::string_view settings::value_of(std::string_view name, std::string_view fallback) const noexcept {
  const setting* entry = find(name);
  return entry == nullptr ? fallback : std::string_view{entry->value};
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

std::string settings_difference(const settings* current, const settings& wanted) {
  std::string sql;
  if (current == nullptr) {
    sql = "RESET SESSION AUTHORIZATION; RESET ALL";
  } else {
    for (const setting& entry : current->entries) {
      if (wanted.find(entry.name) != nullptr) continue;
      if (!sql.empty()) sql.append("; ");
      sql.append("RESET ");
      append_identifier(sql, entry.name);
    }
  }
  for (const setting& entry : wanted.entries) {
    if (current != nullptr) {
      const setting* had = current->find(entry.name);
      if (had != nullptr && *had == entry) continue;
    }
    if (!sql.empty()) sql.append("; ");
    sql.append(entry.sql);
  }
  return sql;
}

namespace {

void append_literal(std::string& out, std::string_view text) {
  if (text.find('\\') != std::string_view::npos) out.push_back('E');
  out.push_back('\'');
  for (const char c : text) out.append(c == '\'' || c == '\\' ? 2 : 1, c);
  out.push_back('\'');
}

}  // namespace

std::string set_config_statement(std::string_view name, std::string_view value) {
  std::string sql = "SELECT pg_catalog.set_config(";
  append_literal(sql, name);
  sql.append(", ");
  append_literal(sql, value);
  sql.append(", false)");
  return sql;
}

std::string set_statement(std::string_view name, std::string_view value) {
  // DateStyle and search_path are lists: as one quoted text the former is understood, the latter would be one name.
  if (name == "search_path") return set_config_statement(name, value);
  std::string sql = "SET ";
  append_identifier(sql, name);
  sql.append(" TO ");
  append_literal(sql, value);
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
