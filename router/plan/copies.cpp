// Where the key stands in the rows of COPY FROM, and what keeps them from being split; see copies.hpp. Source:
// CopyGetAttnums (copy.c).
#include "router/plan/copies.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "router/plan/refusals.hpp"
#include "router/plan/scatter.hpp"

namespace pgbraid::router {

using protocol::error_id;
using protocol::make_error;

namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// How many values stand before the key. Without a list of columns these are all but those that are computed; the
/// catalog does not tell those from identities, which COPY takes.
std::optional<std::size_t> key_position(const sql::copy_statement& c, const table_use& use, const std::string& key,
                                        analysis& a) {
  if (!c.columns.empty()) {
    const auto found = std::find(c.columns.begin(), c.columns.end(), key);
    if (found != c.columns.end()) return static_cast<std::size_t>(found - c.columns.begin());
    a.refuse(make_error(error_id::missing_key, key, use.table.full_name));
    return std::nullopt;
  }
  std::size_t position = 0;
  for (const column& each : use.table.described->columns) {
    if (each.generated) {
      a.refuse(protocol::with_hint(refuse_write("COPY without a list of columns into a table with generated ones"),
                                   "Name the columns: COPY " + use.table.full_name + " (...) FROM STDIN."));
      return std::nullopt;
    }
    if (each.name == key) return position;
    ++position;
  }
  return std::nullopt;
}

/// Why these options leave open where rows or values end; "" if they do not.
std::string problem_of(const copy_format& format, const plan_context& context) {
  if (format.form == copy_format::kind::binary) return {};
  if (format.encoding.empty() ? context.multibyte_unsafe : !ascii_safe_encoding(format.encoding)) {
    return "data in this encoding";
  }
  const auto marks_the_end = [](char c) { return c == '\\' || c == '.'; };
  const bool csv = format.form == copy_format::kind::csv;
  if (csv && (marks_the_end(format.quote) || marks_the_end(format.delimiter) || format.escape == '.')) {
    return "a backslash or a dot as quote or delimiter";
  }
  return {};
}

}  // namespace

bool copy_into_all(const sql::statement& s, const table_use& use, analysis& a) {
  const sql::copy_statement& c = *s.copy;
  if (a.refusal || c.program || !c.file.empty() || !s.arguments.empty() || use.table.described == nullptr) return false;
  if (auto error = judge_mirror(a, true)) a.refuse(std::move(*error));
  for (const column& each : use.table.described->columns) {
    if (c.columns.empty() || contains(c.columns, each.name) || !each.default_varies) continue;
    auto error = make_error(error_id::reference_write, use.table.full_name);
    error.detail = "The default of column \"" + each.name + "\" may be another value on each shard.";
    a.refuse(std::move(error));
  }
  return !a.refusal;
}

std::shared_ptr<const copy_format> format_with_times(const sql::copy_statement& c, const relation& table) {
  using namespace type_oid;
  constexpr std::array<oid, 14> timeless{boolean, bytea,  int8,   int2,    int4,     text,    oid_type,
                                         float4,  float8, bpchar, varchar, interval, numeric, uuid};
  const bool times = std::any_of(table.columns.begin(), table.columns.end(), [&](const column& each) {
    const bool given = c.columns.empty() || contains(c.columns, each.name);
    return given && std::find(timeless.begin(), timeless.end(), each.type) == timeless.end();
  });
  std::string unknown;
  auto format = times ? read_copy_format(c.options, unknown) : std::nullopt;
  if (!format || format->form == copy_format::kind::binary) return nullptr;
  return std::make_shared<const copy_format>(std::move(*format));
}

std::shared_ptr<const copy_layout> copy_into_shards(const sql::statement& s, const table_use& use,
                                                    const plan_context& context, analysis& a) {
  const sql::copy_statement& c = *s.copy;
  if (a.refusal || use.keys.empty() || c.program || !c.file.empty() || !s.arguments.empty() || a.not_understood) {
    return nullptr;
  }
  const auto refuse = [&](const std::string& what, const std::string& hint) {
    a.refuse(protocol::with_hint(refuse_write("COPY FROM into sharded table \"" + use.table.full_name + "\": " + what),
                                 hint));
    return nullptr;
  };
  if (!context.schema->single_writer.empty())
    return refuse(context.schema->single_writer, "Insert the rows with INSERT, tied to their keys.");
  std::string problem;
  std::optional<copy_format> format = read_copy_format(c.options, problem);
  if (!format) return refuse("option \"" + problem + "\"", "Use the options of PostgreSQL 15.");
  problem = problem_of(*format, context);
  if (!problem.empty()) return refuse(problem, "Use other characters and an encoding such as UTF8.");
  for (const column& each : use.table.described->columns) {
    if (c.columns.empty() || contains(c.columns, each.name)) continue;
    if (!each.draws.empty()) {
      return refuse("column \"" + each.name + "\" is left to a sequence, which would count on each shard",
                    "Give the column a value in the data, or insert the rows with INSERT.");
    }
    if (!each.default_of_moment) continue;
    return refuse("the default of column \"" + each.name + "\" is another one on each shard",
                  "Give the column a value in the data.");
  }
  auto layout = std::make_shared<copy_layout>();
  std::vector<copied_key>& places = layout->shape.keys;
  for (const key_column& part : use.keys) {
    const std::string& name = part.stored->name;
    const auto position = key_position(c, use, name, a);
    if (!position) return nullptr;
    places.push_back({*position, contains(format->force_null, name), contains(format->force_not_null, name)});
    layout->keys.push_back({name, *position, part.stored->type, part.stored->modifier});
  }
  std::sort(places.begin(), places.end(), [](const copied_key& x, const copied_key& y) { return x.at < y.at; });
  for (copied_column& each : layout->keys) {
    const auto own = std::find_if(places.begin(), places.end(), [&](const copied_key& k) { return k.at == each.place; });
    each.place = static_cast<std::size_t>(own - places.begin());
  }
  layout->shape.format = std::move(*format);
  layout->table = use.table.full_name;
  layout->relation = use.table.name;
  layout->values = use.values;
  return layout;
}

}  // namespace pgbraid::router
