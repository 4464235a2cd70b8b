// Authenticating a client, as a server does: frames in, one action out for each; the driver owns the socket.
// Source: the manual's chapter "Message Flow", "Start-up", and PostgreSQL's auth.c, whose refusals it equals.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/errors.hpp"
#include "protocol/frame.hpp"
#include "protocol/scram.hpp"

namespace pgbraid::protocol {

/// Longest message that a client may send before it is let in: the limit for `next_frame`, as servers have it.
inline constexpr std::size_t max_password_message = 65536;

/// How a client proves who it is.
enum class client_method : std::uint8_t { trust, password, md5, scram_sha_256 };

/// One client's authentication, from its startup packet to AuthenticationOk. `start` once, then `receive` for each
/// frame that the client sends, until `accepted` or `refused`.
///
/// An unknown user is led through the same conversation as one with a wrong password and gets the same answer.
/// Runs on: one thread at a time. No step costs more than a few hashes.
class client_login {
 public:
  /// Send these bytes, then give the next frame.
  struct send {
    std::string bytes;
  };
  /// Run `derive_scram_keys` with these, which is slow, and call `derived`. No frames are taken before.
  struct derive {
    std::string password;
    std::string salt;
    std::uint32_t iterations = 0;
  };
  /// The client is who it says. What is still to be sent ends with AuthenticationOk.
  struct accepted {
    std::string bytes;
    std::optional<std::string> password;  ///< as the client sent it: by method password only
    std::optional<scram_keys> keys;       ///< for its secret's salt and iterations; by password and scram_sha_256 only
  };
  /// Send this error and close the connection.
  struct refused {
    error_report error;
  };
  using action = std::variant<send, derive, accepted, refused>;

  /// By `trust` everybody is accepted: who may come was the caller's to decide.
  ///
  /// Method `md5` becomes SCRAM for a user of whom only a SCRAM secret is stored; by `scram_sha_256`, one of whom only
  /// an MD5 secret is stored cannot log in. `mock_key` is secret, the same for all logins, and best also for all
  /// instances and restarts: see `mock_scram_secret`. `channel_binding`: what tls-server-end-point is on this
  /// connection; empty where it is not encrypted, and then binding is not offered.
  client_login(client_method method, std::string user, stored_password stored, std::string_view mock_key,
               std::string nonce = scram_nonce(), std::string channel_binding = {});

  [[nodiscard]] action start();

  /// Takes one whole frame.
  [[nodiscard]] action receive(const frame_view& frame);

  /// Answers `derive`.
  [[nodiscard]] action derived(const scram_keys& keys);

 private:
  enum class state : std::uint8_t { initial, password, deriving, md5, sasl_initial, sasl_first, sasl_final, over };

  action start_md5();
  action start_sasl();
  action password(std::string_view body);
  action md5(std::string_view body);
  action sasl_initial(std::string_view body);
  action sasl(std::string_view message);
  action accept(accepted result);
  action refuse();
  action violation(std::string_view reason);

  client_method method_;
  std::string user_;
  stored_password stored_;
  scram_secret secret_;  // the user's, or the mock
  scram_server scram_;
  std::string channel_binding_;
  std::array<char, 4> salt_{};
  std::string given_;
  state state_ = state::initial;
};

}  // namespace pgbraid::protocol
