// Fuzz target: data of COPY FROM whose rows get numbers on their way. However it is cut, and whenever the numbers come, what
// goes on is the same; nothing of the client's data is lost, and as many rows are numbered as wanted to be.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "router/copy/copy_numbering.hpp"
#include "tests/fuzz/require.hpp"

using namespace pgbraid::router;
using pgbraid::fuzz::require;

namespace {

constexpr std::size_t max_row = 4096;

/// What comes of the data in pieces of so many bytes. `late`: the numbers come when the client has ended.
std::string outcome(const std::shared_ptr<const copy_layout>& layout, std::string_view data, std::size_t piece, bool late) {
  copy_numbering rows{layout, max_row};
  std::string out;
  std::size_t numbered = 0;
  const auto supply = [&] {
    const std::size_t wanted = rows.wanted();
    if (wanted > 0) (void)rows.place_of(wanted - 1);
    require(rows.supply(out, std::vector<std::optional<std::string>>(wanted * layout->numbered.size(), "7")));
    require(rows.wanted() == 0);
    numbered += wanted;
  };
  for (std::size_t at = 0; at < data.size(); at += piece) {
    rows.take(data.substr(at, piece));
    if (!late) supply();
  }
  rows.finish();
  supply();
  (void)rows.without_numbers(data.substr(0, 100), 1);
  // A number with its delimiter and quotes, or its length in front; names in a header.
  require(out.size() <= data.size() + (numbered + 1) * layout->numbered.size() * 16);
  if (rows.refused()) out += rows.refused()->message;
  return out;
}

/// Behind what no server takes as much of a piece goes on as has come with it.
bool agree(const std::string& one, const std::string& other) {
  return one.starts_with(other) || other.starts_with(one);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 6) return 0;
  auto layout = std::make_shared<copy_layout>();
  layout->table = layout->relation = "t";
  layout->given = 1 + data[0] % 3U;
  layout->numbered = {{"id", "nextval('t_id')", type_oid::int8}};
  if (data[0] % 8 > 3) layout->numbered.push_back({"n", "nextval('t_n')", type_oid::int4});
  copy_format& format = layout->shape.format;
  format.form = static_cast<copy_format::kind>(data[1] % 3);
  format.header = data[1] / 3 % 2 == 1;
  format.header_match = format.header && data[1] / 6 % 2 == 1;
  constexpr std::string_view delimiters = "\t,;|7", quotes = "\"'%", escapes = "\"'\\";
  format.delimiter = delimiters[data[2] % delimiters.size()];
  format.quote = quotes[data[3] % quotes.size()];
  format.escape = escapes[data[4] % escapes.size()];
  if (data[5] % 2 == 0) format.null_mark = "7";
  const std::string_view rest{reinterpret_cast<const char*>(data) + 6, size - 6};
  // Rows that are long are given up where a piece ends.
  if (rest.size() > max_row) return 0;
  const std::string whole = outcome(layout, rest, rest.size() + 1, true);
  require(agree(outcome(layout, rest, 1, false), whole));
  require(agree(outcome(layout, rest, 1 + data[5] % 13, data[4] % 2 == 0), whole));
  return 0;
}
