// Fuzz target: the parser and the walk over libpg_query's tree. Places lie inside the text, equal texts give equal
// trees, and the tokenizer sees each string constant with the value that the parser gives it.
#include "router/sql/parser.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "router/sql/tokenizer.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/unit/router_sql/print.hpp"
#include "tests/unit/router_sql/visit.hpp"

using namespace pgbraid::router::sql;
using pgbraid::fuzz::require;

namespace {

void check_string(const expr& node, std::string_view text, const token_scan& found) {
  const auto place = static_cast<std::uint32_t>(node.location);
  const auto at = std::lower_bound(found.constants.begin(), found.constants.end(), place,
                                   [](const constant_position& c, std::uint32_t offset) { return c.offset < offset; });
  // Some words, as the YEAR of EXTRACT(YEAR FROM x), come as strings too.
  if (at == found.constants.end() || at->offset != place) return;
  if (at->kind == token_constant::unicode_string) return;
  std::string value;
  require(decode_string_constant(text.substr(at->offset, at->length), at->kind, value));
  require(value == node.text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input{reinterpret_cast<const char*>(data), size};
  // By contract no NUL comes.
  const std::string_view text = input.substr(0, input.find('\0'));
  const parse_result result = parse(text);
  require(test::parsed(text) == test::parsed(text));
  if (const auto* failure = std::get_if<parse_failure>(&result)) {
    require(!failure->message.empty());
    require(failure->position >= 0 && static_cast<std::size_t>(failure->position) <= text.size() + 1);
    return 0;
  }
  token_scan found;
  scan(text, found);
  const auto length = static_cast<std::int32_t>(text.size());
  std::int32_t end = 0;
  for (const statement& one : std::get<0>(result)) {
    require(one.location >= end && one.length > 0 && one.location + one.length <= length);
    end = one.location + one.length;
    test::for_each_part(
        one,
        [&](const expr& node) {
          require(node.location >= -1 && node.location < length);
          if (found.valid && node.kind == expr_kind::constant && node.constant == constant_kind::string &&
              node.location >= 0)
            check_string(node, text, found);
        },
        [&](const from_item& item) { require(item.location >= -1 && item.location < length); });
  }
  return 0;
}
