// Hints; see hints.hpp.
#include "router/plan/hints.hpp"

#include <algorithm>

#include "router/plan/names.hpp"
#include "router/plan/planner.hpp"
#include "router/plan/targets.hpp"
#include "router/plan/words.hpp"
#include "router/shard/value_map.hpp"

namespace pgbraid::router {

using protocol::error_id;
using protocol::make_error;
using kind = sql::statement_kind;

namespace {

protocol::error_report invalid(std::string_view what, std::string hint) {
  return protocol::with_hint(make_error(error_id::hint_invalid, what), std::move(hint));
}

protocol::error_report unknown_shard(std::string_view name, const topology& map) {
  std::string all;
  for (const std::string& shard : map.shards) all.append(all.empty() ? "" : ", ").append(shard);
  return invalid("database \"" + map.database + "\" has no shard \"" + std::string{name} + "\"",
                 "Its shards are: " + all + ".");
}

/// The words of one comment: name=value, with blanks or commas between. A value with blanks stands in quotes.
class hint_reader {
 public:
  explicit hint_reader(std::string_view text) : text_(text) {}

  /// False: no more, or (`broken`) no word of that form.
  bool next(std::string& name, std::string& value, bool& broken) {
    broken = false;
    while (at_ < text_.size() && (is_blank(text_[at_]) || text_[at_] == ',')) ++at_;
    if (at_ == text_.size()) return false;
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_word_part(text_[at_])) ++at_;
    name = lower_word(text_.substr(begin, at_ - begin));
    broken = name.empty() || at_ == text_.size() || text_[at_] != '=';
    if (broken) return false;
    ++at_;
    value.clear();
    if (at_ < text_.size() && text_[at_] == '(') {
      const std::size_t end = text_.find(')', at_);
      broken = end == std::string_view::npos;
      if (broken) return false;
      value = text_.substr(at_, end + 1 - at_);
      at_ = end + 1;
      return true;
    }
    if (at_ < text_.size() && (text_[at_] == '\'' || text_[at_] == '"')) {
      broken = !quoted(text_[at_], value);
      return !broken;
    }
    const std::size_t start = at_;
    while (at_ < text_.size() && !is_blank(text_[at_]) && text_[at_] != ',') ++at_;
    value = text_.substr(start, at_ - start);
    broken = value.empty();
    return !broken;
  }

 private:
  bool quoted(char quote, std::string& value) {
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == quote) {
        ++at_;
        if (at_ == text_.size() || text_[at_] != quote) return true;
      }
      value.push_back(text_[at_]);
    }
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// Kinds that are about data, or run on a server as such; all others are the session's own.
bool runs_on_server(kind k) {
  switch (k) {
    case kind::select:
    case kind::insert:
    case kind::update:
    case kind::delete_:
    case kind::merge:
    case kind::copy:
    case kind::explain:
    case kind::declare_cursor:
    case kind::lock:
    case kind::truncate:
    case kind::call:
    case kind::do_:
    case kind::vacuum:
    case kind::analyze:
    case kind::checkpoint:
    case kind::ddl:
    case kind::other:
      return true;
    default:
      return false;
  }
}

const protocol::error_report* refusal_of(const plan& p) {
  const auto* fixed = std::get_if<fixed_target>(&p.where);
  const auto* refused = fixed == nullptr ? nullptr : std::get_if<to_refusal>(&fixed->target);
  return refused == nullptr ? nullptr : &refused->error();
}

/// Rules that a hint does not mend: what is written would be wrong on any shard alone.
bool stands_whatever_is_said(error_id id) {
  switch (id) {
    case error_id::key_change:
    case error_id::unenforced_constraint:
    case error_id::claim_refused:
    case error_id::reference_write:
    case error_id::null_key:
    case error_id::missing_key:
      return true;
    default:
      return false;
  }
}

bool changes_key(const sql::statement& s, const analysis& a) {
  if (s.update == nullptr) return false;
  return std::any_of(a.uses.begin(), a.uses.end(), [&](const table_use& use) {
    return use.role == table_role::update &&
           std::any_of(s.update->set.begin(), s.update->set.end(),
                       [&](const sql::target& set) { return use.key_part(set.name) != nowhere; });
  });
}

}  // namespace

bool add_hint(std::string_view name, std::string_view value, const topology& map, statement_hint& out,
              protocol::error_report& error) {
  if (name == "shard") {
    out.shard = value;
    if (value.empty() || std::find(map.shards.begin(), map.shards.end(), value) != map.shards.end()) return true;
    error = unknown_shard(value, map);
    return false;
  }
  if (name == "key") {
    out.key.reset();
    if (!value.empty()) out.key = value;
    return true;
  }
  const std::string word = lower_word(value);
  if (name != "target") {
    error = invalid("there is no \"" + std::string{name} + "\"", "It knows shard=, key= and target=.");
    return false;
  }
  if (word == "primary") {
    out.target = statement_hint::server::primary;
  } else if (word == "replica") {
    out.target = statement_hint::server::replica;
  } else if (word.empty() || word == "any") {
    out.target = statement_hint::server::any;
  } else {
    error = invalid("\"" + std::string{value} + "\" is no target", "Targets are primary, replica and any.");
    return false;
  }
  return true;
}

