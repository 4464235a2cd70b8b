// Hints: where a statement runs, said by someone who knows better than the planner. In a comment anywhere in the text,
//
//   /* pgbraid: shard=s1 */   /* pgbraid: key=42 */   /* pgbraid: target=primary */   -- pgbraid: target=replica
//
// or by the settings pgbraid.shard, pgbraid.key and pgbraid.target. A statement that is left to a shard gets that
// shard's answer alone; but no row is put where it does not belong.
#pragma once

#include "router/plan/analysis.hpp"
#include "router/sql/tokenizer.hpp"

#include <string>
#include <string_view>
#include <variant>

namespace pgbraid::router {

/// A hint, or why what was said is none.
using hint_or_error = std::variant<statement_hint, protocol::error_report>;

/// Adds one word of a hint (or one setting, without "pgbraid.") to `out`. An empty value says nothing. Returns false
/// with `error` filled for a name or a value that there is not.
[[nodiscard]] bool add_hint(std::string_view name, std::string_view value, const topology& map, statement_hint& out,
                            protocol::error_report& error);

/// The context's hint with what the comments of `text` say put in its place.
[[nodiscard]] hint_or_error read_hints(std::string_view text, const sql::token_scan& scan, const plan_context& context);

/// Applies one hint to the plans of a text's statements.
class hint_applier {
 public:
  /// Both must outlive it.
  hint_applier(const hint_or_error& hint, const plan_context& context) : hint_(hint), context_(context) {}

  /// Some shard is named, be it by a key, and there are several to choose from.
  [[nodiscard]] bool names_shard() const;

  /// A query that has been planned as if there were no hint, but for what asks several shards.
  void confine_query(const sql::statement& s, const analysis& a, plan& out) const;
  /// A statement that is no query.
  void confine_other(const sql::statement& s, plan& out) const;
  /// Which server of the shard. `why`: it is a write, "" for a read; `unlogged`: only a primary has what it reads.
  void choose_server(const sql::statement& s, const std::string& why, bool unlogged, plan& out) const;

 private:
  using shard_or_error = std::variant<shard_index, protocol::error_report>;
  [[nodiscard]] shard_or_error shard_for(const plan& p) const;
  [[nodiscard]] shard_or_error shard_of_key(const std::string& key, const plan& p) const;
  void declare_key(const sql::statement& s, const std::string& key, plan& out) const;
  [[nodiscard]] protocol::error_report impossible(const plan& p, shard_index shard, std::string_view why) const;

  const hint_or_error& hint_;
  const plan_context& context_;
};

}  // namespace pgbraid::router
