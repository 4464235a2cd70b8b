#include "protocol/client_login.hpp"

#include <functional>

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "tests/unit/protocol/script.hpp"

using namespace pgbraid::protocol;
using namespace pgbraid::protocol::testing;
using login = client_login;

namespace {

const stored_password& plain() {
  static const stored_password stored{"secret", make_scram_secret("secret", "0123456789abcdef", 1), {}};
  return stored;
}
const stored_password& scram_only() {
  static const stored_password stored{{}, plain().scram, {}};
  return stored;
}
const stored_password& md5_only() {
  static const stored_password stored{{}, {}, make_md5_secret("secret", "app")};
  return stored;
}

login make(client_method method, const stored_password& stored) {
  return {method, "app", stored, "mock key"};
}

std::string password_frame(std::string_view password) {
  return made([&](auto& o) { encode_password(o, password); });
}

authentication_view request_of(const std::string& bytes) {
  static std::string body;
  body = body_of(bytes);
  authentication_view view;
  REQUIRE(decode(body, view));
  return view;
}

const std::string authentication_ok = made([](auto& o) { encode_authentication_ok(o); });

error_id refusal(login::action action) {
  return expect<login::refused>(std::move(action)).error.id;
}

// The whole conversation of a client that knows `password`.
login::action converse(login& machine, std::string_view password) {
  login::action action = machine.start();
  scram_client client;
  for (;;) {
    if (auto* wanted = std::get_if<login::derive>(&action)) {
      action = machine.derived(derive_scram_keys(wanted->password, wanted->salt, wanted->iterations));
      continue;
    }
    if (!std::holds_alternative<login::send>(action)) return action;
    const authentication_view request = request_of(std::get<login::send>(action).bytes);
    std::string answer;
    switch (request.code) {
      case authentication_code::cleartext_password:
        encode_password(answer, password);
        break;
      case authentication_code::md5_password:
        encode_password(answer, *md5_response(*make_md5_secret(password, "app"), request.data));
        break;
      case authentication_code::sasl:
        CHECK(request.offers("SCRAM-SHA-256"));
        encode_sasl_initial_response(answer, "SCRAM-SHA-256", client.first_message());
        break;
      default:
        REQUIRE(request.code == authentication_code::sasl_continue);
        REQUIRE(client.receive_first(request.data));
        encode_sasl_response(answer,
                             client.final_message(derive_scram_keys(password, client.salt(), client.iterations())));
    }
    action = give(machine, answer);
  }
}

constexpr client_method asking_methods[] = {client_method::password, client_method::md5, client_method::scram_sha_256};

}  // namespace

TEST_CASE("trust lets everybody in at once") {
  login machine = make(client_method::trust, {});
  CHECK(expect<login::accepted>(machine.start()).bytes == authentication_ok);
}

TEST_CASE("the right password is accepted by every method in every stored form") {
  for (const client_method method : asking_methods) {
    for (const stored_password& stored : {plain(), scram_only(), md5_only()}) {
      const bool possible = method != client_method::scram_sha_256 || stored.scram;
      INFO("method " << static_cast<int>(method) << " plain " << stored.plain.has_value() << " scram "
                     << stored.scram.has_value());
      login machine = make(method, stored);
      login::action action = converse(machine, "secret");
      if (!possible) {
        CHECK(refusal(std::move(action)) == error_id::authentication_failed);
        continue;
      }
      const login::accepted accepted = expect<login::accepted>(std::move(action));
      CHECK(accepted.bytes.substr(accepted.bytes.size() - authentication_ok.size()) == authentication_ok);
      CHECK(accepted.password.has_value() == (method == client_method::password));
      if (accepted.password) CHECK(*accepted.password == "secret");
      if (accepted.keys) CHECK(*accepted.keys == derive_scram_keys("secret", "0123456789abcdef", 1));
      if (method == client_method::scram_sha_256) CHECK(accepted.keys);
    }
  }
}

TEST_CASE("a wrong password and an unknown user get the same conversation and the same answer") {
  for (const client_method method : asking_methods) {
    for (const stored_password& stored : {plain(), scram_only(), md5_only(), stored_password{}}) {
      login machine = make(method, stored);
      const auto refused = expect<login::refused>(converse(machine, "wrong"));
      CHECK(refused.error == make_error(error_id::authentication_failed, "app"));
    }
  }
}

