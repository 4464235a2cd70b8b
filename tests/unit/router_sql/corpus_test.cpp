// Tokenizer, parser and PostgreSQL's own scanner held against each other over many statements, and over those
// statements with bytes changed at random.
#include "corpus.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "reference_scan.hpp"
#include "router/sql/parser.hpp"
#include "router/sql/tokenizer.hpp"
#include "visit.hpp"

using namespace pgbraid::router::sql;

namespace {

/// The scanned constant that a parsed constant stands for: at its place, or behind the minus (or several) that the
/// grammar folded in.
const constant_position* scanned_constant(const token_scan& found, std::string_view text, const expr& constant) {
  auto place = static_cast<std::uint32_t>(constant.location);
  const auto at = std::lower_bound(found.constants.begin(), found.constants.end(), place,
                                   [](const constant_position& c, std::uint32_t offset) { return c.offset < offset; });
  if (at == found.constants.end()) return nullptr;
  if (at->offset == place) return &*at;
  return text[place] == '-' ? &*at : nullptr;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

}  // namespace

TEST_CASE("constants stand where parser, scanner and tokenizer all say") {
  std::size_t compared = 0;
  for (const std::string_view text : test::corpus()) {
    CAPTURE(text);
    CHECK(test::disagreement(text) == "");
    token_scan found;
    scan(text, found);
    CHECK(found.valid);
    const parse_result result = parse(text);
    REQUIRE(std::holds_alternative<std::vector<statement>>(result));
    for (const statement& one : std::get<0>(result)) {
      test::for_each_expr(one, [&](const expr& node) {
        CHECK(node.location < one.location + one.length);
        if (node.kind != expr_kind::constant || node.location < 0) return;
        CHECK(node.location >= one.location);
        // NULL, TRUE and FALSE are words to the scanner.
        if (node.constant == constant_kind::null || node.constant == constant_kind::boolean) return;
        // So are the YEAR of EXTRACT(YEAR FROM x) and the NFC of NORMALIZE(x, NFC), which come as strings.
        if (lower(text.substr(static_cast<std::size_t>(node.location), node.text.size())) == lower(node.text) &&
            node.constant == constant_kind::string)
          return;
        const constant_position* constant = scanned_constant(found, text, node);
        REQUIRE(constant != nullptr);
        const std::string_view slice = text.substr(constant->offset, constant->length);
        ++compared;
        std::string value;
        switch (constant->kind) {
          case token_constant::integer:
          case token_constant::decimal:
            // Leading zeros go when an integer is read.
            CHECK(node.text.substr(node.text.starts_with('-') ? 1 : 0) == slice);
            break;
          case token_constant::bit_string:
            CHECK(node.constant == constant_kind::bit_string);
            CHECK(node.text == lower(slice.substr(0, 1)) + std::string(slice.substr(2, slice.size() - 3)));
            break;
          case token_constant::unicode_string:
            CHECK(node.constant == constant_kind::string);
            break;
          default:
            CHECK(node.constant == constant_kind::string);
            CHECK(decode_string_constant(slice, constant->kind, value));
            CHECK(value == node.text);
        }
      });
    }
  }
  CHECK(compared > 300);
}

TEST_CASE("relations and calls stand where their names are") {
  for (const std::string_view text : test::corpus()) {
    CAPTURE(text);
    const parse_result result = parse(text);
    REQUIRE(std::holds_alternative<std::vector<statement>>(result));
    for (const statement& one : std::get<0>(result)) {
      test::for_each_part(
          one,
          [&](const expr& node) {
            if (node.kind != expr_kind::call || node.name.size() != 1 || node.location < 0) return;
            CHECK(lower(text.substr(static_cast<std::size_t>(node.location), node.name[0].size())) == node.name[0]);
          },
          [&](const from_item& item) {
            if (item.kind != from_kind::relation) return;
            REQUIRE(item.location >= 0);
            const char first = text[static_cast<std::size_t>(item.location)];
            CHECK((first == '"' ? text[static_cast<std::size_t>(item.location) + 1] : first) == item.name[0][0]);
          });
    }
  }
}

TEST_CASE("a statement's place covers its text") {
  const std::string text = "  select 1 ;\n\n-- why\n select 'a;b';;; begin ;";
  const auto statements = std::get<std::vector<statement>>(parse(text));
  std::vector<std::string> pieces;
  for (const statement& one : statements)
    pieces.push_back(text.substr(static_cast<std::size_t>(one.location), static_cast<std::size_t>(one.length)));
  CHECK(pieces == std::vector<std::string>{"select 1 ", "-- why\n select 'a;b'", "begin "});

  const auto last = std::get<std::vector<statement>>(parse("\n\tcommit -- end"));
  REQUIRE(last.size() == 1);
  CHECK(last[0].location == 2);
  CHECK(last[0].length == 13);
}

TEST_CASE("equal normalised text means equal tokens but for the constants' values") {
  const std::vector<std::string> splices = {
      " ", "",   "'",   "''",       "\"",      "-",   "--",  "--\n", "/*",         "*/", "/**/", "\n",  "\t",
      "$", "$$", "$1",  "$a$",      "\\",      "E'",  "e",   "b'",   "x'",         "n'", "N",    "U&'", "u&\"",
      "&", "1",  "0",   ".",        "..",      "1.5", "1e5", "e5",   "9999999999", ";",  ",",    "(",   ")",
      "?", "+",  "*",   "/",        "<",       "=",   ">",   "::",   ":",          ":=", "a",    "A",   "_",
      "ä", "|",  "'a'", "'b'\n'c'", "uescape", "@",   "{",   "\x01", "\x05"};
  std::mt19937 random(20240117);
  std::map<std::string, std::string> shapes;
  std::size_t valid = 0, shared = 0;
  for (const std::string_view original : test::corpus()) {
    for (int round = 0; round < 60; ++round) {
      std::string text(original);
      for (unsigned change = 0; change <= random() % 3; ++change) {
        const std::size_t at = random() % (text.size() + 1);
        const std::size_t erased = random() % 3 == 0 ? random() % 3 : 0;
        text.replace(at, std::min(erased, text.size() - at), splices[random() % splices.size()]);
      }
      CAPTURE(text);
      const std::string wrong = test::disagreement(text);
      if (!wrong.empty()) CHECK(wrong == "");
      token_scan found;
      scan(text, found);
      if (!found.valid) continue;
      const auto shape = test::reference_shape(text);
      if (!shape) continue;
      ++valid;
      const auto [entry, fresh] = shapes.emplace(found.normalized, *shape);
      shared += fresh ? 0 : 1;
      if (entry->second != *shape) CHECK(entry->second == *shape);
    }
  }
  // Were all refused, or all different, nothing would have been shown.
  CHECK(valid > 5000);
  CHECK(shared > 300);
}
