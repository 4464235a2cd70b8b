#include "protocol/scram.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/protocol/bytes.hpp"

using namespace pgbraid::protocol;
using namespace pgbraid::protocol::testing;

namespace {

// RFC 7677, section 3.
const std::string client_nonce = "rOprNGfwEbeRWgbNEkqO";
const std::string server_nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const std::string client_first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const std::string server_first =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const std::string client_final =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const std::string server_final = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

const scram_keys& pencil_keys() {
  static const scram_keys keys = derive_scram_keys("pencil", *base64_decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);
  return keys;
}

scram_secret pencil_secret() {
  return {4096, *base64_decode("W22ZaJ0SNY7soEsUEjb6gQ=="), pencil_keys().stored_key, pencil_keys().server_key};
}

scram_status receive(scram_server& server, std::string_view message, std::string& reply) {
  const exact_buffer buffer{message};
  return server.receive(buffer.view(), reply);
}

// A server that has answered the RFC's first message.
scram_server challenged() {
  scram_server server{pencil_secret(), server_nonce};
  std::string reply;
  CHECK(receive(server, client_first, reply) == scram_status::proceed);
  return server;
}

}  // namespace

TEST_CASE("the server's side of RFC 7677") {
  scram_server server{pencil_secret(), server_nonce};
  std::string reply;
  REQUIRE(receive(server, client_first, reply) == scram_status::proceed);
  CHECK(reply == server_first);
  REQUIRE(receive(server, client_final, reply) == scram_status::accepted);
  CHECK(reply == server_final);
  CHECK(server.keys() == pencil_keys());
  CHECK(receive(server, client_final, reply) == scram_status::malformed);
}

TEST_CASE("the client's side of RFC 7677") {
  scram_client client{client_nonce, "user"};
  CHECK(client.first_message() == client_first);
  REQUIRE(client.receive_first(exact_buffer{server_first}.view()));
  CHECK(client.iterations() == 4096);
  CHECK(base64_encode(client.salt()) == "W22ZaJ0SNY7soEsUEjb6gQ==");
  CHECK(client.final_message(pencil_keys()) == client_final);
  CHECK(client.receive_final(exact_buffer{server_final}.view()));
}

TEST_CASE("keys recovered from one login log in elsewhere") {
  scram_server front{pencil_secret()};
  scram_client client;
  std::string reply;
  REQUIRE(front.receive(client.first_message(), reply) == scram_status::proceed);
  REQUIRE(client.receive_first(reply));
  REQUIRE(front.receive(client.final_message(pencil_keys()), reply) == scram_status::accepted);
  REQUIRE(client.receive_final(reply));

  scram_server server{pencil_secret()};
  scram_client onward;
  REQUIRE(server.receive(onward.first_message(), reply) == scram_status::proceed);
  REQUIRE(onward.receive_first(reply));
  REQUIRE(server.receive(onward.final_message(front.keys()), reply) == scram_status::accepted);
  CHECK(onward.receive_final(reply));
}

TEST_CASE("a wrong password and a mock secret are refused alike") {
  for (const scram_secret& secret : {pencil_secret(), mock_scram_secret("user", "key")}) {
    scram_server server{secret};
    scram_client client;
    std::string reply;
    REQUIRE(server.receive(client.first_message(), reply) == scram_status::proceed);
    REQUIRE(client.receive_first(reply));
    const scram_keys wrong = derive_scram_keys("pencils", client.salt(), client.iterations());
    CHECK(server.receive(client.final_message(wrong), reply) == scram_status::refused);
    CHECK(reply.empty());
    CHECK(server.keys() == scram_keys{});
  }
}

TEST_CASE("first messages that a server takes") {
  for (const std::string_view message : {"n,,n=,r=abc", "y,,n=,r=abc", "n,,n=user,r=abc,x=extension", "n,,n=,r=~!"}) {
    scram_server server{pencil_secret()};
    std::string reply;
    INFO(message);
    CHECK(receive(server, message, reply) == scram_status::proceed);
  }
}

