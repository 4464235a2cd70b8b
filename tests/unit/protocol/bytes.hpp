// Byte strings for the protocol's tests: literals that hold NULs, and buffers of exact size, in which a sanitizer sees
// a read of even one byte too many.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace pgbraid::protocol::testing {

/// The literal's characters, NULs included, without its terminator.
template <std::size_t N>
std::string raw(const char (&literal)[N]) {
  return std::string(literal, N - 1);
}

/// The same as a view of the literal itself, for views that are read after the expression.
template <std::size_t N>
constexpr std::string_view lasting(const char (&literal)[N]) {
  return {literal, N - 1};
}

/// A copy on the heap with nothing behind its last byte.
class exact_buffer {
 public:
  explicit exact_buffer(std::string_view bytes) : size_{bytes.size()}, data_{new char[bytes.size()]} {
    std::copy(bytes.begin(), bytes.end(), data_.get());
  }
  [[nodiscard]] std::string_view view() const { return {data_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> data_;
};

/// The frame's body: what stands behind type byte and length.
inline std::string body_of(const std::string& frame) {
  return frame.substr(5);
}

}  // namespace pgbraid::protocol::testing
