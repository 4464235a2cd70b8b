#include "protocol/client_login.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"

namespace pgbraid::protocol {
namespace {

// The mock is computed for known users too, so that time does not tell them from unknown ones.
scram_secret secret_or_mock(const stored_password& stored, std::string_view user, std::string_view mock_key) {
  scram_secret mock = mock_scram_secret(user, mock_key);
  return stored.scram ? *stored.scram : mock;
}

// Lengths of passwords are not told either: digests are compared.
bool same_password(std::string_view left, std::string_view right) {
  return equal_in_constant_time(view_of(sha256(left)), view_of(sha256(right)));
}

}  // namespace

client_login::client_login(client_method method, std::string user, stored_password stored, std::string_view mock_key,
                           std::string nonce, std::string channel_binding)
    : method_{method},
      user_{std::move(user)},
      stored_{std::move(stored)},
      secret_{secret_or_mock(stored_, user_, mock_key)},
      scram_{secret_, std::move(nonce)},
      channel_binding_{std::move(channel_binding)} {}

client_login::action client_login::accept(accepted result) {
  state_ = state::over;
  encode_authentication_ok(result.bytes);
  return result;
}

client_login::action client_login::refuse() {
  state_ = state::over;
  return refused{make_error(error_id::authentication_failed, user_)};
}

client_login::action client_login::violation(std::string_view reason) {
  state_ = state::over;
  return refused{make_error(error_id::protocol_violation, reason)};
}

client_login::action client_login::start() {
  switch (method_) {
    case client_method::trust:
      return accept({});
    case client_method::password: {
      send request;
      encode_authentication_cleartext(request.bytes);
      state_ = state::password;
      return request;
    }
    case client_method::md5:
      return stored_.known() && !stored_.plain && !stored_.md5 ? start_sasl() : start_md5();
    case client_method::scram_sha_256:
      break;
  }
  return start_sasl();
}

client_login::action client_login::start_md5() {
  const std::string salt = random_bytes(salt_.size());
  std::copy(salt.begin(), salt.end(), salt_.begin());
  send request;
  encode_authentication_md5(request.bytes, salt_);
  state_ = state::md5;
  return request;
}

client_login::action client_login::start_sasl() {
  send request;
  const std::array offered{scram_plus_mechanism, scram_mechanism};
  encode_authentication_sasl(request.bytes, std::span{offered}.subspan(channel_binding_.empty() ? 1 : 0));
  state_ = state::sasl_initial;
  return request;
}

client_login::action client_login::receive(const frame_view& frame) {
  if (frame.type != frontend::password) {
    const auto code = static_cast<unsigned>(static_cast<unsigned char>(frame.type));
    return violation(fmt::format("expected a password response, got message type 0x{:02x}", code));
  }
  switch (state_) {
    case state::password:
      return password(frame.body);
    case state::md5:
      return md5(frame.body);
    case state::sasl_initial:
      return sasl_initial(frame.body);
    case state::sasl_first:
    case state::sasl_final:
      return sasl(frame.body);
    case state::initial:
    case state::deriving:
    case state::over:
      break;
  }
  return violation("a password response that was not asked for");
}

client_login::action client_login::password(std::string_view body) {
  password_view message;
  if (!decode(body, message)) return violation("malformed password message");
  if (message.password.empty()) return refuse();
  given_ = message.password;
  state_ = state::deriving;
  // For everybody, also where a comparison would do: else the time would tell who is unknown.
  return derive{given_, secret_.salt, secret_.iterations};
}

client_login::action client_login::derived(const scram_keys& keys) {
  if (state_ != state::deriving) return violation("keys were given that nobody asked for");
  bool right = equal_in_constant_time(view_of(keys.stored_key), view_of(secret_.stored_key));
  if (stored_.plain) right = same_password(given_, *stored_.plain) || right;
  if (stored_.md5) {
    const std::optional<std::string> digest = make_md5_secret(given_, user_);
    right = (digest && equal_in_constant_time(*digest, *stored_.md5)) || right;
  }
  if (!right) return refuse();
  accepted result;
  if (stored_.scram) result.keys = keys;
  result.password = std::exchange(given_, {});
  return accept(std::move(result));
}

client_login::action client_login::md5(std::string_view body) {
  password_view message;
  if (!decode(body, message)) return violation("malformed password message");
  std::optional<std::string> secret = stored_.md5;
  if (!secret) secret = make_md5_secret(stored_.plain.value_or(std::string{}), user_);
  const auto expected = secret ? md5_response(*secret, {salt_.data(), salt_.size()}) : std::nullopt;
  const bool right = expected && equal_in_constant_time(message.password, *expected);
  if (!right || !stored_.known()) return refuse();
  return accept({});
}

client_login::action client_login::sasl_initial(std::string_view body) {
  sasl_initial_response_view message;
  if (!decode(body, message)) return violation("malformed SASL response");
  const bool plus = message.mechanism == scram_plus_mechanism && !channel_binding_.empty();
  if (!plus && message.mechanism != scram_mechanism) {
    return violation("the client chose a SASL mechanism that was not offered");
  }
  if (!channel_binding_.empty()) scram_.bind(channel_binding_, plus);
  state_ = state::sasl_first;
  if (message.data) return sasl(*message.data);
  send request;
  encode_authentication_sasl_continue(request.bytes, {});
  return request;
}

client_login::action client_login::sasl(std::string_view message) {
  std::string reply;
  switch (scram_.receive(message, reply)) {
    case scram_status::proceed: {
      send challenge;
      encode_authentication_sasl_continue(challenge.bytes, reply);
      state_ = state::sasl_final;
      return challenge;
    }
    case scram_status::accepted: {
      accepted result;
      encode_authentication_sasl_final(result.bytes, reply);
      result.keys = scram_.keys();
      return accept(std::move(result));
    }
    case scram_status::refused:
      return refuse();
    case scram_status::malformed:
      break;
  }
  return violation(scram_.reason());
}

}  // namespace pgbraid::protocol
