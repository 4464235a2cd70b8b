// Fuzz target: data of COPY FROM. However it is cut, each shard gets the same, nothing twice and nothing that was not
// there.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "router/copy/copy_splitter.hpp"
#include "router/shard/bucket_map.hpp"
#include "tests/fuzz/require.hpp"

using namespace pgbraid::router;
using pgbraid::fuzz::require;

namespace {

constexpr std::size_t max_row = 4096;

std::shared_ptr<const topology> two_shards() {
  auto map = std::make_shared<topology>();
  map->shards = {"s0", "s1"};
  map->buckets = build_bucket_map(4096, std::vector<shard_buckets>{{"s0", {}}, {"s1", {}}}).map;
  return map;
}

/// What comes of the data in pieces of so many bytes.
std::string outcome(const std::shared_ptr<const copy_layout>& layout, std::string_view data, std::size_t piece) {
  static const std::shared_ptr<const topology> map = two_shards();
  static const literal_context literals;
  copy_splitter splitter{layout, map, literals, {0, 1}, max_row};
  for (std::size_t at = 0; at < data.size(); at += piece) splitter.take(data.substr(at, piece));
  splitter.finish();
  std::size_t total = 0;
  std::string out;
  for (copy_splitter::part& part : splitter.parts()) {
    total += part.bytes.size();
    out += part.bytes;
    out.push_back('|');
    (void)part.lines.find(part.lines.last());
  }
  require(total <= 2 * data.size());  // a header goes to both
  if (splitter.stopped()) {
    require(splitter.stopped()->part < 2);
    out += splitter.stopped()->error.message;
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 6) return 0;
  auto layout = std::make_shared<copy_layout>();
  layout->table = layout->relation = "t";
  layout->keys = {{"k", 0, data[0] % 2 == 0 ? type_oid::int8 : type_oid::text}};
  text_shape& shape = layout->shape;
  shape.keys = {{data[0] / 2 % 3U, data[0] % 32 < 4, data[0] % 64 > 50}};
  // A key of two columns, the second of which stands behind the first in a row and before it in the key.
  if (data[0] % 8 > 5) {
    shape.keys.push_back({shape.keys.front().at + 1 + data[0] / 64U, false, false});
    layout->keys.insert(layout->keys.begin(), {"j", 1, type_oid::int4});
  }
  shape.format.form = static_cast<copy_format::kind>(data[1] % 3);
  shape.format.header = data[1] / 3 % 2 == 1;
  constexpr std::string_view delimiters = "\t,;|", quotes = "\"'%", escapes = "\"'\\";
  shape.format.delimiter = delimiters[data[2] % delimiters.size()];
  shape.format.quote = quotes[data[3] % quotes.size()];
  shape.format.escape = escapes[data[4] % escapes.size()];
  if (data[5] % 2 == 0) shape.format.null_mark.clear();
  const std::string_view rest{reinterpret_cast<const char*>(data) + 6, size - 6};
  const std::string whole = outcome(layout, rest, rest.size() + 1);
  // Rows that are long are given up where a piece ends.
  if (rest.size() > max_row) return 0;
  require(outcome(layout, rest, 1) == whole);
  require(outcome(layout, rest, 1 + data[5] % 13) == whole);
  return 0;
}
