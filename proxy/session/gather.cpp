#include "proxy/session/gather.hpp"

#include "proxy/session/stage.hpp"

#include "protocol/backend.hpp"
#include "router/plan/staged_source.hpp"
#include "router/plan/words.hpp"
#include "router/plan/written_type.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>

namespace pgbraid::proxy {

namespace p = protocol;

void append_json_text(std::string& out, std::string_view text) {
  constexpr std::string_view hex = "0123456789abcdef";
  const auto special = [](char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20; };
  while (!text.empty()) {
    const auto end = static_cast<std::size_t>(std::find_if(text.begin(), text.end(), special) - text.begin());
    out.append(text.substr(0, end));
    if (end == text.size()) return;
    const char c = text[end];
    if (c == '"' || c == '\\') {
      out.append({'\\', c});
    } else {
      out.append({'\\', 'u', '0', '0', hex[static_cast<unsigned char>(c) >> 4], hex[static_cast<unsigned char>(c) & 15]});
    }
    text.remove_prefix(end + 1);
  }
}

void add_source_row(std::string& json, const std::vector<std::optional<std::string_view>>& values) {
  json.append(json.empty() ? "[{" : ",{");
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) json.push_back(',');
    json.append("\"c").append(std::to_string(i)).append("\":");
    if (!values[i]) {
      json.append("null");
      continue;
    }
    json.push_back('"');
    append_json_text(json, *values[i]);
    json.push_back('"');
  }
  json.push_back('}');
}

void add_listed_row(std::string& list, const std::vector<std::optional<std::string_view>>& values) {
  list.append(list.empty() ? "" : ", ").append(values.size() > 1 ? "(" : "");
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) list.append(", ");
    if (values[i]) {
      router::append_literal(list, *values[i]);
    } else {
      list.append("NULL");
    }
  }
  if (values.size() > 1) list.push_back(')');
}

bound_values::bound_values(const p::bind_view& m, std::span<const router::oid> declared, const std::vector<bool>& used) {
  types.assign(declared.begin(), declared.end());
  types.resize(used.size(), 0);
  auto given = m.parameters.values();
  p::wire_value value;
  for (std::size_t i = 0; i < used.size() && given.next(value); ++i) {
    formats.push_back(used[i] ? m.formats.of(i) : p::text_format);
    if (!used[i]) types[i] = router::type_oid::text;
    values.push_back(value.null || !used[i] ? p::optional_value{} : p::optional_value{value.bytes});
  }
}

bound_values only_those_in(std::string_view text, const bound_values& given) {
  bound_values out = given;
  std::vector<bool> used(given.values.size());
  for (const std::size_t n : router::parameters_in(text)) {
    if (n <= used.size()) used[n - 1] = true;
  }
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (used[i]) continue;
    out.types[i] = router::type_oid::text;
    out.formats[i] = p::text_format;
    out.values[i].reset();
  }
  return out;
}

bool gather_state::add_row(std::string_view body) {
  p::data_row_view row;
  if (!p::decode(body, row)) return false;
  auto values = row.columns.values();
  p::wire_value value;
  std::size_t fragment = 0;
  if (!values.next(value) || value.null) return false;
  const auto read = std::from_chars(value.bytes.data(), value.bytes.data() + value.bytes.size(), fragment);
  if (read.ec != std::errc{} || fragment >= json.size()) return false;

  std::string& out = json[fragment];
  const std::size_t before = out.size();
  out.append(out.empty() ? "[{" : ",{");
  for (std::size_t i = 0; i < plan->fragments.size(); ++i) {
    bool first = true;
    for (const std::string& key : plan->fragments[i].json_keys) {
      if (!values.next(value)) return false;
      if (i != fragment) continue;
      if (!first) out.push_back(',');
      first = false;
      out.append(key);
      if (value.null) {
        out.append("null");
        continue;
      }
      out.push_back('"');
      append_json_text(out, value.bytes);
      out.push_back('"');
    }
  }
  out.push_back('}');
  bytes += out.size() - before;
  ++rows;
  return true;
}

void gather_state::read_types(std::string_view body) {
  p::row_description description;
  types.clear();
  std::size_t columns = 1;  // in front stands the fragment's number
  for (const router::gather_fragment& fragment : plan->fragments) columns += fragment.json_keys.size();
  // With other columns than were asked for no type is known.
  if (!p::decode(body, description) || description.fields.size() != columns) return;
  for (std::size_t i = 1; i < columns; ++i) {
    const p::field_description& field = description.fields[i];
    auto name = router::written_type(field.type, field.type_modifier);
    if (!name && plan->casts_text && field.type_modifier < 0) {
      const std::string_view plain = router::plain_type_name(field.type);
      if (!plain.empty()) name = "pg_catalog." + std::string{plain};
    }
    if (!name && !plan->casts_text) return types.clear();
    types.push_back(name.value_or(""));
  }
}

bool gather_state::lacks_types() const {
  return plan->types_in_text &&
         (types.empty() || std::any_of(plan->gaps.begin(), plan->gaps.end(), [&](const router::gather_gap& gap) {
            return gap.kind == router::gap_kind::type && (gap.index >= types.size() || types[gap.index].empty());
          }));
}

std::string combining_text(const gather_state& g) {
  const std::string_view text = g.plan->combine_sql;
  std::string out;
  std::size_t from = 0;
  for (const router::gather_gap& gap : g.plan->gaps) {
    out.append(text.substr(from, gap.at - from));
    from = gap.at;
    if (gap.kind == router::gap_kind::type) {
      out.append(g.types[gap.index]);
      continue;
    }
    router::append_literal(out, g.json[gap.index]);
  }
  return out.append(text.substr(from));
}

const std::string& gather_state::biggest() const {
  const auto found = std::max_element(json.begin(), json.end(), [](const std::string& a, const std::string& b) { return a.size() < b.size(); });
  return plan->fragments[static_cast<std::size_t>(found - json.begin())].table;
}

}  // namespace pgbraid::proxy
