#include "protocol/backend_login.hpp"

#include <algorithm>
#include <utility>

namespace pgbraid::protocol {

backend_login::backend_login(backend_identity identity, backend_password password, std::string nonce,
                             std::string channel_binding)
    : identity_{std::move(identity)},
      password_{std::move(password)},
      scram_{std::move(nonce)},
      channel_binding_{std::move(channel_binding)} {}

backend_login::action backend_login::fail(std::string_view reason) {
  state_ = state::over;
  return failed{make_error(error_id::server_login_failed, reason), {}};
}

backend_login::action backend_login::out_of_place(char type) {
  const auto code = static_cast<unsigned>(static_cast<unsigned char>(type));
  return fail(fmt::format("unexpected message of type 0x{:02x} from the server", code));
}

backend_login::action backend_login::start() {
  startup_message message;
  message.parameters.emplace_back("user", identity_.user);
  if (!identity_.database.empty()) message.parameters.emplace_back("database", identity_.database);
  message.parameters.insert(message.parameters.end(), identity_.parameters.begin(), identity_.parameters.end());
  send first;
  encode_startup(first.bytes, message);
  state_ = state::asking;
  return first;
}

backend_login::action backend_login::receive(const frame_view& frame) {
  if (state_ == state::initial || state_ == state::over) return out_of_place(frame.type);
  switch (frame.type) {
    case backend::error_response:
      return server_error(frame);
    case backend::notice_response: {
      error_fields_view notice;
      if (!decode(frame.body, notice)) return fail("malformed notice of the server");
      return need_more{};
    }
    case backend::authentication:
      return authentication(frame.body);
    case backend::negotiate_protocol_version: {
      // We ask for 3.0 and no options; a server that still wants to talk about it is taken at its word.
      negotiate_protocol_version offer;
      if (state_ != state::asking || !decode(frame.body, offer)) return out_of_place(frame.type);
      return need_more{};
    }
    default:
      break;
  }
  if (state_ != state::welcome) return out_of_place(frame.type);
  if (frame.type == backend::parameter_status) return parameter(frame.body);
  if (frame.type == backend::backend_key_data) {
    if (!decode(frame.body, result_.key)) return fail("malformed cancel key of the server");
    return need_more{};
  }
  if (frame.type == backend::ready_for_query) {
    ready_for_query_view ready;
    if (!decode(frame.body, ready)) return fail("malformed end of the login");
    result_.status = ready.status;
    state_ = state::over;
    return std::move(result_);
  }
  return out_of_place(frame.type);
}

backend_login::action backend_login::server_error(const frame_view& frame) {
  error_fields_view error;
  if (!decode(frame.body, error)) return fail("malformed error of the server");
  action result = fail(error.message());
  std::get<failed>(result).error.detail = fmt::format("SQLSTATE {}", error.sqlstate());
  std::get<failed>(result).server_error = frame.bytes;
  return result;
}

backend_login::action backend_login::parameter(std::string_view body) {
  parameter_status_view status;
  if (!decode(body, status)) return fail("malformed parameter of the server");
  const auto known = std::find_if(result_.parameters.begin(), result_.parameters.end(),
                                  [&](const auto& parameter) { return parameter.first == status.name; });
  if (known != result_.parameters.end()) {
    known->second = status.value;
  } else {
    result_.parameters.emplace_back(status.name, status.value);
  }
  return need_more{};
}

backend_login::action backend_login::authentication(std::string_view body) {
  authentication_view message;
  if (!decode(body, message)) return fail("malformed authentication request");
  switch (message.code) {
    case authentication_code::ok:
      return authentication_ok();
    case authentication_code::cleartext_password:
      return cleartext();
    case authentication_code::md5_password:
      return md5(message.data);
    case authentication_code::sasl:
      return sasl(message);
    case authentication_code::sasl_continue:
      return sasl_continue(message.data);
    case authentication_code::sasl_final:
      return sasl_final(message.data);
  }
  return fail(fmt::format("the server asks for an authentication (code {}) that is not supported",
                          static_cast<std::int32_t>(message.code)));
}

backend_login::action backend_login::authentication_ok() {
  // In the middle of SCRAM this would let in a server that never proved to know the password.
  if (state_ != state::asking && state_ != state::password_sent && state_ != state::scram_done) {
    return fail("the server let us in without finishing its authentication");
  }
  state_ = state::welcome;
  return need_more{};
}

backend_login::action backend_login::cleartext() {
  if (state_ != state::asking) return out_of_place(backend::authentication);
  if (!password_.plain) return fail("the server asks for a password, and none is known in plain");
  send answer;
  encode_password(answer.bytes, *password_.plain);
  state_ = state::password_sent;
  return answer;
}

backend_login::action backend_login::md5(std::string_view salt) {
  if (state_ != state::asking) return out_of_place(backend::authentication);
  std::optional<std::string> secret = password_.md5_secret;
  if (!secret && password_.plain) secret = make_md5_secret(*password_.plain, identity_.user);
  if (!secret || !is_md5_secret(*secret)) return fail("the server asks for an MD5 password, and none is known");
  const std::optional<std::string> response = md5_response(*secret, salt);
  if (!response) return fail("the server asks for an MD5 password, and MD5 is forbidden here");
  send answer;
  encode_password(answer.bytes, *response);
  state_ = state::password_sent;
  return answer;
}

backend_login::action backend_login::sasl(const authentication_view& message) {
  if (state_ != state::asking) return out_of_place(backend::authentication);
  const bool plus = !channel_binding_.empty() && message.offers(scram_plus_mechanism);
  if (!plus && !message.offers(scram_mechanism)) return fail("the server offers no SASL mechanism that is supported");
  scram_.bind(channel_binding_, plus);
  send answer;
  encode_sasl_initial_response(answer.bytes, plus ? scram_plus_mechanism : scram_mechanism, scram_.first_message());
  state_ = state::scram_first;
  return answer;
}

backend_login::action backend_login::sasl_continue(std::string_view message) {
  if (state_ != state::scram_first) return out_of_place(backend::authentication);
  if (!scram_.receive_first(message)) return fail(scram_.reason());
  state_ = state::scram_keys;
  return need_keys{scram_.salt(), scram_.iterations()};
}

backend_login::action backend_login::keys(const scram_keys& keys) {
  if (state_ != state::scram_keys) return fail("keys were given that nobody asked for");
  send answer;
  encode_sasl_response(answer.bytes, scram_.final_message(keys));
  state_ = state::scram_final;
  return answer;
}

backend_login::action backend_login::no_keys(std::string_view reason) {
  return fail(reason);
}

backend_login::action backend_login::sasl_final(std::string_view message) {
  if (state_ != state::scram_final) return out_of_place(backend::authentication);
  if (!scram_.receive_final(message)) return fail(scram_.reason());
  state_ = state::scram_done;
  return need_more{};
}

}  // namespace pgbraid::protocol
