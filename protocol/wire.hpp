// The wire's primitives: a reader that cannot overread, and appends in network byte order.
// Source: the manual's chapter "Frontend/Backend Protocol", "Message Data Types".
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace pgbraid::protocol {

/// Big-endian loads. Precondition: as many bytes as the result has stand at `p`.
[[nodiscard]] inline std::uint16_t load_u16(const char* p) noexcept {
  const auto* b = reinterpret_cast<const unsigned char*>(p);
  return static_cast<std::uint16_t>(b[0] << 8 | b[1]);
}
[[nodiscard]] inline std::uint32_t load_u32(const char* p) noexcept {
  const auto* b = reinterpret_cast<const unsigned char*>(p);
  return static_cast<std::uint32_t>(b[0]) << 24 | static_cast<std::uint32_t>(b[1]) << 16 |
         static_cast<std::uint32_t>(b[2]) << 8 | static_cast<std::uint32_t>(b[3]);
}

/// Big-endian store. Precondition: four bytes are writable at `p`.
inline void store_u32(char* p, std::uint32_t value) noexcept {
  for (int i = 0; i < 4; ++i) p[i] = static_cast<char>(value >> (24 - 8 * i));
}

/// Reads one message body from front to back. A read past the end fails the reader for good and gives zero or an
/// empty view, so that a decoder reads everything first and asks `finished()` once.
///
/// Lifetime: views given out point into the bytes given in.
class wire_reader {
 public:
  explicit wire_reader(std::string_view bytes) noexcept : rest_{bytes} {}

  /// No read has failed yet.
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }
  /// Everything was read and nothing is left over: what a decoder must end with.
  [[nodiscard]] bool finished() const noexcept { return ok_ && rest_.empty(); }
  [[nodiscard]] std::size_t remaining() const noexcept { return rest_.size(); }
  /// What has not been read yet; reads nothing.
  [[nodiscard]] std::string_view peek() const noexcept { return rest_; }

  std::uint8_t u8() noexcept {
    const std::string_view b = bytes(1);
    return b.empty() ? 0 : static_cast<std::uint8_t>(b[0]);
  }
  char character() noexcept { return static_cast<char>(u8()); }
  std::uint16_t u16() noexcept {
    const std::string_view b = bytes(2);
    return b.empty() ? 0 : load_u16(b.data());
  }
  std::int16_t i16() noexcept { return static_cast<std::int16_t>(u16()); }
  std::uint32_t u32() noexcept {
    const std::string_view b = bytes(4);
    return b.empty() ? 0 : load_u32(b.data());
  }
  std::int32_t i32() noexcept { return static_cast<std::int32_t>(u32()); }

  /// The next `count` bytes.
  std::string_view bytes(std::size_t count) noexcept {
    if (count > rest_.size()) {
      fail();
      return {};
    }
    const std::string_view taken{rest_.data(), count};
    rest_.remove_prefix(count);
    return taken;
  }

  /// The bytes up to the next NUL, which is read too and not part of the result.
  std::string_view cstring() noexcept {
    // Most names in messages are empty: of the unnamed statement, of the unnamed portal.
    const std::size_t length = !rest_.empty() && rest_.front() == '\0' ? 0 : rest_.find('\0');
    if (length == std::string_view::npos) {
      fail();
      return {};
    }
    const std::string_view taken{rest_.data(), length};
    rest_.remove_prefix(length + 1);
    return taken;
  }

  /// All that is left.
  std::string_view rest() noexcept { return bytes(rest_.size()); }

  /// Fails the reader: for decoders that find a value which the grammar forbids.
  void fail() noexcept {
    ok_ = false;
    rest_ = {};
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

inline void append_u8(std::string& out, std::uint8_t value) {
  out.push_back(static_cast<char>(value));
}

inline void append_u16(std::string& out, std::uint16_t value) {
  const char b[2] = {static_cast<char>(value >> 8), static_cast<char>(value)};
  out.append(b, sizeof b);
}
inline void append_i16(std::string& out, std::int16_t value) {
  append_u16(out, static_cast<std::uint16_t>(value));
}

inline void append_u32(std::string& out, std::uint32_t value) {
  char b[4];
  store_u32(b, value);
  out.append(b, sizeof b);
}
inline void append_i32(std::string& out, std::int32_t value) {
  append_u32(out, static_cast<std::uint32_t>(value));
}

/// Appends `value` and a NUL. A value that holds a NUL is cut there: the rest could pass for further fields.
inline void append_cstring(std::string& out, std::string_view value) {
  out.append(value.substr(0, value.find('\0')));
  out.push_back('\0');
}

/// Writes one frame to the end of `out`: its type byte (none for the first packets of a connection) and a length
/// that is filled in when the builder goes out of scope. Between the two the caller appends the body to `out`.
///
/// Precondition: the body stays below 2 GB.
class frame_builder {
 public:
  frame_builder(std::string& out, char type) : out_{out} {
    out.push_back(type);
    start_length();
  }
  /// A packet without a type byte, as a connection begins with.
  explicit frame_builder(std::string& out) : out_{out} { start_length(); }
  frame_builder(const frame_builder&) = delete;
  frame_builder& operator=(const frame_builder&) = delete;
  ~frame_builder() { store_u32(out_.data() + length_at_, static_cast<std::uint32_t>(out_.size() - length_at_)); }

 private:
  void start_length() {
    length_at_ = out_.size();
    out_.append(4, '\0');
  }

  std::string& out_;
  std::size_t length_at_ = 0;
};

}  // namespace pgbraid::protocol
