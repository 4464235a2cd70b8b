// Route -> branches: which open backend serves a statement, or which one must be leased.
#include "proxy/session/machine.hpp"

#include "protocol/frontend.hpp"
#include "router/plan/names.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;
using router::sql::isolation_level;

namespace {

constexpr std::string_view one_implicit_transaction = "the messages up to a Sync are one transaction, which has begun on one shard";

// What the catalog is read again for. Several statements in one text may hold anything.
bool changes_schema(const router::plan& plan) {
  if (plan.statement_count > 1 || plan.opaque) return true;
  // By the first letter: every write is asked.
  switch (plan.tag.empty() ? '\0' : plan.tag.front()) {
    case 'A':
      return plan.tag.starts_with("ALTER");
    case 'C':
      return plan.tag.starts_with("CREATE") || plan.tag == "COMMENT";
    case 'D':
      return plan.tag.starts_with("DROP");
    default:
      return false;
  }
}

// What new sessions begin with; it is a change of the schema too.
bool changes_defaults(const router::plan& plan) {
  return plan.tag == "ALTER ROLE" || plan.tag == "ALTER DATABASE" || plan.tag == "ALTER SYSTEM";
}

bool mirrored_read(const router::route& r) {
  const auto* const many = std::get_if<router::to_many>(&r.target);
  return many != nullptr && many->mirrored && r.mode == router::access::read;
}

}  // namespace

bool session_machine::may_use_replica(const router::plan& plan, const router::route& r) {
  if (r.mode != router::access::read || r.needs_primary || force_primary_) return false;
  if (context_->context.map->replicas == router::replica_use::off && !r.wants_replica) return false;
  if (sees_commits_whole(r)) return false;
  if (pinned_ >= 0 || batch_writer_ || env_.pool_mode == config::pool_mode::session) return false;
  if (!txn_.active) return default_isolation_ != isolation_level::serializable;
  if (txn_.primary_only || txn_.isolation == isolation_level::serializable) return false;
  if (txn_.isolation == isolation_level::repeatable_read) return txn_.read_only;
  if (plan.transaction_dependent) {
    // now() and its like must not change in the middle of a transaction: it stays where it is first asked for.
    txn_.primary_only = true;
    return false;
  }
  return true;
}

// The batch binds another statement behind this one: it may write to another shard, in the same implicit transaction.
bool session_machine::more_to_bind() const noexcept {
  if (cycle_ != cycle_kind::batch || operations_.empty()) return false;
  const auto binds = std::count_if(operations_.begin(), operations_.end(), [](const operation& o) { return o.type == p::frontend::bind; });
  return binds > 1;
}

// The branch whose time is that of the transaction under way, if it has one. What asks for the time goes to primaries.
std::optional<branch_index> session_machine::keeper_of_time() const {
  if (!txn_.active) return std::nullopt;
  const auto open = [](const branch& b) { return b.state == branch_state::ready && b.in_block && !b.replica; };
  if (txn_.first && *txn_.first < branches_.size() && open(branches_[*txn_.first])) return txn_.first;
  const auto found = std::find_if(branches_.begin(), branches_.end(), open);
  if (found == branches_.end()) return std::nullopt;
  return static_cast<branch_index>(found - branches_.begin());
}

router::shard_index session_machine::any_shard(bool write) const {
  for (const branch& b : branches_) {
    if (b.state == branch_state::ready && (!write || !b.replica)) return b.shard;
  }
  if (write) return 0;
  return static_cast<router::shard_index>(serial_ % context_->context.map->shards.size());
}

// Of a transaction with one snapshot: no server has been asked for it, and which one will be nobody knows.
bool session_machine::takes_snapshot_anywhere() const {
  const router::topology& map = *context_->context.map;
  return txn_.active && txn_.one_snapshot() && !txn_.home && !txn_.snapshot_anywhere && !txn_.snapshots &&
         !txn_.foreign && !txn_.imported && !map.consistent && !map.one_shard();
}

