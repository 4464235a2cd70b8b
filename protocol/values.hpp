// Lists inside messages, read where they stand: format codes, type OIDs, and the values of Bind and DataRow.
// Source: the manual's chapter "Message Formats" (Bind, DataRow, Parse, ParameterDescription).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/wire.hpp"

namespace pgbraid::protocol {

/// Format codes of values on the wire.
inline constexpr std::int16_t text_format = 0;
inline constexpr std::int16_t binary_format = 1;

/// Int16 format codes in a message. Lifetime: the message's bytes.
class format_list {
 public:
  format_list() = default;
  /// Precondition: `raw` has an even length.
  explicit format_list(std::string_view raw) noexcept : raw_{raw} {}

  [[nodiscard]] std::size_t size() const noexcept { return raw_.size() / 2; }
  [[nodiscard]] bool empty() const noexcept { return raw_.empty(); }
  /// Precondition: `i < size()`.
  [[nodiscard]] std::int16_t operator[](std::size_t i) const noexcept {
    return static_cast<std::int16_t>(load_u16(raw_.data() + 2 * i));
  }
  /// The format of value `i` by the protocol's rule: no code means text, a single code goes for all.
  [[nodiscard]] std::int16_t of(std::size_t i) const noexcept {
    if (size() == 1) return (*this)[0];
    return i < size() ? (*this)[i] : text_format;
  }

 private:
  std::string_view raw_;
};

/// Int32 OIDs in a message. Lifetime: the message's bytes.
class oid_list {
 public:
  oid_list() = default;
  /// Precondition: `raw`'s length is a multiple of four.
  explicit oid_list(std::string_view raw) noexcept : raw_{raw} {}

  [[nodiscard]] std::size_t size() const noexcept { return raw_.size() / 4; }
  [[nodiscard]] bool empty() const noexcept { return raw_.empty(); }
  /// Precondition: `i < size()`.
  [[nodiscard]] std::uint32_t operator[](std::size_t i) const noexcept { return load_u32(raw_.data() + 4 * i); }
  /// The bytes as they stand on the wire, for comparison and hashing.
  [[nodiscard]] std::string_view raw() const noexcept { return raw_; }

 private:
  std::string_view raw_;
};

/// One value of a Bind or a DataRow.
struct wire_value {
  std::string_view bytes;
  bool null = true;

  friend bool operator==(const wire_value&, const wire_value&) = default;
};

/// Reads { Int32 length or -1, bytes } from `in`; a length below -1 fails the reader.
inline wire_value read_value(wire_reader& in) noexcept {
  const std::int32_t length = in.i32();
  if (length == -1) return {};
  if (length < 0) {
    in.fail();
    return {};
  }
  return {in.bytes(static_cast<std::size_t>(length)), false};
}

/// The values of a decoded Bind or DataRow: whoever makes one has walked all lengths once. Lifetime: the message's
/// bytes.
class value_list {
 public:
  /// Walks the values from first to last.
  class cursor {
   public:
    explicit cursor(std::string_view raw) noexcept : in_{raw} {}
    /// Gives the next value; false at the end.
    bool next(wire_value& value) noexcept {
      if (in_.at_end()) return false;
      value = read_value(in_);
      return in_.ok();
    }

   private:
    wire_reader in_;
  };

  value_list() = default;
  value_list(std::uint16_t count, std::string_view raw) noexcept : count_{count}, raw_{raw} {}

  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] cursor values() const noexcept { return cursor{raw_}; }
  /// Value `i`, in time proportional to `i`; false when there is none.
  bool at(std::size_t i, wire_value& value) const noexcept {
    cursor all = values();
    for (std::size_t k = 0; k < i; ++k) {
      if (!all.next(value)) return false;
    }
    return all.next(value);
  }
  [[nodiscard]] std::string_view raw() const noexcept { return raw_; }

 private:
  std::uint16_t count_ = 0;
  std::string_view raw_;
};

/// Reads Int16 count and that many format codes.
inline format_list read_formats(wire_reader& in) noexcept {
  const std::size_t count = in.u16();
  return format_list{in.bytes(2 * count)};
}

/// Reads Int16 count and that many OIDs.
inline oid_list read_oids(wire_reader& in) noexcept {
  const std::size_t count = in.u16();
  return oid_list{in.bytes(4 * count)};
}

/// Reads Int16 count and that many values, checking every length.
inline value_list read_values(wire_reader& in) noexcept {
  const std::uint16_t count = in.u16();
  const std::string_view from = in.peek();
  for (std::size_t i = 0; i < count && in.ok(); ++i) read_value(in);
  if (!in.ok()) return {};
  return {count, from.substr(0, from.size() - in.remaining())};
}

}  // namespace pgbraid::protocol
