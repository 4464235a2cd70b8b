// resolve: plan + constants + parameters -> route. The hot path: nothing is allocated unless several shards or a
// refusal come out.
#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <optional>
#include <utility>

#include "router/plan/names.hpp"
#include "router/plan/planner.hpp"
#include "router/plan/targets.hpp"
#include "router/shard/array_values.hpp"
#include "router/shard/hash.hpp"
#include "router/shard/key_directory.hpp"
#include "router/shard/key_values.hpp"
#include "router/shard/value_map.hpp"

namespace pgbraid::router {

using protocol::error_id;
using protocol::error_report;
using protocol::make_error;

namespace {

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

bool integer_family(oid type) noexcept {
  return type == type_oid::int2 || type == type_oid::int4 || type == type_oid::int8;
}

bool text_family(oid type) noexcept {
  return type == type_oid::text || type == type_oid::varchar;
}

bool date_or_time(oid type) noexcept {
  return type == type_oid::date || type == type_oid::timestamp || type == type_oid::timestamptz;
}

bool has_high_byte(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

/// The type that PostgreSQL gives an integer literal: the narrowest of int4, int8 and numeric that holds it.
oid integer_literal_type(std::string_view digits) noexcept {
  if (digits.size() <= 9 || (digits.size() == 10 && digits[0] == '-')) return type_oid::int4;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size()) return type_oid::numeric;
  return value >= INT32_MIN && value <= INT32_MAX ? type_oid::int4 : type_oid::int8;
}

/// What one source came to.
struct source_result {
  enum class outcome : std::uint8_t { shard, null, unknown, invalid, unowned } what = outcome::unknown;
  shard_index shard = 0;
  std::uint64_t hash = 0;  ///< shard, by buckets: of the value
  std::string text;  ///< invalid, unowned: the value, for the message; a bound: its bytes
};
using outcome = source_result::outcome;
enum class bound_result : std::uint8_t { known, unknown };

class resolver {
 public:
  resolver(const topology& map, std::string_view text, std::span<const sql::constant_position> constants,
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
    const std::string_view shown = binary ? "(binary)" : value;
    std::string bytes;
    if (!key_bytes(bytes, group.key_type, group.modifier, from, binary, value, literals_.time_zone)) return invalid(group, shown);
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
          return {outcome::unowned, 0, 0, std::string{binary ? "(binary)" : value.substr(0, 200)}};
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
    oid from = declared;
    if (source.literal_type != 0) {
      // $1::int8: the parameter's own type is the cast's unless it was declared otherwise.
      if (declared == 0) from = source.literal_type;
      const bool same = from == source.literal_type || (integer_family(from) && integer_family(source.literal_type)) ||
                        (text_family(from) && text_family(source.literal_type));
      if (!same) return {};
    }
    if (!ties_key(group.key_type, from)) return {};
    return p.binary ? of_bytes(group, from, p.value) : of_text(group, from, p.value);
  }

  source_result of_bytes(const key_group& group, oid from, std::string_view value) const {
    if (!literals_.utf8 && (text_family(group.key_type) || group.key_type == type_oid::bpchar) && has_high_byte(value)) {
      return {};
    }
    if (group.values != nullptr) return of_value(group, from, true, value);
    return of_hash(group, partition_hash_binary(group.key_type, group.modifier, from, value), "(binary)");
  }

  const topology& map_;
  std::string_view text_;
  std::span<const sql::constant_position> constants_;
  std::span<const bound_parameter> parameters_;
  const literal_context& literals_;
  mutable bool wanting_ = false;  ///< a key must be looked up, and others are looked at only to ask for them too
};

/// 'now', 'today' and their like: as timestamps they mean another moment on each shard.
bool is_word_of_time(std::string_view value) {
  constexpr std::array<std::string_view, 4> words{"now", "today", "tomorrow", "yesterday"};
  const auto blank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  while (!value.empty() && blank(value.front())) value.remove_prefix(1);
  while (!value.empty() && blank(value.back())) value.remove_suffix(1);
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    // The word may have a time behind it: 'today 12:00'.
    if (value.size() < word.size() || (value.size() > word.size() && !blank(value[word.size()]))) return false;
    return std::equal(word.begin(), word.end(), value.begin(),
                      [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); });
  });
}

bool says_time_in_words(std::string_view text, std::span<const sql::constant_position> constants,
                        std::span<const bound_parameter> parameters) {
  for (const sql::constant_position& c : constants) {
    if (std::size_t{c.offset} + c.length > text.size()) return true;
    std::string decoded;
    if (c.kind == sql::token_constant::integer || c.kind == sql::token_constant::decimal) continue;
    if (!sql::decode_string_constant(text.substr(c.offset, c.length), c.kind, decoded)) continue;
    if (is_word_of_time(decoded)) return true;
  }
  return std::any_of(parameters.begin(), parameters.end(), [](const bound_parameter& p) {
    return !p.null && !p.binary && !text_family(p.type) && is_word_of_time(p.value);
  });
}