TEST_CASE("first messages that a server refuses") {
  const std::string_view messages[] = {
      "",
      "n",
      "n,",
      "n,,",
      "n,,n=",
      "n,,n=,",
      "n,,n=,r=",
      "n,,r=abc",
      "n,,n=,r=a b",
      "n,,n=,r=\x7f",
      "n,,n=,r=\xc3\xa9",
      "p=tls-server-end-point,,n=,r=abc",
      "n,a=other,n=,r=abc",
      "n,x,n=,r=abc",
      "x,,n=,r=abc",
      "n,,m=must,n=,r=abc",
      "n,,n=,r=abc,",
      "n,,n=,r=abc,1=x",
      "n,,n=,r=abc,x",
      lasting("n,,n=\0,r=abc"),
      lasting("n,,n=,r=abc\0"),
  };
  for (const std::string_view message : messages) {
    scram_server server{pencil_secret()};
    std::string reply;
    INFO(message);
    CHECK(receive(server, message, reply) == scram_status::malformed);
    CHECK_FALSE(server.reason().empty());
    CHECK(reply.empty());
    CHECK(receive(server, client_first, reply) == scram_status::malformed);
  }
}

TEST_CASE("final messages cut anywhere or altered anywhere do not let in") {
  std::string reply;
  for (std::size_t size = 0; size < client_final.size(); ++size) {
    scram_server server = challenged();
    INFO("cut to " << size);
    CHECK(receive(server, std::string_view{client_final}.substr(0, size), reply) == scram_status::malformed);
  }
  for (std::size_t at = 0; at < client_final.size(); ++at) {
    std::string altered = client_final;
    altered[at] = altered[at] == 'A' ? 'B' : 'A';
    scram_server server = challenged();
    INFO(altered);
    const scram_status status = receive(server, altered, reply);
    CHECK((status == scram_status::malformed || status == scram_status::refused));
    CHECK(reply.empty());
  }
  for (const std::string_view tail : {",", ",x=1", "=", "\n"}) {
    scram_server server = challenged();
    CHECK(receive(server, client_final + std::string{tail}, reply) == scram_status::malformed);
  }
}

TEST_CASE("the channel binding must be the one announced") {
  for (const auto& [header, binding] : {std::pair{"n,,", "eSws"}, std::pair{"y,,", "biws"}}) {
    scram_server server{pencil_secret(), server_nonce};
    std::string reply;
    REQUIRE(server.receive(header + client_first.substr(3), reply) == scram_status::proceed);
    std::string message = client_final;
    message.replace(2, 4, binding);
    CHECK(receive(server, message, reply) == scram_status::malformed);
  }
}

TEST_CASE("a client that could bind a channel is let in by its own proof") {
  scram_server server{pencil_secret(), server_nonce};
  std::string reply;
  REQUIRE(server.receive("y,,n=,r=abc", reply) == scram_status::proceed);
  const std::string without_proof = "c=eSws,r=abc" + server_nonce + ",x=extension";
  const std::string auth_message = "n=,r=abc," + reply + ',' + without_proof;
  digest256 proof = hmac_sha256(view_of(pencil_keys().stored_key), auth_message);
  for (std::size_t i = 0; i < proof.size(); ++i) proof[i] ^= pencil_keys().client_key[i];
  CHECK(receive(server, without_proof + ",p=" + base64_encode(view_of(proof)), reply) == scram_status::accepted);
}

TEST_CASE("a login that is bound to its channel succeeds on that channel alone") {
  for (const auto& [seen_by_client, result] :
       {std::pair{"certificate", scram_status::accepted}, std::pair{"another", scram_status::malformed}}) {
    scram_server server{pencil_secret()};
    scram_client client;
    std::string reply;
    server.bind("certificate", true);
    client.bind(seen_by_client, true);
    CHECK(client.first_message().substr(0, 27) == "p=tls-server-end-point,,n=,");
    REQUIRE(receive(server, client.first_message(), reply) == scram_status::proceed);
    REQUIRE(client.receive_first(reply));
    CHECK(receive(server, client.final_message(pencil_keys()), reply) == result);
    if (result == scram_status::accepted) CHECK(client.receive_final(reply));
  }
}

