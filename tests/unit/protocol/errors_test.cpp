#include "protocol/errors.hpp"

#include <catch2/catch.hpp>
#include <cctype>
#include <set>

#include "protocol/backend.hpp"
#include "protocol/frame.hpp"
#include "tests/unit/protocol/bytes.hpp"

using namespace pgbraid::protocol;
using namespace pgbraid::protocol::testing;

TEST_CASE("the table of errors is sound") {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < error_count(); ++i) {
    const error_row& row = row_of(static_cast<error_id>(i));
    INFO(row.name);
    CHECK(static_cast<std::size_t>(row.id) == i);
    CHECK(names.insert(row.name).second);
    REQUIRE(row.sqlstate.size() == 5);
    for (const char c : row.sqlstate) {
      CHECK((std::isdigit(static_cast<unsigned char>(c)) || std::isupper(static_cast<unsigned char>(c))));
    }
    CHECK_FALSE(row.text.empty());
    CHECK(row.text.back() != '.');
    CHECK((row.hint.empty() || row.hint == "{}" || row.hint.back() == '.'));
  }
  CHECK(names.count("protocol_violation") == 1);
}

TEST_CASE("every error goes round as an ErrorResponse") {
  for (std::size_t i = 0; i < error_count(); ++i) {
    const auto id = static_cast<error_id>(i);
    const error_row& row = row_of(id);
    INFO(row.name);
    error_report report = with_detail(make_error(id, "a", "b", "c", "d"), "shard s0");
    if (row.hint == "{}") {
      CHECK(report.hint.empty());
      report = with_hint(report, "write it otherwise");
    } else {
      CHECK(report.hint == row.hint);
    }
    CHECK(report.message.find('{') == std::string::npos);

    std::string out = "x";
    encode_error(out, report);
    frame_view frame;
    REQUIRE(next_frame(std::string_view{out}.substr(1), out.size(), frame) == frame_status::complete);
    CHECK(frame.total == out.size() - 1);
    CHECK(frame.type == backend::error_response);
    error_fields_view fields;
    REQUIRE(decode(frame.body, fields));
    CHECK(fields.sqlstate() == row.sqlstate);
    CHECK(fields.severity() == (row.level == severity::fatal ? "FATAL" : "ERROR"));
    CHECK(fields.field('S') == fields.field('V'));
    CHECK(fields.message() == report.message);
    CHECK(fields.detail() == "shard s0");
    CHECK(fields.hint() == report.hint);
  }
}

TEST_CASE("a value with a NUL in an error's text cannot add fields") {
  std::string out;
  encode_error(out, make_error(error_id::protocol_violation, raw("x\0C00000\0")));
  error_fields_view fields;
  const std::string body = body_of(out);
  REQUIRE(decode(body, fields));
  CHECK(fields.sqlstate() == "08P01");
  CHECK(fields.message() == "protocol violation: x");
}
