#include "machine_notation.hpp"

#include <array>
#include <stdexcept>

#include "protocol/backend.hpp"
#include "protocol/frame.hpp"
#include "protocol/frontend.hpp"

namespace pgbraid::proxy::test {

namespace p = protocol;

namespace {

constexpr std::size_t any_length = std::size_t{1} << 30;

std::pair<std::string_view, std::string_view> cut(std::string_view text, char at) {
  const std::size_t found = text.find(at);
  if (found == std::string_view::npos) return {text, {}};
  return {text.substr(0, found), text.substr(found + 1)};
}

p::object_kind kind_of(std::string_view letter) {
  return letter == "S" ? p::object_kind::statement : p::object_kind::portal;
}

std::string object(p::object_kind kind, std::string_view name) {
  return std::string{static_cast<char>(kind)} + " " + std::string{name};
}

void bind(std::string& out, std::string_view text) {
  const auto [portal, rest] = cut(text, '/');
  const auto [name, list] = cut(rest, '/');
  std::vector<p::optional_value> values;
  for (std::string_view left = list; !left.empty();) {
    const auto [value, more] = cut(left, ',');
    values.emplace_back(value);
    left = more;
  }
  p::encode_bind(out, portal, name, {}, values, {});
}

std::string bound(std::string_view body) {
  p::bind_view m;
  if (!p::decode(body, m)) return "?";
  std::string text = std::string{m.portal} + "/" + std::string{m.statement};
  p::wire_value value;
  for (std::size_t i = 0; m.parameter(i, value); ++i) {
    text.append(i == 0 ? "/" : ",").append(value.bytes);
  }
  return text;
}

std::string client_text(char type, std::string_view body) {
  switch (type) {
    case p::frontend::query: {
      p::query_view m;
      return p::decode(body, m) ? std::string{m.text} : "?";
    }
    case p::frontend::parse: {
      p::parse_view m;
      return p::decode(body, m) ? std::string{m.name} + "/" + std::string{m.text} : "?";
    }
    case p::frontend::bind:
      return bound(body);
    case p::frontend::describe: {
      p::describe_view m;
      return p::decode(body, m) ? object(m.kind, m.name) : "?";
    }
    case p::frontend::close: {
      p::close_view m;
      return p::decode(body, m) ? object(m.kind, m.name) : "?";
    }
    case p::frontend::execute: {
      p::execute_view m;
      return p::decode(body, m) ? std::string{m.portal} : "?";
    }
    case p::frontend::copy_data:
      return std::string{body};
    default:
      return {};
  }
}

std::string server_text(char type, std::string_view body) {
  switch (type) {
    case p::backend::row_description: {
      p::row_description m;
      return p::decode(body, m) && m.fields.size() == 1 ? std::string{m.fields[0].name} : "?";
    }
    case p::backend::data_row: {
      p::data_row_view m;
      p::wire_value value;
      return p::decode(body, m) && m.columns.at(0, value) ? std::string{value.bytes} : "?";
    }
    case p::backend::command_complete: {
      p::command_complete_view m;
      return p::decode(body, m) ? std::string{m.tag} : "?";
    }
    case p::backend::error_response:
    case p::backend::notice_response: {
      p::error_fields_view m;
      return p::decode(body, m) ? std::string{m.sqlstate()} : "?";
    }
    case p::backend::ready_for_query:
    case p::backend::copy_data:
      return std::string{body};
    case p::backend::parameter_status: {
      p::parameter_status_view m;
      return p::decode(body, m) ? std::string{m.name} + " " + std::string{m.value} : "?";
    }
    case p::backend::notification_response: {
      p::notification_view m;
      if (!p::decode(body, m)) return "?";
      return std::to_string(m.pid) + " " + std::string{m.channel} + (m.payload.empty() ? "" : " ") + std::string{m.payload};
    }
    default:
      return {};
  }
}

std::string note(std::string_view bytes, std::string (*text_of)(char, std::string_view)) {
  std::string line;
  while (!bytes.empty()) {
    if (!line.empty()) line.push_back(' ');
    p::frame_view frame;
    if (p::next_frame(bytes, any_length, frame) != p::frame_status::complete) return line + "...";
    line.push_back(frame.type);
    std::string text = text_of(frame.type, frame.body);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    if (!text.empty()) line.append("(").append(text).append(")");
    bytes.remove_prefix(frame.total);
  }
  return line;
}

}  // namespace

std::vector<noted> split_notation(std::string_view line) {
  std::vector<noted> out;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == ' ') continue;
    noted one{line[i], {}};
    if (i + 1 < line.size() && line[i + 1] == '(') {
      const std::size_t begin = i + 2;
      int depth = 1;
      for (i = begin; i < line.size() && depth > 0; ++i) depth += line[i] == '(' ? 1 : line[i] == ')' ? -1 : 0;
      --i;
      one.text = line.substr(begin, i - begin);
    }
    out.push_back(std::move(one));
  }
  return out;
}

