// A statement that goes over one shard after the other, each by itself, on its way: see router/plan/upkeep.hpp.
#pragma once

#include "router/plan/route.hpp"
#include "router/plan/upkeep.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pgbraid::proxy {

/// A shard on the way.
struct round_stop {
  router::shard_index shard = 0;
  std::string name;  ///< the shard's: a reload may give its number to another
  router::stop_task task = router::stop_task::run;
  router::index_state found;  ///< what the shard has said of the index that is meant
  bool done = false;          ///< nothing is left to do there
};

struct round_state {
  /// What the shard at `next` is asked. `ask` goes round all of them before anything is done on one; `again` asks one,
  /// later, for what it has said to be in the way.
  enum class phase : std::uint8_t { ask, compare, again, remove, run } at = phase::run;

  router::plan_ptr plan;
  std::string text;
  router::upkeep how;
  std::vector<round_stop> stops;
  std::size_t next = 0;
  bool asked = false;   ///< the shard has been asked: its answer is to come, or there
  bool failed = false;  ///< it has answered with an error that is not told
  std::vector<std::vector<std::optional<std::string>>> rows;  ///< of its answer
  std::string tag;                                            ///< of CommandComplete, as the first shard has told it
};

}  // namespace pgbraid::proxy
