#include "proxy/session/session.hpp"

#include "proxy/session/login.hpp"
#include "proxy/session/replication.hpp"
#include "proxy/worker/served_database.hpp"
#include "proxy/worker/worker.hpp"

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;

namespace {

// Bytes of input that one step is shown at once.
constexpr std::size_t largest_step = 64 * 1024;
constexpr std::size_t first_large = 16 * 1024;

}  // namespace

session::session(worker& owner, channel io, std::uint64_t id) : worker_{owner}, io_{std::move(io)}, id_{id}, cancel_key_{owner.new_cancel_key()}, data_{inline_.data()} {}

session::~session() { leave(); }

void session::start() { log_in_client(session_ptr{this}); }

void session::begin(served_database& database, const std::string& user, settings_ptr startup) {
  database_ = &database;
  machine_ = std::make_unique<session_machine>(database.environment(), user, std::move(startup), id_);
  machine_->told_pid(worker_.cancel_pid(id_));
  process();
}

// --- the client's side -------------------------------------------------------------------------------------------------

void session::read() {
  if (reading_ || closing_ || !io_.is_open()) return;
  make_room();
  reading_ = true;
  if (io_.tls() == nullptr) return read_.start(*this, io_.socket(), data_ + end_, capacity_ - end_);
  io_.async_read(data_ + end_, capacity_ - end_,
                 [self = session_ptr{this}](const boost::system::error_code& error, std::size_t bytes) { self->on_read(error, bytes); });
}

