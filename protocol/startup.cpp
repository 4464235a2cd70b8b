#include "protocol/startup.hpp"

#include "protocol/wire.hpp"

namespace pgbraid::protocol {
namespace {

// "Versions" that no protocol will have stand for requests.
constexpr std::uint32_t cancel_code = 1234U << 16 | 5678U;
constexpr std::uint32_t ssl_code = 1234U << 16 | 5679U;
constexpr std::uint32_t gssenc_code = 1234U << 16 | 5680U;

constexpr std::uint32_t version_code(std::uint16_t major, std::uint16_t minor) {
  return static_cast<std::uint32_t>(major) << 16 | minor;
}

startup_result refuse(std::size_t length, std::string_view reason) {
  return {frame_status::malformed, length, reason};
}

// { String name, String value } ... Byte1(0)
bool read_parameters(wire_reader& in, parameter_list& parameters) {
  while (in.ok()) {
    const std::string_view name = in.cstring();
    if (name.empty()) break;
    const std::string_view value = in.cstring();
    if (in.ok()) parameters.emplace_back(name, value);
  }
  return in.finished();
}

}  // namespace

std::optional<std::string_view> startup_message::find(std::string_view name) const noexcept {
  for (auto it = parameters.rbegin(); it != parameters.rend(); ++it) {
    if (it->first == name) return it->second;
  }
  return std::nullopt;
}

// Int32 length, Int32 code, then by code: nothing, pid and key, or parameters.
startup_result decode_startup(std::string_view buffer, startup_packet& packet) {
  if (buffer.size() < 4) return {};
  const std::size_t length = load_u32(buffer.data());
  if (length < 8) return refuse(length, "the length of the startup packet is too small");
  if (length > max_startup_length + 4) {
    return {frame_status::too_large, length, "the length of the startup packet is too large"};
  }
  if (buffer.size() < length) return {frame_status::incomplete, length, {}};

  wire_reader in{buffer.substr(4, length - 4)};
  const std::uint32_t code = in.u32();
  if (code == ssl_code || code == gssenc_code) {
    if (!in.finished()) return refuse(length, "an encryption request has surplus bytes");
    if (code == ssl_code) {
      packet = ssl_request{};
    } else {
      packet = gssenc_request{};
    }
    return {frame_status::complete, length, {}};
  }
  if (code == cancel_code) {
    cancel_request request;
    request.pid = in.i32();
    request.key = in.i32();
    if (!in.finished()) return refuse(length, "a cancel request has the wrong length");
    packet = request;
    return {frame_status::complete, length, {}};
  }
  startup_message message;
  message.major = static_cast<std::uint16_t>(code >> 16);
  message.minor = static_cast<std::uint16_t>(code);
  if (message.major == protocol_major && !read_parameters(in, message.parameters)) {
    return refuse(length, "the startup packet's parameters are not properly terminated");
  }
  packet = std::move(message);
  return {frame_status::complete, length, {}};
}

void encode_startup(std::string& out, const startup_message& message) {
  const frame_builder frame{out};
  append_u32(out, version_code(message.major, message.minor));
  for (const auto& [name, value] : message.parameters) {
    append_cstring(out, name);
    append_cstring(out, value);
  }
  out.push_back('\0');
}

void encode_ssl_request(std::string& out) {
  const frame_builder frame{out};
  append_u32(out, ssl_code);
}

void encode_gssenc_request(std::string& out) {
  const frame_builder frame{out};
  append_u32(out, gssenc_code);
}

void encode_cancel_request(std::string& out, const cancel_request& request) {
  const frame_builder frame{out};
  append_u32(out, cancel_code);
  append_i32(out, request.pid);
  append_i32(out, request.key);
}

bool is_protocol_option(std::string_view name) noexcept {
  return name.substr(0, 5) == "_pq_.";
}

bool needs_negotiation(const startup_message& message) noexcept {
  if (message.minor > protocol_minor) return true;
  for (const auto& parameter : message.parameters) {
    if (is_protocol_option(parameter.first)) return true;
  }
  return false;
}

// Int32 version, Int32 count, { String option }
// Servers send the whole version where the manual speaks of the minor one, and libpq reads it so.
void encode_negotiate_protocol_version(std::string& out, const startup_message& message) {
  const frame_builder frame{out, 'v'};
  append_u32(out, version_code(protocol_major, protocol_minor));
  const std::size_t count_at = out.size();
  append_u32(out, 0);
  std::uint32_t count = 0;
  for (const auto& parameter : message.parameters) {
    if (!is_protocol_option(parameter.first)) continue;
    append_cstring(out, parameter.first);
    ++count;
  }
  store_u32(out.data() + count_at, count);
}

bool decode(std::string_view body, negotiate_protocol_version& message) {
  wire_reader in{body};
  message.newest = in.u32();
  const std::uint32_t count = in.u32();
  message.unrecognized_options.clear();
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) message.unrecognized_options.push_back(in.cstring());
  return in.finished();
}

}  // namespace pgbraid::protocol
