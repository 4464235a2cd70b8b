// Logging in to a server as its client: frames in, one action out for each; the driver owns the socket.
// Source: the manual's chapter "Message Flow", "Start-up".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/backend.hpp"
#include "protocol/errors.hpp"
#include "protocol/frame.hpp"
#include "protocol/scram.hpp"
#include "protocol/startup.hpp"

namespace pgbraid::protocol {

/// Longest message that a login has any use for, as the limit for `next_frame`.
inline constexpr std::size_t max_login_message = 64 * 1024;

/// Who logs in, and to what.
struct backend_identity {
  std::string user;
  std::string database;
  parameter_list parameters;  ///< further startup parameters, such as application_name
};

/// What the login may answer by itself. SCRAM keys are asked for when they are needed.
struct backend_password {
  std::optional<std::string> plain;       ///< answers cleartext and MD5 requests
  std::optional<std::string> md5_secret;  ///< "md5" and 32 digits; answers MD5 requests
};

/// One login. `start` once, then `receive` for each frame that the server sends, until `done` or `failed`.
///
/// Runs on: one thread at a time. No step costs more than a few hashes.
class backend_login {
 public:
  /// Nothing to do: give the next frame.
  struct need_more {};
  /// Send these bytes, then give the next frame.
  struct send {
    std::string bytes;
  };
  /// Find or derive the SCRAM keys for this salt and number of iterations, a PBKDF2 unless they are cached, and call
  /// `keys`, or `no_keys`. Frames that arrive meanwhile may be given before.
  struct need_keys {
    std::string salt;
    std::uint32_t iterations = 0;
  };
  /// The session stands. Bytes behind this frame belong to it.
  struct done {
    backend_key_data key;       ///< zeros if the server sent none: then it cannot be cancelled
    parameter_list parameters;  ///< ParameterStatus values, one for each name
    transaction_status status = transaction_status::idle;
  };
  /// Close the connection. `error` is for our client and our log.
  struct failed {
    error_report error;
    std::string server_error;  ///< the server's own ErrorResponse frame, empty if it sent none
  };
  using action = std::variant<need_more, send, need_keys, done, failed>;

  /// `channel_binding`: what tls-server-end-point is on this connection; empty where it is not encrypted.
  backend_login(backend_identity identity, backend_password password, std::string nonce = scram_nonce(),
                std::string channel_binding = {});

  /// The startup packet. TLS, if any, was negotiated before.
  [[nodiscard]] action start();

  /// Takes one whole frame.
  [[nodiscard]] action receive(const frame_view& frame);

  /// Answers `need_keys`.
  [[nodiscard]] action keys(const scram_keys& keys);
  /// Answers `need_keys` when there are none: the login fails, saying `reason`.
  [[nodiscard]] action no_keys(std::string_view reason);

 private:
  enum class state : std::uint8_t {
    initial,
    asking,         // startup packet sent: the server asks, or lets us in
    password_sent,  // AuthenticationOk or an error follows
    scram_first,    // first SCRAM message sent, the challenge follows
    scram_keys,     // challenge taken, keys awaited
    scram_final,    // proof sent, the server's own follows
    scram_done,     // the server has proved itself, AuthenticationOk follows
    welcome,        // AuthenticationOk taken: parameters, key, ReadyForQuery follow
    over,
  };

  action authentication(std::string_view body);
  action authentication_ok();
  action cleartext();
  action md5(std::string_view salt);
  action sasl(const authentication_view& message);
  action sasl_continue(std::string_view message);
  action sasl_final(std::string_view message);
  action parameter(std::string_view body);
  action server_error(const frame_view& frame);
  action fail(std::string_view reason);
  action out_of_place(char type);

  backend_identity identity_;
  backend_password password_;
  scram_client scram_;
  std::string channel_binding_;
  done result_;
  state state_ = state::initial;
};

}  // namespace pgbraid::protocol
