// json_schema(): draft 7, which the YAML language servers of today's editors read.
#include "config/config.hpp"
#include "config/keys.hpp"

#include <fmt/format.h>

namespace pgbraid::config {
namespace {

constexpr std::string_view size_pattern = R"(^(0|[0-9]+(\\.[0-9]+)? *(B|[kK]B|[MGT]B|[KMGT]iB))$)";
constexpr std::string_view time_pattern = R"(^(0|[0-9]+(\\.[0-9]+)? *(ms|s|min|h|d))$)";
constexpr std::string_view lag_pattern = R"(^(none|0|[0-9]+(\\.[0-9]+)? *(B|[kK]B|[MGT]B|[KMGT]iB|ms|s|min|h|d))$)";
constexpr std::string_view range_pattern = R"(^[0-9]+( *- *[0-9]+)?( *, *[0-9]+( *- *[0-9]+)?)*$)";

std::string text(std::string_view s) {
  std::string out = "\"";
  for (const char c : s) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

/// A text of the topology: YAML reads an unquoted 1234 as a number, and pgbraid takes it for text.
constexpr std::string_view any_text = R"("type": ["string", "number"])";

class schema_writer {
 public:
  std::string take() { return std::move(out_); }

  /// The members of one value's schema, without the braces.
  void members(const key_row& row, int level) {
    if (!row.meaning.empty()) {
      const std::string_view status = row.status == stage::refused   ? " Not supported yet."
                                      : row.status == stage::ignored ? " Has no effect yet."
                                                                     : "";
      line(level, fmt::format("\"description\": {},", text(fmt::format("{}{}", row.meaning, status))));
    }
    if (row.status == stage::refused) return line(level, "\"not\": {}");
    if (!row.fallback.empty()) line(level, fmt::format("\"default\": {},", fallback(row)));
    if (row.short_form) {
      const bool named = row.name() == "*";
      line(level, fmt::format("\"anyOf\": [{{{}}}, {}{{", any_text, named ? R"({"type": "null"}, )" : ""));
      type(row, level + 1);
      line(level, "}]");
    } else {
      type(row, level);
    }
  }

  void object(std::string_view path, int level) {
    line(level, "\"type\": \"object\",");
    std::string required;
    const auto below = keys_below(path);
    for (const key_row* row : below)
      if (row->required) required += (required.empty() ? "" : ", ") + text(row->name());
    if (!required.empty()) line(level, fmt::format("\"required\": [{}],", required));
    if (path == "databases.*") line(level, R"("oneOf": [{"required": ["servers"]}, {"required": ["shards"]}],)");
    line(level, "\"additionalProperties\": false,");
    line(level, "\"properties\": {");
    for (std::size_t i = 0; i < below.size(); ++i) {
      line(level + 1, fmt::format("{}: {{", text(below[i]->name())));
      members(*below[i], level + 2);
      line(level + 1, i + 1 == below.size() ? "}" : "},");
    }
    line(level, "}");
  }

  void line(int level, std::string_view s) {
    out_.append(static_cast<std::size_t>(level) * 2, ' ');
    out_ += s;
    out_ += '\n';
  }

 private:
  /// A section that may stand there with all its lines commented out is null to YAML.
  static bool may_be_empty(const key_row& row) { return !row.required && !row.path.ends_with("[]"); }

  static std::string fallback(const key_row& row) {
    const bool bare =
        row.what == key_kind::integer || row.what == key_kind::power_of_two || row.what == key_kind::boolean;
    return bare ? std::string(row.fallback) : text(row.fallback);
  }

  void type(const key_row& row, int level) {
    switch (row.what) {
      case key_kind::section:
        if (row.short_form || !may_be_empty(row)) return object(row.path, level);
        line(level, R"("anyOf": [{"type": "null"}, {)");
        object(row.path, level + 1);
        return line(level, "}]");
      case key_kind::named:
        line(level, row.required ? R"("type": "object",)" : R"("type": ["object", "null"],)");
        if (row.required) line(level, "\"minProperties\": 1,");
        line(level, "\"additionalProperties\": {");
        members(*find_key(fmt::format("{}.*", row.path)), level + 1);
        return line(level, "}");
      case key_kind::items:
        line(level, "\"type\": \"array\",");
        line(level, "\"minItems\": 1,");
        line(level, "\"items\": {");
        members(*find_key(fmt::format("{}[]", row.path)), level + 1);
        return line(level, "}");
      case key_kind::text:
        return line(level, any_text);
      case key_kind::text_list:
        return line(level, fmt::format(R"("type": ["array", "null"], "items": {{{}}})", any_text));
      case key_kind::text_or_list:
        return line(level,
                    fmt::format(R"("anyOf": [{{{}}}, {{"type": "array", "items": {{{}}}}}])", any_text, any_text));
      case key_kind::integer:
        return line(level, fmt::format(R"("type": "integer", "minimum": {}, "maximum": {})", row.minimum, row.maximum));
      case key_kind::integer_or_auto:
        return line(
            level, fmt::format(R"("anyOf": [{{"const": "auto"}}, {{"type": "integer", "minimum": {}, "maximum": {}}}])",
                               row.minimum, row.maximum));
      case key_kind::power_of_two: {
        std::string values;
        for (std::int64_t n = 1; n <= row.maximum; n *= 2)
          if (n >= row.minimum) values += fmt::format("{}{}", values.empty() ? "" : ", ", n);
        return line(level, fmt::format("\"enum\": [{}]", values));
      }
      case key_kind::boolean:
        return line(level, R"("type": "boolean")");
      case key_kind::size:
        return line(level, measured(size_pattern));
      case key_kind::duration:
        return line(level, measured(time_pattern));
      case key_kind::size_or_duration:
        return line(level, measured(lag_pattern));
      case key_kind::choice: {
        std::string values;
        for (const choice_row& c : row.choices)
          if (c.status != stage::refused) values += (values.empty() ? "" : ", ") + text(c.name);
        return line(level, fmt::format("\"enum\": [{}]", values));
      }
      case key_kind::address:
        return line(level, R"("type": "string")");
      case key_kind::buckets: {
        const std::string one =
            fmt::format(R"({{"type": "integer", "minimum": 0}}, {{"type": "string", "pattern": "{}"}})", range_pattern);
        return line(
            level,
            fmt::format(R"("anyOf": [{}, {{"type": "array", "minItems": 1, "items": {{"anyOf": [{}]}}}}])", one, one));
      }
      case key_kind::anything:
        return line(level, "\"not\": {}");
    }
  }

  static std::string measured(std::string_view pattern) {
    return fmt::format(R"("anyOf": [{{"const": 0}}, {{"type": "string", "pattern": "{}"}}])", pattern);
  }

  std::string out_;
};

}  // namespace

std::string json_schema() {
  schema_writer out;
  out.line(0, "{");
  out.line(1, R"("$schema": "http://json-schema.org/draft-07/schema#",)");
  out.line(1, R"("title": "pgbraid topology",)");
  out.object("", 1);
  out.line(0, "}");
  return out.take();
}

}  // namespace pgbraid::config
