// Sorted rows of several branches on their way into one result (router/plan/merge.hpp). Each branch's rows wait here until
// it is known that no other branch has an earlier one.
#pragma once

#include "protocol/backend.hpp"
#include "proxy/session/branch.hpp"
#include "router/plan/merge.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

/// How a portal's rows are merged.
struct merge_request {
  std::shared_ptr<const router::merge_order> order;
  std::vector<bool> binary;  ///< of each key: its column's format
  std::uint64_t limit;       ///< rows of the result
};

class sorted_merge {
 public:
  /// Branches are those that have been asked.
  sorted_merge(merge_request request, std::span<const branch_index> branches);

  /// Whether the columns to sort by are what they are taken for.
  [[nodiscard]] bool fits(const protocol::row_description& description) const;

  /// Enough of this branch's rows are here: the others' are waited for. Never so of a branch that has not been asked, which may
  /// have something else to say meanwhile.
  [[nodiscard]] bool full(branch_index i) const noexcept { return i < lanes_.size() && lanes_[i].waiting() >= lane_bytes; }
  /// A DataRow message. False: a key's value is none of its type, or nobody has asked this branch.
  [[nodiscard]] bool add(branch_index i, std::string_view frame);
  /// The branch has no more rows.
  void end(branch_index i) noexcept {
    if (i < lanes_.size()) lanes_[i].over = true;
  }
  /// Appends the rows whose turn it is.
  void take(std::string& out);
  /// Rows that take() has given.
  [[nodiscard]] std::uint64_t taken() const noexcept { return taken_; }

  std::vector<branch_index> held;  ///< branches that were full and are to go on when they are no longer

 private:
  /// What a branch may send ahead of the others, in bytes, but for the row that goes beyond it.
  static constexpr std::size_t lane_bytes = std::size_t{1} << 17;

  struct lane {
    std::string rows;             ///< messages, those before `at` gone
    std::size_t at = 0;
    std::vector<std::string> keys;  ///< of the rows, from `next` on; the strings before it are kept for later ones
    std::size_t next = 0, filled = 0;
    bool asked = false, over = false;

    void compact();
    [[nodiscard]] bool empty() const noexcept { return next == filled; }
    [[nodiscard]] std::size_t waiting() const noexcept { return rows.size() - at; }
  };
  [[nodiscard]] bool read_key(std::string_view body, std::string& key) const;

  merge_request by_;
  std::vector<lane> lanes_;  ///< by branch index
  std::uint64_t taken_ = 0;
};

}  // namespace pgbraid::proxy
