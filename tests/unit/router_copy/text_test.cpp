// Rows and keys in data of the formats text and csv, whole and cut at every byte.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "router/copy/text_decoder.hpp"

using namespace pgbraid::router;

namespace {

text_shape text(std::size_t key) {
  text_shape shape;
  shape.keys = {{key}};
  return shape;
}

text_shape csv(std::size_t key) {
  text_shape shape = text(key);
  shape.format.form = copy_format::kind::csv;
  shape.format.delimiter = ',';
  shape.format.null_mark.clear();
  return shape;
}

/// What a decoder tells of `data` given in pieces: "[key]" where a key is known, "|" behind a row, "H" behind the
/// header, "." for the end marker, "!" for what is broken; NULL as "~", a missing key as "?".
std::string told(const text_shape& shape, std::string_view data, std::size_t piece) {
  text_decoder decoder{shape};
  std::string out;
  bool over = false;
  const auto note = [&](copy_event what) {
    switch (what) {
      case copy_event::more:
        break;
      case copy_event::head:
        out.push_back('H');
        break;
      case copy_event::row:
        out.push_back('|');
        break;
      case copy_event::end:
        out.push_back('.'), over = true;
        break;
      case copy_event::broken:
        out.push_back('!'), over = true;
        break;
      case copy_event::key:
        out.append("[");
        if (decoder.keys().front().is == copy_key::kind::null) out.append("~");
        if (decoder.keys().front().is == copy_key::kind::missing) out.append("?");
        if (decoder.keys().front().is == copy_key::kind::value) out.append(decoder.keys().front().value);
        out.append("]");
        break;
    }
  };
  for (std::size_t at = 0; at < data.size() && !over; at += piece) {
    std::string_view rest = data.substr(at, piece);
    while (!over) {
      const copy_found found = decoder.take(rest);
      rest.remove_prefix(found.bytes);
      note(found.what);
      if (found.what == copy_event::more) {
        CHECK(rest.empty());
        break;
      }
    }
  }
  while (!over) {
    const copy_event what = decoder.finish();
    note(what);
    if (what == copy_event::more) break;
  }
  return out;
}

void check(const text_shape& shape, std::string_view data, const std::string& expected) {
  INFO(data);
  for (std::size_t piece = 1; piece <= data.size(); ++piece) {
    INFO("in pieces of " << piece);
    CHECK(told(shape, data, piece) == expected);
  }
  CHECK(told(shape, data, data.size() + 1) == expected);
}

}  // namespace

TEST_CASE("text: rows, keys, escapes", "[copy]") {
  check(text(0), "1\ta\n2\tb\n", "[1]|[2]|");
  check(text(1), "a\t1\nb\t2", "[1]|[2]|");
  check(text(0), "", "");
  check(text(0), "\n", "[]|");
  check(text(1), "a\n", "[?]|");
  check(text(0), "\\N\tx\nN\n\\\\N\n", "[~]|[N]|[\\N]|");
  check(text(0), "a\\\tb\tc\n", "[a\tb]|");
  check(text(0), "a\\\nb\tc\n", "[a\nb]|");
  check(text(0), "\\x41\\102\\n\\t\\q\\x\\8\n", "[AB\n\tqx8]|");
  check(text(0), "\\1234\n", "[S4]|");
  check(text(0), "a\\", "[a]|");
  check(text(1), "a\t\\", "[]|");
}

TEST_CASE("text: lines end as the first one does", "[copy]") {
  check(text(0), "1\r\n2\r\n", "[1]|[2]|");
  check(text(0), "1\r2\r", "[1]|[2]|");
  check(text(0), "1\r", "[1]|");
  check(text(0), "1\n2\r\n", "[1]|!");
  check(text(0), "1\r\n2\n", "[1]|!");
  check(text(0), "1\r\n2\rx", "[1]|!");
  check(text(0), "1\r2\n", "[1]|!");
  check(text(0), "1\r\n2\\\r3\r\n", "[1]|[2\r3]|");
}

