// Values in their order as bytes: PostgreSQL's ORDER BY of the same values, written down.
#include <catch2/catch.hpp>

#include "router/shard/sort_bytes.hpp"

#include <bit>
#include <string>
#include <vector>

using namespace pgbraid::router;

namespace {

std::string written(oid type, std::string_view value) {
  std::string out;
  INFO(value);
  REQUIRE(append_sort_bytes(out, type, false, value));
  return out;
}

/// Each value is less than the next; none is the beginning of another.
void ascending(oid type, const std::vector<std::string>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    for (std::size_t k = i + 1; k < values.size(); ++k) {
      INFO(values[i] << " and " << values[k]);
      CHECK(written(type, values[i]) < written(type, values[k]));
      CHECK_FALSE(written(type, values[k]).starts_with(written(type, values[i])));
    }
  }
}

std::string big_endian(std::uint64_t value, std::size_t bytes) {
  std::string out;
  for (std::size_t i = bytes; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}

std::string received(oid type, const std::string& value) {
  std::string out;
  REQUIRE(append_sort_bytes(out, type, true, value));
  return out;
}

}  // namespace

TEST_CASE("values are in their order", "[sort_bytes]") {
  using namespace type_oid;
  ascending(boolean, {"f", "t"});
  ascending(int2, {"-32768", "-1", "0", "32767"});
  ascending(int8, {"-9223372036854775808", "-256", "-1", "0", "1", "255", "256", "9223372036854775807"});
  ascending(float8, {"-Infinity", "-1.7976931348623157e+308", "-1", "-5e-324", "0", "5e-324", "0.1", "1e+20", "Infinity", "NaN"});
  ascending(float4, {"-3.4028235e+38", "-0.1", "0", "1.5", "NaN"});
  ascending(numeric, {"-Infinity", "-12345678901234567890", "-10000.0001", "-10000", "-9999.9999", "-1.05", "-1", "-0.00010001", "-0.0001", "0", "0.0001", "0.00010001", "0.5",
                      "1", "1.00000005", "1.05", "9999", "10000", "10000.00000001", "12340000", "99999999999999999999", "Infinity", "NaN"});
  ascending(date, {"-infinity", "4713-01-01 BC", "0001-12-31 BC", "0001-01-01", "1999-12-31", "2000-01-01", "10000-01-01", "infinity"});
  ascending(timestamp, {"-infinity", "0044-03-15 12:00:00 BC", "1999-12-31 23:59:59.999999", "2000-01-01 00:00:00", "2024-06-01 10:00:00.5", "infinity"});
  ascending(timestamptz, {"2024-06-01 10:00:00+05:30", "2024-06-01 06:00:00+00", "2024-06-01 04:00:00-04", "infinity"});
  ascending(uuid, {"00000000-0000-0000-0000-000000000001", "7fffffff-0000-0000-0000-000000000000", "80000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"});
  ascending(type_oid::text, {"", " ", "A", "Z", "a", "aa", "ab", "b", "\xc3\xa9", "\xe2\x82\xac"});
}

TEST_CASE("equal values are the same bytes", "[sort_bytes]") {
  using namespace type_oid;
  CHECK(written(numeric, "1.0") == written(numeric, "1.000"));
  CHECK(written(numeric, "-0.0") == written(numeric, "0"));
  CHECK(written(float8, "-0") == written(float8, "0"));
  CHECK(written(timestamptz, "2024-06-01 12:00:00+02") == written(timestamptz, "2024-06-01 10:00:00+00"));
}

TEST_CASE("both forms of a value are the same bytes", "[sort_bytes]") {
  using namespace type_oid;
  CHECK(received(boolean, std::string(1, '\1')) == written(boolean, "t"));
  CHECK(received(int4, big_endian(0xfffffffe, 4)) == written(int4, "-2"));
  CHECK(received(int8, big_endian(77, 8)) == written(int8, "77"));
  CHECK(received(float4, big_endian(std::bit_cast<std::uint32_t>(-2.5F), 4)) == written(float4, "-2.5"));
  CHECK(received(float8, big_endian(std::bit_cast<std::uint64_t>(0.1), 8)) == written(float8, "0.1"));
  CHECK(received(date, big_endian(1, 4)) == written(date, "2000-01-02"));
  CHECK(received(timestamptz, big_endian(1000000, 8)) == written(timestamptz, "2000-01-01 00:00:01+00"));
  // Two digits from the power 10000^1 on, of either sign; and what is no number.
  CHECK(received(numeric, big_endian(2, 2) + big_endian(1, 2) + big_endian(0, 2) + big_endian(0, 2) + big_endian(1, 2) + big_endian(2345, 2)) == written(numeric, "12345"));
  CHECK(received(numeric, big_endian(1, 2) + big_endian(0, 2) + big_endian(0x4000, 2) + big_endian(0, 2) + big_endian(7, 2)) == written(numeric, "-7"));
  CHECK(received(numeric, big_endian(0, 2) + big_endian(0, 2) + big_endian(0xc000, 2) + big_endian(0, 2)) == written(numeric, "NaN"));
  CHECK(received(uuid, std::string(16, '\xff')) == written(uuid, "ffffffff-ffff-ffff-ffff-ffffffffffff"));
}

TEST_CASE("what is no value of the type is not taken", "[sort_bytes]") {
  using namespace type_oid;
  std::string out;
  for (const oid type : {boolean, int4, float8, numeric, date, timestamp, timestamptz, uuid}) {
    INFO(type);
    CHECK(has_sort_bytes(type));
    CHECK_FALSE(append_sort_bytes(out, type, false, "yesterday"));
    CHECK_FALSE(append_sort_bytes(out, type, false, ""));
    CHECK_FALSE(append_sort_bytes(out, type, true, "abc"));
  }
  CHECK_FALSE(append_sort_bytes(out, type_oid::text, false, std::string_view{"a\0b", 3}));
  CHECK_FALSE(has_sort_bytes(bpchar));
  CHECK_FALSE(has_sort_bytes(16400));
  CHECK_FALSE(append_sort_bytes(out, 16400, false, "1"));
}
