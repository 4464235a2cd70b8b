// Reads the protobuf that pg_query_scan gives back: repeated tokens of (start = 1, end = 2, kind = 4).
#include "reference_scan.hpp"

#include <pg_query.h>

#include "router/sql/tokenizer.hpp"

namespace pgbraid::router::sql::test {
namespace {

enum token_kind : std::uint32_t {
  identifier = 258,
  unicode_identifier = 259,
  decimal = 260,
  string = 261,
  unicode_string = 262,
  binary = 263,
  hexadecimal = 264,
  operator_ = 265,
  integer = 266,
  parameter = 267,
  line_comment = 275,
  block_comment = 276,
  first_keyword = 277
};

/// A protobuf message, field by field. Only varints and byte strings are met here.
class message {
 public:
  explicit message(std::string_view bytes) : bytes_(bytes) {}

  bool next() {
    if (bytes_.empty()) return false;
    const std::uint64_t tag = varint();
    field = static_cast<std::uint32_t>(tag >> 3);
    if ((tag & 7) == 2) {
      const std::size_t length = varint();
      content = bytes_.substr(0, length);
      bytes_.remove_prefix(length);
    } else {
      value = varint();
    }
    return true;
  }

  std::uint32_t field = 0;
  std::uint64_t value = 0;
  std::string_view content;

 private:
  std::uint64_t varint() {
    std::uint64_t out = 0;
    for (int shift = 0; !bytes_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      out |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return out;
  }

  std::string_view bytes_;
};

bool fits_kind(token_constant ours, const reference_token& theirs, std::string_view slice) {
  switch (ours) {
    case token_constant::integer:
      return theirs.kind == integer || (theirs.kind == decimal && slice.find_first_not_of("0123456789") == slice.npos);
    case token_constant::decimal:
      return theirs.kind == decimal;
    case token_constant::bit_string:
      return theirs.kind == binary || theirs.kind == hexadecimal;
    case token_constant::unicode_string:
      return theirs.kind == unicode_string;
    default:
      return theirs.kind == string;
  }
}

/// Behind the closing quote of the quoted identifier whose opening quote stands at `at`.
std::size_t end_of_quoted(std::string_view text, std::size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] != '"') continue;
    if (at + 1 == text.size() || text[at + 1] != '"') return at + 1;
    ++at;
  }
  return at;
}

}  // namespace

bool reference_token::is_constant() const {
  return kind == decimal || kind == string || kind == unicode_string || kind == binary || kind == hexadecimal ||
         kind == integer;
}

bool reference_token::is_comment() const {
  return kind == line_comment || kind == block_comment;
}

std::optional<std::vector<reference_token>> reference_scan(std::string_view text) {
  const PgQueryScanResult result = pg_query_scan(std::string(text).c_str());
  std::optional<std::vector<reference_token>> out;
  if (result.error == nullptr) {
    out.emplace();
    message all(std::string_view(result.pbuf.data, result.pbuf.len));
    while (all.next()) {
      if (all.field != 2) continue;
      reference_token token;
      message one(all.content);
      while (one.next()) {
        if (one.field == 1) token.start = static_cast<std::uint32_t>(one.value);
        if (one.field == 2) token.end = static_cast<std::uint32_t>(one.value);
        if (one.field == 4) token.kind = static_cast<std::uint32_t>(one.value);
      }
      out->push_back(token);
    }
  }
  pg_query_free_scan_result(result);
  return out;
}

std::optional<std::string> reference_shape(std::string_view text) {
  const auto tokens = reference_scan(text);
  if (!tokens) return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < tokens->size(); ++i) {
    const reference_token& token = (*tokens)[i];
    if (token.is_comment()) continue;
    out += std::to_string(token.kind) + ':';
    if (!token.is_constant()) {
      // libpg_query gives no end for U&"".
      const bool unicode = token.kind == unicode_identifier;
      const std::size_t end = unicode ? end_of_quoted(text, token.start + 2) : token.end;
      const std::size_t start = token.start + (unicode ? 1 : 0);
      const std::string_view word = text.substr(start, end - start);
      const bool folds = word.front() != '"' && !unicode;
      for (const char c : word) out += folds && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    out += '\n';
  }
  return out;
}

std::string disagreement(std::string_view text) {
  token_scan ours;
  scan(text, ours);
  if (!ours.valid) return {};
  const auto theirs = reference_scan(text);
  // Their scanner also checks what escapes mean, which ours leaves to the server.
  if (!theirs) return ours.has_backslash ? std::string() : "PostgreSQL refuses what scan() takes";
  std::size_t at = 0;
  for (std::size_t i = 0; i < theirs->size(); ++i) {
    const reference_token& token = (*theirs)[i];
    if (!token.is_constant()) continue;
    if (at == ours.constants.size()) return "a constant at " + std::to_string(token.start) + " was missed";
    const constant_position& constant = ours.constants[at++];
    const std::uint32_t our_end = constant.offset + constant.length;
    std::uint32_t their_end = token.end;
    // libpg_query gives comments as tokens, and so cuts 'a' -- why
    // 'b' in two, which the server's own scanner does not. Where the first piece has a prefix, it reads the second by
    // other rules, and nothing can be compared.
    while (their_end < our_end && i + 2 < theirs->size() && (*theirs)[i + 1].kind == line_comment) {
      if (constant.kind != token_constant::string) return {};
      ++i;
      if ((*theirs)[i + 1].is_constant()) their_end = (*theirs)[++i].end;
    }
    // It gives no end for U&''.
    if (token.kind == unicode_string) their_end = our_end;
    if (constant.offset != token.start || our_end != their_end)
      return "constant " + std::to_string(at) + " is at " + std::to_string(constant.offset) + ".." +
             std::to_string(our_end) + ", not at " + std::to_string(token.start) + ".." + std::to_string(their_end);
    if (!fits_kind(constant.kind, token, text.substr(constant.offset, constant.length)))
      return "constant " + std::to_string(at) + " is of another kind";
  }
  return at == ours.constants.size() ? std::string() : "scan() sees a constant too many";
}

}  // namespace pgbraid::router::sql::test
