// resolve: plan + constants + parameters -> route. The hot path: nothing is allocated unless several shards or a
// refusal come out.
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "router/plan/key_reader.hpp"
#include "router/plan/names.hpp"
#include "router/plan/planner.hpp"
#include "router/plan/targets.hpp"
#include "router/plan/time_words.hpp"
#include "router/shard/hash.hpp"
#include "router/shard/value_map.hpp"

namespace pgbraid::router {

using protocol::error_id;
using protocol::error_report;
using protocol::make_error;

namespace {

bool says_time_in_words(std::string_view text, std::span<const sql::constant_position> constants,
                        std::span<const bound_parameter> parameters) {
  for (const sql::constant_position& c : constants) {
    if (std::size_t{c.offset} + c.length > text.size()) return true;
    std::string decoded;
    if (c.kind == sql::token_constant::integer || c.kind == sql::token_constant::decimal) continue;
    if (!sql::decode_string_constant(text.substr(c.offset, c.length), c.kind, decoded)) continue;
    if (is_word_of_time(decoded)) return true;
  }
  // A parameter that is declared as a text means a time only where it is cast.
  std::optional<bool> casts;
  return std::any_of(parameters.begin(), parameters.end(), [&](const bound_parameter& p) {
    if (p.null || !is_word_of_time(p.value)) return false;
    if (!text_family(p.type)) return !p.binary;
    if (!casts) casts = casts_to_times(text);
    return *casts;
  });
}

route refused(const plan& p, error_report error) {
  return {to_refusal{std::move(error)}, p.mode, p.needs_primary};
}

error_report refuse_time_in_words() {
  return protocol::with_hint(
      make_error(error_id::cross_shard_read, "'now', 'today' and the like mean another moment on each shard"),
      "Write the date or the time itself.");
}

bool is_number(std::string_view text) {
  constexpr std::string_view blanks = " \t\n\r\f\v";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return false;
  text = text.substr(first, text.find_last_not_of(blanks) + 1 - first);
  if (text.front() == '-' || text.front() == '+') text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// What a server says of a value that is none of the key's type.
error_report problem_of_value(const key_group& group, const source_result& result) {
  constexpr std::int32_t header = 4;
  const std::string_view type = type_label(group.key_type);
  if (group.key_type == type_oid::varchar || group.key_type == type_oid::bpchar)
    return make_error(error_id::key_too_long, type, group.modifier - header);
  if (result.text == shown_binary) return make_error(error_id::invalid_key_value, group.key, type);
  if (integer_family(group.key_type) && is_number(result.text))
    return make_error(error_id::key_out_of_range, result.text, type);
  return make_error(error_id::invalid_key_text, type, result.text);
}

error_report problem_of(const key_group& group, const source_result& result) {
  if (result.what == outcome::null) return make_error(error_id::null_key, group.key, group.table);
  if (result.what == outcome::unowned) return make_error(error_id::key_unowned, result.text, group.key, group.table);
  // A date may be written in more ways than are understood here.
  if (result.what == outcome::invalid && !date_or_time(group.key_type)) {
    return problem_of_value(group, result);
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

/// Whether the servers may be asked all the same. What cannot be read as the key's type fails there with their own
/// words; or it is fine, since in a list a string takes the type of what stands beside it: small IN ('70000', 1).
bool left_to_servers(const keyed_target& keyed, const source_result& result) {
  return (result.what == outcome::unknown || result.what == outcome::invalid) &&
         (keyed.scatter_allowed || !keyed.gather.empty());
}

/// Adds the shards of a key of several columns; a route: it is not to be told, or refused. Where it may be split,
/// `rows` gets the shard of each row.
std::optional<route> resolve_columns(const plan& p, const keyed_target& keyed, const topology& map,
                                     const key_reader& values, const key_group& group, shard_set& shards,
                                     std::vector<shard_index>& rows) {
  if (!group.insert_row) {
    std::size_t room = 4096;
    const key_group* at = &group;
    const source_result found = values.read_combinations(group, 0, 0, shards, room, at);
    if (found.what == outcome::shard || found.what == outcome::null) return std::nullopt;
    if (left_to_servers(keyed, found)) return not_told_apart(p, keyed, map, group);
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

route resolve_keyed(const plan& p, const keyed_target& keyed, const topology& map, const key_reader& values) {
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
      } else if (group.unread && result.what == outcome::invalid) {
        continue;  // a server does not look at it either
      } else if (!group.insert_row && left_to_servers(keyed, result)) {
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
  if (const auto* one = std::get_if<to_shard>(&target))
    return one->shard == only ? std::string{} : map.shards[one->shard];
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
      return refused(p, refuse_time_in_words());
    }
    return {fixed->target, p.mode, p.needs_primary};
  }
  const auto& keyed = std::get<keyed_target>(p.where);
  if (map.buckets.owner.empty()) {
    return refused(p, make_error(error_id::internal, "the topology has no buckets"));
  }
  route out = resolve_keyed(p, keyed, map, key_reader{map, text, constants, parameters, literals});
  if (std::holds_alternative<to_many>(out.target) && says_time_in_words(text, constants, parameters)) {
    return refused(p, refuse_time_in_words());
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
