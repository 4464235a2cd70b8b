// Fuzz target: the tokenizer, held against PostgreSQL's own scanner, and the decoder of string constants.
#include "router/sql/text_pattern.hpp"
#include "router/sql/tokenizer.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/fuzz/require.hpp"
#include "tests/unit/router_sql/reference_scan.hpp"

using namespace pgbraid::router::sql;
using pgbraid::fuzz::require;

namespace {

bool same(const token_scan& left, const token_scan& right) {
  return left.key == right.key && left.normalized == right.normalized && left.constants == right.constants &&
         left.valid == right.valid && left.has_backslash == right.has_backslash && left.ascii == right.ascii &&
         left.many_statements == right.many_statements;
}

constexpr char hint_mark = 0x11;

/// The normalised text with the constants put back where their marks stand, and hints as comments behind it.
std::string with_constants(std::string_view text, const token_scan& found) {
  std::string out;
  std::size_t next = 0;
  bool quoted = false;
  for (const char c : found.normalized) {
    if (c == '"') quoted = !quoted;
    const bool mark = !quoted && static_cast<unsigned char>(c) < 0x20;
    if (mark && c == hint_mark) break;
    if (!mark) {
      out += c;
      continue;
    }
    require(next < found.constants.size());
    const constant_position& constant = found.constants[next++];
    // The N of N'' belongs to the mark, not to the constant.
    const bool national = constant.kind == token_constant::string && c != 0x05;
    out += national ? "N" : "";
    out += text.substr(constant.offset, constant.length);
  }
  require(next == found.constants.size());
  for (const text_extent& hint : found.hints) {
    const std::string_view inside = text.substr(hint.offset, hint.length);
    const bool lines = inside.find_first_of("\n\r") != inside.npos;
    out.append(lines ? " /*pgbraid:" : " --pgbraid:").append(inside).append(lines ? "*/" : "\n");
  }
  return out;
}

/// libpg_query cuts a constant at a comment between its pieces; behind a prefix it then reads all that follows by other
/// rules than the server, and its tokens say nothing.
bool comment_inside(std::string_view text, const token_scan& found) {
  return std::any_of(found.constants.begin(), found.constants.end(), [&](const constant_position& constant) {
    return constant.kind != token_constant::string &&
           text.substr(constant.offset, constant.length).find("--") != text.npos;
  });
}

void check_constants(std::string_view text, const token_scan& found) {
  std::size_t end = 0;
  std::string value;
  for (const constant_position& constant : found.constants) {
    require(constant.offset >= end && constant.length > 0 && constant.offset + constant.length <= text.size());
    end = constant.offset + constant.length;
    const std::string_view slice = text.substr(constant.offset, constant.length);
    const bool decoded = decode_string_constant(slice, constant.kind, value);
    require(!decoded || value.size() <= slice.size());
    if (constant.kind == token_constant::string || constant.kind == token_constant::dollar_string) require(decoded);
  }
}

/// What a pattern takes for a text of its own kind, scan() does too.
void check_pattern(std::string_view text, const token_scan& found, std::string_view other) {
  text_pattern pattern;
  if (!pattern.remember(text, found)) return;
  token_scan matched, scanned;
  for (const std::string_view candidate : {text, other}) {
    const bool matches = pattern.matches(candidate, matched);
    if (!matches) continue;
    scan(candidate, scanned);
    require(scanned.key == found.key && scanned.normalized == found.normalized);
    matched.key = scanned.key;
    matched.normalized = scanned.normalized;
    require(same(matched, scanned));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  static token_scan reused;
  scan(text, reused);
  token_scan found;
  scan(text, found);
  require(same(found, reused));
  require(found.ascii == std::none_of(data, data + size, [](std::uint8_t byte) { return byte > 0x7f; }));
  require(found.has_backslash == (text.find('\\') != text.npos));

  // The decoder may be given anything.
  std::string value;
  for (const token_constant kind :
       {token_constant::string, token_constant::escape_string, token_constant::dollar_string})
    (void)decode_string_constant(text, kind, value);

  if (!found.valid) return 0;
  require(found.normalized.size() <= size);
  check_constants(text, found);
  const std::string_view left = text.substr(0, size / 2), right = text.substr(size / 2);
  token_scan half;
  scan(left, half);
  check_pattern(left, half, right);
  check_pattern(text, found, left);
  require(test::disagreement(text).empty());

  // The normalised text says all but the constants: put back, they give the same key and the same tokens.
  const std::string rebuilt = with_constants(text, found);
  token_scan again;
  scan(rebuilt, again);
  require(again.valid && again.normalized == found.normalized && again.key == found.key);
  if (!comment_inside(text, found)) require(test::reference_shape(rebuilt) == test::reference_shape(text));
  return 0;
}
