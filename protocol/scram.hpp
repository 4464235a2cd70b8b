// SCRAM-SHA-256, both sides, as state without I/O: messages in, messages out. No PBKDF2 runs in here.
// Source: RFC 5802, RFC 7677, RFC 5929 (tls-server-end-point), and the manual's chapter "SASL Authentication".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/password.hpp"

namespace pgbraid::protocol {

inline constexpr std::string_view scram_mechanism = "SCRAM-SHA-256";
/// The same with the TLS connection bound into the proof: whoever sits in between cannot pass it on.
inline constexpr std::string_view scram_plus_mechanism = "SCRAM-SHA-256-PLUS";

/// A nonce of 144 random bits in Base64.
[[nodiscard]] std::string scram_nonce();

/// What the server's side makes of a message.
enum class scram_status : std::uint8_t {
  proceed,    ///< send the reply and wait for the next message
  accepted,   ///< the password is right: send the reply, the server's own proof
  refused,    ///< the password is wrong
  malformed,  ///< the message breaks the grammar or asks for what is not supported: `reason` says which
};

/// The server's side of one login.
///
/// For an unknown user it is given a mock secret and then behaves to the byte and to the operation as for a wrong
/// password.
class scram_server {
 public:
  explicit scram_server(scram_secret secret, std::string nonce = scram_nonce());

  /// Before the first message, on TLS: scram_plus_mechanism was offered with this binding data, and chosen or not. A
  /// client that does not choose it, and says that it would have, has been told otherwise by somebody in between.
  void bind(std::string data, bool chosen);

  /// Takes the client's first, then its final message. `reply` is set on proceed and accepted.
  [[nodiscard]] scram_status receive(std::string_view message, std::string& reply);

  /// After `accepted`: all keys, the client's recovered from its proof, so that one can log in as this user to servers
  /// that hold the same secret.
  [[nodiscard]] const scram_keys& keys() const noexcept { return keys_; }

  /// After `malformed`: what is wrong. Static storage.
  [[nodiscard]] std::string_view reason() const noexcept { return reason_; }

 private:
  enum class state : std::uint8_t { first, final, over };

  scram_status receive_first(std::string_view message, std::string& reply);
  scram_status receive_final(std::string_view message, std::string& reply);
  scram_status malformed(std::string_view reason);

  scram_secret secret_;
  std::string nonce_;  // ours at first, then the client's and ours
  std::string gs2_header_;
  std::string binding_;
  bool offered_ = false, bound_ = false;
  std::string auth_message_;  // grows: client-first-bare , server-first , client-final-without-proof
  scram_keys keys_;
  std::string_view reason_;
  state state_ = state::first;
};

/// The client's side of one login: `first_message`, `receive_first`, then keys for `salt()` and `iterations()` from
/// wherever they come, `final_message`, `receive_final`.
class scram_client {
 public:
  /// PostgreSQL takes the user from the startup packet, so `user` is left empty as libpq does. Precondition: it holds
  /// neither "," nor "=".
  explicit scram_client(std::string nonce = scram_nonce(), std::string user = {});

  /// Before the first message, on TLS: the binding data of the connection, and whether the server offers
  /// scram_plus_mechanism, which is then to be chosen.
  void bind(std::string data, bool offered);

  [[nodiscard]] std::string first_message() const;

  /// Takes the server's challenge. False: `reason` says what is wrong, the login is over.
  [[nodiscard]] bool receive_first(std::string_view message);
  [[nodiscard]] const std::string& salt() const noexcept { return salt_; }
  [[nodiscard]] std::uint32_t iterations() const noexcept { return iterations_; }

  /// The proof. Precondition: `receive_first` gave true; `keys` belong to the challenge's salt and iterations.
  [[nodiscard]] std::string final_message(const scram_keys& keys);

  /// Takes the server's last message and verifies that it knows the password too. False: it does not, see `reason`.
  [[nodiscard]] bool receive_final(std::string_view message);

  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

 private:
  bool fail(std::string reason);
  [[nodiscard]] std::string bare_first_message() const;

  std::string nonce_;
  std::string user_;
  std::string gs2_header_ = "n,,";
  std::string binding_;
  std::string full_nonce_;
  std::string salt_;
  std::uint32_t iterations_ = 0;
  std::string server_first_;
  std::string auth_message_;
  digest256 server_key_{};
  std::string reason_;
};

}  // namespace pgbraid::protocol
