// Words that mean a moment wherever they are read as a time.
#include <catch2/catch.hpp>

#include "router/plan/time_words.hpp"

using namespace pgbraid::router;

TEST_CASE("words of time", "[time_words]") {
  for (const char* word : {"now", " NOW ", "Today", "yesterday 12:00", "tomorrow\t", "now()", "[today,)", "{now,2024-01-01}"}) {
    INFO(word);
    CHECK(is_word_of_time(word));
  }
  for (const char* word : {"", "nowhere", "know", "2024-01-01", "not now", "infinity", "epoch", "todays", "12"}) {
    INFO(word);
    CHECK_FALSE(is_word_of_time(word));
  }
}

TEST_CASE("rows that tell moments", "[time_words]") {
  copy_format text;
  CHECK(rows_tell_moments("1\tnow\n", text));
  CHECK(rows_tell_moments("now", text));
  CHECK(rows_tell_moments("1\tx\r\n2\tToday 10:00\r\n", text));
  CHECK_FALSE(rows_tell_moments("1\tnowhere\n2\t\\N\n", text));
  CHECK_FALSE(rows_tell_moments("x,now\n", text));
  copy_format csv;
  csv.form = copy_format::kind::csv;
  csv.delimiter = ',';
  CHECK(rows_tell_moments("1,\"now\"\n", csv));
  CHECK(rows_tell_moments("1, now ,3", csv));
  CHECK_FALSE(rows_tell_moments("1,\"not now\"\n", csv));
  csv.form = copy_format::kind::binary;
  CHECK_FALSE(rows_tell_moments("1,now\n", csv));
}
