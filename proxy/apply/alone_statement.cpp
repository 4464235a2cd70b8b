#include "proxy/apply/alone_statement.hpp"

#include "proxy/apply/index_words.hpp"
#include "router/plan/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

namespace pgbraid::proxy::apply {

using router::shard_index;

namespace {

/// What there is to do on one shard, and what is to be told about it.
struct finding {
  enum class verdict { run, skip, rebuild, failed } is = verdict::run;
  std::string leftover{};  ///< rebuild: the invalid index, quoted
  pg_answer error{};
};

finding trouble(pg_answer answer) {
  answer.position = 0;  // it is none of the statement's own text
  return {finding::verdict::failed, {}, std::move(answer)};
}

finding objection(const char* sqlstate, std::string message, std::string hint) {
  return trouble({{}, std::move(message), sqlstate, {}, std::move(hint)});
}

/// What pg_get_indexdef() is made of, without the names of index and table.
std::string shape_of(const char* index) {
  return fmt::format(
      "(SELECT pg_catalog.jsonb_build_array(i.indisunique, am.amname, i.indnkeyatts, i.indoption::text, "
      "i.indclass::text, "
      "i.indcollation::text, c.reloptions, pg_catalog.to_jsonb(i) -> 'indnullsnotdistinct', "
      "pg_catalog.pg_get_expr(i.indpred, i.indrelid), ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, n, true) "
      "FROM pg_catalog.generate_series(1, i.indnatts) n)) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON "
      "c.oid = i.indexrelid JOIN pg_catalog.pg_am am ON am.oid = c.relam WHERE i.indexrelid = {}::pg_catalog.regclass)",
      index);
}

/// Does the index `standing` (quoted, with its schema) have the definition that `words` say? The server is asked what
/// it makes of the words, on an empty copy of the table that goes with the transaction.
finding compare(shard_sessions& sessions, shard_index shard, const index_words& words, const std::string& standing) {
  constexpr const char* other = "pgbraid_as_written";
  std::string literal = "'";
  for (const char c : standing) literal.append(c == '\'' ? 2 : 1, c);
  literal += "'";
  pg_answer answer = sessions.run(
      shard, fmt::format("BEGIN; CREATE TEMPORARY TABLE {0} (LIKE {1}); CREATE {2}INDEX {3} ON pg_temp.{0} {4}",
                         words.table_name, words.table, words.unique ? "UNIQUE " : "", other, words.rest));
  if (answer.ok()) {
    answer = sessions.run(shard, fmt::format("SELECT {} = {}", shape_of(literal.c_str()),
                                             shape_of(fmt::format("'pg_temp.{}'", other).c_str())));
  }
  const pg_answer ended = sessions.run(shard, "ROLLBACK");
  if (!answer.ok()) return trouble(std::move(answer));
  if (!ended.ok()) return trouble(ended);
  if (!answer.rows.empty() && answer.rows.front().front() == "t") return {finding::verdict::skip, {}, {}};
  return objection("42P07", fmt::format("index {} is there already with another definition", standing),
                   "Drop it, or give the new one another name.");
}

finding look_at_index(shard_sessions& sessions, shard_index shard, const index_words& words) {
  const pg_answer found = sessions.run(
      shard,
      "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), i.indisvalid, i.indrelid = t.oid, EXISTS (SELECT FROM "
      "pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = c.oid) FROM pg_catalog.pg_class t "
      "JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid "
      "AND c.relname = $2 LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid WHERE t.oid = "
      "pg_catalog.to_regclass($1)",
      {words.table, words.name});
  if (!found.ok()) return trouble(found);
  if (found.rows.empty()) return {};
  const pg_row& row = found.rows.front();
  const std::string name = row[0].value_or("");
  if (row[2] != "t")
    return objection("42P07", fmt::format("{} is there already, and no index of {}", name, words.table),
                     "Give the index another name.");
  if (row[3] == "t")
    return objection("55006", fmt::format("index {} is being built by another session", name),
                     "Wait until it has been built.");
  if (row[1] != "t") return {finding::verdict::rebuild, name, {}};
  return words.if_not_exists ? finding{finding::verdict::skip, {}, {}} : compare(sessions, shard, words, name);
}

finding look_at_drop(shard_sessions& sessions, const destination& where, shard_index shard,
                     const router::sql::qualified_name& name) {
  std::string text;
  for (const std::string& part : name) text += (text.empty() ? "" : ".") + quoted_name(part);
  bool anywhere = false, here = false;
  for (const shard_index each : where.shards) {
    const pg_answer there = sessions.run(each, "SELECT pg_catalog.to_regclass($1) IS NOT NULL", {text});
    if (!there.ok()) return trouble(there);
    const bool stands = !there.rows.empty() && there.rows.front().front() == "t";
    anywhere = anywhere || stands;
    here = here || (stands && each == shard);
  }
  return {anywhere && !here ? finding::verdict::skip : finding::verdict::run, {}, {}};
}

}  // namespace

std::optional<line_report> run_alone(shard_sessions& sessions, const database_state& state, const script_statement& s,
                                     const destination& where) {
  const std::string summary = summary_of(s.text);
  const std::optional<index_words> index = s.tree.tag == "CREATE INDEX" ? read_index(s.text) : std::nullopt;
  const bool drops = s.tree.tag == "DROP INDEX" && s.tree.relations.size() == 1;
  // Where it has been dropped already is seen before this run drops it anywhere.
  std::vector<finding> findings;
  for (const shard_index shard : where.shards) {
    findings.push_back(index   ? look_at_index(sessions, shard, *index)
                       : drops ? look_at_drop(sessions, where, shard, s.tree.relations.front())
                               : finding{});
  }
  const auto report = [&](std::size_t i, const pg_answer& answer) {
    return line_report{line_of(s, answer.position),       answer.error, answer.detail, answer.hint, answer.sqlstate,
                       state.map->shards[where.shards[i]]};
  };
  for (std::size_t i = 0; i < findings.size(); ++i) {
    if (findings[i].is == finding::verdict::failed) return report(i, findings[i].error);
  }
  for (std::size_t i = 0; i < where.shards.size(); ++i) {
    const std::string& name = state.map->shards[where.shards[i]];
    const finding& found = findings[i];
    const auto tell = [&](std::string_view what) {
      fmt::print(stderr, "shard {}: {}{} ({} of {})\n", name, summary, what, i + 1, where.shards.size());
    };
    if (found.is == finding::verdict::skip) {
      tell(drops ? ": gone already" : ": there already");
      continue;
    }
    tell(found.is == finding::verdict::rebuild ? ": an invalid one was left there, which is built anew" : "");
    pg_answer answer;
    if (found.is == finding::verdict::rebuild)
      answer = sessions.run(where.shards[i], "DROP INDEX CONCURRENTLY " + found.leftover);
    if (answer.ok()) answer = sessions.run(where.shards[i], s.text);
    if (!answer.ok()) return report(i, answer);
  }
  return std::nullopt;
}

}  // namespace pgbraid::proxy::apply
