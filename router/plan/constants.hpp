// The bridge between constants of the syntax tree and constants of the token scan: which ones a plan depends on by
// value, and how a sharding key's value is read from an expression.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "router/plan/route.hpp"
#include "router/sql/tokenizer.hpp"

namespace pgbraid::router {

/// Which constants of one text its plan depends on. All are pinned until marked free.
class constant_marks {
 public:
  /// Both must outlive it.
  constant_marks(std::string_view text, const sql::token_scan& scan);

  /// The token of a constant of the tree, or nothing when none stands there beyond doubt (a word that the grammar
  /// turned into a constant, a sign it folded in a way that cannot be followed).
  [[nodiscard]] std::optional<std::uint16_t> find(const sql::expr& constant) const;

  /// The plan does not depend on its value.
  void mark_free(std::uint16_t index) { free_[index] = true; }
  /// The plan depends on its value, whatever else is said of it.
  void pin(std::uint16_t index) { held_[index] = true; }
  /// The plan depends on its lexical class (integer, decimal, string, bits).
  void mark_typed(std::uint16_t index) { typed_[index] = true; }
  void pin_all() { all_pinned_ = true; }

  [[nodiscard]] std::vector<std::uint16_t> pinned() const;
  [[nodiscard]] std::vector<std::uint16_t> typed() const;
  [[nodiscard]] const sql::constant_position& token(std::uint16_t index) const { return scan_.constants[index]; }

 private:
  std::string_view text_;
  const sql::token_scan& scan_;
  std::vector<bool> free_, held_, typed_;
  bool all_pinned_ = false;
};

/// The lexical classes that a plan may depend on.
enum class constant_class : std::uint8_t { integer, decimal, string, bits };
[[nodiscard]] constexpr constant_class class_of(sql::token_constant kind) noexcept {
  switch (kind) {
    case sql::token_constant::integer:
      return constant_class::integer;
    case sql::token_constant::decimal:
      return constant_class::decimal;
    case sql::token_constant::bit_string:
      return constant_class::bits;
    default:
      return constant_class::string;
  }
}

/// Reads `e` as a value that `key = e` compares in the key type's own hash operator family: a literal of any spelling
/// or a parameter, under casts whose result is known exactly. Nothing: not such a value, so the condition says nothing
/// about the shard. Marks the constant it meets as typed, and as free when it is used.
[[nodiscard]] std::optional<key_source> read_key_value(const sql::expr& e, oid key_type, const catalog& schema,
                                                       constant_marks& marks);

/// The same for the array of `key = ANY (e)`, given as one parameter or one string.
[[nodiscard]] std::optional<key_source> read_key_array(const sql::expr& e, oid key_type, const catalog& schema,
                                                       constant_marks& marks);

}  // namespace pgbraid::router