// What any shard could answer begins the snapshot of a transaction. It is asked of all of them: the statement that
// decides which one the transaction is about is yet to come, and must see what it would have seen by then.
void session_machine::see_everywhere(const router::plan& plan, router::route& r) const {
  if (!std::holds_alternative<router::to_any>(r.target) || r.mode != router::access::read || !takes_snapshot_anywhere())
    return;
  if (plan.effect != router::session_effect::none || plan.statement_count != 1 || plan.transaction_dependent ||
      plan.sequence_memory || plan.no_binary)
    return;
  router::to_many all;
  all.mirrored = true;
  for (std::size_t i = 0; i < context_->context.map->shards.size(); ++i)
    all.shards.push_back(static_cast<router::shard_index>(i));
  r.target = std::move(all);
}

// The statement goes to `used`. From here on a transaction with one snapshot stays there, unless any shard would have
// done.
void session_machine::tie_transaction(const router::plan& plan, const router::route& r, const targets& used) {
  if (!txn_.active || !txn_.one_snapshot() || txn_.home || used.empty()) return;
  if (plan.effect == router::session_effect::show) return;  // takes no snapshot
  if (mirrored_read(r)) {
    txn_.snapshot_anywhere = true;
    return;
  }
  const bool any =
      std::holds_alternative<router::to_any>(r.target) && r.mode == router::access::read && !plan.transaction_dependent;
  if (used.size() == 1 && !(any && txn_.snapshot_anywhere)) txn_.home = used.front();
}

// The backend that a call of nextval() went to, if there was one, is still this session's.
bool session_machine::keeps_sequences() const noexcept {
  if (pinned_ >= 0) return true;
  const bool one_shard = context_->context.map->one_shard();
  return std::any_of(branches_.begin(), branches_.end(), [&](const branch& b) {
    return b.state == branch_state::ready && !b.replica && (b.drew || (b.wrote && (one_shard || b.shard == router::designated_shard)));
  });
}

bool session_machine::holds_nothing() const noexcept {
  return std::all_of(branches_.begin(), branches_.end(), [](const branch& b) { return b.state == branch_state::free; });
}

bool session_machine::place(step& s, const router::plan& plan, const router::route& r, targets& out, protocol::error_report& refusal) {
  const bool consistent = context_->context.map->consistent;
  if (const claims_state* const claims = needs_.claims()) {
    if (!plan.claims || claims->operation != operation_) needs_.drop_claims();
  }
  if (consistent && !arrange_hold(plan, r, refusal)) return false;
  if (!find_place(s, plan, r, out, refusal)) return false;
  if (consistent) place_hold(s, out);
  arrange_copy_locks(plan, r, out);
  if (!plan.listening_channels || !listening_ || listening_->channels.empty()) return true;
  // The server must have the session's channels for a moment: LISTEN takes effect with its transaction only.
  branch& b = branches_[out.front()];
  b.shows_channels = !b.in_block;
  return true;
}