hint_or_error read_hints(std::string_view text, const sql::token_scan& scan, const plan_context& context) {
  statement_hint out = context.hint;
  statement_hint found;
  std::vector<std::string> names;
  for (const sql::text_extent& extent : scan.hints) {
    if (std::size_t{extent.offset} + extent.length > text.size()) break;
    hint_reader words{text.substr(extent.offset, extent.length)};
    std::string name, value;
    bool broken = false;
    protocol::error_report error;
    while (words.next(name, value, broken)) {
      if (std::find(names.begin(), names.end(), name) != names.end())
        return invalid("it says " + name + " more than once", "Say it once in a statement.");
      names.push_back(name);
      if (!add_hint(name, value, *context.map, found, error)) return error;
    }
    if (broken || names.empty())
      return invalid("it is not of the form name=value", "For example: /* pgbraid: shard=s1 */");
  }
  if (!found.shard.empty() && found.key) return invalid("it names a shard and a key", "Say one of the two.");
  // A shard or a key in the text stands for both settings.
  if (!found.shard.empty() || found.key) {
    out.shard = std::move(found.shard);
    out.key = std::move(found.key);
    out.of_text = true;
  }
  if (std::find(names.begin(), names.end(), "target") != names.end()) out.target = found.target;
  if (!out.shard.empty() &&
      std::find(context.map->shards.begin(), context.map->shards.end(), out.shard) == context.map->shards.end())
    return unknown_shard(out.shard, *context.map);
  if (!out.shard.empty() && out.key)
    return invalid("pgbraid.shard and pgbraid.key are both set", "Reset one of the two.");
  return out;
}

bool hint_applier::names_shard() const {
  if (context_.map->one_shard()) return false;
  const auto* hint = std::get_if<statement_hint>(&hint_);
  return hint == nullptr || !hint->shard.empty() || hint->key.has_value();
}

protocol::error_report hint_applier::impossible(const plan& p, shard_index shard, std::string_view why) const {
  return make_error(error_id::hint_impossible, p.tag, context_.map->shards[shard], why);
}

hint_applier::shard_or_error hint_applier::shard_for(const plan& p) const {
  if (const auto* error = std::get_if<protocol::error_report>(&hint_)) return *error;
  const auto& hint = std::get<statement_hint>(hint_);
  if (hint.key) return shard_of_key(*hint.key, p);
  const auto& shards = context_.map->shards;
  return static_cast<shard_index>(std::find(shards.begin(), shards.end(), hint.shard) - shards.begin());
}

/// By the keys of the tables that the statement names, or of all there are: they must agree.
hint_applier::shard_or_error hint_applier::shard_of_key(const std::string& key, const plan& p) const {
  const topology& map = *context_.map;
  const literal_context literals{context_.utf8, true, "UTC"};
  std::optional<shard_index> found;
  std::string by;
  bool differ = false;
  bool by_one_value = false;
  const auto look = [&](const std::string& name, const sharded_table& table) {
    by_one_value = by_one_value || (table.key.size() == 1 && table.function != shard_function::lookup);
    const auto described = context_.schema->relations.find(name);
    if (described == context_.schema->relations.end()) return;
    for (const column& c : described->second.columns) {
      // One value is no key of several columns.
      if (table.key.size() != 1 || c.name != table.key.front()) continue;
      std::string problem;
      const auto values = values_of(map, table, c, problem);
      if (!problem.empty()) continue;
      const key_value value{key, c.type, -1, 0};
      const key_owner owner = owner_of_key(map, {&value, 1}, literals, values.get());
      if (owner.is != key_owner::kind::shard) continue;
      differ = differ || (found && *found != owner.shard);
      found = owner.shard;
      by = name;
    }
  };
  bool named = false;
  for (const auto* list : {&p.reads, &p.writes}) {
    for (const std::string& name : *list) {
      const auto table = map.tables.find(name);
      if (table == map.tables.end()) continue;
      named = true;
      const bool by_value = table->second.key.size() == 1 && table->second.function != shard_function::lookup;
      if (!by_value)
        return invalid("the key of " + name + " has several columns, or is looked up in a table",
                       "Name the shard: shard=...");
      look(name, table->second);
    }
  }
  if (!named) {
    for (const auto& [name, table] : map.tables) look(name, table);
  }
  if (differ)
    return invalid("tables of this database have the key \"" + key + "\" on different shards",
                   "Name the shard: shard=...");
  if (!found && !by_one_value)
    return invalid("the key has several columns, or is looked up in a table", "Name the shard: shard=...");
  if (!found)
    return invalid("\"" + key + "\" is no value of a sharding key",
                   "Write it as the key's type is written, or name the shard.");
  return *found;
}

