#include "protocol/backend_login.hpp"

#include <array>
#include <vector>

#include "protocol/frontend.hpp"
#include "tests/unit/protocol/script.hpp"

using namespace pgbraid::protocol;
using namespace pgbraid::protocol::testing;
using login = backend_login;

namespace {

const std::string ok = made([](auto& o) { encode_authentication_ok(o); });
const std::string ready = made([](auto& o) { encode_ready_for_query(o, transaction_status::idle); });
const std::string key = made([](auto& o) { encode_backend_key_data(o, {42, -7}); });
const std::string cleartext = made([](auto& o) { encode_authentication_cleartext(o); });
const std::string md5 = made([](auto& o) { encode_authentication_md5(o, {'s', 'a', 'l', 't'}); });
const std::string sasl = made([](auto& o) {
  encode_authentication_sasl(o, std::array<std::string_view, 2>{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"});
});
const std::string notice = made([](auto& o) {
  encode_notice_response(o, std::array<error_field, 1>{error_field{'M', "hello"}});
});
const std::string error = made([](auto& o) {
  encode_error_response(o, std::array<error_field, 3>{{{'S', "FATAL"}, {'C', "28P01"}, {'M', "wrong password"}}});
});

std::string parameter(std::string_view name, std::string_view value) {
  return made([&](auto& o) { encode_parameter_status(o, name, value); });
}

login started(backend_password password = {"secret", {}}) {
  login machine{{"app", "shop", {{"application_name", "pgbraid"}}}, std::move(password)};
  expect<login::send>(machine.start());
  return machine;
}

// What a server says from AuthenticationOk on, and what the login makes of it.
login::done welcome(login& machine) {
  expect<login::need_more>(give(machine, ok));
  expect<login::need_more>(give(machine, parameter("server_version", "15.20")));
  expect<login::need_more>(give(machine, notice));
  expect<login::need_more>(give(machine, parameter("TimeZone", "UTC")));
  expect<login::need_more>(give(machine, parameter("server_version", "16")));
  expect<login::need_more>(give(machine, key));
  return expect<login::done>(give(machine, ready));
}

std::string sasl_continue(std::string_view data) {
  return made([&](auto& o) { encode_authentication_sasl_continue(o, data); });
}
std::string sasl_final(std::string_view data) {
  return made([&](auto& o) { encode_authentication_sasl_final(o, data); });
}

// The SCRAM message inside a SASLInitialResponse frame.
std::string initial_data(const std::string& frame) {
  sasl_initial_response_view view;
  const std::string body = body_of(frame);
  REQUIRE(decode(body, view));
  CHECK(view.mechanism == "SCRAM-SHA-256");
  REQUIRE(view.data);
  return std::string{*view.data};
}

// A SCRAM login up to one of its steps, with the server's side by its side.
struct scram_login {
  login machine = started();
  scram_server server{make_scram_secret("secret", "salt", 1)};
  std::string reply;

  std::string first() { return initial_data(expect<login::send>(give(machine, sasl)).bytes); }
  login::need_keys challenge() {
    REQUIRE(server.receive(first(), reply) == scram_status::proceed);
    return expect<login::need_keys>(give(machine, sasl_continue(reply)));
  }
  void proof() {
    const login::need_keys wanted = challenge();
    CHECK(wanted.salt == "salt");
    CHECK(wanted.iterations == 1);
    const auto answer = expect<login::send>(machine.keys(derive_scram_keys("secret", wanted.salt, wanted.iterations)));
    REQUIRE(server.receive(body_of(answer.bytes), reply) == scram_status::accepted);
  }
};

std::string why(login::action action) {
  return expect<login::failed>(std::move(action)).error.message;
}

}  // namespace

TEST_CASE("the login begins with a startup packet") {
  login machine{{"app", "shop", {{"application_name", "pgbraid"}}}, {}};
  startup_packet packet;
  const std::string bytes = expect<login::send>(machine.start()).bytes;
  REQUIRE(decode_startup(bytes, packet).status == frame_status::complete);
  CHECK(std::get<startup_message>(packet) ==
        startup_message{3, 0, {{"user", "app"}, {"database", "shop"}, {"application_name", "pgbraid"}}});
}

TEST_CASE("a trusted login gathers parameters and the key") {
  login machine = started({});
  const login::done done = welcome(machine);
  CHECK(done.key == backend_key_data{42, -7});
  CHECK(done.status == transaction_status::idle);
  CHECK(done.parameters == parameter_list{{"server_version", "16"}, {"TimeZone", "UTC"}});
  expect<login::failed>(give(machine, ready));
}

TEST_CASE("a server need not send a key") {
  login machine = started();
  expect<login::need_more>(give(machine, ok));
  CHECK(expect<login::done>(give(machine, ready)).key == backend_key_data{});
}

TEST_CASE("a password is sent in plain only if it is known") {
  login machine = started();
  CHECK(expect<login::send>(give(machine, cleartext)).bytes == raw("p\0\0\0\x0bsecret\0"));
  welcome(machine);
  login without = started({{}, make_md5_secret("secret", "app")});
  CHECK(why(give(without, cleartext)).find("none is known in plain") != std::string::npos);
}

TEST_CASE("MD5 is answered from the password and from its secret alike") {
  for (const backend_password& password : {backend_password{"secret", {}}, {{}, make_md5_secret("secret", "app")}}) {
    login machine = started(password);
    CHECK(expect<login::send>(give(machine, md5)).bytes == raw("p\0\0\0\x28md57f097e06031b34893c20e25a0e68242c\0"));
    welcome(machine);
  }
  login without = started({});
  CHECK(why(give(without, md5)).find("none is known") != std::string::npos);
  login broken = started({{}, "md"});
  CHECK(why(give(broken, md5)).find("none is known") != std::string::npos);
}

TEST_CASE("on TLS the proof is bound to the server's certificate where the server offers that") {
  const auto first_of = [](const std::string& request) {
    login machine{{"app", "shop", {}}, {"secret", {}}, "nonce", "certificate"};
    expect<login::send>(machine.start());
    sasl_initial_response_view view;
    const std::string body = body_of(expect<login::send>(give(machine, request)).bytes);
    REQUIRE(decode(body, view));
    return std::string{view.mechanism} + ' ' + std::string{view.data.value_or("")};
  };
  CHECK(first_of(sasl) == "SCRAM-SHA-256-PLUS p=tls-server-end-point,,n=,r=nonce");
  const std::string unbound = made([](auto& o) { encode_authentication_sasl(o, std::array{scram_mechanism}); });
  CHECK(first_of(unbound) == "SCRAM-SHA-256 y,,n=,r=nonce");
}

TEST_CASE("SCRAM asks for keys and verifies the server") {
  scram_login script;
  script.proof();
  expect<login::need_more>(give(script.machine, sasl_final(script.reply)));
  welcome(script.machine);
}

TEST_CASE("notices and version talk may come before the answer") {
  login machine = started();
  expect<login::need_more>(give(machine, made([](auto& o) {
                                  encode_negotiate_protocol_version(o, {3, 2, {{"_pq_.x", "1"}}});
                                })));
  expect<login::need_more>(give(machine, notice));
  welcome(machine);
}

TEST_CASE("SCRAM fails at each of its steps with its own reason") {
  {
    login machine = started();
    const std::string other =
        made([](auto& o) { encode_authentication_sasl(o, std::array<std::string_view, 1>{"SCRAM-SHA-256-PLUS"}); });
    CHECK(why(give(machine, other)).find("mechanism") != std::string::npos);
  }
  {
    scram_login script;
    script.first();
    CHECK(why(give(script.machine, sasl_continue("r=other,s=c2FsdA==,i=1"))).find("nonce") != std::string::npos);
  }
  {
    scram_login script;
    script.challenge();
    CHECK(why(script.machine.no_keys("no password is known")).find("no password is known") != std::string::npos);
    expect<login::failed>(script.machine.keys({}));
  }
  {
    scram_login script;
    script.proof();
    CHECK(why(give(script.machine, sasl_final("v=" + std::string(43, 'A') + "="))).find("signature") !=
          std::string::npos);
  }
  {
    scram_login script;
    script.proof();
    CHECK(why(give(script.machine, ok)).find("without finishing") != std::string::npos);
  }
  {
    scram_login script;
    script.first();
    CHECK(why(give(script.machine, ok)).find("without finishing") != std::string::npos);
  }
}

TEST_CASE("the server's error ends the login at every step and is handed on whole") {
  const auto check = [](login machine) {
    const login::failed failed = expect<login::failed>(give(machine, error));
    CHECK(failed.server_error == error);
    CHECK(failed.error.id == error_id::server_login_failed);
    CHECK(failed.error.message.find("wrong password") != std::string::npos);
    CHECK(failed.error.detail == "SQLSTATE 28P01");
    expect<login::failed>(give(machine, ok));
  };
  check(started());
  for (const std::string& request : {cleartext, md5, sasl}) {
    login machine = started();
    expect<login::send>(give(machine, request));
    check(std::move(machine));
  }
  scram_login challenged;
  challenged.challenge();
  check(std::move(challenged.machine));
  scram_login proved;
  proved.proof();
  check(std::move(proved.machine));
  login welcomed = started();
  expect<login::need_more>(give(welcomed, ok));
  check(std::move(welcomed));
}

TEST_CASE("what does not belong at a step fails the login") {
  const std::string all[] = {ok,
                             ready,
                             key,
                             cleartext,
                             md5,
                             sasl,
                             parameter("a", "b"),
                             raw("D\0\0\0\6\0\0"),
                             sasl_continue("r=x"),
                             sasl_final("v=x"),
                             made([](auto& o) { encode_negotiate_protocol_version(o, {}); })};
  const auto fails_on_all_but = [&](const std::vector<std::string>& fine, auto make) {
    for (const std::string& frame : all) {
      login machine = make();
      INFO(Catch::StringMaker<std::string>::convert(frame));
      const bool failed = std::holds_alternative<login::failed>(give(machine, frame));
      CHECK(failed == (std::find(fine.begin(), fine.end(), frame) == fine.end()));
    }
  };
  fails_on_all_but({ok, cleartext, md5, sasl, all[10]}, [] { return started(); });
  for (const std::string& request : {cleartext, md5}) {
    fails_on_all_but({ok}, [&] {
      login machine = started();
      expect<login::send>(give(machine, request));
      return machine;
    });
  }
  fails_on_all_but({}, [] {
    scram_login script;
    script.first();
    return std::move(script.machine);
  });
  fails_on_all_but({}, [] {
    scram_login script;
    script.challenge();
    return std::move(script.machine);
  });
  fails_on_all_but({}, [] {
    scram_login script;
    script.proof();
    return std::move(script.machine);
  });
  fails_on_all_but({ok}, [] {
    scram_login script;
    script.proof();
    expect<login::need_more>(give(script.machine, sasl_final(script.reply)));
    return std::move(script.machine);
  });
  fails_on_all_but({ready, key, parameter("a", "b")}, [] {
    login machine = started();
    expect<login::need_more>(give(machine, ok));
    return machine;
  });
  fails_on_all_but({}, [] { return login{{"app", "shop", {}}, {}}; });
}

TEST_CASE("malformed frames fail the login") {
  for (const std::string& frame : {raw("R\0\0\0\5\0"), raw("R\0\0\0\x08\0\0\0\5"), raw("N\0\0\0\5M"), raw("E\0\0\0\5M"),
                                   raw("R\0\0\0\x08\0\0\0\7"), raw("v\0\0\0\5\0")}) {
    login machine = started();
    expect<login::failed>(give(machine, frame));
  }
  for (const std::string& frame : {raw("S\0\0\0\6a\0"), raw("K\0\0\0\5\0"), raw("Z\0\0\0\5X")}) {
    login machine = started();
    expect<login::need_more>(give(machine, ok));
    expect<login::failed>(give(machine, frame));
  }
}
