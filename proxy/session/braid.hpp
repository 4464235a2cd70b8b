// The answers of several branches to one statement, on their way to being one.
#pragma once

#include "protocol/errors.hpp"
#include "proxy/session/branch.hpp"
#include "proxy/session/gather_budget.hpp"
#include "proxy/session/merge.hpp"
#include "router/plan/route.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace pgbraid::proxy {

/// Several branches answer one statement.
struct braid_state {
  bool active = false;
  bool failed = false;
  bool moves = false;                  ///< rows of an UPDATE are inserted: that is what the client is told
  std::uint32_t next_sequence = 1, heard = 0;
  int bulk_owner = -1;                 ///< the branch in the middle of a row that is passed on in pieces
  std::uint32_t executing = 0;         ///< branches whose rows are not all here yet
  std::string behind;                  ///< types of empty messages of ours that come when these have completed
  std::uint64_t rows = 0;
  std::string tag;                     ///< of CommandComplete, without the number of rows
  std::map<std::uint32_t, std::size_t>
      row_descriptions;                ///< by sequence: hash of the first branch's, to hold the others against
  std::vector<branch_index> held;      ///< branches with bytes that wait for bulk_owner
  int speaker = -1;                    ///< mirrored: the branch that goes ahead and answers for all
  bool reads_copies = false;           ///< mirrored: a read, of copies that may be of different moments
  bool ahead = false;                  ///< mirrored: the speaker has been asked, the others wait for it
  targets order;                       ///< the branch of each row that RETURNING gives; empty: rows come as they come
  std::vector<std::string> rows_of;    ///< with `order`: DataRow messages, by branch
  std::size_t kept = 0;                ///< bytes in rows_of
  gather_share share;                  ///< covers them
  std::unique_ptr<sorted_merge> merge;  ///< the rows come in an order, and are told in it
  std::shared_ptr<const protocol::error_report> taken;    ///< what is told if it changes a row: see claims.hpp
  std::shared_ptr<const router::explain_layout> explain;  ///< the rows are plans, each branch's told behind its name
};

}  // namespace pgbraid::proxy
