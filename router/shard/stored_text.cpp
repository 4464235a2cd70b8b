#include "router/shard/stored_text.hpp"

#include <fmt/format.h>

#include "router/shard/key_values.hpp"

namespace pgbraid::router {

namespace {

std::string hexadecimal(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return out;
}

}  // namespace

std::optional<std::string> stored_text(oid type, std::int32_t modifier, std::string_view value) {
  if (is_integer_type(type)) {
    const auto number = parse_integer(type, value);
    return number ? std::optional{std::to_string(*number)} : std::nullopt;
  }
  if (type == type_oid::uuid) {
    const auto bytes = parse_uuid(value);
    return bytes ? std::optional{hexadecimal({bytes->data(), bytes->size()})} : std::nullopt;
  }
  if (type != type_oid::varchar) return std::string{value};
  if (const auto fitting = fit_varchar(value, modifier)) return std::string{*fitting};
  return value.ends_with(' ') ? std::nullopt : std::optional{std::string{value}};
}

std::optional<std::string> stored_text_of_binary(oid type, std::int32_t modifier, oid from, std::string_view bytes) {
  constexpr std::size_t uuid_bytes = 16;
  if (is_integer_type(type)) {
    const auto number = receive_integer(from == 0 ? type : from, bytes);
    return number ? std::optional{std::to_string(*number)} : std::nullopt;
  }
  if (type == type_oid::uuid) return bytes.size() == uuid_bytes ? std::optional{hexadecimal(bytes)} : std::nullopt;
  return stored_text(type, modifier, bytes);
}

}  // namespace pgbraid::router