bool session_machine::find_place(step& s, const router::plan& plan, const router::route& r, targets& out, protocol::error_report& refusal) {
  out.clear();
  const router::topology& map = *context_->context.map;
  const auto* one = std::get_if<router::to_shard>(&r.target);
  // The usual case, at the cost of a few comparisons: a read of one shard, outside a transaction.
  if (one != nullptr && r.mode == router::access::read && plan.effect == router::session_effect::none &&
      !plan.sequence_memory && !txn_.active && !env_.global_reads) {
    out.push_back(branch_for(s, one->shard, may_use_replica(plan, r)));
    return true;
  }
  if (plan.effect == router::session_effect::use_cursor) {
    // It stays where it was declared, wherever the transaction has moved to since.
    if (const branch_index* home = cursors_.find(plan.name)) {
      again_ = false;
      out.push_back(*home);
      return true;
    }
  }
  if (const auto* refused = std::get_if<router::to_refusal>(&r.target)) {
    refusal = refused->error();
    return false;
  }
  if (!plan.configures.empty()) {
    place_config(s, out);
    return true;
  }
  if (plan.draws_elsewhere) drew_elsewhere_ = true;
  if (plan.last_drawn && drew_elsewhere_) {
    refusal = p::with_hint(p::make_error(error_id::session_feature, "lastval()",
                                         "the last number may have been drawn for an unsharded table on another shard"),
                           "Use RETURNING, or currval() with the sequence's name.");
    return false;
  }
  const bool remembers = plan.sequence_memory && plan.statement_count == 1 && !keeps_sequences();
  if (plan.sequence_memory) env_.sequences_asked = asks_sequences_ = true;
  if (plan.sets_sequences && env_.blocks) sets_sequences_ = true;
  const bool unknown = plan.sequence_memory && blocks_ && !blocks_->unknown.empty();
  if (unknown || (remembers && (!holds_nothing() || drawn_pid_ == 0))) {
    refusal = p::make_error(error_id::sequence_memory);
    return false;
  }
  const bool write = r.mode == router::access::write;
  router::shard_index shard = 0;
  const std::vector<router::shard_index>* many = nullptr;
  if (const auto* concatenated = std::get_if<router::to_many>(&r.target)) many = &concatenated->shards;
  if (const auto* gathered = std::get_if<router::to_gather>(&r.target)) many = &gathered->shards;
  if (one != nullptr) {
    shard = one->shard;
  } else if (many == nullptr) {
    const auto keeper = plan.transaction_dependent ? keeper_of_time() : std::nullopt;
    shard = keeper ? branches_[*keeper].shard : any_shard(write);
  }

  const bool spreads = write && std::holds_alternative<router::to_many>(r.target);
  if (!txn_.active && !map.one_shard() && (spreads || (write && one != nullptr && (plan.claims || more_to_bind())))) {
    if (batch_writer_) {
      refusal = p::make_error(error_id::transaction_second_writer, map.shards[*batch_writer_], map.shards[spreads ? many->back() : shard], one_implicit_transaction);
      return false;
    }
    if (spreads || plan.claims || single_writer().empty()) begin_own();
    // Where that is one of REPEATABLE READ, by the session's own default.
    if (map.consistent && !arrange_hold(plan, r, refusal)) return false;
  }
  // Seen by all, so that any of them may be asked next.
  const bool snapshots = many != nullptr && std::holds_alternative<router::to_many>(r.target) &&
                         takes_snapshot_anywhere() && mirrored_read(r);
  const bool one_server = txn_.one_snapshot() && !txn_.snapshots && !(needs_.hold() && needs_.hold()->snapshot);
  if (txn_.active && (one_server || txn_.foreign)) {
    const auto open_on = [&](auto&& condition) {
      return std::find_if(branches_.begin(), branches_.end(),
                          [&](const branch& b) { return b.in_block && condition(b); });
    };
    auto open = branches_.end();
    if (txn_.foreign) {
      open = open_on([](const branch&) { return true; });
    } else if (txn_.home) {
      open = branches_.begin() + *txn_.home;
    } else if (many == nullptr) {
      open = open_on([shard](const branch& b) { return b.shard == shard; });
    }
    const char* level = txn_.foreign                                               ? "multi-statement"
                        : txn_.isolation == isolation_level::serializable ? "SERIALIZABLE"
                                                                                   : "REPEATABLE READ";
    if (many != nullptr && !snapshots) {
      const router::shard_index began = open == branches_.end() ? many->front() : open->shard;
      const router::shard_index other = many->front() == began ? (*many)[1] : many->front();
      refusal = p::make_error(error_id::transaction_second_shard, level, map.shards[began], map.shards[other]);
      return false;
    }
    if (open != branches_.end()) {
      if (one != nullptr && open->shard != shard) {
        refusal = p::make_error(error_id::transaction_second_shard, level, map.shards[open->shard], map.shards[shard]);
        return false;
      }
      out.push_back(static_cast<branch_index>(open - branches_.begin()));
      return true;
    }
  }
  const std::optional<router::shard_index>& writer = txn_.active ? txn_.writer : batch_writer_;
  if (spreads || (write && one != nullptr && writer && *writer != shard)) {
    const std::string why = txn_.active ? single_writer() : std::string{one_implicit_transaction};
    if (!why.empty()) {
      const bool may_otherwise = txn_.active && env_.state->schema && env_.state->schema->single_writer.empty();
      if (const auto lost = shard_without_primary(); lost && may_otherwise) {
        refusal = p::make_error(error_id::no_server, "primary", map.shards[*lost], "it has not been found yet");
        return false;
      }
      const router::shard_index first = writer ? *writer : many->front();
      const router::shard_index second = !spreads ? shard : many->front() == first ? many->back() : many->front();
      refusal = p::make_error(error_id::transaction_second_writer, map.shards[first], map.shards[second], why);
      return false;
    }
  }
  const bool replica = may_use_replica(plan, r);
  if (replica && !remembers && env_.global_reads) {
    const auto place_on = [&](router::shard_index each) {
      const bool enough = shows_enough(plan, each);
      out.push_back(branch_for(s, each, enough, enough ? floor_of(plan, each) : steady_time::min()));
    };
    if (many != nullptr) {
      std::for_each(many->begin(), many->end(), place_on);
    } else {
      place_on(shard);
    }
    return true;
  }
  if (many != nullptr) {
    for (const router::shard_index each : *many) out.push_back(branch_for(s, each, replica));
    return true;
  }
  out.push_back(branch_for(s, shard, replica && !remembers, steady_time::min(), remembers));
  return true;
}

