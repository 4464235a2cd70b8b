// Where the values of a statement's keys come from, constants, parameters and arrays of them, and which shards they
// mean. On the hot path: nothing is allocated unless a value cannot be read or must be looked up.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "router/plan/route.hpp"
#include "router/shard/array_values.hpp"
#include "router/shard/hash.hpp"
#include "router/shard/key_directory.hpp"
#include "router/shard/key_values.hpp"
#include "router/shard/value_map.hpp"
#include "router/sql/tokenizer.hpp"

namespace pgbraid::router {

/// The shards met so far: a bit each, on the stack for as many as anyone has.
class shard_set {
 public:
  void add(shard_index shard) {
    if (shard < 64) {
      low_ |= std::uint64_t{1} << shard;
    } else if (std::find(high_.begin(), high_.end(), shard) == high_.end()) {
      high_.push_back(shard);
    }
  }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(std::popcount(low_)) + high_.size(); }
  [[nodiscard]] shard_index first() const {
    return low_ != 0 ? static_cast<shard_index>(std::countr_zero(low_)) : high_.front();
  }
  [[nodiscard]] std::vector<shard_index> all() const {
    std::vector<shard_index> out;
    for (std::uint64_t bits = low_; bits != 0; bits &= bits - 1) {
      out.push_back(static_cast<shard_index>(std::countr_zero(bits)));
    }
    out.insert(out.end(), high_.begin(), high_.end());
    std::sort(out.begin(), out.end());
    return out;
  }

 private:
  std::uint64_t low_ = 0;
  std::vector<shard_index> high_;
};

inline bool integer_family(oid type) noexcept {
  return type == type_oid::int2 || type == type_oid::int4 || type == type_oid::int8;
}

inline bool text_family(oid type) noexcept {
  return type == type_oid::text || type == type_oid::varchar;
}

inline bool date_or_time(oid type) noexcept {
  return type == type_oid::date || type == type_oid::timestamp || type == type_oid::timestamptz;
}

inline bool has_high_byte(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

/// The type that PostgreSQL gives an integer literal: the narrowest of int4, int8 and numeric that holds it.
inline oid integer_literal_type(std::string_view digits) noexcept {
  if (digits.size() <= 9 || (digits.size() == 10 && digits[0] == '-')) return type_oid::int4;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size()) return type_oid::numeric;
  return value >= INT32_MIN && value <= INT32_MAX ? type_oid::int4 : type_oid::int8;
}

/// What is told of a value that came in binary.
inline constexpr std::string_view shown_binary = "(binary)";

/// What one source came to.
struct source_result {
  enum class outcome : std::uint8_t { shard, null, unknown, invalid, unowned } what = outcome::unknown;
  shard_index shard = 0;
  std::uint64_t hash = 0;  ///< shard, by buckets: of the value
  std::string text;        ///< invalid, unowned: the value, for the message; a bound: its bytes
};
using outcome = source_result::outcome;
enum class bound_result : std::uint8_t { known, unknown };

/// Reads the keys of one execution. runs on: any thread.
class key_reader {
 public:
  key_reader(const topology& map, std::string_view text, std::span<const sql::constant_position> constants,
             std::span<const bound_parameter> parameters, const literal_context& literals)
      : map_(map), text_(text), constants_(constants), parameters_(parameters), literals_(literals) {}

  source_result read(const key_group& group, const key_source& source) const {
    switch (source.from) {
      case key_source::origin::constant:
        return read_constant(group, source);
      case key_source::origin::parameter:
        return read_parameter(group, source);
      case key_source::origin::pinned:
        break;
    }
    if (source.null) return {outcome::null, 0, 0, {}};
    return of_text(group, source.literal_type, source.pinned);
  }

  [[nodiscard]] bool wanting() const noexcept { return wanting_; }

