#include "router/shard/hash.hpp"

#include "router/shard/datetime_values.hpp"
#include "router/shard/hash_bytes.hpp"
#include "router/shard/key_values.hpp"
#include "router/shard/numeric_values.hpp"

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

std::uint64_t hash_uuid(const std::array<char, 16>& bytes) noexcept {
  return hash_text({bytes.data(), bytes.size()});
}

/// hashint8extended: folds the high half in so that a value of any integer type hashes alike. Dates, timestamps and
/// booleans hash as the integers that they are stored as.
std::uint64_t hash_integer(std::int64_t value) noexcept {
  const auto bits = static_cast<std::uint64_t>(value);
  const auto high = static_cast<std::uint32_t>(bits >> 32);
  const std::uint32_t folded = static_cast<std::uint32_t>(bits) ^ (value >= 0 ? high : ~high);
  return combine(hash_bytes_uint32_extended(folded, partition_seed));
}

template <typename Value, typename Hash>
std::optional<std::uint64_t> hash_if_read(const std::optional<Value>& value, Hash hash) {
  if (!value) return std::nullopt;
  return hash(*value);
}

std::uint64_t hash_numeric(const numeric_value& value) noexcept {
  return combine(hash_numeric_extended(value, partition_seed));
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
    case type_oid::date:
    case type_oid::timestamp:
    case type_oid::timestamptz:
    case type_oid::numeric:
      return true;
    default:
      return false;
  }
}

bool ties_key(oid key_type, oid from) noexcept {
  if (!hashable_key_type(key_type)) return false;
  const oid written = written_type(key_type, from);
  if (written == key_type) return true;
  if (is_integer_type(written)) return is_integer_type(key_type) || key_type == type_oid::numeric;
  // A server compares bpchar = varchar as bpchar, and text or varchar = bpchar not by the key's hash operator family.
  if (key_type == type_oid::bpchar) return written == type_oid::varchar;
  return is_text_type(written) && is_text_type(key_type);
}

std::optional<std::uint64_t> partition_hash_text(oid key_type, std::int32_t modifier, oid from, std::string_view text,
                                                 std::string_view time_zone) {
  const oid written = written_type(key_type, from);
  if (written != key_type && !ties_key(key_type, from)) return std::nullopt;
  switch (key_type) {
    case type_oid::int2:
    case type_oid::int4:
    case type_oid::int8:
      return hash_if_read(parse_integer(written, text), hash_integer);
    case type_oid::text:
      return hash_text(text);
    case type_oid::varchar:
      return hash_if_read(fit_varchar(text, modifier), hash_text);
    case type_oid::bpchar:
      return hash_if_read(fit_bpchar(text, modifier), hash_text);
    case type_oid::uuid:
      return hash_if_read(parse_uuid(text), hash_uuid);
    case type_oid::boolean:
      return hash_if_read(parse_boolean(text), hash_integer);
    case type_oid::date:
      return hash_if_read(parse_date(text), hash_integer);
    case type_oid::timestamp:
      return hash_if_read(parse_timestamp(text, modifier), hash_integer);
    case type_oid::timestamptz:
      return hash_if_read(parse_timestamptz(text, modifier, time_zone), hash_integer);
    case type_oid::numeric:
      if (!is_integer_type(written)) return hash_if_read(parse_numeric(text, modifier), hash_numeric);
      if (const auto integer = parse_integer(written, text))
        return hash_if_read(numeric_of(*integer, modifier), hash_numeric);
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

std::optional<std::uint64_t> partition_hash_binary(oid key_type, std::int32_t modifier, oid from,
                                                   std::string_view bytes) {
  const oid written = written_type(key_type, from);
  if (written != key_type && !ties_key(key_type, from)) return std::nullopt;
  switch (key_type) {
    case type_oid::int2:
    case type_oid::int4:
    case type_oid::int8:
      return hash_if_read(receive_integer(written, bytes), hash_integer);
    case type_oid::text:
      return hash_text(bytes);
    case type_oid::varchar:
      return hash_if_read(fit_varchar(bytes, modifier), hash_text);
    case type_oid::bpchar:
      return hash_if_read(fit_bpchar(bytes, modifier), hash_text);
    case type_oid::uuid:
      if (bytes.size() != 16) return std::nullopt;
      return hash_text(bytes);
    case type_oid::boolean:
      if (bytes.size() != 1) return std::nullopt;
      return hash_integer(bytes[0] != 0 ? 1 : 0);
    case type_oid::date:
      return hash_if_read(receive_date(bytes), hash_integer);
    case type_oid::timestamp:
    case type_oid::timestamptz:
      return hash_if_read(receive_timestamp(bytes, modifier), hash_integer);
    case type_oid::numeric:
      if (!is_integer_type(written)) return hash_if_read(receive_numeric(bytes, modifier), hash_numeric);
      if (const auto integer = receive_integer(written, bytes))
        return hash_if_read(numeric_of(*integer, modifier), hash_numeric);
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

}  // namespace pgbraid::router
