#include "proxy/session/transaction.hpp"

#include <algorithm>

namespace pgbraid::proxy {

using router::sql::isolation_level;

void transaction::clear() {
  active = own = failed = primary_only = foreign = broken = chained = imported = snapshots = read_only = false;
  isolation = isolation_level::read_committed;
  snapshot_anywhere = false;
  home.reset();
  first.reset();
  writer.reset();
  untold.reset();
  prologue.clear();
  base.reset();
}

bool transaction::one_snapshot() const noexcept {
  return isolation == isolation_level::repeatable_read || isolation == isolation_level::serializable;
}

std::string transaction::replay() const {
  std::string sql;
  for (const prologue_entry& entry : prologue) {
    if (!sql.empty()) sql.append("; ");
    sql.append(entry.sql);
  }
  return sql;
}

bool transaction::plain() const noexcept {
  return prologue.size() == 1 && !(isolation == isolation_level::serializable);
}

bool transaction::in_subtransaction() const noexcept {
  const auto is_savepoint = [](const prologue_entry& e) { return e.what == prologue_entry::kind::savepoint; };
  return std::any_of(prologue.begin(), prologue.end(), is_savepoint);
}

int transaction::find_savepoint(std::string_view name) const noexcept {
  for (int i = static_cast<int>(prologue.size()) - 1; i >= 0; --i) {
    const prologue_entry& entry = prologue[static_cast<std::size_t>(i)];
    if (entry.what == prologue_entry::kind::savepoint && entry.name == name) return i;
  }
  return -1;
}

}  // namespace pgbraid::proxy