route refused(const plan& p, error_report error) {
  return {to_refusal{std::move(error)}, p.mode, p.needs_primary};
}

error_report time_in_words() {
  return protocol::with_hint(
      make_error(error_id::cross_shard_read, "'now', 'today' and the like mean another moment on each shard"),
      "Write the date or the time itself.");
}

error_report problem_of(const key_group& group, const source_result& result) {
  if (result.what == outcome::null) return make_error(error_id::null_key, group.key, group.table);
  if (result.what == outcome::unowned) return make_error(error_id::key_unowned, result.text, group.key, group.table);
  if (result.what == outcome::invalid) {
    return make_error(error_id::invalid_key_value, group.key, type_label(group.key_type), result.text);
  }
  return make_error(error_id::key_not_provable, group.key, group.table);
}

/// The rows that it reads are gathered, and it is answered over them or, a write, carried out on every shard.
route over_gathered(const plan& p, const keyed_target& keyed) {
  if (p.staged) return {to_many{keyed.gather}, p.mode, p.needs_primary};
  return {to_gather{keyed.gather, 0, p.merge != nullptr}, p.mode, p.needs_primary};
}

/// An array whose elements are not known: as if it were no condition on the key.
route not_told_apart(const plan& p, const keyed_target& keyed, const topology& map, const key_group& group) {
  if (!keyed.gather.empty()) return over_gathered(p, keyed);
  if (!keyed.scatter_allowed) return refused(p, make_error(error_id::key_not_provable, group.key, group.table));
  std::vector<shard_index> owners = owning_shards(map);
  if (owners.size() == 1) return {to_shard{owners.front()}, p.mode, p.needs_primary};
  return {to_many{std::move(owners)}, p.mode, p.needs_primary};
}

/// Adds the shards of a key of several columns; a route: it is not to be told, or refused. Where it may be split, `rows`
/// gets the shard of each row.
std::optional<route> resolve_columns(const plan& p, const keyed_target& keyed, const topology& map, const resolver& values,
                                     const key_group& group, shard_set& shards, std::vector<shard_index>& rows) {
  if (!group.insert_row) {
    std::size_t room = 4096;
    const key_group* at = &group;
    const source_result found = values.read_combinations(group, 0, 0, shards, room, at);
    if (found.what == outcome::shard || found.what == outcome::null) return std::nullopt;
    if (found.what == outcome::unknown && (keyed.scatter_allowed || !keyed.gather.empty()))
      return not_told_apart(p, keyed, map, group);
    return refused(p, problem_of(*at, found));
  }
  for (std::size_t row = 0; row < group.parts.front().sources.size(); ++row) {
    std::uint64_t hash = 0;
    for (const key_group& column : group.parts) {
      const source_result found = values.read(column, column.sources[row]);
      if (found.what != outcome::shard) return refused(p, problem_of(column, found));
      hash = combined_hash(hash, found.hash);
    }
    const shard_index shard = values.owner_of(hash);
    shards.add(shard);
    if (keyed.split_allowed) rows.push_back(shard);
  }
  return std::nullopt;
}

route resolve_keyed(const plan& p, const keyed_target& keyed, const topology& map, const resolver& values) {
  shard_set shards;
  std::vector<shard_index> rows;
  for (const key_group& group : keyed.groups) {
    if (!group.bounds.empty()) {
      const bound_result within = values.read_bounds(group, shards);
      if (within == bound_result::unknown) return not_told_apart(p, keyed, map, group);
      continue;
    }
    if (!group.parts.empty()) {
      if (auto other = resolve_columns(p, keyed, map, values, group, shards, rows)) return std::move(*other);
      continue;
    }
    for (const key_source& source : group.sources) {
      if (source.array) {
        const auto add = [&](const source_result& found) {
          shards.add(found.shard);
          return true;
        };
        if (values.read_array(group, source, add)) continue;
        return not_told_apart(p, keyed, map, group);
      }
      const source_result result = values.read(group, source);
      if (result.what == outcome::unknown && values.wanting()) continue;
      if (group.new_key && result.what != outcome::shard) {
        // The rows will tell, if there are any.
        return keyed.gather.empty() ? refused(p, keyed.several_refusal) : over_gathered(p, keyed);
      }
      if (result.what == outcome::shard) {
        shards.add(result.shard);
        if (keyed.split_allowed) rows.push_back(result.shard);
      } else if (result.what == outcome::unknown && !group.insert_row &&
                 (keyed.scatter_allowed || !keyed.gather.empty())) {
        return not_told_apart(p, keyed, map, group);
      } else if ((result.what != outcome::null && result.what != outcome::unowned) || group.insert_row) {
        return refused(p, problem_of(group, result));
      }
      // key = NULL matches nothing, wherever it is asked; nor does a value that no row can have.
    }
  }
  if (values.wanting())
    return refused(p, make_error(error_id::key_not_provable, keyed.groups.front().key, keyed.groups.front().table));
  const std::size_t count = shards.size();
  if (count == 0)
    return {to_shard{map.buckets.owner.empty() ? shard_index{0} : map.buckets.owner[0]}, p.mode, p.needs_primary};
  if (count == 1) return {to_shard{shards.first()}, p.mode, p.needs_primary};
  if (keyed.scatter_allowed) return {to_many{shards.all()}, p.mode, p.needs_primary};
  if (keyed.split_allowed) return {to_many{shards.all(), std::move(rows), false}, p.mode, p.needs_primary};
  if (keyed.stays) return {to_many{shards.all()}, p.mode, p.needs_primary};
  if (!keyed.gather.empty()) return over_gathered(p, keyed);
  return refused(p, keyed.several_refusal);
}

}  // namespace

