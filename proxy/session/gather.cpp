#include "proxy/session/gather.hpp"

#include "proxy/session/stage.hpp"

#include "protocol/backend.hpp"

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
  return true;
}

std::string with_literals(const gather_state& g) {
  const std::string_view text = g.plan->combine_sql;
  std::string out;
  std::size_t from = 0;
  for (const auto& [at, fragment] : g.plan->literals) {
    out.append(text.substr(from, at - from)).append("E'");
    for (const char c : g.json[fragment]) {
      if (c == '\'' || c == '\\') out.push_back(c);
      out.push_back(c);
    }
    out.push_back('\'');
    from = at;
  }
  return out.append(text.substr(from));
}

const std::string& gather_state::biggest() const {
  const auto found = std::max_element(json.begin(), json.end(), [](const std::string& a, const std::string& b) { return a.size() < b.size(); });
  return plan->fragments[static_cast<std::size_t>(found - json.begin())].table;
}

}  // namespace pgbraid::proxy
