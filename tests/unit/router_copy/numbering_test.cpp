// What becomes of copied rows that get numbers of sequences on their way.
#include <catch2/catch.hpp>

#include "router/copy/copy_numbering.hpp"
#include "router/plan/copies.hpp"

using namespace pgbraid::router;

namespace {

struct bench {
  std::shared_ptr<copy_layout> layout = std::make_shared<copy_layout>();
  copy_format& format = layout->shape.format;

  bench() {
    layout->table = "public.tickets";
    layout->relation = "tickets";
    layout->given = 2;
    layout->numbered = {{"no", "nextval('s')", type_oid::int4}};
  }
  /// The data with numbers from 7 on, asked for as often as some are wanted.
  [[nodiscard]] std::string number(std::string_view data, std::size_t piece, int first = 7) const {
    copy_numbering rows{layout, 100};
    std::string out;
    std::vector<std::optional<std::string>> numbers;
    const auto go_on = [&] {
      numbers.clear();
      for (std::size_t i = 0; i < rows.wanted(); ++i) {
        for (std::size_t k = 0; k < layout->numbered.size(); ++k) numbers.push_back(std::to_string(first));
        ++first;
      }
      REQUIRE(rows.supply(out, numbers));
      CHECK(rows.wanted() == 0);
    };
    for (std::size_t at = 0; at < data.size(); at += piece) {
      rows.take(data.substr(at, piece));
      go_on();
    }
    rows.finish();
    go_on();
    return rows.refused() ? out + "!" : out;
  }
  void check(std::string_view data, const std::string& expected, int first = 7) const {
    for (std::size_t piece = 1; piece <= data.size() + 1; ++piece) {
      INFO("in pieces of " << piece);
      CHECK(number(data, piece, first) == expected);
    }
  }
};

}  // namespace

TEST_CASE("a number stands behind the last value of each row", "[copy]") {
  bench t;
  t.check("1\tx\n2\ty\n", "1\tx\t7\n2\ty\t8\n");
  t.check("1\tx\n2\ty", "1\tx\t7\n2\ty\t8");
  t.check("1\tx\r\n2\ty\r\n", "1\tx\t7\r\n2\ty\t8\r\n");
  t.check("1\tx\r2\ty\r", "1\tx\t7\r2\ty\t8\r");
  t.check("1\tx\\\ny\n", "1\tx\\\ny\t7\n");
  t.check("1\tx\n2\ty\\.\nmore", "1\tx\t7\n2\ty\t8\\.\n");
  t.check("1\tx\n\\.\nmore\tof\n", "1\tx\t7\n\\.\n");
  t.check("", "");
  t.layout->numbered.push_back({"other", "nextval('t')", type_oid::int8});
  t.check("1\tx\n2\ty\n", "1\tx\t7\t7\n2\ty\t8\t8\n");
}

TEST_CASE("a number is no NULL and no delimiter", "[copy]") {
  bench t;
  t.format.null_mark = "7";
  t.check("1\tx\n2\ty\n", "1\tx\t\\x37\n2\ty\t8\n");
  t.format.null_mark = "-7";
  t.format.delimiter = '-';
  t.check("1-x\n", "1-x-\\x2d7\n", -7);
  t.format = {};
  t.format.form = copy_format::kind::csv;
  t.format.delimiter = ',';
  t.format.null_mark = "7";
  t.check("1,x\n2,\"y\n\"\n", "1,x,\"7\"\n2,\"y\n\",\"8\"\n");
  t.format.quote = '1';
  t.format.escape = '2';
  t.check("3,x\n", "3,x,121221\n", 12);
}

TEST_CASE("a row with too few values, and what cannot be a row, goes on as it stands", "[copy]") {
  bench t;
  t.check("1\tx\n2\n3\tz\n", "1\tx\t7\n2\n");
  t.check("1\tx\ty\n", "1\tx\ty\t7\n");
  for (const std::size_t piece : {2, 100}) CHECK(t.number("1\tx\n2\ty\rz\n", piece).starts_with("1\tx\t7\n2\ty\r"));
  t.check("1\tx\n2\ty\\", "1\tx\t7\n!");
  t.check(std::string(101, 'x'), "!");
}

TEST_CASE("a header names the columns if it must match", "[copy]") {
  bench t;
  t.format.header = true;
  t.check("a\tb\n1\tx\n", "a\tb\n1\tx\t7\n");
  t.format.header_match = true;
  t.check("a\tb\r\n1\tx\r\n", "a\tb\tno\r\n1\tx\t7\r\n");
  copy_numbering rows{t.layout, 100};
  rows.take("a\tb\n");
  CHECK(rows.head() == "a\tb\tno\n");
  CHECK(rows.clients_head() == "a\tb\n");
  CHECK(rows.head_line() == 1);
}

TEST_CASE("binary rows have one value more", "[copy]") {
  using namespace std::string_literals;
  bench t;
  t.format.form = copy_format::kind::binary;
  const std::string head = "PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"s, end = "\xff\xff"s;
  const std::string values = "\0\0\0\1a\xff\xff\xff\xff"s;
  t.check(head + "\0\2"s + values + end, head + "\0\3"s + values + "\0\0\0\4\0\0\0\7"s + end);
  t.check(head + "\0\2"s + values, head + "\0\3"s + values + "\0\0\0\4\xff\xff\xff\xfe"s, -2);
  t.check(head + "\0\3"s + values + values, head + "!");
  t.check(head + "\0\1"s + values, head + "!");
  copy_numbering rows{t.layout, 100};
  rows.take(head + "\0\2"s + values);
  std::string out;
  CHECK_FALSE(rows.supply(out, {"99999999999999999999"}));
}

TEST_CASE("a row that an error shows has no number", "[copy]") {
  bench t;
  copy_numbering rows{t.layout, 1000};
  rows.take("1\tx\n2\ty\n" + std::string(120, 'z') + "\t\n3\n");
  CHECK(rows.wanted() == 3);
  CHECK(rows.place_of(1).line == 2);
  CHECK(rows.place_of(1).shown == "2\ty");
  CHECK(rows.place_of(2).shown == std::string(100, 'z') + "...");
  CHECK(rows.without_numbers("2\ty\t8", 2) == "2\ty");
  CHECK(rows.without_numbers("zzz...", 3) == "zzz...");
  CHECK(rows.without_numbers("3", 4) == "3");
  t.format.form = copy_format::kind::csv;
  t.format.delimiter = ',';
  copy_numbering quoted{t.layout, 1000};
  CHECK(quoted.without_numbers("1,\"a\",\"7\"", 1) == "1,\"a\"");
}

TEST_CASE("the servers' statement names the numbered columns too", "[copy]") {
  bench t;
  CHECK(with_numbered_columns("COPY \"a(\" /* ( */ (x, \"y)\") FROM STDIN (FORMAT csv)", *t.layout) ==
        "COPY \"a(\" /* ( */ (x, \"y)\", \"no\") FROM STDIN (FORMAT csv)");
  CHECK(with_numbered_columns("COPY a FROM STDIN", *t.layout).empty());
}
