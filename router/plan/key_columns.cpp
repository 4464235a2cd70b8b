#include "router/plan/key_columns.hpp"

#include <algorithm>

#include "router/plan/gather_text.hpp"
#include "router/plan/words.hpp"

namespace pgbraid::router {

std::optional<std::vector<std::string>> key_columns(std::string_view value) {
  if (value.size() > 1 && value.front() == '(' && value.back() == ')') value = value.substr(1, value.size() - 2);
  std::vector<std::string> out;
  std::size_t at = 0;
  const auto skip = [&] {
    while (at < value.size() && is_blank(value[at])) ++at;
  };
  while (true) {
    skip();
    std::string name;
    if (at < value.size() && value[at] == '"') {
      bool closed = false;
      for (++at; at < value.size() && !closed; ++at) {
        if (value[at] != '"') {
          name.push_back(value[at]);
        } else if (at + 1 < value.size() && value[at + 1] == '"') {
          name.push_back(value[at++]);
        } else {
          closed = true;
        }
      }
      if (!closed) return std::nullopt;
    } else if (at < value.size() && is_word_start(value[at])) {
      const std::size_t end = end_of_word(value, at);
      name = lower_word(value.substr(at, end - at));
      at = end;
    }
    if (name.empty() || std::find(out.begin(), out.end(), name) != out.end()) return std::nullopt;
    out.push_back(std::move(name));
    skip();
    if (at == value.size()) return out;
    if (value[at++] != ',') return std::nullopt;
  }
}

std::optional<std::string_view> declared_key(std::string_view comment) noexcept {
  constexpr std::string_view mark = "pgbraid:", key = "key=";
  const std::size_t found = comment.find(mark);
  if (found == std::string_view::npos) return std::nullopt;
  std::string_view rest = comment.substr(found + mark.size());
  while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
  if (!rest.starts_with(key)) return std::string_view{};
  rest.remove_prefix(key.size());
  if (rest.starts_with('(')) return rest.substr(0, rest.find(')') + 1);
  const std::size_t end = rest.starts_with('"') ? rest.find('"', 1) : rest.find_first_of(" \t\n\r;,");
  if (end == std::string_view::npos) return rest;
  return rest.substr(0, rest.starts_with('"') ? end + 1 : end);
}

std::string key_declaration(const std::vector<std::string>& columns) {
  std::string out = "pgbraid: key=(";
  for (const std::string& column : columns) {
    if (out.back() != '(') out.append(", ");
    out.append(quote_identifier(column));
  }
  return out + ')';
}

}  // namespace pgbraid::router
