// Statement kinds; see statements.hpp. Source: the manual's reference of SQL commands.
#include "router/plan/statements.hpp"

#include <array>
#include <utility>

#include "router/plan/refusals.hpp"
#include "router/plan/targets.hpp"

namespace pgbraid::router {

using protocol::error_id;
using protocol::make_error;
using kind = sql::statement_kind;

namespace {

struct word_effect {
  std::string_view word;
  session_effect effect;
};

/// Longer phrases stand before their own beginnings.
constexpr std::array<word_effect, 38> words{
    {{"prepare transaction", session_effect::two_phase},
     {"commit prepared", session_effect::two_phase},
     {"rollback prepared", session_effect::two_phase},
     {"begin", session_effect::begin},
     {"start transaction", session_effect::begin},
     {"commit", session_effect::commit},
     {"end", session_effect::commit},
     {"rollback to", session_effect::rollback_to},
     {"rollback", session_effect::rollback},
     {"abort", session_effect::rollback},
     {"savepoint", session_effect::savepoint},
     {"release", session_effect::release},
     {"set transaction", session_effect::set_transaction},
     {"set session characteristics", session_effect::set_session_characteristics},
     {"set constraints", session_effect::set_constraints},
     {"set local", session_effect::set_local},
     {"set", session_effect::set},
     {"reset", session_effect::reset},
     {"show", session_effect::show},
     {"discard", session_effect::discard},
     {"prepare", session_effect::prepare},
     {"execute", session_effect::execute},
     {"deallocate", session_effect::deallocate},
     {"declare", session_effect::declare_cursor},
     {"fetch", session_effect::use_cursor},
     {"move", session_effect::use_cursor},
     {"close", session_effect::use_cursor},
     {"listen", session_effect::listen},
     {"unlisten", session_effect::unlisten},
     {"notify", session_effect::notify},
     {"load", session_effect::load},
     {"copy", session_effect::other},
     {"create temp", session_effect::temporary},
     {"create local temp", session_effect::temporary},
     {"create global temp", session_effect::temporary},
     {"create temporary", session_effect::temporary},
     {"create local temporary", session_effect::temporary},
     {"create global temporary", session_effect::temporary}}};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_word(char c) {
  return (lower(c) >= 'a' && lower(c) <= 'z') || c == '_' || (c >= '0' && c <= '9');
}

bool begins_with(std::string_view text, std::string_view phrase) {
  if (text.size() < phrase.size()) return false;
  for (std::size_t i = 0; i < phrase.size(); ++i) {
    if (lower(text[i]) != phrase[i]) return false;
  }
  return text.size() == phrase.size() || !is_word(text[phrase.size()]);
}

}  // namespace

session_effect effect_of(const sql::statement& s) {
  if (s.temporary) return session_effect::temporary;
  switch (s.kind) {
    case kind::begin:
      return session_effect::begin;
    case kind::commit:
      return session_effect::commit;
    case kind::rollback:
      return session_effect::rollback;
    case kind::savepoint:
      return session_effect::savepoint;
    case kind::release:
      return session_effect::release;
    case kind::rollback_to:
      return session_effect::rollback_to;
    case kind::prepare_transaction:
    case kind::commit_prepared:
    case kind::rollback_prepared:
      return session_effect::two_phase;
    case kind::set:
      return session_effect::set;
    case kind::set_local:
      return session_effect::set_local;
    case kind::reset:
      return session_effect::reset;
    case kind::show:
      return session_effect::show;
    case kind::set_transaction:
      return session_effect::set_transaction;
    case kind::set_session_characteristics:
      return session_effect::set_session_characteristics;
    case kind::set_constraints:
      return session_effect::set_constraints;
    case kind::discard:
      return session_effect::discard;
    case kind::prepare:
      return session_effect::prepare;
    case kind::execute:
      return session_effect::execute;
    case kind::deallocate:
      return session_effect::deallocate;
    case kind::declare_cursor:
      return session_effect::declare_cursor;
    case kind::fetch:
    case kind::close_cursor:
      return session_effect::use_cursor;
    case kind::listen:
      return session_effect::listen;
    case kind::unlisten:
      return session_effect::unlisten;
    case kind::notify:
      return session_effect::notify;
    case kind::load:
      return session_effect::load;
    case kind::do_:
    case kind::call:
      return session_effect::user_code;
    case kind::copy:
      if (s.copy == nullptr || s.copy->program || !s.copy->file.empty()) return session_effect::none;
      return s.copy->from ? session_effect::copy_in : session_effect::copy_out;
    case kind::explain:
      // EXPLAIN EXECUTE needs the prepared statement where it runs.
      return s.inner != nullptr && s.inner->kind == kind::execute ? session_effect::execute : session_effect::none;
    case kind::other:
      return session_effect::other;
    default:
      return session_effect::none;
  }
}

std::string tag_of(const sql::statement& s) {
  if (!s.tag.empty()) return s.tag;
  switch (s.kind) {
    case kind::empty:
      return "";
    case kind::select:
      return "SELECT";
    case kind::insert:
      return "INSERT";
    case kind::update:
      return "UPDATE";
    case kind::delete_:
      return "DELETE";
    case kind::merge:
      return "MERGE";
    case kind::copy:
      return "COPY";
    case kind::explain:
      return "EXPLAIN";
    case kind::begin:
      return "BEGIN";
    case kind::commit:
      return "COMMIT";
    case kind::rollback:
    case kind::rollback_to:
      return "ROLLBACK";
    case kind::savepoint:
      return "SAVEPOINT";
    case kind::release:
      return "RELEASE";
    case kind::prepare_transaction:
      return "PREPARE TRANSACTION";
    case kind::commit_prepared:
      return "COMMIT PREPARED";
    case kind::rollback_prepared:
      return "ROLLBACK PREPARED";
    case kind::set:
    case kind::set_local:
    case kind::set_transaction:
    case kind::set_session_characteristics:
      return "SET";
    case kind::reset:
      return "RESET";
    case kind::show:
      return "SHOW";
    case kind::set_constraints:
      return "SET CONSTRAINTS";
    case kind::discard:
      return "DISCARD";
    case kind::prepare:
      return "PREPARE";
    case kind::execute:
      return "EXECUTE";
    case kind::deallocate:
      return "DEALLOCATE";
    case kind::declare_cursor:
      return s.hold ? "DECLARE CURSOR WITH HOLD" : "DECLARE CURSOR";
    case kind::fetch:
      return "FETCH";
    case kind::close_cursor:
      return "CLOSE CURSOR";
    case kind::listen:
      return "LISTEN";
    case kind::unlisten:
      return "UNLISTEN";
    case kind::notify:
      return "NOTIFY";
    case kind::lock:
      return "LOCK TABLE";
    case kind::truncate:
      return "TRUNCATE";
    case kind::call:
      return "CALL";
    case kind::do_:
      return "DO";
    case kind::vacuum:
      return "VACUUM";
    case kind::analyze:
      return "ANALYZE";
    case kind::checkpoint:
      return "CHECKPOINT";
    case kind::load:
      return "LOAD";
    case kind::ddl:
    case kind::other:
      break;
  }
  return "this command";
}

bool harmless(kind k) noexcept {
  switch (k) {
    case kind::empty:
    case kind::begin:
    case kind::commit:
    case kind::rollback:
    case kind::savepoint:
    case kind::release:
    case kind::rollback_to:
    case kind::set:
    case kind::set_local:
    case kind::reset:
    case kind::show:
    case kind::set_transaction:
    case kind::set_session_characteristics:
    case kind::discard:
    case kind::deallocate:
    case kind::fetch:
    case kind::close_cursor:
      return true;
    default:
      return false;
  }
}

bool changes_no_table(kind k) noexcept {
  switch (k) {
    case kind::prepare:
    case kind::listen:
    case kind::unlisten:
    case kind::notify:
    case kind::lock:
    case kind::checkpoint:
      return true;
    default:
      return harmless(k);
  }
}

fixed_target session_target(const sql::statement& s) {
  const std::string tag = tag_of(s);
  switch (s.kind) {
    case kind::prepare_transaction:
    case kind::commit_prepared:
    case kind::rollback_prepared:
      return refusal(refuse_session(tag, "a transaction over several shards is committed by pgbraid itself"));
    case kind::notify:
      return {to_shard{designated_shard}};  // in one order for all
    case kind::load:
      return refusal(refuse_session(tag, "it changes one server's session"));
    case kind::lock:
      return refusal(refuse_write("LOCK TABLE"));
    case kind::call:
      return refusal(make_error(error_id::user_code, "procedure \"" + s.name + "\""));
    case kind::do_:
      return refusal(protocol::with_hint(make_error(error_id::user_code, "a DO block"),
                                         "Send what is in it as statements of their own."));
    case kind::truncate:
    case kind::vacuum:
    case kind::analyze:
    case kind::checkpoint:
    case kind::ddl:
    case kind::other:
      return refusal(make_error(error_id::ddl_over_shards, tag));
    case kind::execute:
    case kind::deallocate:
      return {to_shard{designated_shard}};  // where PREPARE went
    default:
      return {to_any{}};
  }
}

session_effect effect_of_words(std::string_view normalized) {
  for (const word_effect& entry : words) {
    if (begins_with(normalized, entry.word)) return entry.effect;
  }
  // A query that cannot be read may call anything.
  return session_effect::user_code;
}

std::string first_word(std::string_view normalized) {
  std::string out;
  for (const char c : normalized) {
    if (!is_word(c)) break;
    out.push_back(c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  }
  return out;
}

}  // namespace pgbraid::router
