// Why equal bytes between the constants are enough: scan() reads from left to right and carries nothing from one token
// to the next but flags that the tokens themselves have set. So it is in the same state where a constant begins, and,
// if that constant ends just there (no digit, quote or continuation goes on with it), in the same state behind it.
#include "router/sql/text_pattern.hpp"

#include "router/sql/characters.hpp"

#include <algorithm>
#include <cstring>

namespace pgbraid::router::sql {
namespace {

/// An integer of this many digits is an int4, whatever they are.
constexpr std::size_t short_integer = 9;

const char* after_integer(const char* at, const char* end) {
  const char* const start = at;
  while (at != end && class_of(*at) == byte_class::digit) ++at;
  const auto digits = static_cast<std::size_t>(at - start);
  return digits == 0 || digits > short_integer ? nullptr : at;
}

/// Behind a number of the form 1.25.
const char* after_decimal(const char* at, const char* end) {
  const auto digits = [&] {
    const char* const start = at;
    while (at != end && class_of(*at) == byte_class::digit) ++at;
    return at != start;
  };
  if (!digits() || at == end || *at != '.') return nullptr;
  ++at;
  return digits() ? at : nullptr;
}

/// Behind a string of plain bytes without doubled quotes.
const char* after_string(const char* at, const char* end) {
  if (at == end || *at != '\'') return nullptr;
  ++at;
  const void* const quote = at == end ? nullptr : std::memchr(at, '\'', static_cast<std::size_t>(end - at));
  if (quote == nullptr) return nullptr;
  const char* const close = static_cast<const char*>(quote);
  const auto plain = [](char c) { return c > 0 && c != '\\'; };
  if (!std::all_of(at, close, plain)) return nullptr;
  return close + 1 != end && close[1] == '\'' ? nullptr : close + 1;
}

const char* after_constant(const char* at, const char* end, token_constant kind) {
  switch (kind) {
    case token_constant::integer:
      return after_integer(at, end);
    case token_constant::decimal:
      return after_decimal(at, end);
    case token_constant::string:
      return after_string(at, end);
    default:
      return nullptr;
  }
}

}  // namespace

bool text_pattern::remember(std::string_view text, const token_scan& found) {
  if (!found.valid || !found.ascii || found.has_backslash || found.constants.empty() || text.size() > max_bytes)
    return false;
  for (const constant_position& c : found.constants) {
    if (c.kind == token_constant::string) continue;
    const char* const begin = text.data() + c.offset;
    if (after_constant(begin, begin + c.length, c.kind) != begin + c.length) return false;
  }
  text_ = text;
  constants_ = found.constants;
  many_statements_ = found.many_statements;
  return true;
}

bool text_pattern::matches(std::string_view text, token_scan& out) const {
  const char* at = text.data();
  const char* const end = at + text.size();
  std::size_t compared = 0;
  const auto same_up_to = [&](std::size_t offset) {
    const std::size_t size = offset - compared;
    if (static_cast<std::size_t>(end - at) < size || std::memcmp(at, text_.data() + compared, size) != 0) return false;
    at += size;
    return true;
  };
  out.constants.clear();
  for (const constant_position& c : constants_) {
    if (!same_up_to(c.offset)) return false;
    const char* const next = after_constant(at, end, c.kind);
    if (next == nullptr) return false;
    out.constants.push_back(
        {static_cast<std::uint32_t>(at - text.data()), static_cast<std::uint32_t>(next - at), c.kind});
    at = next;
    compared = std::size_t{c.offset} + c.length;
  }
  if (!same_up_to(text_.size()) || at != end) return false;
  out.valid = out.ascii = true;
  out.has_backslash = false;
  out.many_statements = many_statements_;
  return true;
}

}  // namespace pgbraid::router::sql
