// Fuzz target: the untyped first packets. What decodes must encode to the bytes it came from.
#include <cstddef>
#include <cstdint>
#include <string>

#include "protocol/startup.hpp"
#include "tests/fuzz/require.hpp"

using namespace pgbraid::protocol;
using pgbraid::fuzz::require;

namespace {

struct encode_to {
  std::string& out;

  void operator()(const startup_message& message) const { encode_startup(out, message); }
  void operator()(const ssl_request&) const { encode_ssl_request(out); }
  void operator()(const gssenc_request&) const { encode_gssenc_request(out); }
  void operator()(const cancel_request& request) const { encode_cancel_request(out, request); }
};

void check_startup(std::string_view input) {
  startup_packet packet;
  const startup_result result = decode_startup(input, packet);
  require(result.status != frame_status::malformed || !result.reason.empty());
  if (result.status != frame_status::complete) return;
  require(result.length >= 8 && result.length <= input.size() && result.length <= max_startup_length + 4);
  const auto* message = std::get_if<startup_message>(&packet);
  if (message != nullptr && message->major != protocol_major) return;
  std::string again;
  std::visit(encode_to{again}, packet);
  require(again == input.substr(0, result.length));
  if (message == nullptr) return;
  (void)message->find("user");
  if (!needs_negotiation(*message)) return;
  again.clear();
  encode_negotiate_protocol_version(again, *message);
  negotiate_protocol_version answer;
  require(decode(std::string_view{again}.substr(frame_header_size), answer));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input{reinterpret_cast<const char*>(data), size};
  check_startup(input);
  negotiate_protocol_version offer;
  (void)decode(input, offer);
  return 0;
}
