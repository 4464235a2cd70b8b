// A session's server connections: how they are come by, waited for, given back and lost.
#include "proxy/session/session.hpp"

#include "proxy/worker/served_database.hpp"
#include "proxy/worker/worker.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;
using p::error_id;

void session::acquire(step& s, const action& a) {
  if (leases_.size() <= a.branch) leases_.resize(a.branch + std::size_t{1});
  lease& l = leases_[a.branch];
  l.shard = a.shard;
  l.wants_replica = a.replica;
  l.may_wait = a.may_wait;
  l.floor = a.floor;
  l.asked_at = steady_time::min();
  if (a.same) return take_again(s, a.branch);
  ask_for_backend(s, a.branch, a.later ? patience::primary : patience::all);
}

// The connection through which it last drew from a sequence, if it is free and nobody has drawn through it since.
void session::take_again(step& s, branch_index branch) {
  lease& l = leases_[branch];
  p::error_report why;
  const chosen_server chosen = database_->choose(l.shard, false, must_see(l), machine_->user(), why);
  backend_ptr b = chosen.pool == nullptr ? nullptr : chosen.pool->take_again(id_, machine_->drawn_pid());
  if (!b) return fail_lease(s, branch, p::make_error(error_id::sequence_memory));
  l.pool = chosen.pool;
  b->holder = this;
  b->branch = branch;
  take_lease(s, branch, std::move(b));
}

void session::ask_for_backend(step& s, branch_index branch, patience wait) {
  lease& l = leases_[branch];
  p::error_report& refusal = worker_.refusal();
  const chosen_server chosen = database_->choose(l.shard, l.wants_replica, must_see(l), machine_->user(), refusal);
  if (chosen.behind) {
    if (wait == patience::all && await_replica(branch, chosen)) return;
    database_->look_at_replicas(l.shard);
  }
  if (chosen.pool == nullptr) {
    if (chosen.no_primary && await_primary(branch, refusal)) return;
    return fail_lease(s, branch, refusal);
  }
  if (wait == patience::primary && !chosen.replica) {
    const std::string& shard = database_->state().map->shards[l.shard];
    p::error_report lost = p::make_error(error_id::no_server, "primary", shard, "it has just been lost");
    if (await_primary(branch, lost)) return;
  }
  l.pool = chosen.pool;
  l.replica = chosen.replica;
  l.restarts = chosen.restarts;
  l.shows = chosen.shows;
  while (backend_ptr b = chosen.pool->take()) {
    b->holder = this;
    b->branch = branch;
    if (!l.replica && b->facts.standby) {
      chosen.pool->discard(*b);
      continue;
    }
    return take_lease(s, branch, std::move(b));
  }
  l.asked = chosen.pool->request([self = session_ptr{this}, branch](backend_ptr b, const p::error_report* error) {
    self->leased(branch, std::move(b), error);
  });
}

void session::take_lease(step& s, branch_index branch, backend_ptr b) {
  lease& l = leases_[branch];
  backend_facts& facts = b->facts;
  l.held = std::move(b);
  if (!l.replica) note_outcome_known(l.shard, *l.pool);
  // Others have come for the same primary before or since.
  if (std::exchange(l.asked_at, steady_time::min()) != steady_time::min()) database_->waiting().let_go(l.shard);
  machine_->on_lease(s, branch, facts, l.replica, l.shows);
}

void session::leased(branch_index branch, backend_ptr b, const p::error_report* error) {
  lease& l = leases_[branch];
  l.asked.reset();
  if (closing_ || !io_.is_open()) {
    if (b) b->pool().give_back(std::move(b));
    return;
  }
  step& s = worker_.scratch();
  s.clear();
  if (b) {
    b->holder = this;
    b->branch = branch;
    if (l.replica || !b->facts.standby) {
      take_lease(s, branch, std::move(b));
      return run(s);
    }
  }
  p::error_report why = b ? p::make_error(error_id::not_a_primary, l.pool->endpoint().label) : *error;
  if (b) l.pool->discard(*b);
  database_->server_trouble(*l.pool);
  const bool passing =
      why.id == error_id::server_unreachable || why.id == error_id::server_lost || why.id == error_id::not_a_primary;
  if (passing && !l.replica && await_primary(branch, why)) return;
  fail_lease(s, branch, why);
  run(s);
}