TEST_CASE("text: the end marker", "[copy]") {
  check(text(0), "1\n\\.\n2\n", "[1]|.");
  check(text(0), "\\.\n2\n", ".");
  check(text(0), "1\\.\n2\n", "[1]|.");
  check(text(1), "1\\.\n2\n", "[?]|.");
  check(text(0), "1\r\n\\.\r\nx", "[1]|.");
  check(text(0), "1\r\n\\.\n", "[1]|!");
  check(text(0), "1\n\\.\r\n", "[1]|!");
  check(text(0), "1\n\\.x\n", "[1]|!");
  check(text(0), "1\n\\.", "[1]|!");
  check(text(0), "\\\\.\n", "[\\.]|");
}

TEST_CASE("text: header, delimiter, NULL", "[copy]") {
  text_shape shape = text(1);
  shape.format.header = true;
  shape.format.delimiter = '|';
  shape.format.null_mark = "";
  check(shape, "a|b\n1|2\n3|\n", "H[2]|[~]|");
  check(shape, "a|b", "H");
  check(shape, "\\.\n", ".");
}

TEST_CASE("csv: quotes, newlines inside of them, escapes", "[copy]") {
  check(csv(0), "1,a\n\"2\",b\n", "[1]|[2]|");
  check(csv(1), "\"a\nb,\r\n\",1\nc,2\n", "[1]|[2]|");
  check(csv(0), "\"a\"\"b\",x\n", "[a\"b]|");
  check(csv(0), "a\"b,c\"d,x\n", "[ab,cd]|");
  check(csv(0), ",x\n\"\",y\n", "[~]|[]|");
  check(csv(0), "\"a", "!");
  check(csv(0), "\"a\"", "[a]|");
  check(csv(0), "a\\b\n", "[a\\b]|");
  text_shape shape = csv(0);
  shape.format.escape = '\\';
  check(shape, "\"a\\\"b\\\\c\\d\",x\n", "[a\"b\\c\\d]|");
  check(shape, "\"a\\\n\",x\n", "[a\\\n]|");
  check(shape, "\"a\\", "!");
  check(shape, "a\\\",\n\",x\n", "[a\\,\n]|");
}

TEST_CASE("csv: the end marker stands alone on its line", "[copy]") {
  check(csv(0), "1\n\\.\n2\n", "[1]|.");
  check(csv(0), "1\n\\.,x\n", "[1]|[\\.]|");
  check(csv(0), "1\n\\.", "[1]|[\\.]|");
  check(csv(0), "1\n\\", "[1]|[\\]|");
  check(csv(0), "1\n\\x\n", "[1]|[\\x]|");
  check(csv(0), "1\na\\.\n", "[1]|[a\\.]|");
  check(csv(0), "1\r\n\\.\r\n2\r\n", "[1]|.");
  check(csv(0), "1\r\n\\.\n", "[1]|!");
  check(csv(0), "1\n\\.\r", "[1]|!");
}

TEST_CASE("csv: NULL may be forced", "[copy]") {
  text_shape shape = csv(0);
  shape.keys.front().not_null_forced = true;
  check(shape, ",x\n", "[]|");
  shape.keys.front().null_forced = true;
  check(shape, ",x\n\"\",x\n", "[]|[~]|");
  shape.keys.front().not_null_forced = false;
  check(shape, "\"\",x\n", "[~]|");
}

TEST_CASE("lines are counted as a server counts them", "[copy]") {
  text_decoder decoder{csv(0)};
  const std::string data = "1,\"a\nb\"\n2,\"c\nd\n\"\n";
  std::string_view rest = data;
  std::vector<std::uint64_t> lines;
  while (true) {
    const copy_found found = decoder.take(rest);
    rest.remove_prefix(found.bytes);
    if (found.what == copy_event::more) break;
    if (found.what == copy_event::row) lines.push_back(decoder.line());
  }
  // Of the first line no server knows yet what a newline is.
  CHECK(lines == std::vector<std::uint64_t>{1, 4});
  CHECK(decoder.quoted_lines(false) == 2);
  CHECK(decoder.quoted_lines(true) == 0);
}
