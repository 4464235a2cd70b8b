// Where the key stands in the rows of COPY FROM, and what keeps them from being split; see copies.hpp. Source:
// CopyGetAttnums (copy.c).
#include "router/plan/copies.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "router/plan/gather_text.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/refusals.hpp"
#include "router/plan/scatter.hpp"
#include "router/plan/words.hpp"
#include "router/plan/written_type.hpp"

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
                                        const std::vector<numbered_column>& numbered, analysis& a) {
  if (!c.columns.empty()) {
    const auto found = std::find(c.columns.begin(), c.columns.end(), key);
    if (found != c.columns.end()) return static_cast<std::size_t>(found - c.columns.begin());
    const auto drawn =
        std::find_if(numbered.begin(), numbered.end(), [&](const numbered_column& n) { return n.name == key; });
    if (drawn != numbered.end()) return c.columns.size() + static_cast<std::size_t>(drawn - numbered.begin());
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

bool has_simple_binary_form(oid type) {
  return type == type_oid::int2 || type == type_oid::int4 || type == type_oid::int8 || type == type_oid::text ||
         type == type_oid::varchar;
}

/// What the rows are given for a column that is left to a default which must be evaluated once for all shards: the
/// number of a sequence, the time, random values. As the column's type: a server says itself when it does not fit.
/// Empty where its type is not built in.
std::string evaluated(const column& left) {
  if (left.draws.empty()) {
    // Without the column's length, to which a cast would cut it.
    const auto type = written_type(left.type, -1);
    return type ? as_text("((" + left.default_text + ")::" + *type + ")", left.type) : std::string{};
  }
  const bool integer = left.type == type_oid::int2 || left.type == type_oid::int4;
  const std::string type = integer ? "::" + written_type(left.type, -1).value_or("") : std::string{};
  return "((" + left.draws + ")" + type + ")::pg_catalog.text";
}

/// Why such values cannot be put into the rows; "" if they can.
std::string keeps_from_numbering(const column& left, const relation& table, const copy_format& format,
                                 const plan_context& context) {
  if (!left.draws.empty() && left.default_of_moment) return "has a default of a sequence and of the time";
  if (left.draws.empty() && (left.default_text.empty() || facts_of_default(left, context).differs))
    return "has a default that is another one on each shard";
  if (!table.user_code.empty()) return "is left to its default, and the table runs functions of your own";
  if (format.form == copy_format::kind::binary && !has_simple_binary_form(left.type)) {
    return "is left to its default, and is neither an integer nor text, in the format binary";
  }
  const auto ascii = [](const std::string& text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  };
  const std::string value = evaluated(left);
  if (value.empty()) return "is left to its default, and has a type of its own";
  if (!ascii(value)) return "is left to a default with characters beyond ASCII";
  if (format.header_match && !ascii(left.name)) return "is left to its default, and cannot be named in the header";
  return {};
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

bool copy_into_all(const sql::statement& s, const table_use& use, const plan_context& context, analysis& a,
                   std::shared_ptr<const copy_layout>& layout) {
  const sql::copy_statement& c = *s.copy;
  if (a.refusal || c.program || !c.file.empty() || !s.arguments.empty() || use.table.described == nullptr) return false;
  if (auto error = judge_mirror(a, true)) a.refuse(std::move(*error));
  std::string problem;
  const std::optional<copy_format> format = read_copy_format(c.options, problem);
  if (format && problem.empty()) problem = problem_of(*format, context);
  if (format && format->form == copy_format::kind::binary && a.written_types_differ) a.refuse(*a.written_types_differ);
  auto made = std::make_shared<copy_layout>();
  for (const column& each : use.table.described->columns) {
    const bool draws = !each.draws.empty();
    if (c.columns.empty() || contains(c.columns, each.name) || !(each.default_varies || draws)) continue;
    if (problem.empty() && keeps_from_numbering(each, *use.table.described, *format, context).empty()) {
      made->numbered.push_back({each.name, evaluated(each), each.type});
      continue;
    }
    auto error = make_error(error_id::reference_write, use.table.full_name);
    error.detail = "The default of column \"" + each.name + "\" may be another value on each shard.";
    a.refuse(std::move(error));
  }
  if (a.refusal) return false;
  if (made->numbered.empty()) return true;
  made->given = c.columns.size();
  made->shape.format = *format;
  made->table = use.table.full_name;
  made->schema = use.table.schema;
  made->relation = use.table.name;
  layout = std::move(made);
  return true;
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
  if (format->form == copy_format::kind::binary && a.written_types_differ) {
    a.refuse(*a.written_types_differ);
    return nullptr;
  }
  problem = problem_of(*format, context);
  if (!problem.empty()) return refuse(problem, "Use other characters and an encoding such as UTF8.");
  auto layout = std::make_shared<copy_layout>();
  layout->given = c.columns.size();
  layout->schema = use.table.schema;
  for (const column& each : use.table.described->columns) {
    if (c.columns.empty() || contains(c.columns, each.name)) continue;
    const bool key =
        std::any_of(use.keys.begin(), use.keys.end(), [&](const key_column& k) { return k.name == each.name; });
    if (each.draws.empty() && !each.default_of_moment && !(key && has_random_default(each, context))) continue;
    const std::string why = keeps_from_numbering(each, *use.table.described, *format, context);
    if (!why.empty()) {
      return refuse("column \"" + each.name + "\" " + why,
                    "Give the column a value in the data, or insert the rows with INSERT.");
    }
    layout->numbered.push_back({each.name, evaluated(each), each.type});
  }
  std::vector<copied_key>& places = layout->shape.keys;
  for (const key_column& part : use.keys) {
    const std::string& name = part.stored->name;
    const auto position = key_position(c, use, name, layout->numbered, a);
    if (!position) return nullptr;
    places.push_back({*position, contains(format->force_null, name), contains(format->force_not_null, name)});
    layout->keys.push_back({name, *position, part.stored->type, part.stored->modifier});
  }
  for (const claimed_column& each : use.table.described->claimed) {
    const std::string& name = each.column;
    if (!c.columns.empty() && !contains(c.columns, name)) continue;
    const auto position = key_position(c, use, name, layout->numbered, a);
    const auto& columns = use.table.described->columns;
    const auto stored = std::find_if(columns.begin(), columns.end(), [&](const column& k) { return k.name == name; });
    if (!position || stored == columns.end()) return nullptr;
    places.push_back({*position, contains(format->force_null, name), contains(format->force_not_null, name)});
    layout->claimed.push_back({name, each.constraint, stored->type, stored->modifier, {}});
    layout->claimed_places.push_back(*position);
  }
  std::sort(places.begin(), places.end(), [](const copied_key& x, const copied_key& y) { return x.at < y.at; });
  const auto rank = [&](std::size_t& place) {
    const auto own = std::find_if(places.begin(), places.end(), [&](const copied_key& k) { return k.at == place; });
    place = static_cast<std::size_t>(own - places.begin());
  };
  for (copied_column& each : layout->keys) rank(each.place);
  for (std::size_t& each : layout->claimed_places) rank(each);
  layout->shape.format = std::move(*format);
  layout->table = use.table.full_name;
  layout->relation = use.table.name;
  layout->values = use.values;
  return layout;
}

std::string with_numbered_columns(std::string_view statement, const copy_layout& layout) {
  int depth = 0;
  for (std::size_t at = 0; at < statement.size();) {
    if (const std::size_t past = skip_quoted(statement, at); past != at) {
      at = past;
      continue;
    }
    depth += statement[at] == '(' ? 1 : statement[at] == ')' ? -1 : 0;
    // The list of columns is the first thing in parentheses.
    if (statement[at] == ')' && depth == 0) {
      std::string out{statement.substr(0, at)};
      for (const numbered_column& each : layout.numbered) out += ", " + quote_identifier(each.name);
      out += statement.substr(at);
      return out;
    }
    ++at;
  }
  return {};
}

}  // namespace pgbraid::router