void session::fail_lease(step& s, branch_index branch, const p::error_report& why) {
  leases_[branch] = lease{};
  machine_->on_lease_failed(s, branch, why);
}

// The statement waits for a primary, if it may and there is room. False: `why` says what is told.
bool session::await_primary(branch_index branch, p::error_report& why) {
  lease& l = leases_[branch];
  if (!l.may_wait) return false;
  if (l.asked_at == steady_time::min()) l.asked_at = std::chrono::steady_clock::now();
  if (!database_->waiting().add(session_ptr{this}, branch, l.shard, l.asked_at, end_ - begin_, why)) return false;
  l.waits = true;
  return true;
}

void session::ask_again(branch_index branch) {
  if (branch >= leases_.size() || !std::exchange(leases_[branch].waits, false) || closing_) return;
  step& s = worker_.scratch();
  s.clear();
  ask_for_backend(s, branch, patience::none);
  run(s);
}

// The read waits for a replica that shows more, if it may.
bool session::await_replica(branch_index branch, const chosen_server& chosen) {
  const auto& config = database_->state().config;
  const lease& l = leases_[branch];
  if (config->reads.wait_for_replica.count() == 0) return false;
  // Whoever waits already has them asked again with each answer.
  if (!database_->waiting_for_replicas().anybody(l.shard)) worker_.look_at_positions(database_->state().name, l.shard);
  const steady_time now = std::chrono::steady_clock::now();
  database_->waiting_for_replicas().add(session_ptr{this}, branch, l.shard, now + config->reads.wait_for_replica);
  leases_[branch].waits = true;
  return chosen.behind;
}

bool session::try_replica(branch_index branch) {
  if (branch >= leases_.size() || !leases_[branch].waits || closing_) return true;
  const lease& l = leases_[branch];
  if (database_->choose(l.shard, true, must_see(l), machine_->user(), worker_.refusal()).behind) return false;
  go_on_without_replica(branch);
  return true;
}

void session::go_on_without_replica(branch_index branch) {
  ask_again(branch);
}

void session::waited_in_vain(branch_index branch, const p::error_report& why) {
  if (branch >= leases_.size() || !std::exchange(leases_[branch].waits, false) || closing_) return;
  step& s = worker_.scratch();
  s.clear();
  fail_lease(s, branch, why);
  run(s);
}

// What a replica must show for this session to read from it.
read_floor session::must_see(const lease& l) const {
  read_floor floor;
  floor.written = l.floor;
  if (!past_) return floor;
  if (!past_->demanded.empty() && l.shard < database_->state().shards.size()) {
    const shard_state& shard = database_->state().shards[l.shard];
    if (const wal_position* const demanded = position_in(past_->demanded, shard.system_identifier)) {
      floor.timeline = demanded->timeline;
      floor.position = demanded->lsn;
    }
  }
  const auto& config = database_->state().config;
  if (config && config->reads.consistency == config::consistency::eventual) return floor;
  // Where all sessions' writes count, its own are among them, each for its table; a write of unknown outcome is not.
  const bool own = !config || config->reads.consistency == config::consistency::session;
  if (l.shard < past_->writes.size() && (own || past_->writes[l.shard] == steady_time::max())) {
    floor.written = std::max(floor.written, past_->writes[l.shard]);
  }
  if (l.shard < past_->reads.size()) {
    const last_read& read = past_->reads[l.shard];
    floor.seen = read.ended;
    floor.seen_on = read.pool;
    floor.restarts = read.restarts;
  }
  return floor;
}

void session::recall(step& s) {
  static const consistency_token nothing;
  std::vector<router::shard_index> touched;
  for (std::size_t i = 0; past_ && i < std::max(past_->writes.size(), past_->reads.size()); ++i) {
    const bool wrote = i < past_->writes.size() && past_->writes[i] != steady_time::min();
    const bool read = i < past_->reads.size() && past_->reads[i].pool != nullptr;
    if (wrote || read) touched.push_back(static_cast<router::shard_index>(i));
  }
  machine_->on_recall(s, touched, past_ ? past_->demanded : nothing);
}

// Where there is a second replica, what has been seen on one decides about the other.
void session::note_read(const lease& l) {
  const auto& state = database_->state();
  if (l.shard >= state.shards.size() || state.shards[l.shard].servers.size() < 3) return;
  if (!state.config || state.config->reads.consistency == config::consistency::eventual) return;
  std::vector<last_read>& reads = note_past().reads;
  if (reads.size() <= l.shard) reads.resize(l.shard + std::size_t{1});
  reads[l.shard] = {std::chrono::steady_clock::now(), l.pool, l.restarts};
}