TEST_CASE("an unknown user meets the same requests as a known one, every time") {
  const auto challenge = [](const stored_password& stored) {
    login machine{client_method::scram_sha_256, "app", stored, "mock key", "server"};
    expect<login::send>(machine.start());
    const std::string first = made([](auto& o) { encode_sasl_initial_response(o, "SCRAM-SHA-256", "n,,n=,r=client"); });
    return expect<login::send>(give(machine, first)).bytes;
  };
  CHECK(challenge({}) == challenge({}));
  CHECK(challenge({}).size() == challenge({{}, make_scram_secret("x", "0123456789abcdef", 4096), {}}).size());
}

TEST_CASE("on TLS the binding mechanism is offered first, and taken") {
  for (const bool bound : {true, false}) {
    login machine{client_method::scram_sha_256, "app", plain(), "mock key", scram_nonce(), "certificate"};
    const authentication_view request = request_of(expect<login::send>(machine.start()).bytes);
    CHECK(request.data == raw("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"));
    scram_client client;
    if (bound) client.bind("certificate", true);
    const std::string_view mechanism = bound ? scram_plus_mechanism : scram_mechanism;
    const std::string first =
        made([&](auto& o) { encode_sasl_initial_response(o, mechanism, client.first_message()); });
    const std::string challenge = expect<login::send>(give(machine, first)).bytes;
    REQUIRE(client.receive_first(request_of(challenge).data));
    const std::string final = made([&](auto& o) {
      encode_sasl_response(o, client.final_message(derive_scram_keys("secret", client.salt(), client.iterations())));
    });
    CHECK(expect<login::accepted>(give(machine, final)).keys);
  }
}

TEST_CASE("an empty password is refused, also where one is stored") {
  login machine = make(client_method::password, {"", make_scram_secret("", "0123456789abcdef", 1), {}});
  expect<login::send>(machine.start());
  CHECK(refusal(give(machine, password_frame(""))) == error_id::authentication_failed);
}

TEST_CASE("MD5's salt is new for every login") {
  login one = make(client_method::md5, plain());
  login two = make(client_method::md5, plain());
  CHECK(expect<login::send>(one.start()).bytes != expect<login::send>(two.start()).bytes);
}

TEST_CASE("a client may begin SASL without data") {
  login machine = make(client_method::scram_sha_256, plain());
  expect<login::send>(machine.start());
  const std::string empty = made([](auto& o) { encode_sasl_initial_response(o, "SCRAM-SHA-256", std::nullopt); });
  CHECK(expect<login::send>(give(machine, empty)).bytes == raw("R\0\0\0\x08\0\0\0\x0b"));
  const std::string first = made([](auto& o) { encode_sasl_response(o, "n,,n=,r=client"); });
  CHECK(request_of(expect<login::send>(give(machine, first)).bytes).code == authentication_code::sasl_continue);
}

TEST_CASE("what does not belong at a step is a protocol violation") {
  const std::string wrong_mechanism =
      made([](auto& o) { encode_sasl_initial_response(o, "SCRAM-SHA-256-PLUS", "p=x,,n=,r=a"); });
  const std::string bad_scram = made([](auto& o) { encode_sasl_initial_response(o, "SCRAM-SHA-256", "garbage"); });
  struct row {
    client_method method;
    std::string frame;
  };
  const row rows[] = {
      {client_method::password, raw("Q\0\0\0\x05\0")},    {client_method::password, raw("p\0\0\0\x05x")},
      {client_method::md5, raw("X\0\0\0\x04")},           {client_method::md5, raw("p\0\0\0\x04")},
      {client_method::scram_sha_256, raw("S\0\0\0\x04")}, {client_method::scram_sha_256, password_frame("secret")},
      {client_method::scram_sha_256, wrong_mechanism},    {client_method::scram_sha_256, bad_scram},
  };
  for (const row& r : rows) {
    login machine = make(r.method, plain());
    expect<login::send>(machine.start());
    INFO(Catch::StringMaker<std::string>::convert(r.frame));
    CHECK(refusal(give(machine, r.frame)) == error_id::protocol_violation);
    CHECK(refusal(give(machine, password_frame("secret"))) == error_id::protocol_violation);
  }
}

TEST_CASE("calls out of order are refused") {
  login unstarted = make(client_method::password, plain());
  CHECK(refusal(give(unstarted, password_frame("secret"))) == error_id::protocol_violation);
  login deriving = make(client_method::password, plain());
  expect<login::send>(deriving.start());
  expect<login::derive>(give(deriving, password_frame("secret")));
  CHECK(refusal(give(deriving, password_frame("secret"))) == error_id::protocol_violation);
  login asked = make(client_method::scram_sha_256, plain());
  expect<login::send>(asked.start());
  CHECK(refusal(asked.derived({})) == error_id::protocol_violation);
}