  /// Tells what an array's elements come to; those that are NULL match nothing. False: not all of them are known.
  template <class Told>
  bool read_array(const key_group& group, const key_source& source, Told told) const {
    oid from = source.literal_type;
    bool binary = false;
    std::optional<array_elements> elements;
    if (source.from == key_source::origin::parameter) {
      if (source.index >= parameters_.size()) return false;
      const bound_parameter& p = parameters_[source.index];
      if (p.null) return true;
      if (p.type != 0 && p.type != type_oid::unknown) {
        const oid declared = element_type(p.type);
        if (declared == 0 || (from != 0 && !alike(from, declared))) return false;
        from = declared;
      }
      binary = p.binary;
      oid named = 0;
      elements = binary ? receive_array(p.value, named) : parse_array(p.value);
      if (binary && from == 0) from = named;
      if (binary && named != from) return false;
    } else {
      elements = array_of_constant(source);
    }
    if (!elements || !ties_key(group.key_type, from)) return false;
    for (const std::optional<std::string>& element : *elements) {
      if (!element) continue;
      const source_result found = binary ? of_bytes(group, from, *element) : of_text(group, from, *element);
      if (found.what == outcome::unowned) continue;
      if (found.what == outcome::unknown && wanting_) continue;
      if (found.what != outcome::shard || !told(found)) return false;
    }
    return true;
  }

  /// The shard of a key of several columns, by their hashes together.
  [[nodiscard]] shard_index owner_of(std::uint64_t hash) const {
    return map_.buckets.shard_of(bucket_of(hash, static_cast<std::uint32_t>(map_.buckets.owner.size())));
  }

  /// Adds the shards of all combinations of what the columns of a key are tied to, from the column `part` on; `hash` is
  /// that of those before. Anything but shard and null: what the value of the column `at` came to.
  source_result read_combinations(const key_group& whole, std::size_t part, std::uint64_t hash, shard_set& shards,
                                  std::size_t& room, const key_group*& at) const {
    if (part == whole.parts.size()) {
      if (room == 0) return {};
      --room;
      shards.add(owner_of(hash));
      return {outcome::shard, 0, 0, {}};
    }
    const key_group& column = whole.parts[part];
    source_result last{outcome::null, 0, 0, {}};
    const auto follow = [&](const source_result& found) {
      last = read_combinations(whole, part + 1, combined_hash(hash, found.hash), shards, room, at);
      return last.what == outcome::shard || last.what == outcome::null;
    };
    for (const key_source& source : column.sources) {
      if (source.array) {
        last = {outcome::null, 0, 0, {}};
        if (read_array(column, source, follow)) continue;
        if (last.what == outcome::shard || last.what == outcome::null) at = &column, last = {};
        return last;
      }
      const source_result found = read(column, source);
      if (found.what == outcome::null) continue;  // it matches nothing
      if (found.what != outcome::shard) return at = &column, found;
      if (!follow(found)) return last;
    }
    return {outcome::shard, 0, 0, {}};
  }

  /// Adds the shards whose values lie within all bounds of a group.
  bound_result read_bounds(const key_group& group, shard_set& shards) const {
    value_bound low, high;
    for (const key_bound& bound : group.bounds) {
      source_result found = read(group, bound.value);
      if (found.what == outcome::null) return bound_result::known;  // compared with NULL, nothing is true
      if (found.what != outcome::shard) return bound_result::unknown;
      value_bound& end = bound.lower ? low : high;
      const bool same = end.bytes && *end.bytes == found.text;
      const bool tighter = !end.bytes || (bound.lower ? found.text > *end.bytes : found.text < *end.bytes);
      if (tighter) end = {std::move(found.text), bound.inclusive};
      if (same) end.inclusive = end.inclusive && bound.inclusive;
    }
    for (const shard_index shard : group.values->shards_between(low, high)) shards.add(shard);
    return bound_result::known;
  }

 private:
  /// A cast between them neither fails nor changes what a key is equal to.
  static bool alike(oid a, oid b) {
    return a == b || (integer_family(a) && integer_family(b)) || (text_family(a) && text_family(b));
  }

  std::optional<array_elements> array_of_constant(const key_source& source) const {
    if (source.index >= constants_.size()) return std::nullopt;
    const sql::constant_position& token = constants_[source.index];
    if (std::size_t{token.offset} + token.length > text_.size()) return std::nullopt;
    std::string decoded;
    if (token.kind == sql::token_constant::bit_string || token.kind == sql::token_constant::integer ||
        token.kind == sql::token_constant::decimal ||
        !sql::decode_string_constant(text_.substr(token.offset, token.length), token.kind, decoded)) {
      return std::nullopt;
    }
    return parse_array(decoded);
  }