namespace {

/// A hint names a shard, and a row may be put on no other: the shards that the route means instead, "" for none.
std::string strays(const topology& map, shard_index only, const route_target& target) {
  if (const auto* one = std::get_if<to_shard>(&target)) return one->shard == only ? std::string{} : map.shards[one->shard];
  std::string where;
  if (const auto* many = std::get_if<to_many>(&target)) {
    for (const shard_index shard : many->shards) where.append(where.empty() ? "" : ", ").append(map.shards[shard]);
  }
  return where;
}

route find_route(const plan& p, const topology& map, std::string_view text,
                 std::span<const sql::constant_position> constants, std::span<const bound_parameter> parameters,
                 const literal_context& literals) {
  if (const auto* fixed = std::get_if<fixed_target>(&p.where)) {
    if (std::holds_alternative<to_many>(fixed->target) && says_time_in_words(text, constants, parameters)) {
      return refused(p, time_in_words());
    }
    return {fixed->target, p.mode, p.needs_primary};
  }
  const auto& keyed = std::get<keyed_target>(p.where);
  if (map.buckets.owner.empty()) {
    return refused(p, make_error(error_id::internal, "the topology has no buckets"));
  }
  route out = resolve_keyed(p, keyed, map, resolver{map, text, constants, parameters, literals});
  if (std::holds_alternative<to_many>(out.target) && says_time_in_words(text, constants, parameters)) {
    return refused(p, time_in_words());
  }
  return out;
}

}  // namespace

bool key_group::single() const {
  const auto one = [](const key_group& part) { return part.single(); };
  if (!parts.empty()) return std::all_of(parts.begin(), parts.end(), one);
  if (sources.size() != 1 || sources.front().array) return false;
  // Rows of a key that is listed nowhere may stand anywhere.
  return insert_row || values == nullptr || !values->looks_up() || values->others();
}

route resolve(const plan& p, const topology& map, std::string_view text,
              std::span<const sql::constant_position> constants, std::span<const bound_parameter> parameters,
              const literal_context& literals) {
  route out = find_route(p, map, text, constants, parameters, literals);
  out.wants_replica = p.wants_replica;
  if (p.only) {
    const std::string where = strays(map, *p.only, out.target);
    if (!where.empty()) return refused(p, make_error(error_id::hint_other_shard, where, map.shards[*p.only]));
  }
  return out;
}

key_owner owner_of_key(const topology& map, std::span<const key_value> key, const literal_context& literals,
                       const value_map* values) {
  using kind = key_owner::kind;
  if (map.buckets.owner.empty() || (values != nullptr && values->looks_up())) return {};
  std::uint64_t hash = 0;
  for (const key_value& value : key) {
    if (value.from != 0 && !ties_key(value.type, value.from)) return {};
    if (!literals.utf8 && has_high_byte(value.text)) return {};
    if (!literals.iso_ymd && date_or_time(value.type)) return {};
    if (values != nullptr) {
      std::string bytes;
      if (!key_bytes(bytes, value.type, value.modifier, value.from, false, value.text, literals.time_zone)) return {};
      const auto owner = values->shard_of(bytes);
      return owner ? key_owner{kind::shard, *owner} : key_owner{kind::unowned, 0};
    }
    const auto own = partition_hash_text(value.type, value.modifier, value.from, value.text, literals.time_zone);
    if (!own) return {};
    hash = combined_hash(hash, *own);
  }
  return {kind::shard, map.buckets.shard_of(bucket_of(hash, static_cast<std::uint32_t>(map.buckets.owner.size())))};
}

}  // namespace pgbraid::router
