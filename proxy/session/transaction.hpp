// A client's transaction as pgbraid sees it: begun for the client at BEGIN, opened on a server when that server is first
// touched. What was said before is replayed there.
#pragma once

#include "protocol/errors.hpp"
#include "proxy/session/branch.hpp"
#include "proxy/session/definitions_made.hpp"
#include "proxy/session/settings.hpp"
#include "router/sql/ast.hpp"
#include "router/topology.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

/// What must be said to a server that joins the transaction late.
struct prologue_entry {
  enum class kind : std::uint8_t { begin, set_transaction, set, set_local, reset, savepoint, constraints } what = kind::begin;
  std::string sql;
  std::string name;             ///< savepoint
  settings_ptr settings_before; ///< savepoint: what ROLLBACK TO goes back to
  settings_ptr local_before;
  std::size_t listens = 0;      ///< savepoint: how many LISTENs and UNLISTENs were said before
  definitions_made::mark made{};  ///< savepoint: what had been defined before
};

struct transaction {
  bool active = false;          ///< the client is in a transaction block
  bool failed = false;          ///< in the aborted state for the client
  bool primary_only = false;    ///< reads no longer go to replicas
  bool own = false;             ///< pgbraid's, around one cycle that writes to several shards; the client knows nothing of it
  bool foreign = false;         ///< begun inside a text of several statements: what opened it is not known, so one branch only
  bool broken = false;          ///< a server of it is lost: only ROLLBACK as a whole is left
  std::unique_ptr<protocol::error_report> untold;  ///< how a server was lost while the client was not asking for anything
  bool chained = false;         ///< its end says AND CHAIN
  bool imported = false;        ///< it has a snapshot that another session has exported, on one server
  bool snapshots = false;       ///< of one_snapshot(): one of each shard has been taken, all of one state
  router::sql::isolation_level isolation = router::sql::isolation_level::read_committed;
  bool read_only = false;
  bool snapshot_anywhere =
      false;  ///< of one_snapshot(): every shard has taken one for a statement that any could answer
  std::optional<branch_index>
      home;  ///< of one_snapshot(): the branch that its statements are tied to; none yet: any shard will do
  std::optional<branch_index>
      first;  ///< of primaries the one that has been in it for longest: its time is the transaction's
  std::optional<router::shard_index> writer;  ///< the shard that was written, or may have been
  std::vector<prologue_entry> prologue;
  settings_ptr base;            ///< settings before BEGIN

  void clear();
  /// REPEATABLE READ or SERIALIZABLE: one snapshot, so one shard and one server.
  [[nodiscard]] bool one_snapshot() const noexcept;
  /// All of the prologue as one text.
  [[nodiscard]] std::string replay() const;
  /// The prologue is nothing but BEGIN, which cannot fail on an idle backend.
  [[nodiscard]] bool plain() const noexcept;
  /// There is a savepoint.
  [[nodiscard]] bool in_subtransaction() const noexcept;
  /// Index of the innermost savepoint of that name, or -1.
  [[nodiscard]] int find_savepoint(std::string_view name) const noexcept;
};

}  // namespace pgbraid::proxy
