// Random texts for the types of keys: those that the partition hash must read, and the same with a mistake in them.
#pragma once

#include "router/catalog.hpp"

#include <cstdint>
#include <random>
#include <string>

namespace pgbraid::tests {

/// The seed to start from: PGBRAID_TEST_SEED, or another one each time.
std::uint64_t chosen_seed();

/// A source of random texts; the same seed gives the same texts.
class random_keys {
 public:
  explicit random_keys(std::uint64_t seed) : engine_(seed) {}

  /// A text in a form that the partition hash reads for this type, though the value may be out of its range (a 30th of
  /// February). Timestamps with time zone carry an offset if `with_offset`, else sometimes.
  std::string text(router::oid type, bool with_offset = false);

  /// The text with one to three characters changed, put in or taken out.
  std::string broken(std::string text);

  /// The wire form of a numeric, often not as a server would send it: zeros around, cut by its scale.
  std::string numeric_bytes();

  /// `size` bytes of any value.
  std::string bytes(std::size_t size);

  /// A number from `least` to `most`.
  std::int64_t number(std::int64_t least, std::int64_t most);

 private:
  bool one_in(int n) { return number(1, n) == 1; }
  std::string digits(std::int64_t least, std::int64_t most);
  std::string padded(std::int64_t value, std::size_t width);
  std::string blanks();

  std::string integer(router::oid type);
  std::string boolean();
  std::string uuid();
  std::string characters();
  std::string date();
  std::string timestamp(bool with_offset);
  std::string numeric();

  std::mt19937_64 engine_;
};

}  // namespace pgbraid::tests