// The statement is about to go to `used`: from here on a transaction remembers it.
void session_machine::mark_use(const router::plan& plan, const router::route& r, const targets& used) {
  for (const branch_index i : used) {
    branch& b = branches_[i];
    if (!b.replica && (r.mode != router::access::read || plan.effect != router::session_effect::none)) again_ = false;
    if (r.mode == router::access::write) {
      b.wrote = true;
      b.facts->writer = serial_;
      if (context_->context.map->one_shard() || b.shard == router::designated_shard) note_drawn(i);
      if (changes_schema(plan)) {
        b.ddl = true;
        b.defaults = b.defaults || changes_defaults(plan);
      }
      if (!plan.defines.empty() || !plan.alters.empty()) note_definitions(plan);
    }
    switch (plan.effect) {
      case router::session_effect::user_code:
      case router::session_effect::other:
        b.dirty = true;
        break;
      case router::session_effect::temporary:
        pin(i, "temporary objects");
        b.dirty = true;  // gone again at the transaction's end, perhaps
        break;
      case router::session_effect::listen:
        pin(i, "LISTEN");
        break;
      case router::session_effect::notify:
        b.notified = true;
        break;
      case router::session_effect::prepare:
        if (!prepares(plan)) b.dirty = true;
        break;
      case router::session_effect::load:
        pin(i, "LOAD");
        indelible_ = true;
        break;
      case router::session_effect::declare_cursor:
        if (plan.tag.find("HOLD") != std::string::npos) pin(i, "a WITH HOLD cursor");
        if (used.size() == 1) cursors_.set(plan.name, i);
        break;
      default:
        break;
    }
    if (!plan.pins.empty()) {
      pin(i, plan.pins);
      indelible_ = true;
    }
    if (plan.user_code || (plan.statement_count > 1 && plan.effect != router::session_effect::none)) b.dirty = true;
    if (pinned_ == i && may_unpin(plan)) b.dirty = true;
    if (!plan.writes.empty() && std::string_view{plan.writes.front()} == "pg_catalog.pg_settings") b.dirty = true;
  }
  tie_transaction(plan, r, used);
  if (r.mode != router::access::write) return;
  if (hold_state* const hold = needs_.hold()) hold->wrote = true;
  if (env_.marks != nullptr) note_changes(plan, used);
  const bool counts = !std::holds_alternative<router::to_any>(r.target) || plan.effect != router::session_effect::none;
  if (txn_.active) {
    txn_.primary_only = true;
    if (counts && !used.empty() && !txn_.writer) txn_.writer = branches_[used.front()].shard;
  } else if (cycle_ == cycle_kind::batch && counts && !used.empty()) {
    batch_writer_ = branches_[used.front()].shard;
  }
}

}  // namespace pgbraid::proxy
