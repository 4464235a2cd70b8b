// Cuts the rows of VALUES out of an INSERT's text; see rows.hpp.
#include "router/plan/rows.hpp"

#include <algorithm>
#include <charconv>

#include "router/plan/words.hpp"

namespace pgbraid::router {
namespace {

std::size_t past_blanks(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const std::size_t past = is_blank(text[at]) ? at + 1 : skip_comment(text, at);
    if (past == at) break;
    at = past;
  }
  return at;
}

/// Past the parenthesis that closes the one at `at`.
std::size_t past_group(std::string_view text, std::size_t at) {
  int depth = 0;
  for (std::size_t i = at; i < text.size();) {
    if (const std::size_t past = skip_quoted(text, i); past != i) {
      i = past;
      continue;
    }
    if (text[i] == '(') ++depth;
    if (text[i] == ')' && --depth == 0) return i + 1;
    ++i;
  }
  return text.size();
}

/// Appends `text` with its parameters numbered by their place in `parameters`, where new ones are added.
void append_renumbered(insert_part& out, std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const bool parameter = text[i] == '$' && i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9' &&
                           (i == 0 || !is_word_part(text[i - 1]));
    if (parameter) {
      unsigned number = 0;
      const auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + text.size(), number);
      const auto index = static_cast<std::uint16_t>(number - 1);
      const auto known = std::find(out.parameters.begin(), out.parameters.end(), index);
      const auto place = static_cast<std::size_t>(known - out.parameters.begin());
      if (known == out.parameters.end()) out.parameters.push_back(index);
      out.sql.append("$").append(std::to_string(place + 1));
      i = static_cast<std::size_t>(end - text.data());
      continue;
    }
    const std::size_t past = std::max(skip_quoted(text, i), i + 1);
    out.sql.append(text.substr(i, past - i));
    i = past;
  }
}

}  // namespace

std::size_t values_keyword(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t past = skip_quoted(text, i); past != i) {
      i = past;
    } else if (text[i] == '(') {
      i = past_group(text, i);
    } else if (is_word_start(text[i])) {
      const std::size_t end = end_of_word(text, i);
      const std::size_t at = past_blanks(text, end);
      if (lower_word(text.substr(i, end - i)) == "values" && at < text.size() && text[at] == '(') return i;
      i = end;
    } else {
      ++i;
    }
  }
  return std::string_view::npos;
}

std::vector<row_extent> rows_of(std::string_view text) {
  std::vector<row_extent> rows;
  const std::size_t keyword = values_keyword(text);
  if (keyword == std::string_view::npos) return rows;
  std::size_t at = past_blanks(text, end_of_word(text, keyword));
  while (at < text.size() && text[at] == '(') {
    const std::size_t close = past_group(text, at);
    rows.push_back({at, close});
    at = past_blanks(text, close);
    if (at >= text.size() || text[at] != ',') break;
    at = past_blanks(text, at + 1);
  }
  return rows;
}

insert_part renumbered(std::string_view text) {
  insert_part out;
  append_renumbered(out, text);
  return out;
}

std::string own_rows(std::string_view text, std::span<const shard_index> rows, shard_index shard) {
  const std::vector<row_extent> found = rows_of(text);
  std::string out;
  if (found.size() != rows.size()) return out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] != shard) continue;
    out.append(out.empty() ? text.substr(0, found.front().begin) : ", ");
    out.append(text.substr(found[i].begin, found[i].end - found[i].begin));
  }
  if (!out.empty()) out.append(text.substr(found.back().end));
  return out;
}

std::optional<std::size_t> place_of_own_row(std::string_view text, std::span<const shard_index> rows, shard_index shard,
                                            std::size_t at) {
  const std::vector<row_extent> found = rows_of(text);
  if (found.size() != rows.size() || found.empty()) return std::nullopt;
  if (at < found.front().begin) return at;
  std::size_t begin = found.front().begin;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] != shard) continue;
    const std::size_t size = found[i].end - found[i].begin;
    if (at < begin) return std::nullopt;
    if (at < begin + size) return found[i].begin + (at - begin);
    begin += size + std::string_view{", "}.size();
  }
  const std::size_t end = begin - std::string_view{", "}.size();
  return at < end ? std::nullopt : std::optional{found.back().end + (at - end)};
}

insert_part part_of_insert(std::string_view text, std::span<const shard_index> rows, shard_index shard) {
  return renumbered(own_rows(text, rows, shard));
}

}  // namespace pgbraid::router
