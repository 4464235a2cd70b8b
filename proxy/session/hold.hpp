// reads.snapshot: consistent. A commit over several shards holds the gate of each of them from before it is prepared
// there until it is committed there (machine_commit.cpp). Whoever wants to see such commits whole takes the gates of all
// shards that it reads, has a snapshot taken on each while it holds them all, and lets go. Both sides share a gate among
// themselves and exclude each other: the lock modes SHARE and ROW EXCLUSIVE of an empty table. Nothing of this is in
// pgbraid's memory, so that instances which end, and others beside it, change nothing. Source: the manual's section
// "Table-Level Locks".
#pragma once

#include "proxy/session/branch.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace pgbraid::proxy {

struct hold_state {
  enum class phase : std::uint8_t {
    wanted,
    tables,  ///< the tables' locks are asked for, which may take as long as others hold them: no gate is held meanwhile
    asked,   ///< the gates are asked for
    held,    ///< until release_hold()
    over     ///< the snapshots are taken and will stay; nothing is held any more
  };
  phase at = phase::wanted;
  [[nodiscard]] bool waits() const noexcept { return at == phase::tables || at == phase::asked; }
  [[nodiscard]] bool under_way() const noexcept { return waits() || at == phase::held; }
  bool snapshot = false;   ///< the transaction has one snapshot of each shard, so that the gates may be let go at once
  bool refused = false;    ///< a gate has not opened in time
  bool alone = false;      ///< in a transaction of pgbraid's own, for one read
  bool cancelled = false;  ///< the client waits no longer
  bool wrote = false;      ///< something was written behind it that must not be undone
  std::uint8_t tries = 0;  ///< how often the gates have been asked for
  targets over;            ///< the branches whose gates are held
  std::vector<std::string> tables;  ///< "schema.name": those of the read that all of them have
};

}  // namespace pgbraid::proxy
