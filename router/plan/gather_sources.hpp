// What a gathered statement is made of: its own text, the definitions of the views in it, and the sharded tables that
// all of them read. See gather.hpp.
#pragma once

#include "router/plan/analysis.hpp"
#include "router/plan/gather.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::router {

/// One text whose tables are gathered: the statement's own query, or a view's definition.
struct gather_source {
  const sql::statement* statement = nullptr;
  const analysis* found = nullptr;
  std::string_view text;              ///< all that was parsed
  std::size_t begin = 0, end = 0;     ///< the query in it
  const relation* view = nullptr;     ///< none: the statement's own
  std::string entry;                  ///< of a view: the WITH entry that stands for it
  std::shared_ptr<const void> owner;  ///< keeps a view's statement and analysis
};

/// One sharded table whose rows are fetched.
struct gather_table {
  const resolved_table* table = nullptr;
  std::string alias;   ///< what the statement calls it
  bool only = false;   ///< without the rows of tables that inherit from it
  std::string entry;   ///< the WITH entry that stands for it
  bool renamed = false;  ///< `entry` is a name of ours
  bool all_columns = false;
  std::vector<const column*> columns;  ///< that are fetched, in the table's order
};

struct gather_set {
  std::vector<gather_source> sources;  ///< a view behind the views that it reads, the statement itself last
  std::vector<gather_table> tables;

  /// The WITH entry that stands for a use, or nullptr: it is read where it stands.
  [[nodiscard]] const std::string* entry_of(const table_use& use, bool only) const;
  /// The table that a use means, or nullptr.
  [[nodiscard]] const gather_table* table_of(const table_use& use, bool only) const;
};

/// The FROM items of a text's table uses, by use.
[[nodiscard]] std::vector<const sql::from_item*> items_of(const analysis& a);

/// Everything that the query reads; nothing where rows cannot stand for its tables. `text` and `found` must outlive it.
[[nodiscard]] std::optional<gather_set> gather_sources(const gather_query& query, const analysis& found,
                                                       const plan_context& context);

}  // namespace pgbraid::router
