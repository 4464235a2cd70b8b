// A one-line notation for protocol messages, so that scripts of conversations can be read: the type byte and, in
// parentheses, what matters of the body.
//
// Client:  Q(sql)  P(name/sql)  B(portal/statement/value,value)  D(S name)  D(P name)  E(portal)  C(S name)  S  H  X
//          d(data)  c  f(reason)
// Server:  T(column[:type])  D(value)  C(tag)  E(sqlstate message)  N(sqlstate message)  Z(status)  S(name value)  A(pid channel payload)  t  G  H
//          d(data)  c  1  2  3  n  s  I
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy::test {

/// One message of the notation: its type and the text between its parentheses.
struct noted {
  char type = 0;
  std::string text;
};

/// Splits a line; parentheses may be nested.
[[nodiscard]] std::vector<noted> split_notation(std::string_view line);

/// The frames that the line stands for.
[[nodiscard]] std::string client_frames(std::string_view line);
[[nodiscard]] std::string server_frames(std::string_view line);

/// The line for these frames; of errors and notices only the SQLSTATE. Incomplete bytes at the end become "...".
[[nodiscard]] std::string note_client(std::string_view bytes);
[[nodiscard]] std::string note_server(std::string_view bytes);

}  // namespace pgbraid::proxy::test
