// TLS on a pair of sockets in one thread: handshakes, writes cut short, bytes that TLS holds, and every kind of end.
#include "proxy/worker/channel.hpp"
#include "proxy/worker/tls_context.hpp"
#include "tests/unit/proxy/tls_certificates.hpp"

#include <catch2/catch.hpp>

#include <sys/socket.h>

#include <array>
#include <string>

using namespace pgbraid;
using namespace pgbraid::proxy;
using namespace pgbraid::proxy::testing;
using step = tls_stream::handshake_step;

namespace {

const self_signed& ours() {
  static const self_signed made{"db1", "DNS:db1,DNS:localhost,IP:127.0.0.1"};
  return made;
}

tls_context_ptr server_context() {
  std::string error;
  config::client_tls settings;
  settings.cert = ours().file;
  settings.key = ours().key_file;
  auto made = tls_context::for_clients(settings, error);
  INFO(error);
  REQUIRE(made);
  return made;
}

tls_context_ptr client_context(config::server_tls_mode mode = config::server_tls_mode::require, std::string ca = {}) {
  std::string error;
  auto made = tls_context::for_servers({mode, std::move(ca), {}, {}}, error);
  INFO(error);
  REQUIRE(made);
  return made;
}

/// Two connected sockets with small buffers, and TLS on both.
struct encrypted_pair {
  std::array<int, 2> sockets{-1, -1};
  std::unique_ptr<tls_stream> client, server;
  step client_step = step::want_read, server_step = step::want_read;

  explicit encrypted_pair(const tls_context_ptr& of_client = client_context(), const std::string& host = "db1") {
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets.data()) == 0);
    const int small = 4096;
    for (const int s : sockets) ::setsockopt(s, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    client = of_client->connect(sockets[0], host);
    server = server_context()->accept(sockets[1], {});
    const auto going = [](step s) { return s == step::want_read || s == step::want_write; };
    for (int turn = 0; turn < 20 && (going(client_step) || going(server_step)); ++turn) {
      if (going(client_step)) client_step = client->handshake();
      if (going(server_step)) server_step = server->handshake();
    }
  }
  ~encrypted_pair() {
    for (const int s : sockets) ::close(s);
  }
  [[nodiscard]] bool stands() const { return client_step == step::done && server_step == step::done; }
};

ssize_t write(tls_stream& to, std::string_view bytes) {
  const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  return to.write(&part, 1);
}

std::string read(tls_stream& from, std::size_t most = 100'000) {
  std::string out(most, '\0');
  const ssize_t got = from.read(out.data(), out.size());
  out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return out;
}

}  // namespace

TEST_CASE("bytes pass both ways, and both sides see the same certificate") {
  encrypted_pair pair;
  REQUIRE(pair.stands());
  CHECK(pair.client->version() == "TLSv1.3");
  CHECK(write(*pair.client, "question") == 8);
  CHECK(read(*pair.server) == "question");
  CHECK(write(*pair.server, "answer") == 6);
  CHECK(read(*pair.client) == "answer");
  CHECK(pair.client->server_end_point().size() == 32);
  CHECK(pair.client->server_end_point() == pair.server->server_end_point());
  CHECK(pair.client->peer_common_name() == "db1");
  CHECK_FALSE(pair.server->has_peer_certificate());
  CHECK(pair.server->application_protocol().empty());
}

TEST_CASE("nothing there is not the end") {
  encrypted_pair pair;
  char byte = 0;
  CHECK(pair.server->read(&byte, 1) == 0);
  CHECK(pair.server->want() == tls_want::read);
}

