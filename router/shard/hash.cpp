#include "router/shard/hash.hpp"

#include "router/shard/hash_bytes.hpp"
#include "router/shard/key_values.hpp"

namespace pgbraid::router {
namespace {

/// HASH_PARTITION_SEED of partbounds.c.
constexpr std::uint64_t partition_seed = 0x7A5B22367996DCFDULL;

/// hash_combine64 of nothing yet (0) and one key column's hash.
std::uint64_t combine(std::uint64_t hash) noexcept {
  return hash + 0x49a0f4dd15e5a8e3ULL;
}

std::uint64_t hash_text(std::string_view text) noexcept {
  return combine(hash_bytes_extended(text, partition_seed));
}

/// hashint8extended: folds the high half in so that a value of any integer type hashes alike.
std::uint64_t hash_integer(std::int64_t value) noexcept {
  const auto bits = static_cast<std::uint64_t>(value);
  const auto high = static_cast<std::uint32_t>(bits >> 32);
  const std::uint32_t folded = static_cast<std::uint32_t>(bits) ^ (value >= 0 ? high : ~high);
  return combine(hash_bytes_uint32_extended(folded, partition_seed));
}

bool is_text_type(oid type) noexcept {
  return type == type_oid::text || type == type_oid::varchar;
}

/// The type whose input or receive function reads the value.
oid written_type(oid key_type, oid from) noexcept {
  return from == 0 || from == type_oid::unknown ? key_type : from;
}

}  // namespace

bool hashable_key_type(oid type) noexcept {
  switch (type) {
    case type_oid::int2:
    case type_oid::int4:
    case type_oid::int8:
    case type_oid::text:
    case type_oid::varchar:
    case type_oid::bpchar:
    case type_oid::uuid:
    case type_oid::boolean:
      return true;
    default:
      return false;
  }
}

bool ties_key(oid key_type, oid from) noexcept {
  if (!hashable_key_type(key_type)) return false;
  const oid written = written_type(key_type, from);
  if (written == key_type) return true;
  if (is_integer_type(written)) return is_integer_type(key_type);
  return is_text_type(written) && is_text_type(key_type);
}

std::optional<std::uint64_t> partition_hash_text(oid key_type, std::int32_t modifier, oid from, std::string_view text,
                                                 std::string_view time_zone) {
  (void)time_zone;
  if (!ties_key(key_type, from)) return std::nullopt;
  switch (key_type) {
    case type_oid::int2:
    case type_oid::int4:
    case type_oid::int8:
      if (const auto value = parse_integer(written_type(key_type, from), text)) return hash_integer(*value);
      return std::nullopt;
    case type_oid::text:
      return hash_text(text);
    case type_oid::varchar:
      if (const auto fitted = fit_varchar(text, modifier)) return hash_text(*fitted);
      return std::nullopt;
    case type_oid::bpchar:
      if (const auto fitted = fit_bpchar(text, modifier)) return hash_text(*fitted);
      return std::nullopt;
    case type_oid::uuid:
      if (const auto value = parse_uuid(text)) return hash_text({value->data(), value->size()});
      return std::nullopt;
    case type_oid::boolean:
      if (const auto value = parse_boolean(text)) return hash_integer(*value ? 1 : 0);
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

std::optional<std::uint64_t> partition_hash_binary(oid key_type, std::int32_t modifier, oid from,
                                                   std::string_view bytes) {
  if (!ties_key(key_type, from)) return std::nullopt;
  switch (key_type) {
    case type_oid::int2:
    case type_oid::int4:
    case type_oid::int8:
      if (const auto value = receive_integer(written_type(key_type, from), bytes)) return hash_integer(*value);
      return std::nullopt;
    case type_oid::uuid:
      if (bytes.size() != 16) return std::nullopt;
      return hash_text(bytes);
    case type_oid::boolean:
      if (bytes.size() != 1) return std::nullopt;
      return hash_integer(bytes[0] != 0 ? 1 : 0);
    default:
      return partition_hash_text(key_type, modifier, from, bytes, {});
  }
}

}  // namespace pgbraid::router
