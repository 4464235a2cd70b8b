// Rows and keys in data of the format binary, whole and cut at every byte.
#include <catch2/catch.hpp>
#include <string>

#include "router/copy/binary_decoder.hpp"

using namespace pgbraid::router;
using namespace std::string_literals;

namespace {

std::string told(std::size_t key, std::string_view data, std::size_t piece) {
  binary_decoder decoder{std::vector<std::size_t>{key}};
  std::string out;
  bool over = false;
  const auto note = [&](copy_event what) {
    if (what == copy_event::head) out.push_back('H');
    if (what == copy_event::row) out.push_back('|');
    if (what == copy_event::key)
      out.append("[" + (decoder.keys().front().is == copy_key::kind::null ? "~" : decoder.keys().front().value) + "]");
    if (what == copy_event::broken) out.push_back('!'), over = true;
  };
  for (std::size_t at = 0; at < data.size() && !over; at += piece) {
    std::string_view rest = data.substr(at, piece);
    while (!over) {
      const copy_found found = decoder.take(rest);
      rest.remove_prefix(found.bytes);
      note(found.what);
      if (found.what == copy_event::more) break;
    }
  }
  while (!over) {
    const copy_event what = decoder.finish();
    note(what);
    if (what == copy_event::more) break;
  }
  return out;
}

void check(std::size_t key, std::string_view data, const std::string& expected) {
  for (std::size_t piece = 1; piece <= data.size() + 1; ++piece) {
    INFO("in pieces of " << piece);
    CHECK(told(key, data, piece) == expected);
  }
}

const std::string head = "PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"s;
const std::string two = "\0\2"s;
const std::string trailer = "\xff\xff"s;

std::string value(const std::string& bytes) {
  return "\0\0\0"s + static_cast<char>(bytes.size()) + bytes;
}
const std::string null = "\xff\xff\xff\xff"s;

}  // namespace

TEST_CASE("binary: header, rows, trailer", "[copy]") {
  check(0, head + two + value("a") + value("bc") + two + value("d") + null + trailer, "H[a]|[d]|H");
  check(1, head + two + value("a") + value("bc") + two + value("d") + null, "H[bc]|[~]|");
  check(1, head + two + null + value("") + trailer, "H[]|H");
  check(0, head, "H");
  check(0, head + trailer, "HH");
  check(0, "PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\3abc"s + two + value("x") + value("y"), "H[x]|");
  check(0, head + "\0"s, "H");
}

TEST_CASE("binary: what no server takes", "[copy]") {
  check(0, head.substr(0, 12), "!");
  check(0, head + trailer + "x", "HH!");
  check(2, head + two + value("a") + value("b"), "H!");
  check(0, head + "\0\0"s, "H!");
  check(0, head + two + "\xff\xff\xff\xfe"s, "H!");
  check(0, head + two + value("a") + "\0\0"s, "H[a]!");
  check(0, head + two + "\0\0\0\5ab"s, "H!");
  check(0, "PGCOPY\n\xff\r\n\0\0\0\0\0\xff\0\0\0"s, "!");
}