TEST_CASE("a write that is cut short goes on from where it stood") {
  encrypted_pair pair;
  std::string all;
  for (int i = 0; all.size() < 600'000; ++i) all += std::to_string(i) + ' ';
  std::string unsent = all, received;
  bool cut = false;
  while (received.size() < all.size()) {
    if (!unsent.empty()) {
      const ssize_t sent = write(*pair.client, unsent);
      REQUIRE(sent >= 0);
      cut = cut || static_cast<std::size_t>(sent) < unsent.size();
      unsent.erase(0, static_cast<std::size_t>(sent));
      // What is kept grows behind, and moves in memory.
      if (all.size() < 700'000) {
        all += "more";
        unsent += "more";
        unsent.shrink_to_fit();
      }
    }
    received += read(*pair.server, 1000);
  }
  CHECK(cut);
  CHECK((received == all));
}

TEST_CASE("several parts are one text, small and large") {
  encrypted_pair pair;
  const std::string large(20'000, 'x');
  const std::string texts[] = {"one", "", "two", large, "three"};
  std::array<iovec, 5> parts;
  std::string expected, received;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    parts[i] = {const_cast<char*>(texts[i].data()), texts[i].size()};
    expected += texts[i];
  }
  ssize_t sent = pair.client->write(parts.data(), parts.size());
  REQUIRE(sent >= 0);
  std::string rest = expected.substr(static_cast<std::size_t>(sent));
  while (received.size() < expected.size()) {
    received += read(*pair.server);
    if (rest.empty()) continue;
    sent = write(*pair.client, rest);
    REQUIRE(sent >= 0);
    rest.erase(0, static_cast<std::size_t>(sent));
  }
  CHECK((received == expected));
}

TEST_CASE("a channel gives what TLS holds although the socket has nothing") {
  boost::asio::io_context context{1};
  encrypted_pair pair;
  REQUIRE(write(*pair.client, "abcdef") == 6);
  channel io{context};
  io.socket().assign(boost::asio::generic::stream_protocol{AF_UNIX, 0}, ::dup(pair.sockets[1]));
  io.encrypt(std::move(pair.server));
  char buffer[4];
  CHECK(io.receive(buffer, 2) == 2);
  CHECK(io.tls()->holds_bytes());
  std::size_t got = 0;
  bool within = true;
  io.async_read(buffer, sizeof buffer, [&](const boost::system::error_code& error, std::size_t bytes) {
    CHECK_FALSE(error);
    CHECK_FALSE(within);
    got = bytes;
  });
  within = false;
  context.poll();
  CHECK(std::string_view(buffer, got) == "cdef");
  CHECK_FALSE(io.tls()->holds_bytes());
}

TEST_CASE("a channel waits for the socket, and closing it ends the wait") {
  boost::asio::io_context context{1};
  encrypted_pair pair;
  channel io{context};
  io.socket().assign(boost::asio::generic::stream_protocol{AF_UNIX, 0}, ::dup(pair.sockets[1]));
  io.encrypt(std::move(pair.server));
  char buffer[16];
  std::string outcome;
  const auto note = [&](const boost::system::error_code& error, std::size_t bytes) {
    outcome = error ? error.message() : std::string(buffer, bytes);
  };
  io.async_read(buffer, sizeof buffer, note);
  context.poll();
  CHECK(outcome.empty());
  REQUIRE(write(*pair.client, "late") == 4);
  context.restart();
  context.run_one();
  CHECK(outcome == "late");
  outcome.clear();
  io.async_read(buffer, sizeof buffer, note);
  io.close();
  context.restart();
  context.run();
  CHECK(outcome == "Operation canceled");
  // The other side was told.
  char byte = 0;
  CHECK(pair.client->read(&byte, 1) == -1);
  CHECK(pair.client->reason().empty());
}

TEST_CASE("what was read before TLS was known to begin is its first part") {
  std::array<int, 2> sockets;
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets.data()) == 0);
  const auto client = client_context()->connect(sockets[0], "db1");
  CHECK(client->handshake() == step::want_read);
  char early[64];
  REQUIRE(::recv(sockets[1], early, sizeof early, 0) == sizeof early);
  const auto server = server_context()->accept(sockets[1], std::string(early, sizeof early));
  CHECK(server->holds_bytes());
  CHECK(server->handshake() == step::want_read);
  CHECK(client->handshake() == step::done);
  CHECK(server->handshake() == step::done);
  for (const int s : sockets) ::close(s);
}

TEST_CASE("ends: orderly, sudden, and broken") {
  char byte = 0;
  SECTION("a farewell") {
    encrypted_pair pair;
    REQUIRE(write(*pair.client, "last") == 4);
    pair.client->say_goodbye();
    CHECK(read(*pair.server) == "last");
    CHECK(pair.server->read(&byte, 1) == -1);
    CHECK(pair.server->reason().empty());
    CHECK(write(*pair.client, "x") == -1);
  }
  SECTION("none") {
    encrypted_pair pair;
    ::shutdown(pair.sockets[0], SHUT_RDWR);
    CHECK(pair.server->read(&byte, 1) == -1);
  }
  SECTION("bytes that are no TLS") {
    encrypted_pair pair;
    REQUIRE(::send(pair.sockets[0], "SELECT 1", 8, 0) == 8);
    CHECK(pair.server->read(&byte, 1) == -1);
    CHECK_FALSE(pair.server->reason().empty());
    CHECK(pair.server->read(&byte, 1) == -1);
    CHECK(write(*pair.server, "x") == -1);
  }
  SECTION("a handshake that is none") {
    std::array<int, 2> sockets;
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets.data()) == 0);
    const auto server = server_context()->accept(sockets[1], "GET / HTTP/1.0\r\n\r\n");
    CHECK(server->handshake() == step::failed);
    CHECK(server->reason() == "http request");
    for (const int s : sockets) ::close(s);
  }
}

TEST_CASE("who is believed") {
  using enum config::server_tls_mode;
  const self_signed stranger{"stranger", "DNS:db1"};
  struct row {
    config::server_tls_mode mode;
    std::string ca, host, trouble;
  };
  const row rows[] = {
      {require, "", "elsewhere", ""},
      {require, ours().file, "elsewhere", ""},
      {require, stranger.file, "db1", "self-signed certificate"},
      {prefer, stranger.file, "db1", ""},
      {verify_ca, ours().file, "elsewhere", ""},
      {verify_ca, stranger.file, "db1", "self-signed certificate"},
      {verify_full, ours().file, "db1", ""},
      {verify_full, ours().file, "127.0.0.1", ""},
      {verify_full, ours().file, "elsewhere", "hostname mismatch"},
      {verify_full, ours().file, "127.0.0.2", "IP address mismatch"},
      {verify_full, stranger.file, "db1", "self-signed certificate"},
  };
  for (const row& r : rows) {
    INFO(static_cast<int>(r.mode) << ' ' << r.ca << ' ' << r.host);
    const encrypted_pair pair{client_context(r.mode, r.ca), r.host};
    CHECK(pair.stands() == r.trouble.empty());
    CHECK(pair.client->reason() == r.trouble);
  }
}

TEST_CASE("files that cannot be used are told") {
  std::string error;
  config::client_tls settings;
  settings.cert = ours().file;
  settings.key = certificate_folder() + "/none.key";
  CHECK_FALSE(tls_context::for_clients(settings, error));
  CHECK(error == settings.key + ": No such file or directory");
  const self_signed other{"other", "DNS:other"};
  settings.key = other.key_file;
  CHECK_FALSE(tls_context::for_clients(settings, error));
  CHECK(error.find("mismatch") != error.npos);
  settings.key = ours().file;
  CHECK_FALSE(tls_context::for_clients(settings, error));
  CHECK_FALSE(tls_context::for_servers({config::server_tls_mode::verify_ca, ours().key_file, {}, {}}, error));
  CHECK(error.find(ours().key_file) == 0);
}