session::past& session::note_past() {
  if (!past_) past_ = std::make_unique<past>();
  return *past_;
}

void session::note_write(router::shard_index shard, steady_time when) {
  std::vector<steady_time>& writes = note_past().writes;
  if (writes.size() <= shard) writes.resize(shard + std::size_t{1}, steady_time::min());
  writes[shard] = std::max(writes[shard], when);
}

// A server was lost while it may have been committing for this session: no replica is known to show it. What a primary
// that has taken its place does not have is lost.
void session::note_outcome_known(router::shard_index shard, const server_pool& primary) {
  if (!past_ || past_->unsure_of == nullptr || past_->unsure_of == &primary || shard >= past_->writes.size() ||
      past_->writes[shard] != steady_time::max())
    return;
  past_->writes[shard] = std::chrono::steady_clock::now();
  past_->unsure_of = nullptr;
}

void session::backend_lost(backend& b, std::string_view why) {
  const branch_index branch = b.branch;
  if (branch >= leases_.size() || leases_[branch].held.get() != &b) return;
  database_->server_trouble(b.pool());
  lose(branch, why);
}

void session::lose_backends_of(server_pool& pool, std::string_view why) {
  const session_ptr keep{this};
  for (std::size_t i = 0; i < leases_.size(); ++i) {
    const backend_ptr b = leases_[i].held;
    if (!b || &b->pool() != &pool) continue;
    pool.discard(*b);
    lose(static_cast<branch_index>(i), why);
  }
}

void session::note_promoted(const server_pool& pool) noexcept {
  for (const lease& l : leases_) {
    if (l.held && &l.held->pool() == &pool) l.held->facts.standby = false;
  }
}

void session::lose(branch_index branch, std::string_view why) {
  lease& l = leases_[branch];
  const backend_ptr gone = std::move(l.held);
  if (l.replica && !closing_) note_read(l);
  if (!l.replica && !closing_ && machine_->may_have_written(branch)) {
    note_write(l.shard, steady_time::max());
    note_past().unsure_of = &gone->pool();
  }
  l = lease{};
  if (closing_) return;
  step& s = worker_.scratch();
  s.clear();
  machine_->on_backend_lost(s, branch, fmt::format("{}: {}", gone->pool().endpoint().label, why));
  run(s);
}

void session::release(const action& a) {
  lease& l = leases_[a.branch];
  if (a.wrote) note_write(a.shard, std::chrono::steady_clock::now());
  if (l.replica && l.held) note_read(l);
  if (a.ddl) worker_.catalog_may_have_changed(database_->state().name);
  if (l.held) {
    backend_ptr b = std::move(l.held);
    l = lease{};
    b->pool().give_back(std::move(b));
  }
}

void session::discard(branch_index branch) {
  if (branch >= leases_.size()) return;
  lease& l = leases_[branch];
  if (l.waits) {
    database_->waiting().remove(*this, branch);
    database_->waiting_for_replicas().remove(*this, branch);
  }
  if (l.asked) l.pool->withdraw(l.asked);
  if (l.held) {
    const backend_ptr b = std::move(l.held);
    b->pool().discard(*b);
  }
  l = lease{};
}

session_description session::describe() const {
  session_description d;
  d.pid = worker_.cancel_pid(id_);
  d.state = relay_ != nullptr ? "replication" : "login";
  if (database_ != nullptr) d.database = database_name();
  if (!machine_) return d;
  using activity = session_machine::activity;
  d.user = machine_->user();
  d.kept_because = machine_->pinned_because();
  d.in_transaction = machine_->doing() != activity::idle;
  d.state = machine_->doing() == activity::running ? "running" : d.in_transaction ? "in transaction" : "idle";
  for (std::size_t i = 0; i < leases_.size(); ++i) {
    const lease& l = leases_[i];
    if (l.waits || l.asked) d.state = "waiting for a server";
    if (!l.held) continue;
    d.servers.append(d.servers.empty() ? "" : "; ").append(l.held->pool().endpoint().label);
    d.wrote = d.wrote || machine_->may_have_written(static_cast<branch_index>(i));
  }
  return d;
}

}  // namespace pgbraid::proxy