TEST_CASE("who could bind and does not has been misled, unless it was not offered") {
  std::string reply;
  scram_client client;
  client.bind("certificate", false);
  CHECK(client.first_message().substr(0, 3) == "y,,");
  scram_server offered{pencil_secret()};
  offered.bind("certificate", false);
  CHECK(receive(offered, client.first_message(), reply) == scram_status::malformed);
  scram_server cannot{pencil_secret()};
  CHECK(receive(cannot, client.first_message(), reply) == scram_status::proceed);
  scram_server not_chosen{pencil_secret()};
  not_chosen.bind("certificate", false);
  CHECK(receive(not_chosen, "n,,n=,r=abc", reply) == scram_status::proceed);
}

TEST_CASE("the mechanism and the header must agree") {
  std::string reply;
  for (const std::string_view header : {"n,,", "y,,", "p=tls-unique,,", "p=tls-server-end-point,a=x,", "p=,,", ""}) {
    scram_server server{pencil_secret()};
    server.bind("certificate", true);
    INFO(header);
    CHECK(receive(server, std::string{header} + "n=,r=abc", reply) == scram_status::malformed);
  }
  scram_server plain{pencil_secret()};
  plain.bind("certificate", false);
  CHECK(receive(plain, "p=tls-server-end-point,,n=,r=abc", reply) == scram_status::malformed);
}

TEST_CASE("challenges that a client refuses") {
  const std::string good = "r=" + client_nonce + "x,s=c2FsdA==,i=4096";
  REQUIRE(scram_client{client_nonce}.receive_first(good));
  const std::string bad[] = {
      "",
      "r=" + client_nonce + ",s=c2FsdA==,i=4096",   // the server added nothing
      "r=xOprNGfwEbeRWgbNEkqOx,s=c2FsdA==,i=4096",  // not our nonce
      "r=short,s=c2FsdA==,i=4096",
      "r=" + client_nonce + "x,s=,i=4096",
      "r=" + client_nonce + "x,s=c2Fsd,i=4096",
      "r=" + client_nonce + "x,s=c2FsdA==,i=0",
      "r=" + client_nonce + "x,s=c2FsdA==,i=-1",
      "r=" + client_nonce + "x,s=c2FsdA==,i=4096x",
      "r=" + client_nonce + "x,s=c2FsdA==,i=99999999999",
      "r=" + client_nonce + "x,s=c2FsdA==,i=2000000000",
      "r=" + client_nonce + "x,i=4096,s=c2FsdA==",
      "m=x," + good,
      "e=other-error",
  };
  for (const std::string& message : bad) {
    scram_client client{client_nonce};
    INFO(message);
    CHECK_FALSE(client.receive_first(exact_buffer{message}.view()));
    CHECK_FALSE(client.reason().empty());
  }
  for (std::size_t size = 0; size < good.size() - 3; ++size) {
    scram_client client{client_nonce};
    CHECK_FALSE(client.receive_first(exact_buffer{std::string_view{good}.substr(0, size)}.view()));
  }
}

TEST_CASE("a server that does not know the password is found out") {
  const auto answered = [](std::string_view message) {
    scram_client client{client_nonce, "user"};
    REQUIRE(client.receive_first(server_first));
    (void)client.final_message(pencil_keys());
    return client.receive_final(exact_buffer{message}.view());
  };
  CHECK(answered(server_final));
  CHECK(answered(server_final + ",x=extension"));
  CHECK_FALSE(answered("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
  CHECK_FALSE(answered("e=invalid-proof"));
  CHECK_FALSE(answered(""));
  for (std::size_t size = 0; size < server_final.size(); ++size) CHECK_FALSE(answered(server_final.substr(0, size)));
}

TEST_CASE("nonces do not repeat and fit the grammar") {
  const std::string nonce = scram_nonce();
  CHECK(nonce.size() == 24);
  CHECK(nonce.find(',') == std::string::npos);
  CHECK(nonce != scram_nonce());
}
