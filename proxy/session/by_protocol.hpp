// PREPARE and EXECUTE of what concerns several shards, carried out by messages of the extended protocol: a statement
// that PREPARE has made is kept as Parse keeps it.
#pragma once

#include "router/catalog.hpp"
#include "router/plan/prepared.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pgbraid::proxy {

struct by_protocol_state {
  enum class phase : std::uint8_t {
    prepare,   ///< Parse
    describe,  ///< Describe, for the types of the parameters
    types,     ///< Parse and Describe of arguments that must be computed, for their types
    values,    ///< their values
    execute    ///< Bind, Describe and Execute
  } at = phase::prepare;
  std::string name;
  std::vector<router::execute_argument> arguments;
  router::computed_arguments computed;      ///< none must be: empty
  std::vector<router::oid> argument_types;  ///< of all of them, where some must be computed
  std::vector<std::optional<std::string>> computed_values;
  std::optional<std::vector<router::oid>> types;  ///< of the parameters, once a server has told them
  std::string explains;                           ///< of EXPLAIN EXECUTE: what stands in front of EXECUTE
  std::string before;                             ///< what stands in front of the text that PREPARE prepares
  std::string frames;                             ///< of the phase: they stand for the client's input meanwhile
  std::size_t bytes = 0;                          ///< of the client's own message
  bool over = false;
};

}  // namespace pgbraid::proxy
