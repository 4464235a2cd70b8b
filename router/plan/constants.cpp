// Constants of the tree and of the token scan; see constants.hpp. Source for the types of literals: make_const() in
// parse_node.c; for the folded minus: doNegate() in gram.y.
#include "router/plan/constants.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "router/plan/names.hpp"
#include "router/shard/hash.hpp"

namespace pgbraid::router {
namespace {

bool same_class(sql::constant_kind tree, constant_class token) {
  switch (tree) {
    case sql::constant_kind::integer:
      return token == constant_class::integer;
    case sql::constant_kind::decimal:
      return token == constant_class::decimal;
    case sql::constant_kind::string:
      return token == constant_class::string;
    case sql::constant_kind::bit_string:
      return token == constant_class::bits;
    default:
      return false;
  }
}

bool integer_family(oid type) {
  return type == type_oid::int2 || type == type_oid::int4 || type == type_oid::int8;
}

/// Whether a chain of casts, innermost first, leaves the text of the literal as the text of the result.
bool keeps_text(const std::vector<oid>& casts, bool integer_literal) {
  if (casts.empty()) return true;
  const auto exact = [](oid type) { return integer_family(type) || type == type_oid::numeric; };
  if (integer_literal) return std::all_of(casts.begin(), casts.end(), exact);
  // A string is read by the innermost type's input function; after that only widening keeps its text.
  return casts.size() == 1 || std::all_of(casts.begin(), casts.end(), integer_family);
}

}  // namespace

constant_marks::constant_marks(std::string_view text, const sql::token_scan& scan)
    : text_(text),
      scan_(scan),
      free_(scan.constants.size()),
      held_(scan.constants.size()),
      typed_(scan.constants.size()) {
  // Indices are 16 bits wide; a statement with more constants is bound to all of them.
  if (scan.constants.size() > std::numeric_limits<std::uint16_t>::max()) all_pinned_ = true;
}

std::optional<std::uint16_t> constant_marks::find(const sql::expr& constant) const {
  if (constant.location < 0 || scan_.constants.size() > std::numeric_limits<std::uint16_t>::max()) return std::nullopt;
  const auto location = static_cast<std::uint32_t>(constant.location);
  const auto token =
      std::lower_bound(scan_.constants.begin(), scan_.constants.end(), location,
                       [](const sql::constant_position& c, std::uint32_t where) { return c.offset < where; });
  if (token == scan_.constants.end() || !same_class(constant.constant, class_of(token->kind))) return std::nullopt;
  const bool number =
      class_of(token->kind) == constant_class::integer || class_of(token->kind) == constant_class::decimal;
  const bool negative = number && constant.text.starts_with('-');
  // Between a folded number's place and its digits stands one minus and nothing but blanks.
  std::uint32_t minuses = 0;
  for (const char c : text_.substr(location, token->offset - location)) {
    if (c == '-') {
      ++minuses;
    } else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
      return std::nullopt;
    }
  }
  if (minuses != (negative ? 1U : 0U) || (minuses == 0 && token->offset != location)) return std::nullopt;
  return static_cast<std::uint16_t>(token - scan_.constants.begin());
}

std::vector<std::uint16_t> constant_marks::pinned() const {
  std::vector<std::uint16_t> out;
  const std::size_t count = std::min<std::size_t>(free_.size(), std::numeric_limits<std::uint16_t>::max());
  for (std::size_t i = 0; i < count; ++i) {
    if (all_pinned_ || held_[i] || !free_[i]) out.push_back(static_cast<std::uint16_t>(i));
  }
  return out;
}

std::vector<std::uint16_t> constant_marks::typed() const {
  std::vector<std::uint16_t> out;
  const std::size_t count = std::min<std::size_t>(typed_.size(), std::numeric_limits<std::uint16_t>::max());
  for (std::size_t i = 0; i < count; ++i) {
    if (typed_[i]) out.push_back(static_cast<std::uint16_t>(i));
  }
  return out;
}

