// Prepared statements as a session and as a backend see them. A statement is shared by text, parameter types and routing
// context; each backend prepares it when it first meets it, under a name of ours, and keeps an LRU of what it has.
#pragma once

#include "router/plan/planner.hpp"

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace pgbraid::proxy {

/// One prepared statement.
struct statement {
  std::uint64_t id = 0;                       ///< 0: an unnamed statement, never shared
  std::string backend_name;                   ///< what it is called on backends; empty for an unnamed one
  std::string text;
  std::vector<router::oid> parameter_types;
  std::vector<router::sql::constant_position> constants;
  router::plan_ptr plan;
  std::uint64_t plan_generation = 0;  ///< routing_context's generation that `plan` was made under
  bool noted = false;       ///< statement_memory knows that a server has parsed it
  std::uint64_t shape = 0;  ///< of its result as clients have been told; 0: nobody has been
};
using statement_ptr = std::shared_ptr<statement>;

/// What all workers know of statements: which texts servers have parsed since the schema was last changed.
/// runs on: any thread.
class statement_memory {
 public:
  void schema_changed() noexcept { changes_.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t changes() const noexcept { return changes_.load(std::memory_order_relaxed); }
  /// `key` stands for a text and all that its parsing depends on.
  void note_parsed(std::uint64_t key);
  [[nodiscard]] bool parsed(std::uint64_t key);

 private:
  void forget_old();

  std::atomic<std::uint64_t> changes_{0};
  std::mutex mutex_;
  std::unordered_set<std::uint64_t> parsed_;
  std::uint64_t parsed_at_ = 0;  ///< changes() when they were
};

/// Makes equal statements one.
/// runs on: its worker.
class statement_registry {
 public:
  /// `worker` keeps the ids of two workers apart: backends move between them. `memory` outlives it.
  statement_registry(unsigned worker, statement_memory& memory)
      : memory_{memory}, next_id_{(std::uint64_t{worker} << 40) + 1} {}

  /// An id that no other statement or session of this process has.
  [[nodiscard]] std::uint64_t fresh_id() noexcept { return next_id_++; }
  /// The statement for this text and these types under the context of that serial; `made` tells whether it is new.
  [[nodiscard]] statement_ptr get(std::uint64_t context, std::string_view text, std::vector<router::oid> types,
                                  bool& made);
  /// The schema may have changed: whoever prepares a statement from now on gets one of its own, not one whose plans on
  /// servers were made before. Reaches all workers.
  void schema_changed() noexcept { memory_.schema_changed(); }
  [[nodiscard]] statement_memory& memory() noexcept { return memory_; }
  /// This statement no longer gives what it was prepared for: nobody new gets it.
  void retire(std::uint64_t id);

 private:
  statement_memory& memory_;
  std::uint64_t seen_changes_ = 0;
  std::unordered_map<std::string, std::weak_ptr<statement>> known_;
  std::uint64_t next_id_;
  std::size_t sweep_at_ = 1024;
};

/// A statement of SQL's PREPARE, kept under the client's own name.
struct sql_statement {
  std::uint64_t id = 0;  ///< another one of the same name has another
  std::string text;      ///< "PREPARE ... AS ..."
};

/// Names of the client's that a backend has: of SQL's PREPARE, and of the protocol's where SQL has asked for them.
struct sql_names {
  std::uint64_t owner = 0;   ///< the session whose they are
  bool unknown = false;      ///< one of them may or may not be there
  std::vector<std::pair<std::string, std::uint64_t>> entries;  ///< name and id
};

/// Which statements a backend has, by id, least recently used first out; and the shape of their results there, 0 where
/// it is not known.
class prepared_set {
 public:
  /// The shape of `id`, which becomes the most recent; null: it is not there.
  [[nodiscard]] std::uint64_t* touch(std::uint64_t id);
  void add(std::uint64_t id);
  void remove(std::uint64_t id);
  void clear();
  [[nodiscard]] std::size_t size() const noexcept { return where_.size(); }
  /// Takes the least recently used one out.
  [[nodiscard]] std::uint64_t evict();

 private:
  struct entry {
    std::uint64_t id, shape;
  };
  std::list<entry> order_;
  std::unordered_map<std::uint64_t, std::list<entry>::iterator> where_;
};

/// The name on a backend of the statement with this id.
[[nodiscard]] std::string backend_statement_name(std::uint64_t id);

}  // namespace pgbraid::proxy
