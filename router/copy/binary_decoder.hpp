// Finds rows and their keys in data of COPY FROM in the format binary, however it is cut into pieces. Source: the
// manual's page "COPY", "Binary Format"; NextCopyFrom (copyfromparse.c).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "router/copy/copy_event.hpp"

namespace pgbraid::router {

/// The file's trailer is told as `head`: every server may have it. runs on: any thread.
class binary_decoder {
 public:
  /// `keys`: how many values stand before each of the key's columns in a row; one or more, ascending.
  explicit binary_decoder(std::vector<std::size_t> keys) : keys_at_{std::move(keys)} {}

  /// Looks at the next bytes up to the first event. To be called again with what lies behind it.
  [[nodiscard]] copy_found take(std::string_view input);
  /// There are no more bytes. To be called until it tells `more`.
  [[nodiscard]] copy_event finish();

  /// With the event `key`: its columns, in the order of the values.
  [[nodiscard]] const std::vector<copy_key>& keys() const noexcept { return keys_; }
  /// The number that the server would tell for the row under way.
  [[nodiscard]] std::uint64_t line() const noexcept { return rows_; }
  /// The same for an error that is found now, also in front of a row.
  [[nodiscard]] std::uint64_t next_line() const noexcept {
    return rows_ + (state_ == state::count && word_has_ == 0 ? 1 : 0);
  }
  /// With the event `row`: how many values it has.
  [[nodiscard]] std::size_t values() const noexcept { return values_; }
  /// Bytes kept of a key that has not been told.
  [[nodiscard]] std::size_t kept() const noexcept { return keys_bytes_; }

 private:
  enum class state : std::uint8_t { signature, extension, count, length, value, over, failed };

  [[nodiscard]] copy_event word_over();
  [[nodiscard]] copy_event value_over();
  [[nodiscard]] bool in_key() const { return part_ < keys_at_.size() && value_ == keys_at_[part_]; }
  void expect(state next, std::size_t bytes);
  [[nodiscard]] std::int32_t number(std::size_t at, std::size_t size) const;

  std::vector<std::size_t> keys_at_;
  state state_ = state::signature;
  std::array<char, 19> word_{};  ///< the number, or the header's fixed part, that is being read
  std::size_t word_size_ = 19, word_has_ = 0;
  std::uint32_t left_ = 0;  ///< bytes of the value, or of the header's extension, still to come
  std::size_t value_ = 0, values_ = 0;
  std::uint64_t rows_ = 0;
  bool row_due_ = false;
  std::vector<copy_key> keys_;
  std::size_t part_ = 0, keys_bytes_ = 0;  ///< of the key: columns that have ended, and bytes of all
};

}  // namespace pgbraid::router
