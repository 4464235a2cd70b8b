// Ranges and lists of values; see value_map.hpp.
#include "router/shard/value_map.hpp"

#include <algorithm>

#include "router/shard/datetime_values.hpp"
#include "router/shard/hash.hpp"
#include "router/shard/key_values.hpp"
#include "router/shard/sort_bytes.hpp"

namespace pgbraid::router {
namespace {

std::string spelled(const value_part& part, bool ranges) {
  if (!ranges) return "'" + part.from.value_or("") + "'";
  return (part.from ? "'" + *part.from + "'" : "the lowest value") + " to " +
         (part.to ? "'" + *part.to + "'" : "the highest value");
}

/// Binary forms of times are what the text is read into.
bool append_time(std::string& out, std::optional<std::int64_t> time) {
  if (!time) return false;
  std::string wire;
  for (int shift = 56; shift >= 0; shift -= 8)
    wire.push_back(static_cast<char>((static_cast<std::uint64_t>(*time) >> shift) & 0xff));
  return append_sort_bytes(out, type_oid::timestamp, true, wire);
}

}  // namespace

bool key_bytes(std::string& out, oid key_type, std::int32_t modifier, oid from, bool binary, std::string_view value,
               std::string_view time_zone) {
  if (from != 0 && !ties_key(key_type, from)) return false;
  switch (key_type) {
    case type_oid::int2:
    case type_oid::int4:
    case type_oid::int8:
      return append_sort_bytes(out, from == 0 ? key_type : from, binary, value);
    case type_oid::boolean: {
      if (binary) return append_sort_bytes(out, key_type, true, value);
      const auto truth = parse_boolean(value);
      return truth && append_sort_bytes(out, key_type, false, *truth ? "t" : "f");
    }
    case type_oid::text:
      return append_sort_bytes(out, key_type, binary, value);
    case type_oid::varchar: {
      const auto fitting = fit_varchar(value, modifier);
      return fitting && append_sort_bytes(out, key_type, binary, *fitting);
    }
    case type_oid::bpchar: {
      const auto fitting = fit_bpchar(value, modifier);
      return fitting && append_sort_bytes(out, type_oid::text, binary, *fitting);
    }
    case type_oid::timestamp:
      return append_time(out, binary ? receive_timestamp(value, modifier) : parse_timestamp(value, modifier));
    case type_oid::timestamptz:
      return append_time(out,
                         binary ? receive_timestamp(value, modifier) : parse_timestamptz(value, modifier, time_zone));
    case type_oid::numeric:
      if (binary && from != 0 && from != type_oid::numeric) {
        const auto integer = receive_integer(from, value);
        return modifier < 0 && integer && append_sort_bytes(out, key_type, false, std::to_string(*integer));
      }
      return modifier < 0 && append_sort_bytes(out, key_type, binary, binary ? value : trim_blanks(value));
    case type_oid::date:
    case type_oid::uuid:
      return append_sort_bytes(out, key_type, binary, value);
    default:
      return false;
  }
}

std::shared_ptr<const value_map> value_map::make(const value_rule& rule, oid key_type, std::int32_t modifier,
                                                 std::string& problem) {
  auto out = std::make_shared<value_map>();
  out->others_ = rule.others;
  out->ranges_ = rule.ranges;
  if (!hashable_key_type(key_type) || (key_type == type_oid::numeric && modifier >= 0)) {
    problem = "its type cannot be compared with what the topology lists";
    return nullptr;
  }
  const auto read = [&](const std::optional<std::string>& text, std::string& bytes) {
    return !text || key_bytes(bytes, key_type, -1, 0, false, *text, "UTC");
  };
  for (const value_part& part : rule.parts) {
    entry e;
    e.shard = part.shard;
    e.below = !part.from;
    e.above = !part.to;
    if (!read(part.from, e.from) || (rule.ranges && !read(part.to, e.to))) {
      problem = spelled(part, rule.ranges) + " cannot be read as a value of its type";
      return nullptr;
    }
    if (rule.ranges && !e.below && !e.above && e.from >= e.to) {
      problem = spelled(part, true) + " holds no value";
      return nullptr;
    }
    out->entries_.push_back(std::move(e));
  }
  std::sort(out->entries_.begin(), out->entries_.end(),
            [](const entry& a, const entry& b) { return a.below != b.below ? a.below : a.from < b.from; });
  for (std::size_t i = 1; i < out->entries_.size(); ++i) {
    const entry &before = out->entries_[i - 1], &after = out->entries_[i];
    const bool overlap =
        rule.ranges ? before.above || after.below || after.from < before.to : before.from == after.from;
    if (!overlap) continue;
    problem = rule.ranges ? "two ranges overlap" : "one value is listed twice";
    return nullptr;
  }
  return out;
}

std::shared_ptr<const value_map> value_map::looked_up(std::optional<shard_index> others, oid key_type,
                                                      std::int32_t modifier, std::string& problem) {
  const bool rounded = modifier >= 0 && (key_type == type_oid::timestamp || key_type == type_oid::timestamptz);
  if (rounded) {
    problem = "its type cannot be looked up";
    return nullptr;
  }
  auto made = make({false, {}, others}, key_type, modifier, problem);
  if (made == nullptr) return nullptr;
  auto out = std::make_shared<value_map>(*made);
  out->looks_up_ = true;
  return out;
}

std::optional<shard_index> value_map::shard_of(std::string_view bytes) const noexcept {
  const auto past = std::upper_bound(entries_.begin(), entries_.end(), bytes,
                                     [](std::string_view value, const entry& e) { return !e.below && value < e.from; });
  if (past == entries_.begin()) return others_;
  const entry& e = *std::prev(past);
  const bool inside = ranges_ ? e.above || bytes < e.to : bytes == e.from;
  return inside ? std::optional{e.shard} : others_;
}

std::vector<shard_index> value_map::shards_between(const value_bound& low, const value_bound& high) const {
  std::vector<shard_index> out;
  if (low.bytes && high.bytes) {
    if (*low.bytes > *high.bytes || (*low.bytes == *high.bytes && !(low.inclusive && high.inclusive))) return out;
  }
  for (const entry& e : entries_) {
    const bool ends_before = !e.above && low.bytes && e.to <= *low.bytes;
    const bool begins_after = !e.below && high.bytes && (high.inclusive ? e.from > *high.bytes : e.from >= *high.bytes);
    if (!ends_before && !begins_after) out.push_back(e.shard);
  }
  if (others_) out.push_back(*others_);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::shared_ptr<const value_map> values_of(const topology& map, const sharded_table& table, const column& key,
                                           std::string& problem) {
  if (table.function == shard_function::lookup) {
    if (map.directory) return value_map::looked_up(map.directory->others, key.type, key.modifier, problem);
    problem = "there is no table to look it up in";
    return nullptr;
  }
  const value_rule* rule = map.rule_of(table.function);
  return rule == nullptr ? nullptr : value_map::make(*rule, key.type, key.modifier, problem);
}

}  // namespace pgbraid::router
