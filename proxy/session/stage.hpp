// A write over several shards of which something must be known first (router/plan/staged.hpp), on its way.
#pragma once

#include "router/plan/staged.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace pgbraid::proxy {

struct stage_state {
  std::shared_ptr<const router::staged_write> plan;
  std::vector<std::string> moments;  ///< their values, as they have come
  bool done = false;                 ///< `text` is what the shards get
  std::string text;

  explicit stage_state(std::shared_ptr<const router::staged_write> made) : plan{std::move(made)} {}
};

}  // namespace pgbraid::proxy