std::string client_frames(std::string_view line) {
  std::string out;
  for (const auto& [type, text] : split_notation(line)) {
    const auto [first, rest] = cut(text, type == 'P' ? '/' : ' ');
    switch (type) {
      case 'Q':
        p::encode_query(out, text);
        break;
      case 'P':
        p::encode_parse(out, first, rest);
        break;
      case 'B':
        bind(out, text);
        break;
      case 'D':
        p::encode_describe(out, kind_of(first), rest);
        break;
      case 'C':
        p::encode_close(out, kind_of(first), rest);
        break;
      case 'E':
        p::encode_execute(out, text);
        break;
      case 'S':
        p::encode_sync(out);
        break;
      case 'H':
        p::encode_flush(out);
        break;
      case 'X':
        p::encode_terminate(out);
        break;
      case 'd':
        p::encode_copy_data(out, text);
        break;
      case 'c':
        p::encode_copy_done(out);
        break;
      case 'f':
        p::encode_copy_fail(out, text);
        break;
      default:
        throw std::logic_error("no such client message in a script");
    }
  }
  return out;
}

std::string server_frames(std::string_view line) {
  std::string out;
  for (const auto& [type, text] : split_notation(line)) {
    const auto [first, rest] = cut(text, ' ');
    const std::array fields{p::error_field{'S', "ERROR"}, p::error_field{'V', "ERROR"}, p::error_field{'C', first},
                            p::error_field{'M', rest}};
    // T(name:25): of another type than int4.
    const auto [column, oid] = cut(text, ':');
    const std::uint32_t type_of_column = oid.empty() ? 23 : static_cast<std::uint32_t>(std::stoul(std::string{oid}));
    const std::array columns{p::field_description{column, 0, 0, type_of_column, 4, -1, 0}};
    // D(a|b|~): several columns, the last of them NULL.
    std::vector<p::optional_value> values;
    for (std::size_t at = 0; at <= text.size();) {
      const std::size_t end = std::min(text.find('|', at), text.size());
      const std::string_view value = std::string_view{text}.substr(at, end - at);
      values.push_back(value == "~" ? p::optional_value{} : p::optional_value{value});
      at = end + 1;
    }
    switch (type) {
      case 'T':
        p::encode_row_description(out, columns);
        break;
      case 'D':
        p::encode_data_row(out, values);
        break;
      case 'C':
        p::encode_command_complete(out, text);
        break;
      case 'E':
        p::encode_error_response(out, fields);
        break;
      case 'N':
        p::encode_notice_response(out, fields);
        break;
      case 'Z':
        p::encode_ready_for_query(out, static_cast<p::transaction_status>(text.at(0)));
        break;
      case 'S':
        p::encode_parameter_status(out, first, rest);
        break;
      case 'A': {
        const auto [channel, payload] = cut(rest, ' ');
        p::encode_notification(out, std::stoi(std::string{first}), channel, payload);
        break;
      }
      case 't':
        p::encode_parameter_description(out, {});
        break;
      case 'G':
      case 'H':
        p::encode_copy_response(out, type, 0, {});
        break;
      case 'd':
        p::encode_copy_data(out, text);
        break;
      case 'c':
        p::encode_copy_done(out);
        break;
      case '1':
        p::encode_parse_complete(out);
        break;
      case '2':
        p::encode_bind_complete(out);
        break;
      case '3':
        p::encode_close_complete(out);
        break;
      case 'n':
        p::encode_no_data(out);
        break;
      case 's':
        p::encode_portal_suspended(out);
        break;
      case 'I':
        p::encode_empty_query_response(out);
        break;
      default:
        throw std::logic_error("no such server message in a script");
    }
  }
  return out;
}

std::string note_client(std::string_view bytes) {
  return note(bytes, client_text);
}

std::string note_server(std::string_view bytes) {
  return note(bytes, server_text);
}

}  // namespace pgbraid::proxy::test
