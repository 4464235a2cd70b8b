// One backend's part in what a session does: which server it is, what answers are still expected from it.
#pragma once

#include "proxy/cluster/snapshot.hpp"
#include "proxy/session/settings.hpp"
#include "proxy/session/statement.hpp"
#include "router/topology.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

namespace pgbraid::proxy {

/// A branch's place among its session's branches.
using branch_index = std::uint8_t;
/// The branches that a statement goes to.
using targets = std::vector<branch_index>;

enum class answer : std::uint8_t { parse, bind, describe_statement, describe_portal, execute, close, sync, query, function_call, local };

enum class disposition : std::uint8_t {
  forward,  ///< the client sees it
  swallow,  ///< pgbraid asked for itself
  prepare,  ///< as swallow, and the statement behind it waits for it (settings, BEGIN with more than itself)
  gather,   ///< rows of a shard's tables, for a statement that one server answers over all of them
  control,  ///< transaction control sent to all branches: collected, one answer made of them
  round,    ///< a statement that goes over one shard after the other: see round.hpp
  probe     ///< the question whether user code left state behind
};

/// expectation::local_type of what is done about names of SQL's PREPARE.
inline constexpr char of_names = 'N';
/// The same where nothing depends on it; expectation::statement is the name's id.
inline constexpr char of_optional_name = 'O';
/// The gate that keeps commits over several shards away: see hold.hpp.
inline constexpr char of_hold = 'H';
/// The locks of tables that come before it.
inline constexpr char of_tables = 'L';
/// The locks of tables that a write to reference tables reads: see copy_locks.hpp.
inline constexpr char of_copies = 'C';
/// Values that must be unique over all shards: see claims.hpp.
inline constexpr char of_claims = 'U';

/// backend_facts::drawer: sessions that cannot be told apart.
inline constexpr std::uint64_t several_drawers = ~std::uint64_t{0};

/// backend_facts::writer: a session of another worker's.
inline constexpr std::uint64_t writer_elsewhere = ~std::uint64_t{0};

/// One answer that a branch still owes.
struct expectation {
  answer kind = answer::query;
  disposition what = disposition::forward;
  char local_type = 0;           ///< local: type byte of an empty message of ours that goes to the client at this point
  std::uint32_t sequence = 0;    ///< scatter: the how-many-th answer it is; the first branch that gives it is heard
  /// Its id. parse, close: to keep backend_facts::prepared true when it fails. describe: the shape that comes is noted.
  std::uint64_t statement = 0;
};

/// What a backend carries from lease to lease, as far as sessions must know it. Owned by the backend.
struct backend_facts {
  settings_ptr current;          ///< null: unknown
  std::int32_t pid = 0;          ///< of the server's process, as its BackendKeyData told
  std::uint64_t writer = 0;      ///< the session of this worker that last may have written through it; 0: nobody yet
  std::uint64_t drawer = 0;      ///< the only session that may have drawn from sequences through it; 0: nobody has
  bool standby = false;          ///< the server has said that it is one (in_hot_standby, PostgreSQL 14 and later)
  prepared_set prepared;
  std::uint64_t unnamed = 0;     ///< which unnamed statement it holds; 0: none of ours
  std::unique_ptr<sql_names> sql;  ///< null: none
  std::vector<expectation> spare;  ///< empty: the memory that the next session's expectations stand in
};

enum class branch_state : std::uint8_t { free, acquiring, ready, lost };

struct branch {
  branch_state state = branch_state::free;
  router::shard_index shard = 0;
  bool replica = false;
  bool wants_replica = false;
  bool in_block = false;         ///< BEGIN has been sent for the session's transaction
  bool flushed = false;          ///< Flush went out behind all that is expected
  bool unsynced = false;         ///< extended-protocol messages went out that no Sync has followed
  bool notified = false;         ///< NOTIFY went here since the transaction began
  bool wrote = false;            ///< a statement that is no proved read went here since the transaction began
  bool drew = false;             ///< numbers have been drawn from sequences here since it was leased
  bool dirty = false;            ///< user code ran here: probe before it goes back
  bool ddl = false;              ///< the schema may have been changed through it
  bool own_voice = false;        ///< what its server's process notifies from here on is the session's own
  bool voice_asked = false;      ///< it will be, when the listening backend has caught up
  bool shows_channels = false;   ///< the statement that comes asks which channels the session listens to
  bool listens = false;          ///< has been told to listen, for such a statement
  bool defaults = false;         ///< what a role or a database sets may have been changed through it
  bool failed_quietly = false;   ///< the current cycle's error came from here
  char transaction = 'I';        ///< status byte of its last ReadyForQuery
  std::uint32_t preparing = 0;   ///< answers of disposition `prepare` outstanding
  bool shape_due = false;        ///< has been asked how it describes a statement that it had not prepared yet
  std::size_t bulk = 0;          ///< bytes left of a row or copy message that is passed on in pieces
  bool bulk_forward = false;
  backend_facts* facts = nullptr;
  steady_time shows = steady_time::min();  ///< replica: at least what was committed before this moment
  std::vector<expectation> expected;
  std::size_t next = 0;          ///< expected[next] is what comes next

  [[nodiscard]] bool outstanding() const noexcept { return next < expected.size(); }
  /// An answer to the client's statement is to come. What was prepared for it in the same packet may still stand in
  /// front of that: a server does not tell the one before the other is over.
  [[nodiscard]] bool owes_statement() const noexcept {
    return std::any_of(expected.begin() + static_cast<std::ptrdiff_t>(next), expected.end(), [](const expectation& e) {
      return e.what == disposition::forward || e.what == disposition::gather || e.what == disposition::round;
    });
  }
  void expect(const expectation& e) {
    expected.push_back(e);
    flushed = false;
  }
  void pop() {
    if (++next == expected.size()) {
      expected.clear();
      next = 0;
    }
  }
};

}  // namespace pgbraid::proxy