void hint_applier::confine_query(const sql::statement& s, const analysis& a, plan& out) const {
  if (a.functions.own_setting || a.into || a.not_understood) return;
  const shard_or_error said = shard_for(out);
  if (const auto* error = std::get_if<protocol::error_report>(&said)) {
    out.where = refusal(*error);
    return;
  }
  const shard_index shard = std::get<shard_index>(said);
  const protocol::error_report* refused = refusal_of(out);
  if (refused != nullptr && stands_whatever_is_said(refused->id)) return;
  if (!a.drawn.empty()) {
    out.where = refusal(impossible(out, shard, "column \"" + a.drawn.front() + "\" is left to a sequence, which counts on the first shard"));
    return;
  }
  bool inserts = false;
  for (const table_use& use : a.uses) {
    if (use.table.where == placement::temporary) return;
    const bool writes = use.role != table_role::read;
    if (use.table.where == placement::unsharded && use.table.shard != shard) {
      out.where = refusal(impossible(
          out, shard,
          "table \"" + use.table.full_name + "\" stands on shard \"" + context_.map->shards[use.table.shard] + "\""));
      return;
    }
    if (use.table.where == placement::spread_view && writes) {
      out.where = refusal(impossible(out, shard, "rows that are written through a view may belong on other shards"));
      return;
    }
    if (use.table.where == placement::reference && writes) {
      out.where = refusal(impossible(out, shard, "a reference table is written on all shards"));
      return;
    }
    // Clients know types by the designated shard's OIDs.
    if (use.table.described != nullptr && use.table.described->types_differ && shard != designated_shard) {
      out.where =
          refusal(make_error(error_id::types_differ, use.table.full_name, use.table.described->types_differ_detail));
      return;
    }
    inserts = inserts || (use.role == table_role::insert && use.table.where == placement::sharded);
    const bool nested = use.role == table_role::update && !use.keys.empty() && s.kind != kind::update;
    if (nested || changes_key(s, a)) {
      out.where = refusal(
          impossible(out, shard, nested ? "an UPDATE within it may change a row's key" : "it changes a row's key"));
      return;
    }
  }
  out.merge.reset();
  out.reason = "a hint: shard " + context_.map->shards[shard];
  if (!inserts) {
    out.where = fixed_target{to_shard{shard}};
    return;
  }
  // Rows go where their keys say, and a hint cannot make that another shard.
  out.only = shard;
  const auto* fixed = std::get_if<fixed_target>(&out.where);
  const auto* many = fixed == nullptr ? nullptr : std::get_if<to_many>(&fixed->target);
  if (many != nullptr && !many->mirrored) out.where = fixed_target{to_shard{shard}};
}

void hint_applier::confine_other(const sql::statement& s, plan& out) const {
  if (!runs_on_server(s.kind) && s.kind != kind::show) return;
  const auto* hint = std::get_if<statement_hint>(&hint_);
  if (hint != nullptr && hint->key && hint->of_text && out.tag == "CREATE TABLE")
    return declare_key(s, *hint->key, out);
  const shard_or_error said = shard_for(out);
  if (const auto* error = std::get_if<protocol::error_report>(&said)) {
    out.where = refusal(*error);
    return;
  }
  const shard_index shard = std::get<shard_index>(said);
  switch (s.kind) {
    case kind::do_:
    case kind::call:
    case kind::lock:
    case kind::vacuum:
    case kind::analyze:
    case kind::checkpoint:
    case kind::show:
      out.where = fixed_target{to_shard{shard}};
      out.reason = "a hint: shard " + context_.map->shards[shard];
      return;
    case kind::ddl:
    case kind::truncate:
      if (refusal_of(out) == nullptr)
        out.where = refusal(impossible(out, shard, "the shards would no longer be alike"));
      return;
    default:
      if (refusal_of(out) == nullptr) out.where = refusal(impossible(out, shard, "it is not looked into"));
      return;
  }
}

void hint_applier::choose_server(const sql::statement& s, const std::string& why, bool unlogged, plan& out) const {
  if (!runs_on_server(s.kind)) return;
  const auto* hint = std::get_if<statement_hint>(&hint_);
  if (hint == nullptr) {
    out.where = refusal(std::get<protocol::error_report>(hint_));
    return;
  }
  switch (hint->target) {
    case statement_hint::server::any:
      return;
    case statement_hint::server::primary:
      out.needs_primary = true;
      return;
    case statement_hint::server::replica:
      break;
  }
  if (refusal_of(out) != nullptr) return;
  if (out.mode == access::write) {
    out.where = refusal(make_error(error_id::hint_wants_replica, why.empty() ? out.tag : why));
    return;
  }
  out.needs_primary = unlogged;
  out.wants_replica = true;
}

}  // namespace pgbraid::router
