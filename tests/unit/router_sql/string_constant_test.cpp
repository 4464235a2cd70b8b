// decode_string_constant(): values as a server with standard_conforming_strings = on reads them.
#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <vector>

#include "router/sql/parser.hpp"
#include "router/sql/tokenizer.hpp"

using namespace pgbraid::router::sql;

namespace {

std::optional<std::string> decoded(std::string_view token) {
  token_scan found;
  scan(token, found);
  if (!found.valid || found.constants.size() != 1 || found.constants[0].length != token.size()) return std::nullopt;
  std::string out = "left over";
  if (!decode_string_constant(token, found.constants[0].kind, out)) return std::nullopt;
  return out;
}

/// The value that PostgreSQL's own parser gives the constant.
std::optional<std::string> parsed_value(const std::string& token) {
  const parse_result result = parse("select " + token);
  const auto* statements = std::get_if<std::vector<statement>>(&result);
  if (statements == nullptr) return std::nullopt;
  return (*statements)[0].select->targets[0].value->text;
}

}  // namespace

TEST_CASE("string constants decode to what PostgreSQL's parser makes of them") {
  for (const std::string token : {"''",
                                  "'a'",
                                  "'it''s'",
                                  "''''",
                                  "'a\\nb'",
                                  "'a'\n'b'",

                                  "$$a$$",
                                  "$$$$",
                                  "$x$a$$b$x$",
                                  "$x$'$y$\\n$x$",
                                  "E''",
                                  "e'a'",
                                  "E'\\b\\f\\n\\r\\t'",
                                  "E'\\a\\v\\q\\''",
                                  "E'\\\\'",
                                  "E'it''s'",
                                  "E'\\101\\60'",
                                  "E'\\7a'",
                                  "E'\\1012'",
                                  "E'\\x41\\x4'",
                                  "E'\\x4g'",
                                  "E'\\xg'",
                                  "E'\\u0041\\U00000042'",
                                  "E'\\u00e4'",
                                  "E'\\u20ac'",
                                  "E'\\U0001F600'",
                                  "E'\\ud83d\\ude00'",
                                  "E'\\uD83D\\U0000DE00'",
                                  "E'\\xc3\\xa4'",
                                  "E'\\303\\244'",
                                  "E'a\\n'\n'b\\n'",
                                  "E'\\\n'",
                                  "'ä'",
                                  "E'ä\\n'",
                                  "E'\\8'",
                                  "E'\\477'"}) {
    CAPTURE(token);
    const auto value = decoded(token);
    const auto expected = parsed_value(token);
    CHECK(value.has_value() == expected.has_value());
    if (value && expected) CHECK(*value == *expected);
  }
}

TEST_CASE("comments may stand between the pieces of a constant") {
  // The server joins these; libpg_query's parser, which keeps comments, does not.
  CHECK(decoded("'a' -- c\n\t'b''c'\r'd'") == "ab'cd");
  CHECK(decoded("E'a\\t'--\n--'\n'\\n'") == "a\t\n");
}

TEST_CASE("a constant that the server would refuse has no value") {
  for (const std::string token : {"E'\\u00'", "E'\\u004'", "E'\\U0041'", "E'\\ud83d'", "E'\\ud83dx'", "E'\\ude00'",
                                  "E'\\ud83d\\u0041'", "E'\\U00110000'", "E'\\u0000'", "E'\\0'", "E'\\x00'", "E'\\xff'",
                                  "E'\\xc3'", "E'\\xc3x'", "E'\\xed\\xa0\\x80'", "E'\\400'"}) {
    CAPTURE(token);
    CHECK_FALSE(decoded(token).has_value());
    CHECK_FALSE(parsed_value(token).has_value());
  }
}

TEST_CASE("what is no string constant has no value") {
  std::string out;
  CHECK_FALSE(decode_string_constant("1", token_constant::integer, out));
  CHECK_FALSE(decode_string_constant("1.5", token_constant::decimal, out));
  CHECK_FALSE(decode_string_constant("b'1'", token_constant::bit_string, out));
  CHECK_FALSE(decode_string_constant("U&'a'", token_constant::unicode_string, out));
  for (const std::string token : {"", "'", "'a", "a'", "'a'b'", "'a' 'b'", "'a'\n'b", "'a'\n", "\"a\""}) {
    CAPTURE(token);
    CHECK_FALSE(decode_string_constant(token, token_constant::string, out));
  }
  for (const std::string token : {"", "E", "E'", "'a'", "E'a", "E'a\\", "E'a\\'", "E'a\\u", "E'\\x", "E'a''"}) {
    CAPTURE(token);
    CHECK_FALSE(decode_string_constant(token, token_constant::escape_string, out));
  }
  for (const std::string token : {"", "$", "$$", "$$$", "$a$b$", "$a$b$c$", "$$a$$b$$", "x$$a$$", "$$a$$ "}) {
    CAPTURE(token);
    CHECK_FALSE(decode_string_constant(token, token_constant::dollar_string, out));
  }
}