// Small clients stay in the session itself; what is larger gets memory of its own for as long as it needs it, a copy until
// it has ended.
void session::make_room() {
  const bool copying = machine_ && machine_->takes_copy();
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (large_ && !copying) {
      large_.reset();
      data_ = inline_.data();
      capacity_ = inline_size;
    }
    if (large_ || !copying) return;
  }
  if (end_ < capacity_ && (large_ || !copying)) return;
  if (begin_ >= (copying ? 1 : capacity_ / 2)) {
    std::memmove(data_, data_ + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    return;
  }
  const std::size_t larger = std::max(capacity_ * 2, copying ? largest_step : first_large);
  auto memory = std::make_unique_for_overwrite<char[]>(larger);
  std::memcpy(memory.get(), data_ + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  large_ = std::move(memory);
  data_ = large_.get();
  capacity_ = larger;
}

void session::on_read(const boost::system::error_code& error, std::size_t bytes) {
  reading_ = looked_for_end_ = false;
  if (closing_ || !io_.is_open()) return;
  if (error) return close();
  end_ += bytes;
  // More than fits at once is fetched now, before anything is looked at: one step sees as much as there is.
  while (end_ == capacity_ && end_ - begin_ < largest_step) {
    make_room();
    const ssize_t more = io_.receive(data_ + end_, capacity_ - end_);
    if (more < 0) return close();
    if (more == 0) break;
    end_ += static_cast<std::size_t>(more);
  }
  process();
}

void session::consume(std::size_t bytes) {
  begin_ += bytes;
  if (begin_ == end_) begin_ = end_ = 0;
}

// Gives the machine what there is of input.
void session::process() {
  step& s = worker_.scratch();
  s.clear();
  machine_->on_client(s, input());
  run(s);
}

// Carries out a step and those that follow from it, then reads again if the machine wants more.
void session::run(step& s) {
  const session_ptr keep{this};
  while (true) {
    perform(s);
    if (closing_ || !io_.is_open()) return;
    const bool more = s.more_input;
    const bool wanted = s.read_client || more;
    if (s.consumed > 0) consume(s.consumed);
    if (machine_->awaits_catalog()) worker_.catalog_may_have_changed(database_->state().name);
    if (!wanted) return;
    wants_input_ = true;
    if (!unsent_.empty()) return;
    if (leaving_ && machine_->between_transactions()) return shut_down(true);
    const bool blocked = std::any_of(leases_.begin(), leases_.end(), [](const lease& l) { return l.held && l.held->send_blocked(); });
    if (blocked) return;
    if (!more || begin_ == end_) break;
    wants_input_ = false;
    s.clear();
    machine_->on_client(s, input());
  }
  wants_input_ = false;
  read();
}

void session::perform(step& s) {
  for (std::size_t i = 0; i < s.actions.size();) {
    if (s.actions[i].kind == action_kind::to_client) {
      i = send_to_client(s, i);
      if (closing_) return;
      continue;
    }
    if (s.actions[i].kind == action_kind::to_backend) {
      i = send_to_backend(s, i);
      continue;
    }
    const action a = s.actions[i];  // what is carried out may add further ones
    switch (a.kind) {
      case action_kind::to_client:
      case action_kind::to_backend:
        break;
      case action_kind::acquire:
        acquire(s, a);
        break;
      case action_kind::release:
        release(a);
        break;
      case action_kind::discard:
        discard(a.branch);
        break;
      case action_kind::hold:
        if (a.branch < leases_.size() && leases_[a.branch].held) {
          leases_[a.branch].held_back = true;
          leases_[a.branch].held->pause();
        }
        break;
      case action_kind::resume:
        if (a.branch < leases_.size() && leases_[a.branch].held) {
          boost::asio::post(worker_.context(), [self = session_ptr{this}, b = leases_[a.branch].held] { self->read_on(*b); });
        }
        break;
      case action_kind::cancel:
        cancel_branch(a.branch);
        break;
      case action_kind::recall:
        recall(s);
        break;
      case action_kind::remember:
        note_past().demanded = std::move(s.token);
        s.token.clear();
        break;
      case action_kind::hear:
        database_->listeners().hear(*this, machine_->user(), machine_->listening_encoding(), machine_->wanted_channels());
        break;
      case action_kind::catch_up:
        database_->listeners().catch_up(*this);
        break;
      case action_kind::renew:
        worker_.renew_everywhere();
        break;
      case action_kind::doubt:
        if (a.branch < leases_.size() && leases_[a.branch].held) database_->server_trouble(leases_[a.branch].held->pool());
        break;
      case action_kind::close:
        closing_ = true;
        break;
    }
    ++i;
  }
  if (closing_ && unsent_.empty()) close();
}

// --- the servers' side -------------------------------------------------------------------------------------------------

void session::backend_readable(backend& b) {
  const backend_ptr keep{&b};
  if (!unsent_.empty()) return b.pause();
  step& s = worker_.scratch();
  s.clear();
  // Consumed before the actions are carried out: one of them may give the backend back, which begins to read into its
  // buffer anew. The bytes stay where they are until then.
  b.consume(machine_->on_backend(s, b.branch, b.pending()));
  run(s);
  // Bytes behind the last answer, on a backend that has been given back: the pool's to judge.
  if (b.holder == nullptr && b.is_open() && !b.pending().empty()) b.pool().idle_bytes(b);
}

void session::look_for_ends() {
  const session_ptr keep{this};
  for (std::size_t i = 0; i < leases_.size(); ++i) {
    if (const backend_ptr b = leases_[i].held) b->look_for_end();
  }
  if (looked_for_end_ || !reading_ || io_.tls() != nullptr || !io_.is_open()) return;
  looked_for_end_ = true;
  if (io_.at_end()) close();
}

void session::backend_writable(backend&) {
  if (!wants_input_) return;
  wants_input_ = false;
  if (begin_ < end_) {
    process();
  } else {
    read();
  }
}

void session::cancel() {
  if (relay_ != nullptr) return relay_->cancel();
  if (!machine_ || closing_) return;
  step& s = worker_.scratch();
  s.clear();
  machine_->on_cancel(s);
  run(s);
}

std::optional<waiting_transaction> session::waiting() const {
  if (!machine_ || !machine_->may_wait_for_others()) return std::nullopt;
  waiting_transaction out;
  out.parts = machine_->waiting_parts();
  if (out.parts.size() < 2) return std::nullopt;
  out.key = {worker_.number(), id_, machine_->finished_cycles()};
  out.seen = std::chrono::steady_clock::now();
  return out;
}

void session::look_at_catalog() {
  if (!machine_ || closing_ || !machine_->awaits_catalog()) return;
  step& s = worker_.scratch();
  s.clear();
  machine_->on_catalog(s);
  run(s);
}

const std::string& session::database_name() const { return database_->state().name; }

void session::end_deadlock(std::uint32_t cycle) {
  if (!machine_ || closing_ || machine_->finished_cycles() != cycle) return;
  step& s = worker_.scratch();
  s.clear();
  machine_->on_deadlock(s);
  run(s);
}

void session::cancel_branch(branch_index branch) {
  if (branch < leases_.size() && leases_[branch].held) worker_.cancel_backend(leases_[branch].held);
}

// --- the end -----------------------------------------------------------------------------------------------------------

void session::shut_down(bool now) {
  if (closing_) return;
  leaving_ = true;
  if (!now && machine_ && !machine_->between_transactions()) return;
  send_away(p::make_error(p::error_id::shutting_down));
}

void session::watch(std::uint32_t now, bool first) {
  if (!machine_ || closing_) return;
  using activity = session_machine::activity;
  const session_machine& m = *machine_;
  const activity doing = m.doing();
  if (first || !seen_.valid || m.finished_transactions() != seen_.transactions || (seen_.doing == activity::idle && doing != activity::idle)) {
    seen_.transaction_since = now;
  }
  if (first || !seen_.valid || m.finished_cycles() != seen_.cycles || doing != seen_.doing) {
    seen_ = {m.finished_cycles(), m.finished_transactions(), now, seen_.transaction_since, doing, true, false};
  }
  const config::timeouts& allowed = worker_.options().timeouts;
  const auto over = [now](std::uint32_t since, std::chrono::milliseconds limit) { return limit.count() > 0 && (now - since) * time_step >= limit; };
  switch (doing) {
    case activity::idle:
      if (over(seen_.since, allowed.idle_client)) send_away(p::make_error(p::error_id::idle_client_timeout));
      return;
    case activity::in_transaction:
      if (over(seen_.since, allowed.idle_in_transaction)) return send_away(p::make_error(p::error_id::idle_in_transaction_timeout));
      break;
    case activity::running:
      if (over(seen_.since, allowed.query)) {
        if (!seen_.cancelled) {
          seen_.cancelled = true;
          return cancel();
        }
        // A server that does not heed it, or a client that does not take its answer.
        if (over(seen_.since, allowed.query + allowed.connect)) return send_away(p::make_error(p::error_id::query_timeout));
      }
      break;
  }
  if (over(seen_.transaction_since, allowed.transaction)) send_away(p::make_error(p::error_id::transaction_timeout));
}

void session::send_away(const p::error_report& why) {
  const session_ptr keep{this};
  std::string bytes;
  p::encode_error(bytes, why);
  // Into a replication stream no word of ours can be put: it may be in the middle of a message.
  if (unsent_.empty() && io_.is_open() && relay_ == nullptr) (void)io_.send(bytes);
  close();
}

void session::close() {
  const session_ptr keep{this};
  closing_ = true;
  leave();
  io_.close();
}

void session::leave() {
  if (machine_) machine_->client_left();
  if (machine_ && machine_->listens()) database_->listeners().leave(*this);
  for (std::size_t i = 0; i < leases_.size(); ++i) {
    const auto branch = static_cast<branch_index>(i);
    if (leases_[i].held && machine_ && machine_->leaves_clean(branch)) {
      // Held for its state, which ends with the session: the connection itself need not.
      backend_ptr b = std::move(leases_[i].held);
      leases_[i] = lease{};
      b->pool().clean(std::move(b));
    } else {
      discard(branch);
    }
  }
  if (is_linked()) {
    if (counted_user_ != nullptr) worker_.shared().users_clients.leave(counted_user_);
    if (counted_database_ != nullptr) worker_.shared().databases_clients.leave(counted_database_);
    unlink();
    worker_.session_ended(*this);
  }
}

}  // namespace pgbraid::proxy
