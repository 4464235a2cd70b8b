// Fuzz target: SCRAM messages, stored secrets, Base64 and the normalisation of passwords. The first byte says which.
#include <cstddef>
#include <cstdint>
#include <string>

#include "protocol/scram.hpp"
#include "tests/fuzz/require.hpp"

using namespace pgbraid::protocol;
using pgbraid::fuzz::require;

namespace {

enum class binding { impossible, passed_over, chosen };

// No input can hold a proof for keys that it does not know.
void check_server(std::string_view first, std::string_view final, binding how) {
  scram_server server{mock_scram_secret("user", "key"), "server"};
  if (how != binding::impossible) server.bind("certificate", how == binding::chosen);
  std::string reply;
  if (server.receive(first, reply) != scram_status::proceed) {
    require(!server.reason().empty());
    return;
  }
  require(server.receive(final, reply) != scram_status::accepted && reply.empty());
}

void check_client(std::string_view first, std::string_view final) {
  scram_client client{"client"};
  if (!client.receive_first(first)) {
    require(!client.reason().empty());
    return;
  }
  require(client.iterations() > 0 && client.iterations() <= scram_max_iterations && !client.salt().empty());
  scram_keys keys;
  keys.server_key.fill(7);
  (void)client.final_message(keys);
  require(!client.receive_final(final));
}

void check_secret(std::string_view input) {
  const auto secret = parse_scram_secret(input);
  if (secret) require(parse_scram_secret(to_string(*secret)) == secret);
  (void)md5_response(input, "salt");
}

void check_base64(std::string_view input) {
  const auto bytes = base64_decode(input);
  if (bytes) require(base64_encode(*bytes) == input);
  require(base64_decode(base64_encode(input)) == std::string{input});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input{reinterpret_cast<const char*>(data) + 1, size - 1};
  const std::size_t line = std::min(input.find('\n'), input.size());
  const std::string_view first = input.substr(0, line);
  const std::string_view final = input.substr(std::min(line + 1, input.size()));
  switch (data[0]) {
    case 's':
      check_server(first, final, binding::impossible);
      break;
    case 'o':
      check_server(first, final, binding::passed_over);
      break;
    case 'S':
      check_server(first, final, binding::chosen);
      break;
    case 'c':
      check_client(first, final);
      break;
    case 'p':
      check_secret(input);
      break;
    case 'b':
      check_base64(input);
      break;
    case 'n':
      (void)normalized_password(input);
      break;
    default:
      break;
  }
  return 0;
}
