// A text of the planner's own making, or a part of the client's, read as a statement: parsed and looked at.
#pragma once

#include <string_view>

#include "router/plan/analysis.hpp"
#include "router/sql/parser.hpp"

namespace pgbraid::router {

/// One statement. It is what `found` points into, so it stays where it is.
class read_text {
 public:
  read_text(std::string_view text, const plan_context& context);
  read_text(const read_text&) = delete;
  read_text& operator=(const read_text&) = delete;

  /// Null where the text is no statement, or several.
  [[nodiscard]] const sql::statement* statement() const noexcept { return statement_; }
  [[nodiscard]] const sql::select_query* select() const noexcept {
    return statement_ == nullptr ? nullptr : statement_->select.get();
  }

  analysis found;  ///< of the statement; empty without one

 private:
  sql::parse_result parsed_;
  const sql::statement* statement_ = nullptr;
};

}  // namespace pgbraid::router
