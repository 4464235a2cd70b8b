// Fuzz target: a client that says anything while it should prove who it is. Only who knows the password comes in.
#include <cstddef>
#include <cstdint>
#include <string>

#include "protocol/client_login.hpp"
#include "tests/fuzz/require.hpp"

using namespace pgbraid::protocol;
using pgbraid::fuzz::require;

namespace {

const stored_password& stored(unsigned form) {
  static const stored_password forms[] = {
      {"secret", make_scram_secret("secret", "0123456789abcdef", 1), {}},
      {{}, make_scram_secret("secret", "0123456789abcdef", 1), {}},
      {{}, {}, make_md5_secret("secret", "app")},
      {},
  };
  return forms[form % 4];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // The first byte chooses the method, what is known of the user, and whether TLS lies beneath.
  const auto method = static_cast<client_method>(1 + data[0] % 3);
  const stored_password& known = stored(data[0] / 3U);
  client_login login{method, "app", known, "mock key", "server", data[0] / 12U % 2 == 1 ? "certificate" : ""};
  require(std::holds_alternative<client_login::send>(login.start()));
  std::string_view rest{reinterpret_cast<const char*>(data) + 1, size - 1};
  bool over = false;
  frame_view frame;
  while (next_frame(rest, max_password_message, frame) == frame_status::complete) {
    client_login::action action = login.receive(frame);
    if (auto* wanted = std::get_if<client_login::derive>(&action)) {
      action = login.derived(derive_scram_keys(wanted->password, wanted->salt, 1));
    }
    if (over) require(std::holds_alternative<client_login::refused>(action));
    if (const auto* accepted = std::get_if<client_login::accepted>(&action)) {
      require(known.known() && accepted->password == "secret");
      over = true;
    }
    if (std::holds_alternative<client_login::refused>(action)) over = true;
    rest.remove_prefix(frame.total);
  }
  return 0;
}
