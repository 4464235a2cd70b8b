// Units, addresses, bucket ranges, nearest words: the small readers of text.
#include "config/nearest.hpp"
#include "config/units.hpp"
#include "config/values.hpp"

#include <catch2/catch.hpp>

#include <array>

using namespace pgbraid::config;
using namespace std::chrono_literals;

namespace {

std::string size_told(std::string_view text) {
  std::string why;
  const auto value = parse_size(text, why);
  return value ? std::to_string(*value) : why;
}

std::string time_told(std::string_view text) {
  std::string why;
  const auto value = parse_duration(text, why);
  return value ? std::to_string(value->count()) : why;
}

std::string address_told(std::string_view text) {
  std::string why;
  const auto value = parse_address(text, 5432, why);
  return value ? value->host + " " + std::to_string(value->port) : why;
}

std::string buckets_told(std::string_view text) {
  std::string why, out;
  const auto value = parse_buckets(text, why);
  if (!value) return why;
  for (const bucket_range& r : *value) out += "[" + std::to_string(r.first) + " " + std::to_string(r.last) + "]";
  return out;
}

}  // namespace

TEST_CASE("sizes") {
  const std::pair<std::string_view, std::string_view> table[] = {
      {"0", "0"},
      {"1B", "1"},
      {"1kB", "1024"},
      {"1KB", "1024"},
      {"1KiB", "1024"},
      {"16MB", "16777216"},
      {"16 MiB", "16777216"},
      {"1GB", "1073741824"},
      {"2GiB", "2147483648"},
      {"1TB", "1099511627776"},
      {"1.5kB", "1536"},
      {"0.5 GB", "536870912"},
      {"8388607TB", "9223370937343148032"},
      {"8388608TB", "\"8388608TB\" is out of range"},
      {"9999999999999999999B", "\"9999999999999999999B\" is out of range"},
      {"0.1kB", "\"0.1kB\" is not a whole number of bytes"},
      {"16", "\"16\" needs a unit: B, kB, MB, GB or TB"},
      {"16mb", "unknown unit \"mb\": use B, kB, MB, GB or TB"},
      {"16s", "unknown unit \"s\": use B, kB, MB, GB or TB"},
      {"-1MB", "expected a number with a unit, as 16MB, found \"-1MB\""},
      {"1.MB", "expected a number with a unit, as 16MB, found \"1.MB\""},
      {".5MB", "expected a number with a unit, as 16MB, found \".5MB\""},
      {"", "expected a number with a unit, as 16MB, found \"\""},
      {"lots", "expected a number with a unit, as 16MB, found \"lots\""},
      {"1MB2", "unknown unit \"MB2\": use B, kB, MB, GB or TB"},
  };
  for (const auto& [text, expected] : table) CHECK(size_told(text) == expected);
}

TEST_CASE("durations") {
  const std::pair<std::string_view, std::string_view> table[] = {
      {"0", "0"},
      {"1ms", "1"},
      {"1s", "1000"},
      {"1.5 s", "1500"},
      {"2min", "120000"},
      {"1h", "3600000"},
      {"30d", "2592000000"},
      {"0.5ms", "\"0.5ms\" is not a whole number of milliseconds"},
      {"5", "\"5\" needs a unit: ms, s, min, h or d"},
      {"5m", "unknown unit \"m\": use ms, s, min, h or d"},
      {"5us", "unknown unit \"us\": use ms, s, min, h or d"},
      {"soon", "expected a number with a unit, as 200ms, found \"soon\""},
      {"999999999999999999d", "\"999999999999999999d\" is out of range"},
  };
  for (const auto& [text, expected] : table) CHECK(time_told(text) == expected);
}