std::optional<key_source> read_key_value(const sql::expr& e, oid key_type, const catalog& schema,
                                         constant_marks& marks) {
  std::vector<oid> casts;  // innermost first, once reversed
  const sql::expr* base = &e;
  while (base->kind == sql::expr_kind::cast && base->children.size() == 1 && base->children[0] != nullptr) {
    const oid type = known_type(base->type, schema);
    if (type == 0) return std::nullopt;
    casts.push_back(type);
    base = base->children[0].get();
  }
  std::reverse(casts.begin(), casts.end());

  key_source out;
  out.literal_type = casts.empty() ? 0 : casts.back();
  if (base->kind == sql::expr_kind::parameter) {
    const bool widening = casts.size() <= 1 || std::all_of(casts.begin(), casts.end(), integer_family);
    if (!widening || !ties_key(key_type, out.literal_type)) return std::nullopt;
    if (base->number < 1 || base->number > std::numeric_limits<std::uint16_t>::max()) return std::nullopt;
    out.from = key_source::origin::parameter;
    out.index = static_cast<std::uint16_t>(base->number - 1);
    return out;
  }
  if (base->kind != sql::expr_kind::constant) return std::nullopt;
  if (base->constant == sql::constant_kind::null) {
    if (!ties_key(key_type, out.literal_type)) return std::nullopt;
    out.null = true;
    return out;
  }
  const auto token = marks.find(*base);
  if (token) marks.mark_typed(*token);
  oid natural = 0;  // the type an uncast literal has by itself
  switch (base->constant) {
    case sql::constant_kind::integer:
      natural = type_oid::int4;
      break;
    case sql::constant_kind::decimal:
      natural = type_oid::numeric;
      if (!std::all_of(casts.begin(), casts.end(), [](oid type) { return type == type_oid::numeric; }))
        return std::nullopt;
      break;
    case sql::constant_kind::string:
      break;
    default:
      return std::nullopt;
  }
  if (!keeps_text(casts, base->constant == sql::constant_kind::integer)) return std::nullopt;
  if (!ties_key(key_type, casts.empty() ? natural : out.literal_type)) return std::nullopt;
  if (!token || marks.token(*token).kind == sql::token_constant::unicode_string) {
    // Its text is known now but cannot be found again in another statement of the same shape.
    if (base->constant == sql::constant_kind::integer && out.literal_type == 0) out.literal_type = type_oid::int8;
    if (base->constant == sql::constant_kind::decimal) out.literal_type = type_oid::numeric;
    out.pinned = base->text;
    if (token) marks.pin(*token);
    return out;
  }
  marks.mark_free(*token);
  out.from = key_source::origin::constant;
  out.index = *token;
  out.negated = base->text.starts_with('-') && base->constant != sql::constant_kind::string;
  return out;
}

std::optional<key_source> read_key_array(const sql::expr& e, oid key_type, const catalog& schema,
                                         constant_marks& marks) {
  key_source out;
  out.array = true;
  const sql::expr* base = &e;
  if (e.kind == sql::expr_kind::cast && e.children.size() == 1 && e.children[0] != nullptr) {
    sql::type_name element = e.type;
    if (!std::exchange(element.array, false)) return std::nullopt;
    out.literal_type = known_type(element, schema);
    if (out.literal_type == 0) return std::nullopt;
    base = e.children[0].get();
  }
  if (!ties_key(key_type, out.literal_type)) return std::nullopt;
  if (base->kind == sql::expr_kind::parameter) {
    if (base->number < 1 || base->number > std::numeric_limits<std::uint16_t>::max()) return std::nullopt;
    out.from = key_source::origin::parameter;
    out.index = static_cast<std::uint16_t>(base->number - 1);
    return out;
  }
  if (base->kind != sql::expr_kind::constant || base->constant != sql::constant_kind::string) return std::nullopt;
  const auto token = marks.find(*base);
  if (!token || marks.token(*token).kind == sql::token_constant::unicode_string) return std::nullopt;
  marks.mark_typed(*token);
  marks.mark_free(*token);
  out.from = key_source::origin::constant;
  out.index = *token;
  return out;
}

}  // namespace pgbraid::router
