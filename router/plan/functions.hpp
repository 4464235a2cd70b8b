// What the functions, operators and special values of a statement mean for routing: whether it may be a read, whether
// it belongs to one server, whether every shard would answer alike.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "router/plan/route.hpp"

namespace pgbraid::router {

/// Gathered over all expressions of one statement. The strings name the first culprit and are empty without one.
struct function_facts {
  std::string write;      ///< why it is not proved to be a read
  std::string user_code;  ///< a function outside pg_catalog that is not written in C, or one the catalog does not know
  std::string spread_user_code;  ///< the same, unless listed shard_local
  std::string not_replicable;    ///< a function that may answer otherwise on another shard
  std::string differs;           ///< the same, but for those that are anew in each row anyway, and for the time
  std::string other_state;     ///< as session_state, but for sequences
  std::string session_state;   ///< a function that reads or leaves session state (advisory locks, set_config, currval)
  std::string sequence;        ///< nextval, setval, currval, lastval
  std::string pins;            ///< a function whose effect on the session nothing can show: the backend must be kept
  std::vector<std::string> calls;  ///< functions that the catalog knows, or may be, outside pg_catalog: bare names
  bool sequence_memory = false;  ///< currval, lastval: what one backend remembers
  bool last_drawn = false;       ///< lastval
  bool sets_sequence = false;    ///< setval
  bool notifies = false;       ///< pg_notify
  bool listening_channels = false;  ///< pg_listening_channels
  bool needs_primary = false;  ///< asks for the server's own identity or state
  bool transaction_dependent = false;
  bool designated = false;  ///< reads the catalog: the designated shard's answer is the one that clients know
  bool own_setting = false;  ///< set_config() of a setting of pgbraid's own, which no server knows
  bool reads_more = false;   ///< may read tables that the statement does not name
  bool writes_more = false;  ///< may write to such
  bool gives_sets = false;   ///< may give several rows for one, or none: rows of a table are not those of the result
  bool measures_shard = false;  ///< what it tells may be of that shard's own tables, or of the text that is sent there
};

/// A stable function whose result is the same wherever settings and arguments are.
[[nodiscard]] bool told_by_settings(std::string_view name);

/// When a call gives another value.
enum class varies : std::uint8_t {
  no,        ///< or it is noted in function_facts::differs
  by_row,    ///< at every call: random(), gen_random_uuid(), pgbraid.id()
  by_moment  ///< never within a transaction or a statement: now()
};

/// Notes what calls, operators and casts mean. Cheap to make; refers to the context, which must outlive it.
class function_reader {
 public:
  function_reader(const plan_context& context, function_facts& facts) : context_(context), facts_(facts) {}

  varies note_call(const sql::expr& call);
  /// The calls that follow are those of FROM, with a column definition list of these types; empty: with none.
  void expect_columns(std::span<const sql::type_name> types);
  void note_operator(const sql::qualified_name& symbol);
  varies note_sql_value(std::string_view word);
  void note_cast(const sql::type_name& type);

  /// The catalog's traits of a function, or nullptr.
  [[nodiscard]] const function_traits* traits_of(const sql::qualified_name& name) const;

 private:
  void not_a_read(std::string why);
  void differs(std::string what);
  [[nodiscard]] varies how_it_varies(const sql::expr& call, const function_traits* traits) const;

  const plan_context& context_;
  function_facts& facts_;
  bool plain_columns_ = false;  ///< values of the columns that are expected are read the same at any time
};

/// A function that may give several rows stands in one of these expressions, outside of subqueries. One row of VALUES
/// gives several then; a server refuses it among several rows.
[[nodiscard]] bool gives_sets(const std::vector<std::vector<sql::expr_ptr>>& rows, const catalog& schema);

/// pgbraid.id(), which pgbraid has made on every shard: another value at each call, unique over all shards.
[[nodiscard]] bool is_shard_id(const sql::qualified_name& name);

/// nextval(), currval(), lastval(), setval().
[[nodiscard]] bool is_sequence_function(const sql::qualified_name& name);

/// True if a call's constants may be free: the planner does not look at them, whatever they are.
[[nodiscard]] bool arguments_may_vary(const sql::qualified_name& name);

}  // namespace pgbraid::router
