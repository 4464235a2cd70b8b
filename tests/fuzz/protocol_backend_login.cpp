// Fuzz target: a server that says anything while we log in to it. Once failed or done, a login stays so.
#include <cstddef>
#include <cstdint>
#include <string>

#include "protocol/backend_login.hpp"
#include "tests/fuzz/require.hpp"

using namespace pgbraid::protocol;
using pgbraid::fuzz::require;

namespace {

// Keys that no input knows: after them only a failure can follow, or it would have forged the server's proof.
scram_keys unknown_keys() {
  scram_keys keys;
  keys.client_key.fill(1);
  keys.stored_key = sha256(view_of(keys.client_key));
  keys.server_key.fill(2);
  return keys;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest{reinterpret_cast<const char*>(data), size};
  const bool bound = size % 2 == 1;
  backend_login login{{"app", "shop", {}}, {"secret", {}}, "client", bound ? "certificate" : ""};
  require(std::holds_alternative<backend_login::send>(login.start()));
  bool over = false;
  bool keys_given = false;
  frame_view frame;
  while (next_frame(rest, max_login_message, frame) == frame_status::complete) {
    backend_login::action action = login.receive(frame);
    if (over) require(std::holds_alternative<backend_login::failed>(action));
    if (std::holds_alternative<backend_login::need_keys>(action)) {
      action = login.keys(unknown_keys());
      require(std::holds_alternative<backend_login::send>(action));
      keys_given = true;
    }
    if (std::holds_alternative<backend_login::done>(action)) {
      require(!keys_given);
      over = true;
    }
    if (const auto* failed = std::get_if<backend_login::failed>(&action)) {
      require(failed->error.id == error_id::server_login_failed);
      over = true;
    }
    rest.remove_prefix(frame.total);
  }
  return 0;
}
