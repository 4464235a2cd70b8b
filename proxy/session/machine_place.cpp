// Route -> branches: which open backend serves a statement, or which one must be leased, and what a backend must be told
// before the statement may go to it.
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

branch_index session_machine::branch_for(step& s, router::shard_index shard, bool replica, steady_time floor, bool same) {
  int found = -1;
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    const branch& b = branches_[i];
    if (b.state == branch_state::free || b.state == branch_state::lost || b.shard != shard) continue;
    const bool is_replica = b.state == branch_state::ready ? b.replica : b.wants_replica;
    if (is_replica && !replica) continue;
    if (found < 0 || is_replica == replica) found = static_cast<int>(i);
  }
  if (found >= 0) return static_cast<branch_index>(found);
  const branch_index made = lease_branch(s, shard, replica);
  s.actions.back().floor = floor;
  s.actions.back().same = same;
  return made;
}

branch_index session_machine::lease_branch(step& s, router::shard_index shard, bool replica) {
  const auto free = std::find_if(branches_.begin(), branches_.end(), [](const branch& b) { return b.state == branch_state::free; });
  const auto free_slot = static_cast<std::size_t>(free - branches_.begin());
  if (free_slot == branches_.size()) branches_.emplace_back();
  branch& b = branches_[free_slot];  // a free one is as it was made
  b.state = branch_state::acquiring;
  b.shard = shard;
  b.wants_replica = replica;
  action& a = s.actions.emplace_back();
  a.kind = action_kind::acquire;
  a.branch = static_cast<branch_index>(free_slot);
  a.shard = shard;
  a.replica = replica;
  a.may_wait = may_wait_for_primary();
  a.later = begun_anew_ > 0;
  return static_cast<branch_index>(free_slot);
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

void session_machine::pin(branch_index b, std::string reason) {
  // Its temporary schema stays with a backend, and shows: PREPARE TRANSACTION minds whether it is made or there.
  if (reason == "temporary objects") indelible_ = true;
  if (pinned_ >= 0) return;
  pinned_ = b;
  pin_reason_ = std::make_unique<const std::string>(std::move(reason));
}

void session_machine::drop_branch(branch_index b) {
  if (pinned_ == b) {
    pinned_ = -1;
    pin_reason_.reset();
  }
  branches_[b] = branch{};
  if (txn_.home == b) txn_.home.reset();
  needs_.lose(b);
  // A statement that was to go there and waits for others is placed anew.
  if (!sent_) placed_ = false;
  const auto uses_it = [b](const portal& p) { return std::find(p.branches.begin(), p.branches.end(), b) != p.branches.end(); };
  portals_.erase_if(uses_it);
  cursors_.erase_if([b](branch_index home) { return home == b; });
  if (uses_it(unnamed_portal_)) unnamed_portal_open_ = false;
}

bool session_machine::awaits_lease(const targets& wanted) const noexcept {
  for (const branch_index i : wanted) {
    if (branches_[i].state == branch_state::acquiring) return true;
  }
  return false;
}

bool session_machine::ready(step& s, const targets& wanted) {
  const auto elsewhere = [this](const auto& need) { return awaits_lease(need.over); };
  if (awaits_lease(wanted) || needs_.any_of(elsewhere)) return false;
  bool all = true;
  for (const branch_index i : wanted) all = prepare(s, i) && all;
  return all && (!needs_ || needs_met(s));
}

// Brings the backend's settings in line and opens the client's transaction on it. False: it must answer first.
bool session_machine::prepare(step& s, branch_index i) {
  branch& b = branches_[i];
  if (b.state != branch_state::ready) return false;
  if (b.preparing > 0) return false;
  if (listening_ && !finds_its_voice(s, i)) return false;
  if (b.in_block) return true;
  if (!txn_.active && b.facts->current == current_ && !b.facts->sql && !b.shows_channels && !env_.sequences_asked) return true;
  return bring_in_line(s, i);
}

bool session_machine::bring_in_line(step& s, branch_index i) {
  branch& b = branches_[i];
  const settings_ptr& wanted = txn_.active ? txn_.base : current_;
  const std::size_t from = s.backend_bytes.size();
  // What others have drawn must not pass for this session's, once anybody asks.
  const bool forgets_sequences = env_.sequences_asked && !b.replica && !b.wrote && b.facts->drawer != 0 && b.facts->drawer != serial_;
  if (b.facts->current != wanted || b.facts->sql || b.shows_channels || forgets_sequences) {
    std::string sql = forgets_sequences ? "DISCARD SEQUENCES" : "";
    if (forgets_sequences) b.facts->drawer = 0;
    if (const std::string listen = listen_for_show(i); !listen.empty()) sql.append(sql.empty() ? "" : "; ").append(listen);
    if (const std::string deallocate = deallocate_foreign(i); !deallocate.empty()) sql.append(sql.empty() ? "" : "; ").append(deallocate);
    const std::string difference = b.facts->current == wanted ? std::string{} : settings_difference(b.facts->current.get(), *wanted);
    if (!sql.empty() && !difference.empty()) sql.append("; ");
    sql.append(difference);
    b.facts->current = wanted;
    if (!sql.empty()) {
      p::encode_query(s.backend_bytes, sql);
      b.facts->unnamed = 0;
      b.expect({answer::query, disposition::prepare});
      ++b.preparing;
    }
  }
  if (txn_.active) {
    b.in_block = true;
    if (!b.replica && (!txn_.first || !branches_[*txn_.first].in_block)) txn_.first = i;
    p::encode_query(s.backend_bytes, txn_.replay());
    b.facts->unnamed = 0;
    // BEGIN alone cannot fail on an idle backend, so that the statement may follow in the same packet.
    const bool wait = b.preparing > 0 || !txn_.plain();
    b.expect({answer::query, wait ? disposition::prepare : disposition::swallow});
    if (wait) ++b.preparing;
    b.facts->current = current_;
  }
  if (s.backend_bytes.size() > from) s.own_to_backend(i, from);
  return b.preparing == 0;
}

void session_machine::on_lease(step& s, branch_index i, backend_facts& facts, bool replica, steady_time shows) {
  branch& b = branches_[i];
  b.state = branch_state::ready;
  b.facts = &facts;
  b.replica = replica;
  b.shows = shows;
  b.transaction = 'I';
  b.expected = std::move(facts.spare);
  b.expected.clear();
  if (env_.pool_mode == config::pool_mode::session && !replica) pin(i, "pool.mode is session");
  work(s);
}

void session_machine::on_lease_failed(step& s, branch_index i, const protocol::error_report& error) {
  const bool replica = branches_[i].wants_replica;
  branches_[i] = branch{};
  const bool wanted = std::find(targets_.begin(), targets_.end(), i) != targets_.end() || needs_.concern(i);
  if (cycle_ == cycle_kind::none || !wanted) return;
  const bool servers_fault = error.id == error_id::server_login_failed || error.id == error_id::server_lost || error.id == error_id::server_unreachable;
  if (replica && servers_fault && !force_primary_ && context_->context.map->replicas == router::replica_use::prefer) {
    // The replica is gone and the control plane has not noticed yet.
    force_primary_ = true;
    placed_ = false;
    return work(s);
  }
  if (control_ && control_->running) control_.reset();
  const bool in_vain = question_ && !question_->done && question_->refusal;
  if (cycle_ == cycle_kind::batch) {
    (void)op_error(s, in_vain ? *question_->refusal : with_round(error));
    return run_batch(s);
  }
  refuse_simple(s, in_vain ? p::error_report{*question_->refusal} : with_round(error));
}

}  // namespace pgbraid::proxy
