#include "router/copy/copy_format.hpp"

#include <algorithm>
#include <array>

namespace pgbraid::router {
namespace {

/// As the server looks encodings up: lower case, letters and digits alone.
std::string plain_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') {
      out.push_back(static_cast<char>(c - 'A' + 'a'));
    } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      out.push_back(c);
    }
  }
  return out;
}

/// HEADER with this value: a boolean in any case, or MATCH, for which the line is there as well.
bool has_header(const sql::copy_option& option) {
  if (option.values.empty()) return true;
  const std::string value = plain_name(option.values.front());
  return value == "true" || value == "on" || value == "1" || value == "match";
}

}  // namespace

std::optional<copy_format> read_copy_format(std::span<const sql::copy_option> options, std::string& problem) {
  copy_format out;
  const auto named = [&](std::string_view name) -> const sql::copy_option* {
    const auto found = std::find_if(options.begin(), options.end(), [&](const auto& o) { return o.name == name; });
    return found == options.end() ? nullptr : &*found;
  };
  constexpr std::array<std::string_view, 11> known{"format",     "freeze",         "delimiter",  "null",
                                                   "header",     "quote",          "escape",     "encoding",
                                                   "force_null", "force_not_null", "force_quote"};
  for (const sql::copy_option& option : options) {
    if (std::find(known.begin(), known.end(), option.name) != known.end()) continue;
    problem = option.name;
    return std::nullopt;
  }
  const auto value_of = [&](std::string_view name) -> std::string_view {
    const sql::copy_option* option = named(name);
    return option == nullptr || option->values.empty() ? std::string_view{} : option->values.front();
  };
  const std::string_view format = value_of("format");
  if (format == "csv") out.form = copy_format::kind::csv;
  if (format == "binary") out.form = copy_format::kind::binary;
  if (out.form == copy_format::kind::csv) {
    out.delimiter = ',';
    out.null_mark.clear();
  }
  const auto one_byte = [&](std::string_view name, char& into) {
    if (const std::string_view value = value_of(name); value.size() == 1) into = value.front();
  };
  one_byte("delimiter", out.delimiter);
  one_byte("quote", out.quote);
  out.escape = out.quote;
  one_byte("escape", out.escape);
  if (named("null") != nullptr) out.null_mark = value_of("null");
  if (const sql::copy_option* header = named("header")) {
    out.header = has_header(*header);
    out.header_match = plain_name(value_of("header")) == "match";
  }
  out.encoding = value_of("encoding");
  if (const sql::copy_option* columns = named("force_null")) out.force_null = columns->values;
  if (const sql::copy_option* columns = named("force_not_null")) out.force_not_null = columns->values;
  return out;
}

bool names_utf8(std::string_view name) {
  const std::string plain = plain_name(name);
  return plain == "utf8" || plain == "unicode";
}

bool ascii_safe_encoding(std::string_view name) {
  const std::string plain = plain_name(name);
  if (names_utf8(plain) || plain == "sqlascii") return true;
  constexpr std::array<std::string_view, 7> families{"latin", "iso8859", "win125", "windows125",
                                                     "koi8",  "euckr",   "eucjp"};
  return std::any_of(families.begin(), families.end(),
                     [&](std::string_view family) { return plain.starts_with(family); });
}

}  // namespace pgbraid::router
