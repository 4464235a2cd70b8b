#include "proxy/apply/index_words.hpp"

#include "router/plan/words.hpp"

#include <cstddef>

namespace pgbraid::proxy::apply {
namespace {

/// Walks over the words and names of a statement.
class reader {
 public:
  explicit reader(std::string_view text) : text_(text) { skip(); }

  bool take(std::string_view word) {
    const std::size_t end = router::end_of_word(text_, at_);
    if (end == at_ || router::lower_word(text_.substr(at_, end - at_)) != word) return false;
    at_ = end;
    skip();
    return true;
  }

  [[nodiscard]] bool at(std::string_view word) const {
    return router::lower_word(text_.substr(at_, router::end_of_word(text_, at_) - at_)) == word;
  }

  bool take_dot() {
    if (at_ >= text_.size() || text_[at_] != '.') return false;
    ++at_;
    skip();
    return true;
  }

  /// One part of a name as it is written; "" if there is none.
  std::string_view part() {
    const std::size_t begin = at_;
    if (at_ < text_.size() && text_[at_] == '"') {
      do {
        const std::size_t close = text_.find('"', at_ + 1);
        if (close == std::string_view::npos) return {};
        at_ = close + 1;
      } while (at_ < text_.size() && text_[at_] == '"');
    } else {
      at_ = at_ < text_.size() && router::is_word_start(text_[at_]) ? router::end_of_word(text_, at_) : at_;
    }
    const std::string_view found = text_.substr(begin, at_ - begin);
    skip();
    return found;
  }

  [[nodiscard]] std::string_view rest() const { return text_.substr(at_); }

 private:
  void skip() { at_ = router::skip_blanks(text_, at_); }

  std::string_view text_;
  std::size_t at_ = 0;
};

std::string name_of(std::string_view written) {
  if (!written.starts_with('"')) return router::lower_word(written);
  std::string out;
  for (std::size_t i = 1; i + 1 < written.size(); ++i) {
    out.push_back(written[i]);
    if (written[i] == '"') ++i;
  }
  return out;
}

}  // namespace

std::string quoted_name(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) out.append(c == '"' ? 2 : 1, c);
  return out + '"';
}

std::optional<index_words> read_index(std::string_view text) {
  constexpr std::size_t longest_name = 63;
  reader words{text};
  index_words out;
  if (!words.take("create")) return std::nullopt;
  out.unique = words.take("unique");
  if (!words.take("index") || !words.take("concurrently")) return std::nullopt;
  if (words.take("if")) {
    if (!words.take("not") || !words.take("exists")) return std::nullopt;
    out.if_not_exists = true;
  }
  if (!words.at("on")) {
    out.name = name_of(words.part());
    if (out.name.empty() || out.name.size() > longest_name) return std::nullopt;
  }
  if (!words.take("on")) return std::nullopt;
  (void)words.take("only");
  do {
    const std::string_view part = words.part();
    // U&"name" begins like a word.
    if (part.empty() || words.rest().starts_with('&')) return std::nullopt;
    out.table_name = part;
    out.table += (out.table.empty() ? "" : ".") + out.table_name;
  } while (words.take_dot());
  out.rest = words.rest();
  return out;
}

}  // namespace pgbraid::proxy::apply
