#include "machine_script.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <utility>

#include "tests/unit/router_plan/fixture.hpp"

namespace pgbraid::proxy::test {

namespace {

database_state_ptr demo_state(const script_options& options) {
  auto state = std::make_shared<database_state>();
  auto map = std::make_shared<router::topology>(router::test::demo_topology(options.shards));
  map->replicas = options.replicas ? router::replica_use::prefer : router::replica_use::off;
  map->consistent = options.consistent;
  state->name = map->database;
  state->served = true;
  state->map = std::move(map);
  auto schema = std::make_shared<router::catalog>(router::test::demo_catalog());
  state->shards.resize(options.shards);
  if (options.several_writers) {
    schema->single_writer.clear();
    for (std::size_t i = 0; i < options.shards; ++i) state->shards[i].identity = shard_identity(0x10 + i, "db");
  }
  if (options.alter_catalog) options.alter_catalog(*schema);
  state->schema = std::move(schema);
  state->schema_as_of = std::chrono::steady_clock::now();
  return state;
}

}  // namespace

machine_script::machine_script(const script_options& options)
    : options_{options}, environment_{settings_, statements_, contexts_, demo_state(options)} {
  environment_.max_message_bytes = options.max_message;
  environment_.max_gather = options.max_gather;
  environment_.pool_mode = options.pool_mode;
  if (options.global) environment_.marks = &marks_;
  environment_.global_reads = options.global;
  environment_.answers_decided = options.decided;
  if (options.blocks > 1) environment_.blocks = std::make_unique<number_blocks>(options.blocks);
  for (const std::string& shard : environment_.state->map->shards) environment_.mark_seeds.push_back(write_marks::seed_of("demo", shard));
  machine_ = std::make_unique<session_machine>(environment_, "app", settings_.none(), 1);
  machine_->told_pid(777);
}

machine_script::server_side& machine_script::of(std::string_view name) {
  // The newest of that name: those before it have been discarded.
  for (auto i = servers_.rbegin(); i != servers_.rend(); ++i) {
    if ((*i)->name == name) return **i;
  }
  FAIL("no connection to " << name << " was ever asked for");
  return *servers_.front();
}

machine_script::server_side* machine_script::at(branch_index branch) {
  for (const auto& s : servers_) {
    if (s->leased && s->branch == branch) return s.get();
  }
  return nullptr;
}

void machine_script::note(char sign, std::string_view name) {
  if (!leases_.empty()) leases_.push_back(' ');
  leases_.push_back(sign);
  leases_.append(name);
}

void machine_script::client_bytes(std::string_view bytes) {
  unread_.append(bytes);
  deliver_client();
}

// The buffer is made anew for every read, so that a view kept longer than allowed points at freed memory.
void machine_script::deliver_client() {
  if (delivering_) return;
  delivering_ = true;
  while (reading_ && !closed_ && !unread_.empty()) {
    std::size_t size = options_.client_chunk == 0 ? unread_.size() : std::min(options_.client_chunk, unread_.size());
    if (offset_ < options_.client_cut) size = std::min(size, options_.client_cut - offset_);
    const std::size_t kept = input_size_ - input_begin_;
    auto larger = std::make_unique<char[]>(kept + size);
    if (kept > 0) std::memcpy(larger.get(), input_.get() + input_begin_, kept);
    std::memcpy(larger.get() + kept, unread_.data(), size);
    unread_.erase(0, size);
    offset_ += size;
    input_ = std::move(larger);
    input_size_ = kept + size;
    input_begin_ = 0;
    reading_ = false;
    step_.clear();
    machine_->on_client(step_, {input_.get(), input_size_});
    run();
  }
  delivering_ = false;
}

void machine_script::server_bytes(std::string_view name, std::string_view bytes) {
  server_side& from = of(name);
  REQUIRE(from.open);
  REQUIRE(from.leased);
  const std::size_t chunk = options_.server_chunk == 0 ? bytes.size() : options_.server_chunk;
  for (std::size_t i = 0; i < bytes.size() && from.leased; i += chunk) {
    from.pending.append(bytes.substr(i, chunk));
    deliver_server(from);
  }
  deliver_client();
}

void machine_script::deliver_server(server_side& from) {
  const std::string data = from.pending;
  step_.clear();
  const std::size_t used = machine_->on_backend(step_, from.branch, data);
  REQUIRE(used <= data.size());
  from.pending = data.substr(used);
  run();
  while (!resumed_.empty()) {
    const branch_index branch = resumed_.front();
    resumed_.pop_front();
    if (server_side* held = at(branch); held != nullptr) deliver_server(*held);
  }
}

void machine_script::lose(std::string_view name) {
  server_side& gone = of(name);
  REQUIRE(gone.leased);
  gone.open = gone.leased = false;
  step_.clear();
  machine_->on_backend_lost(step_, gone.branch, "gone");
  run();
  deliver_client();
}

void machine_script::grant() {
  REQUIRE_FALSE(waiting_.empty());
  const action wanted = waiting_.front();
  waiting_.pop_front();
  step_.clear();
  lease(wanted);
  run();
  deliver_client();
}

void machine_script::cancel() {
  step_.clear();
  machine_->on_cancel(step_);
  run();
  deliver_client();
}

void machine_script::notified(std::int32_t pid, std::string_view channel, std::string_view payload) {
  protocol::notification_view told;
  told.pid = pid;
  told.channel = channel;
  told.payload = payload;
  step_.clear();
  machine_->on_notification(step_, 0, told);
  run();
  deliver_client();
}

void machine_script::caught_up() {
  step_.clear();
  machine_->on_caught_up(step_);
  run();
  deliver_client();
}

void machine_script::listener_lost() {
  step_.clear();
  machine_->on_listener_lost(step_, "gone");
  run();
  deliver_client();
}

void machine_script::deadlock() {
  step_.clear();
  machine_->on_deadlock(step_);
  run();
  deliver_client();
}

void machine_script::look_at_catalog() {
  step_.clear();
  machine_->on_catalog(step_);
  run();
  deliver_client();
}

void machine_script::lease(const action& wanted) {
  if (wanted.same) {
    const auto its = [&](const auto& s) { return s->open && !s->leased && s->shard == wanted.shard && s->facts.pid == machine_->drawn_pid() && s->facts.drawer == 1; };
    if (std::none_of(servers_.begin(), servers_.end(), its)) {
      return machine_->on_lease_failed(step_, wanted.branch, protocol::make_error(protocol::error_id::sequence_memory));
    }
  }
  const bool replica = wanted.replica && options_.replicas;
  server_side* free = nullptr;
  for (const auto& s : servers_) {
    if (s->open && !s->leased && s->shard == wanted.shard && s->replica == replica) free = s.get();
  }
  if (free == nullptr) {
    auto made = std::make_unique<server_side>();
    made->name = "s" + std::to_string(wanted.shard) + (replica ? "r" : "");
    made->shard = wanted.shard;
    made->replica = replica;
    made->facts.current = settings_.none();
    made->facts.pid = static_cast<std::int32_t>(1000 + servers_.size());
    free = made.get();
    servers_.push_back(std::move(made));
  }
  free->leased = true;
  free->branch = wanted.branch;
  note(wanted.later ? '@' : '+', free->name);
  floor_ = wanted.floor;
  machine_->on_lease(step_, wanted.branch, free->facts, replica, shows);
}

void machine_script::run() {
  while (true) {
    perform();
    if (closed_) return;
    const bool more = step_.more_input;
    const bool wanted = step_.read_client || more;
    input_begin_ += step_.consumed;
    REQUIRE(input_begin_ <= input_size_);
    step_.consumed = 0;
    if (!wanted) return;
    if (!more || input_begin_ == input_size_) break;
    step_.clear();
    machine_->on_client(step_, {input_.get() + input_begin_, input_size_ - input_begin_});
  }
  reading_ = true;
}

void machine_script::perform() {
  // A lease that is given at once adds actions.
  for (std::size_t i = 0; i < step_.actions.size(); ++i) perform(action{step_.actions[i]});
}

void machine_script::perform(const action& a) {
  server_side* side = a.kind == action_kind::to_client ? nullptr : at(a.branch);
  switch (a.kind) {
    case action_kind::to_client:
      told_.append(step_.bytes_of(a));
      break;
    case action_kind::to_backend:
      REQUIRE(side != nullptr);
      side->asked.append(step_.bytes_of(a));
      break;
    case action_kind::acquire:
      if (options_.hold_leases) {
        note('~', "s" + std::to_string(a.shard) + (a.may_wait ? "" : " at once"));
        waiting_.push_back(a);
      } else {
        lease(a);
      }
      break;
    case action_kind::release:
      REQUIRE(side != nullptr);
      CHECK(side->pending.empty());
      side->leased = false;
      note('-', side->name);
      break;
    case action_kind::discard:
      std::erase_if(waiting_, [&](const action& w) { return w.branch == a.branch; });
      if (side == nullptr) break;
      side->leased = side->open = false;
      note('!', side->name);
      break;
    case action_kind::hold:
      break;
    case action_kind::resume:
      resumed_.push_back(a.branch);
      break;
    case action_kind::cancel:
      REQUIRE(side != nullptr);
      note('?', side->name);
      break;
    case action_kind::recall:
      machine_->on_recall(step_, touched, known);
      break;
    case action_kind::remember:
      remembered_ = std::move(step_.token);
      step_.token.clear();
      note('m', "");
      break;
    case action_kind::hear: {
      std::string channels;
      for (const std::string& name : machine_->wanted_channels()) channels.append(channels.empty() ? "" : ",").append(name);
      note('h', "ear(" + channels + ")");
      break;
    }
    case action_kind::catch_up:
      note('c', "atch_up");
      break;
    case action_kind::renew:
      note('r', "enew");
      break;
    case action_kind::doubt:
      REQUIRE(side != nullptr);
      note('d', side->name);
      break;
    case action_kind::close:
      closed_ = true;
      note('*', "");
      break;
  }
}

std::string machine_script::raw_told() {
  return std::exchange(told_, {});
}

std::string machine_script::raw_asked(std::string_view name) {
  return std::exchange(of(name).asked, {});
}

void machine_script::forget_on_server(std::string_view name) {
  backend_facts& facts = of(name).facts;
  facts.sql.reset();
  facts.prepared.clear();
}

void machine_script::foreign_on_server(std::string_view name, std::string_view statement) {
  auto names = std::make_unique<sql_names>();
  names->owner = 1'000'000;
  names->entries.emplace_back(statement, 1'000'001);
  of(name).facts.sql = std::move(names);
}

std::string machine_script::told() {
  return note_server(raw_told());
}

std::string machine_script::asked(std::string_view name) {
  // Numbers of statements are nobody's business.
  std::string line = note_client(raw_asked(name));
  constexpr std::string_view ours = "pgbraid_";
  for (auto at = line.find(ours); at != std::string::npos; at = line.find(ours, at)) {
    const auto end = line.find_first_not_of("0123456789abcdef", at + ours.size());
    line.replace(at, end - at, "own");
  }
  return line;
}

std::string machine_script::leases() {
  return std::exchange(leases_, {});
}

}  // namespace pgbraid::proxy::test
