#include "router/sql/plpgsql.hpp"

#include "router/sql/parser.hpp"

#include <pg_query.h>

#include <algorithm>
#include <variant>
#include <vector>

namespace pgbraid::router::sql {

namespace {

/// Far more than people write, far less than the stack of a thread holds.
constexpr std::size_t deepest_nesting = 200;

class plpgsql_parse {
 public:
  explicit plpgsql_parse(const std::string& text) : result_(pg_query_parse_plpgsql(text.c_str())) {}
  ~plpgsql_parse() { pg_query_free_plpgsql_parse_result(result_); }
  plpgsql_parse(const plpgsql_parse&) = delete;
  plpgsql_parse& operator=(const plpgsql_parse&) = delete;

  [[nodiscard]] bool failed() const { return result_.error != nullptr || result_.plpgsql_funcs == nullptr; }
  [[nodiscard]] std::string tree() const { return result_.plpgsql_funcs; }

 private:
  PgQueryPlpgsqlParseResult result_;
};

}  // namespace

std::optional<std::string> plpgsql_statements(std::string_view signature, std::string_view body) {
  constexpr std::string_view mark = "$pgbraid$";
  if (body.empty() || body.size() > max_plpgsql_bytes || body.find(mark) != body.npos || body.find('\0') != body.npos)
    return std::nullopt;
  if (static_cast<std::size_t>(std::count(body.begin(), body.end(), '(')) > deepest_nesting) return std::nullopt;
  std::string text = "CREATE FUNCTION f";
  text.append(signature).append(" LANGUAGE plpgsql AS ").append(mark).append(body).append(mark);
  // The library does not survive a text that is no definition of a function.
  const parse_result definition = parse(text);
  const auto* const statements = std::get_if<std::vector<statement>>(&definition);
  if (statements == nullptr || statements->size() != 1) return std::nullopt;
  const plpgsql_parse parsed(text);
  if (parsed.failed()) return std::nullopt;
  return parsed.tree();
}

}  // namespace pgbraid::router::sql
