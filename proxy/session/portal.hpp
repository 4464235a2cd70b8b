// What the extended protocol leaves open between messages: operations of a batch, and portals.
#pragma once

#include "proxy/session/branch.hpp"
#include "proxy/session/config_change.hpp"
#include "proxy/session/merge.hpp"
#include "proxy/session/statement.hpp"
#include "router/plan/route.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace pgbraid::proxy {

/// A message of a batch.
struct operation {
  char type;
  std::uint32_t offset, length;  ///< of the frame, in the input
};

using merge_ptr = std::shared_ptr<const merge_request>;

/// What a portal over several branches has beside them. Apart: every session has room for a portal, and few are such.
struct portal_spread {
  bool mirrored = false;   ///< see router::to_many
  targets order;           ///< see braid_state::order
  std::shared_ptr<const router::copy_layout> copy;  ///< see router::plan
  merge_ptr merge;         ///< its rows are merged in their order
  std::shared_ptr<const router::explain_layout> explain;  ///< see router::plan
  bool moves = false;      ///< see braid_state::moves
  bool reads_copies = false;              ///< see braid_state::reads_copies
  std::vector<config_change> configures;  ///< what its execution changes of the session's settings
  std::shared_ptr<const protocol::error_report> taken;  ///< see braid_state::taken
};

struct portal {
  statement_ptr statement;
  targets branches;
  std::shared_ptr<const portal_spread> spread{};  ///< null: one branch
};

/// SQL's PREPARE under way.
struct pending_prepare {
  std::string name, text;
  branch_index branch;
};

}  // namespace pgbraid::proxy
