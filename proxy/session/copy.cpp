// See copy.hpp. Source: CopyFromErrorCallback (copyfrom.c): "COPY table, line 5, column name: ..."; translations have
// another word for the line, but keep the order.
#include "proxy/session/copy.hpp"

#include "protocol/wire.hpp"

#include <charconv>

namespace pgbraid::proxy {

namespace p = protocol;

namespace {

struct place {
  std::size_t begin = 0;   ///< of ", line 5"
  std::size_t number = 0;  ///< of "5"
  std::size_t end = 0;
  std::uint64_t line = 0;
};

// Where a context says which line of the data for `relation` it is about.
std::optional<place> find_line(std::string_view context, std::string_view relation) {
  const std::string opening = "COPY " + std::string{relation} + ", ";
  std::size_t at = context.find(opening);
  while (at != std::string_view::npos && at > 0 && context[at - 1] != '\n') at = context.find(opening, at + 1);
  if (at == std::string_view::npos) return std::nullopt;
  place out;
  out.begin = at + opening.size() - 2;
  out.number = context.find_first_of("0123456789\n,:", out.begin + 2);
  if (out.number == std::string_view::npos) return std::nullopt;
  const auto [end, error] = std::from_chars(context.data() + out.number, context.data() + context.size(), out.line);
  if (error != std::errc{}) return std::nullopt;
  out.end = static_cast<std::size_t>(end - context.data());
  return out;
}

// What follows the number: the line itself, or a column and its value.
std::string without_numbers(std::string_view rest, std::uint64_t line, const router::copy_numbering* numbers) {
  constexpr std::string_view opening = ": \"";
  std::string out{rest};
  if (numbers == nullptr || !rest.starts_with(opening) || !rest.ends_with('"') || rest.size() <= opening.size())
    return out;
  const std::string_view shown = rest.substr(opening.size(), rest.size() - opening.size() - 1);
  return out.replace(opening.size(), shown.size(), numbers->without_numbers(shown, line));
}

}  // namespace

retold_report retell_line(const p::frame_view& frame, std::string_view relation, const router::line_map* lines,
                          const router::copy_numbering* numbers) {
  retold_report out;
  const p::frame_builder builder{out.frame, frame.type};
  p::wire_reader fields{frame.body};
  while (!fields.at_end()) {
    const char code = fields.character();
    out.frame.push_back(code);
    if (code == '\0') break;
    const std::string_view value = fields.cstring();
    const auto found = code == 'W' ? find_line(value, relation) : std::nullopt;
    if (!found) {
      p::append_cstring(out.frame, value);
      continue;
    }
    const auto line = lines == nullptr ? std::optional{found->line} : lines->find(found->line);
    out.line = line.value_or(0);
    out.frame.append(value.substr(0, line ? found->number : found->begin));
    if (line) out.frame.append(std::to_string(*line));
    p::append_cstring(out.frame, without_numbers(value.substr(found->end), out.line, numbers));
  }
  return out;
}

}  // namespace pgbraid::proxy
