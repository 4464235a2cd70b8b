// What the designated shard is asked before a statement goes where it belongs: numbers of its sequences, the shards of
// keys that a table names, or whether a server would take what pgbraid is about to refuse.
#pragma once

#include "protocol/errors.hpp"
#include "proxy/session/statement.hpp"
#include "router/plan/drawing.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pgbraid::proxy {

struct question_state {
  std::optional<router::drawing> drawing;           ///< numbers are drawn
  std::optional<protocol::error_report> refusal;    ///< told if the server takes the statement, which is not run
  bool is_lookup = false;                           ///< keys are looked up: see key_lookup.hpp
  bool in_block = false;                            ///< drawing: more numbers than it needs are drawn, for others
  bool asked = false, done = false;
  std::vector<std::string> values;                  ///< drawing: as they come
  std::string text;                                 ///< drawing: the statement with its numbers
  statement_ptr statement;                          ///< extended protocol: the same
  std::uint64_t serial = 0;                         ///< of that as an unnamed statement
};

}  // namespace pgbraid::proxy
