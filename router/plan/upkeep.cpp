// Upkeep of tables and indexes; see upkeep.hpp.
#include "router/plan/upkeep.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "router/plan/gather_text.hpp"
#include "router/plan/names.hpp"
#include "router/plan/refusals.hpp"
#include "router/plan/statements.hpp"
#include "router/plan/targets.hpp"
#include "router/plan/words.hpp"
#include "router/sql/parser.hpp"

namespace pgbraid::router {

using protocol::error_id;
using kind = sql::statement_kind;

namespace {

bool contains(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::optional<block_rule> rule_of(const sql::statement& s, const std::vector<std::string>& words) {
  switch (s.kind) {
    case kind::lock:
      return block_rule::within;
    case kind::vacuum:
      return block_rule::outside;
    case kind::analyze:
      return block_rule::either;
    case kind::ddl:
      break;
    default:
      return std::nullopt;
  }
  const bool concurrently = contains(words, "concurrently");
  const std::string tag = tag_of(s);
  if (tag == "REINDEX TABLE" || tag == "REINDEX INDEX") return concurrently ? block_rule::outside : block_rule::either;
  if (tag == "REINDEX SCHEMA") return block_rule::outside;
  if (tag == "CLUSTER") return s.relations.empty() ? block_rule::outside : block_rule::either;
  if ((tag == "CREATE INDEX" || tag == "DROP INDEX") && concurrently) return block_rule::outside;
  return std::nullopt;
}

std::string quoted(const sql::qualified_name& name) {
  std::string out;
  for (const std::string& part : name) out += (out.empty() ? "" : ".") + quote_identifier(part);
  return out;
}

std::string relation_named(const std::string& name) {
  return "pg_catalog.to_regclass(" + string_literal(name) + ")";
}

/// Whether it is an index and usable; whether somebody is building one on its table; that table; its own schema and
/// name. `which` finds its row `c` of pg_class; of other tables than `table`, "" for any, it is no index.
std::string state_question(const std::string& which, const std::string& table) {
  return "SELECT i.indisvalid, EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p"
         " WHERE p.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()"
         " AND (p.relid IS NULL OR p.relid OPERATOR(pg_catalog.=) i.indrelid)),"
         " (SELECT m.nspname OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) t.relname"
         " FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace m ON m.oid OPERATOR(pg_catalog.=) t.relnamespace"
         " WHERE t.oid OPERATOR(pg_catalog.=) i.indrelid),"
         " pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(c.relname)"
         " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
         " LEFT JOIN pg_catalog.pg_index i ON i.indexrelid OPERATOR(pg_catalog.=) c.oid" +
         (table.empty() ? "" : " AND i.indrelid OPERATOR(pg_catalog.=) " + relation_named(table)) + " WHERE " + which;
}

/// Where the statement goes on behind the name of its table; nothing if that cannot be told.
std::optional<std::size_t> behind_table(std::string_view text, const sql::qualified_name& table) {
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t past = skip_quoted(text, i); past != i) {
      i = past;
    } else if (!is_word_start(text[i])) {
      ++i;
    } else if (const std::size_t end = end_of_word(text, i); lower_word(text.substr(i, end - i)) != "on") {
      i = end;
    } else {
      std::size_t name = skip_blanks(text, end);
      const std::size_t word = end_of_word(text, name);
      if (lower_word(text.substr(name, word - name)) == "only") name = skip_blanks(text, word);
      const std::size_t past = end_of_name(text, name, table);
      return past == name ? std::nullopt : std::optional{past};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<upkeep_target> upkeep_of(const sql::statement& s, std::string_view text, const plan_context& context) {
  if (s.temporary || s.unparsable_parts) return std::nullopt;
  const auto rule = rule_of(s, words_of(text));
  if (!rule) return std::nullopt;
  const topology& map = *context.map;
  if (s.kind == kind::ddl && tag_of(s) == "CREATE INDEX" && s.name.empty()) {
    return upkeep_target{refusal(protocol::with_hint(protocol::make_error(error_id::ddl_over_shards,
                                                                          "CREATE INDEX CONCURRENTLY without a name"),
                                                     "Give the index a name: what is cut short is found again by it.")),
                         block_rule::any};
  }
  if (tag_of(s) == "REINDEX SCHEMA") {
    const auto home = map.schemas.find(s.name);
    if (home != map.schemas.end()) return upkeep_target{{to_shard{home->second}}, *rule};
  }
  const name_resolver names{context};
  std::optional<shard_index> home;
  std::size_t unsharded = 0;
  for (const sql::qualified_name& name : s.relations) {
    const resolved_table table = names.resolve(name);
    if (table.where == placement::temporary) return std::nullopt;
    if (table.where != placement::unsharded) continue;
    if (home && *home != table.shard) return std::nullopt;
    home = table.shard;
    ++unsharded;
  }
  if (unsharded == 0) return upkeep_target{{mirror_target(map)}, *rule};
  if (unsharded != s.relations.size()) return std::nullopt;
  return upkeep_target{{to_shard{*home}}, *rule};
}

upkeep plan_upkeep(std::string_view text) {
  upkeep out;
  const sql::parse_result parsed = sql::parse(text);
  const auto* statements = std::get_if<std::vector<sql::statement>>(&parsed);
  if (statements == nullptr || statements->size() != 1) return out;
  const sql::statement& s = statements->front();
  if (s.kind != kind::ddl || s.relations.size() != 1) return out;
  const std::string tag = tag_of(s);
  const std::vector<std::string> words = words_of(text);
  const auto concurrently = std::find(words.begin(), words.end(), "concurrently");
  out.lenient =
      concurrently != words.end() && std::next(concurrently) != words.end() && *std::next(concurrently) == "if";
  const std::string name = quoted(s.relations.front());
  if (tag == "CREATE INDEX") {
    out.what = upkeep::kind::create_index;
    out.state_sql =
        state_question("c.relname OPERATOR(pg_catalog.=) " + string_literal(s.name) +
                           " AND c.relnamespace OPERATOR(pg_catalog.=)"
                           " (SELECT o.relnamespace FROM pg_catalog.pg_class o WHERE o.oid OPERATOR(pg_catalog.=) " +
                           relation_named(name) + ")",
                       name);
    out.unique = words.size() > 1 && words[1] == "unique";
    out.index = s.name;
    out.table = name;
    const std::string_view own = text.substr(static_cast<std::size_t>(s.location), static_cast<std::size_t>(s.length));
    if (const auto at = behind_table(own, s.relations.front())) out.rest = own.substr(*at);
  } else if (tag == "DROP INDEX" || tag == "REINDEX INDEX") {
    out.what = tag == "DROP INDEX" ? upkeep::kind::drop_index : upkeep::kind::use_index;
    out.state_sql = state_question("c.oid OPERATOR(pg_catalog.=) " + relation_named(name), {});
  }
  return out;
}

// An index is made on an empty table of the same columns, what the server says of both is compared, and all that is
// undone: the statements of one text are one transaction.
std::string compare_question(const upkeep& how, const index_state& found) {
  if (!how.rest || found.schema.empty()) return {};
  const std::string copy = found.schema + ".pgbraid_compared";
  const std::string definition = "pg_catalog.pg_get_indexdef(x.indexrelid)";
  const std::string prefix =
      "pg_catalog.concat('CREATE ', CASE WHEN x.indisunique THEN 'UNIQUE ' END, 'INDEX ', "
      "pg_catalog.quote_ident(c.relname),"
      " ' ON ', pg_catalog.quote_ident(n.nspname), '.', pg_catalog.quote_ident(t.relname), ' ')";
  return "CREATE TABLE " + copy + " (LIKE " + how.table + ");\nCREATE " + (how.unique ? "UNIQUE " : "") + "INDEX ON " +
         copy + *how.rest +
         "\n;\nSELECT pg_catalog.count(d.rest) OPERATOR(pg_catalog.=) 2"
         " AND pg_catalog.count(DISTINCT d.rest) OPERATOR(pg_catalog.=) 1"
         " FROM (SELECT CASE WHEN pg_catalog.starts_with(" +
         definition + ", " + prefix +
         ") THEN"
         " pg_catalog.concat(x.indisunique, ' ', c.reltablespace, ' ', pg_catalog.substr(" +
         definition + ", pg_catalog.length(" + prefix +
         "))) END AS rest"
         " FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) x.indexrelid"
         " JOIN pg_catalog.pg_class t ON t.oid OPERATOR(pg_catalog.=) x.indrelid"
         " JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.relnamespace"
         " WHERE t.oid OPERATOR(pg_catalog.=) " +
         relation_named(copy) + " OR (t.oid OPERATOR(pg_catalog.=) " + relation_named(how.table) +
         " AND c.relname OPERATOR(pg_catalog.=) " + string_literal(how.index) + ")) d;\nROLLBACK";
}

index_state read_index_state(const std::vector<std::optional<std::string>>& row) {
  index_state out;
  if (row.size() != 5) return out;
  out.exists = true;
  out.valid = row[0] == "t";
  out.leftover = row[0] == "f" && row[1] == "f";
  out.table = row[2].value_or("");
  out.schema = row[3].value_or("");
  out.name = row[4].value_or("");
  return out;
}

}  // namespace pgbraid::router
