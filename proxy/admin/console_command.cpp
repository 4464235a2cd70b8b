#include "proxy/admin/console_command.hpp"

#include <optional>
#include <vector>

namespace pgbraid::proxy {

namespace {

bool is_blank(char c) noexcept {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

bool is_word(char c) noexcept {
  return !is_blank(c) && c != '"' && c != '.' && c != ';';
}

struct token {
  std::string text;
  bool quoted = false;
};

// Words, quoted names and dots; nothing if a quote does not end.
std::optional<std::vector<token>> tokens_of(std::string_view text) {
  std::vector<token> found;
  for (std::size_t i = 0; i < text.size();) {
    if (is_blank(text[i])) {
      ++i;
    } else if (text[i] == '"') {
      token name{{}, true};
      for (++i;; ++i) {
        if (i >= text.size()) return std::nullopt;
        if (text[i] != '"') {
          name.text.push_back(text[i]);
        } else if (i + 1 < text.size() && text[i + 1] == '"') {
          name.text.push_back(text[i++]);
        } else {
          break;
        }
      }
      ++i;
      found.push_back(std::move(name));
    } else if (!is_word(text[i])) {
      found.push_back({std::string{text[i++]}, false});
    } else {
      token word;
      for (; i < text.size() && is_word(text[i]); ++i) word.text.push_back(text[i]);
      found.push_back(std::move(word));
    }
  }
  while (!found.empty() && found.back().text == ";" && !found.back().quoted) found.pop_back();
  return found;
}

bool says(const token& t, std::string_view word) {
  if (t.quoted || t.text.size() != word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const char c = t.text[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != word[i]) return false;
  }
  return true;
}

bool is_name(const token& t) {
  return t.quoted || is_word(t.text.front());
}

}  // namespace

console_command read_console_command(std::string_view text) {
  using kind = console_command::kind;
  const auto tokens = tokens_of(text);
  if (!tokens) return {};
  const std::vector<token>& t = *tokens;
  if (t.empty()) return {kind::none, {}, {}};
  if (t.size() == 2 && says(t[0], "show")) {
    if (says(t[1], "clients")) return {kind::show_clients, {}, {}};
    if (says(t[1], "servers")) return {kind::show_servers, {}, {}};
    if (says(t[1], "transactions")) return {kind::show_transactions, {}, {}};
    if (says(t[1], "databases")) return {kind::show_databases, {}, {}};
    return {};
  }
  const bool pause = says(t[0], "pause");
  if (!pause && !says(t[0], "resume")) return {};
  const kind what = pause ? kind::pause : kind::resume;
  if (t.size() == 1) return {what, {}, {}};
  if (t.size() == 2 && is_name(t[1])) return {what, t[1].text, {}};
  if (t.size() == 4 && is_name(t[1]) && t[2].text == "." && !t[2].quoted && is_name(t[3]))
    return {what, t[1].text, t[3].text};
  return {};
}

}  // namespace pgbraid::proxy