TEST_CASE("sizes and durations are written in the largest unit that is exact, and read back") {
  for (const std::uint64_t bytes : {0ull, 1ull, 1023ull, 1024ull, 1536ull, 1ull << 20, 3ull << 29, 5ull << 40}) {
    CHECK(size_told(format_size(bytes)) == std::to_string(bytes));
  }
  CHECK(format_size(1536) == "1536B");
  CHECK(format_size(64 << 20) == "64MB");
  for (const auto time : {0ms, 1ms, 999ms, 1000ms, 90'000ms, 86'400'000ms}) {
    CHECK(time_told(format_duration(time)) == std::to_string(time.count()));
  }
  CHECK(format_duration(90s) == "90s");
  CHECK(format_duration(120s) == "2min");
}

TEST_CASE("addresses") {
  const std::string long_path = "/" + std::string(95, 'x');
  const std::pair<std::string_view, std::string_view> table[] = {
      {"h", "h 5432"},
      {"h:1", "h 1"},
      {"10.0.0.1:65535", "10.0.0.1 65535"},
      {"[::1]", "::1 5432"},
      {"[::1]:5433", "::1 5433"},
      {"/tmp", "/tmp 5432"},
      {"/tmp:5433", "/tmp 5433"},
      {"::1", "\"::1\" is ambiguous: write an IPv6 address in brackets, as [::1]:5432"},
      {"h:0", "expected a port from 1 to 65535, found \"0\""},
      {"h:65536", "expected a port from 1 to 65535, found \"65536\""},
      {"h:", "expected a port from 1 to 65535, found \"\""},
      {"h:x", "expected a port from 1 to 65535, found \"x\""},
      {"[::1", "expected an address as [::1]:5432, found \"[::1\""},
      {"[::1]5", "expected an address as [::1]:5432, found \"[::1]5\""},
      {"", "the host is empty"},
      {":5432", "the host is empty"},
      {"a b", "\"a b\" is no host name"},
      {"postgres://h", "expected a port from 1 to 65535, found \"//h\""},
      {"tmp/pg", "\"tmp/pg\" is no host name; a socket directory starts with /"},
      {long_path, "the socket directory is longer than 92 bytes"},
  };
  for (const auto& [text, expected] : table) CHECK(address_told(text) == expected);
}

TEST_CASE("a host alone names no port") {
  CHECK(wrong_host("h").empty());
  CHECK(wrong_host("fe80::1").empty());
  CHECK(wrong_host("h:5432") == "\"h:5432\" names a port too; give it under port");
}

TEST_CASE("bucket ranges") {
  const std::pair<std::string_view, std::string_view> table[] = {
      {"0", "[0 0]"},
      {"0-2047", "[0 2047]"},
      {"0-1023,3000-4095", "[0 1023][3000 4095]"},
      {"0 - 3, 7", "[0 3][7 7]"},
      {"5-3", "the range 5-3 ends before it starts"},
      {"", "expected bucket ranges as 0-2047, found \"\""},
      {"1,", "expected bucket ranges as 0-2047, found \"\""},
      {"1-", "expected bucket ranges as 0-2047, found \"1-\""},
      {"-1", "expected bucket ranges as 0-2047, found \"-1\""},
      {"1-2-3", "expected bucket ranges as 0-2047, found \"1-2-3\""},
      {"all", "expected bucket ranges as 0-2047, found \"all\""},
      {"4294967296", "expected bucket ranges as 0-2047, found \"4294967296\""},
  };
  for (const auto& [text, expected] : table) CHECK(buckets_told(text) == expected);
}

TEST_CASE("distance counts insertions, deletions, substitutions and swaps") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("port", "port") == 0);
  CHECK(edit_distance("prot", "port") == 1);
  CHECK(edit_distance("PORT", "port") == 0);
  CHECK(edit_distance("kitten", "sitting") == 3);
}

TEST_CASE("the nearest word is one that may have been meant") {
  constexpr std::array<std::string_view, 5> words{"host", "port", "backlog", "max_clients", "prepared_statements"};
  CHECK(nearest("prot", words) == "port");
  CHECK(nearest("hosts", words) == "host");
  CHECK(nearest("max-clients", words) == "max_clients");
  CHECK(nearest("prepared", words) == "prepared_statements");
  CHECK_FALSE(nearest("colour", words));
  CHECK_FALSE(nearest("", words));
  CHECK_FALSE(nearest(std::string(1000, 'x'), words));
}
