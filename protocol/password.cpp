#include "protocol/password.hpp"

#include <stringprep.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace pgbraid::protocol {
namespace {

constexpr std::string_view scram_prefix = "SCRAM-SHA-256$";

// The text up to `separator`, which is taken too; `text` keeps what follows. Nothing when there is no separator.
std::optional<std::string_view> take_until(std::string_view& text, char separator) {
  const std::size_t at = text.find(separator);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(at + 1);
  return taken;
}

std::optional<digest256> decode_key(std::string_view text) {
  const std::optional<std::string> bytes = base64_decode(text);
  digest256 key{};
  if (!bytes || bytes->size() != key.size()) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), key.begin());
  return key;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

std::optional<scram_secret> parse_scram_secret(std::string_view text) {
  if (text.substr(0, scram_prefix.size()) != scram_prefix) return std::nullopt;
  text.remove_prefix(scram_prefix.size());
  const auto iterations = take_until(text, ':');
  const auto salt = take_until(text, '$');
  const auto stored_key = take_until(text, ':');
  if (!iterations || !salt || !stored_key) return std::nullopt;

  scram_secret secret;
  const char* end = iterations->data() + iterations->size();
  const auto [stop, error] = std::from_chars(iterations->data(), end, secret.iterations);
  if (error != std::errc{} || stop != end || secret.iterations == 0 || secret.iterations > 0x7fffffffU) {
    return std::nullopt;
  }
  const auto raw_salt = base64_decode(*salt);
  const auto stored = decode_key(*stored_key);
  const auto server = decode_key(text);
  if (!raw_salt || raw_salt->empty() || !stored || !server) return std::nullopt;
  secret.salt = *raw_salt;
  secret.stored_key = *stored;
  secret.server_key = *server;
  return secret;
}

std::string to_string(const scram_secret& secret) {
  return std::string{scram_prefix} + std::to_string(secret.iterations) + ':' + base64_encode(secret.salt) + '$' +
         base64_encode(view_of(secret.stored_key)) + ':' + base64_encode(view_of(secret.server_key));
}

scram_keys scram_keys_of(const digest256& salted_password) {
  scram_keys keys;
  keys.client_key = hmac_sha256(view_of(salted_password), "Client Key");
  keys.stored_key = sha256(view_of(keys.client_key));
  keys.server_key = hmac_sha256(view_of(salted_password), "Server Key");
  return keys;
}

scram_keys derive_scram_keys(std::string_view password, std::string_view salt, std::uint32_t iterations) {
  std::string normalized = normalized_password(password);
  const scram_keys keys = scram_keys_of(pbkdf2_sha256(normalized, salt, iterations));
  wipe(normalized);
  return keys;
}

scram_secret make_scram_secret(std::string_view password, std::string_view salt, std::uint32_t iterations) {
  const scram_keys keys = derive_scram_keys(password, salt, iterations);
  return {iterations, std::string{salt}, keys.stored_key, keys.server_key};
}

scram_secret make_scram_secret(std::string_view password) {
  return make_scram_secret(password, random_bytes(16), scram_default_iterations);
}

scram_secret mock_scram_secret(std::string_view user, std::string_view mock_key) {
  const auto mock = [&](std::string_view purpose) {
    return hmac_sha256(mock_key, std::string{purpose} + std::string{user});
  };
  scram_secret secret;
  secret.salt = view_of(mock("salt:")).substr(0, 16);
  secret.stored_key = mock("stored:");
  secret.server_key = mock("server:");
  return secret;
}

std::string normalized_password(std::string_view password) {
  std::string original{password};
  if (is_ascii(password) || password.find('\0') != std::string_view::npos) return original;
  char* prepared = nullptr;
  if (stringprep_profile(original.c_str(), &prepared, "SASLprep", STRINGPREP_NO_UNASSIGNED) != STRINGPREP_OK) {
    return original;
  }
  std::string result{prepared};
  std::free(prepared);
  return result.empty() ? original : result;
}

bool is_md5_secret(std::string_view text) noexcept {
  return text.size() == 35 && text.substr(0, 3) == "md5" &&
         text.find_first_not_of("0123456789abcdef", 3) == std::string_view::npos;
}

std::optional<std::string> make_md5_secret(std::string_view password, std::string_view user) {
  const std::optional<std::string> digits = md5_hex(std::string{password} + std::string{user});
  if (!digits) return std::nullopt;
  return "md5" + *digits;
}

std::optional<std::string> md5_response(std::string_view secret, std::string_view salt) {
  if (!is_md5_secret(secret)) return std::nullopt;
  const std::optional<std::string> digits = md5_hex(std::string{secret.substr(3)} + std::string{salt});
  if (!digits) return std::nullopt;
  return "md5" + *digits;
}

stored_password make_stored_password(std::string_view text) {
  stored_password stored;
  if (text.empty()) return stored;
  stored.scram = parse_scram_secret(text);
  if (stored.scram) return stored;
  if (is_md5_secret(text)) {
    stored.md5 = text;
    return stored;
  }
  stored.plain = text;
  stored.scram = make_scram_secret(text);
  return stored;
}

}  // namespace pgbraid::protocol