  source_result of_hash(const key_group& group, std::optional<std::uint64_t> hash, std::string_view value) const {
    if (!hash) return invalid(group, value);
    const auto buckets = static_cast<std::uint32_t>(map_.buckets.owner.size());
    return {outcome::shard, map_.buckets.shard_of(bucket_of(*hash, buckets)), *hash, {}};
  }

  static source_result invalid(const key_group&, std::string_view value) {
    return {outcome::invalid, 0, 0, std::string{value.substr(0, 200)}};
  }

  /// The key goes by ranges or a list.
  source_result of_value(const key_group& group, oid from, bool binary, std::string_view value) const {
    const std::string_view shown = binary ? shown_binary : value;
    std::string bytes;
    if (!key_bytes(bytes, group.key_type, group.modifier, from, binary, value, literals_.time_zone))
      return invalid(group, shown);
    if (!group.bounds.empty()) return {outcome::shard, 0, 0, std::move(bytes)};
    if (group.values->looks_up()) return looked_up(group, from, binary, value, std::move(bytes));
    const auto owner = group.values->shard_of(bytes);
    if (!owner) return {outcome::unowned, 0, 0, std::string{shown.substr(0, 200)}};
    return {outcome::shard, *owner, 0, {}};
  }

  /// A table says who owns the key. Rows of a key that it does not list may stand anywhere, unless one shard owns
  /// those.
  source_result looked_up(const key_group& group, oid from, bool binary, std::string_view value,
                          std::string bytes) const {
    if (literals_.directory == nullptr) return {};
    const known_key known = literals_.directory->find(bytes);
    switch (known.is) {
      case known_key::kind::shard:
        return {outcome::shard, known.shard, 0, {}};
      case known_key::kind::absent:
        if (const auto others = group.values->others()) return {outcome::shard, *others, 0, {}};
        if (group.insert_row || group.new_key)
          return {outcome::unowned, 0, 0, std::string{binary ? shown_binary : value.substr(0, 200)}};
        return {};
      case known_key::kind::unclear:
        return {};
      case known_key::kind::unknown:
        break;
    }
    wanted_key wanted{{}, std::string{value}, binary, from == 0 ? group.key_type : from};
    // Characters are stored as their column cuts them.
    const auto fitting = group.key_type == type_oid::varchar  ? fit_varchar(value, group.modifier)
                         : group.key_type == type_oid::bpchar ? fit_bpchar(value, group.modifier)
                                                              : std::nullopt;
    if (fitting) wanted.value = *fitting;
    wanted.bytes = std::move(bytes);
    literals_.directory->want(std::move(wanted));
    wanting_ = true;
    return {};
  }

  source_result of_text(const key_group& group, oid from, std::string_view value) const {
    // The bytes of a key are the server's; the client's are the same only where the encodings agree.
    if (!literals_.utf8 && has_high_byte(value)) return {};
    if (!literals_.iso_ymd && date_or_time(group.key_type)) return {};
    if (group.values != nullptr) return of_value(group, from, false, value);
    return of_hash(group, partition_hash_text(group.key_type, group.modifier, from, value, literals_.time_zone), value);
  }

  source_result read_constant(const key_group& group, const key_source& source) const {
    if (source.index >= constants_.size()) return {};
    const sql::constant_position& token = constants_[source.index];
    if (std::size_t{token.offset} + token.length > text_.size()) return {};
    const std::string_view raw = text_.substr(token.offset, token.length);
    switch (token.kind) {
      case sql::token_constant::integer:
      case sql::token_constant::decimal:
        return read_number(group, source, token.kind == sql::token_constant::integer, raw);
      case sql::token_constant::string:
        // Without a quote inside, the content is what stands between the two.
        if (raw.size() >= 2 && raw.find('\'', 1) == raw.size() - 1) {
          return of_text(group, source.literal_type, raw.substr(1, raw.size() - 2));
        }
        break;
      default:
        break;
    }
    std::string decoded;
    if (token.kind == sql::token_constant::bit_string || !sql::decode_string_constant(raw, token.kind, decoded))
      return {};
    return of_text(group, source.literal_type, decoded);
  }

