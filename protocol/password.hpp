// Passwords in the forms in which PostgreSQL stores them, and the keys that SCRAM-SHA-256 makes of them.
// Source: RFC 5802, RFC 7677, RFC 4013 (SASLprep), and the manual's description of pg_authid.rolpassword.
//
// Runs on: any thread. What costs a PBKDF2 says so.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/crypto.hpp"

namespace pgbraid::protocol {

/// The server's default cost.
inline constexpr std::uint32_t scram_default_iterations = 4096;
/// The most that a server may ask for: beyond, a login would be a denial of service.
inline constexpr std::uint32_t scram_max_iterations = 10'000'000;

/// Keys of one password under one salt and number of iterations.
struct scram_keys {
  digest256 client_key{};  ///< who has it can log in, wherever salt and iterations are the same
  digest256 stored_key{};  ///< verifies a client
  digest256 server_key{};  ///< proves the server to the client

  friend bool operator==(const scram_keys&, const scram_keys&) = default;
};

/// What a server stores of a password: enough to verify it, not enough to use it.
struct scram_secret {
  std::uint32_t iterations = scram_default_iterations;
  std::string salt;  ///< raw bytes
  digest256 stored_key{};
  digest256 server_key{};

  friend bool operator==(const scram_secret&, const scram_secret&) = default;
};

/// Parses "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>", the form of pg_authid; nothing if it is not
/// that.
[[nodiscard]] std::optional<scram_secret> parse_scram_secret(std::string_view text);
[[nodiscard]] std::string to_string(const scram_secret& secret);

/// Keys of `password`, normalised as PostgreSQL does. Costs a PBKDF2.
[[nodiscard]] scram_keys derive_scram_keys(std::string_view password, std::string_view salt, std::uint32_t iterations);

/// The keys that a salted password (PBKDF2's result) leads to.
[[nodiscard]] scram_keys scram_keys_of(const digest256& salted_password);

/// What a server would store of `password`. Costs a PBKDF2.
[[nodiscard]] scram_secret make_scram_secret(std::string_view password, std::string_view salt,
                                             std::uint32_t iterations);
/// The same with a salt of 16 random bytes and the default number of iterations.
[[nodiscard]] scram_secret make_scram_secret(std::string_view password);

/// A secret that looks like one of a real user and that no password fits: always the same one for the same `user` and
/// `mock_key` (which nobody else may know), so that asking twice does not tell that the user is unknown.
[[nodiscard]] scram_secret mock_scram_secret(std::string_view user, std::string_view mock_key);

/// SASLprep for stored strings; the password as it is where that fails (not UTF-8, forbidden or unassigned
/// characters), as PostgreSQL has it.
[[nodiscard]] std::string normalized_password(std::string_view password);

/// Whether `text` is an MD5 secret of pg_authid: "md5" and 32 hexadecimal digits.
[[nodiscard]] bool is_md5_secret(std::string_view text) noexcept;
/// "md5" + md5(password + user), what a server stores; nothing where the library forbids MD5.
[[nodiscard]] std::optional<std::string> make_md5_secret(std::string_view password, std::string_view user);
/// "md5" + md5(digits of the secret + salt), what a client answers; nothing if `secret` is no such secret or the
/// library forbids MD5.
[[nodiscard]] std::optional<std::string> md5_response(std::string_view secret, std::string_view salt);

/// All that is known of one user's password; nothing set: the user is unknown.
struct stored_password {
  std::optional<std::string> plain;
  std::optional<scram_secret> scram;
  std::optional<std::string> md5;

  [[nodiscard]] bool known() const noexcept { return plain || scram || md5; }

  friend bool operator==(const stored_password&, const stored_password&) = default;
};

/// Reads `text` as pg_authid would: a SCRAM secret, an MD5 secret, or else a plain password, for which a SCRAM secret
/// is made (costs a PBKDF2: once, when the configuration is loaded). An empty text is no password, as for PostgreSQL.
[[nodiscard]] stored_password make_stored_password(std::string_view text);

}  // namespace pgbraid::protocol
