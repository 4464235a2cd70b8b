// Reads LIMIT; see row_limit.hpp.
#include "router/plan/row_limit.hpp"

#include <charconv>

namespace pgbraid::router {

std::optional<row_limit> limit_of(const sql::expr_ptr& limit) {
  row_limit out;
  if (limit == nullptr) return out;
  if (limit->kind == sql::expr_kind::parameter) {
    out.parameter = limit->number;
    return limit->number > 0 ? std::optional{out} : std::nullopt;
  }
  if (limit->kind != sql::expr_kind::constant || limit->constant != sql::constant_kind::integer) return std::nullopt;
  const char* const end = limit->text.data() + limit->text.size();
  const auto read = std::from_chars(limit->text.data(), end, out.rows);
  return read.ec == std::errc{} && read.ptr == end ? std::optional{out} : std::nullopt;
}

}  // namespace pgbraid::router