  source_result read_number(const key_group& group, const key_source& source, bool integer,
                            std::string_view raw) const {
    std::array<char, 64> space{};
    std::string long_number;
    std::string_view digits = raw;
    if (source.negated && raw.size() + 1 <= space.size()) {
      space[0] = '-';
      std::copy(raw.begin(), raw.end(), space.begin() + 1);
      digits = {space.data(), raw.size() + 1};
    } else if (source.negated) {
      long_number.append("-").append(raw);
      digits = long_number;
    }
    const oid natural = integer ? integer_literal_type(digits) : type_oid::numeric;
    const oid from = source.literal_type != 0 ? source.literal_type : natural;
    // Another literal than the one that was planned: a comparison of other types says nothing about the shard.
    if (!ties_key(group.key_type, from)) return {};
    return of_text(group, from, digits);
  }

  source_result read_parameter(const key_group& group, const key_source& source) const {
    if (source.index >= parameters_.size()) return {};
    const bound_parameter& p = parameters_[source.index];
    if (p.null) return {outcome::null, 0, 0, {}};
    const oid declared = p.type == type_oid::unknown ? 0 : p.type;
    // The bytes of a float are not those of an integer.
    if (p.binary && declared == 0 && source.shared) return {};
    oid from = declared;
    if (source.literal_type != 0) {
      // $1::int8: the parameter's own type is the cast's unless it was declared otherwise.
      if (declared == 0) from = source.literal_type;
      // A text that is cast is read as a constant of the type is; its two formats are the same bytes.
      if (text_family(from) && !text_family(source.literal_type) && source.literal_type != type_oid::bpchar)
        return ties_key(group.key_type, source.literal_type) ? of_text(group, source.literal_type, p.value)
                                                             : source_result{};
      const bool same = from == source.literal_type || (integer_family(from) && integer_family(source.literal_type)) ||
                        (text_family(from) && text_family(source.literal_type));
      if (!same) return {};
    }
    if (!ties_key(group.key_type, from)) return of_other_number(group, source, from, p);
    return p.binary ? of_bytes(group, from, p.value) : of_text(group, from, p.value);
  }

  // What is compared with an integer as a numeric or a float. Floats beyond 2^53 are equal to several integers.
  source_result of_other_number(const key_group& group, const key_source& source, oid from,
                                const bound_parameter& p) const {
    constexpr std::size_t most_digits = 15;
    if (p.binary || group.insert_row || !group.bounds.empty() || source.literal_type != 0 ||
        !integer_family(group.key_type))
      return {};
    if (from != type_oid::numeric && from != type_oid::float8) return {};
    const std::string_view text = p.value;
    const std::size_t begin = !text.empty() && text.front() == '-' ? 1 : 0;
    const std::size_t point = std::min(text.find('.'), text.size());
    const auto digits = [](std::string_view part) { return part.find_first_not_of("0123456789") == part.npos; };
    const std::string_view whole = text.substr(begin, point - begin);
    const std::string_view rest = point < text.size() ? text.substr(point + 1) : std::string_view{};
    // A float may have been rounded to an integer.
    const std::size_t told = from == type_oid::float8 ? whole.size() + rest.size() : whole.size();
    if (whole.empty() || told > most_digits || !digits(whole) || !digits(rest)) return {};
    if (rest.find_first_not_of('0') != rest.npos) return {outcome::null, 0, 0, {}};
    const source_result found = of_text(group, type_oid::int8, text.substr(0, point));
    // No row has a key that its type cannot hold.
    return found.what == outcome::invalid ? source_result{outcome::null, 0, 0, {}} : found;
  }

  source_result of_bytes(const key_group& group, oid from, std::string_view value) const {
    if (!literals_.utf8 && (text_family(group.key_type) || group.key_type == type_oid::bpchar) &&
        has_high_byte(value)) {
      return {};
    }
    if (group.values != nullptr) return of_value(group, from, true, value);
    return of_hash(group, partition_hash_binary(group.key_type, group.modifier, from, value), shown_binary);
  }

  const topology& map_;
  std::string_view text_;
  std::span<const sql::constant_position> constants_;
  std::span<const bound_parameter> parameters_;
  const literal_context& literals_;
  mutable bool wanting_ = false;  ///< a key must be looked up, and others are looked at only to ask for them too
};

}  // namespace pgbraid::router
