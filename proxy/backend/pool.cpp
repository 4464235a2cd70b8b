#include "proxy/backend/pool.hpp"

#include "protocol/backend.hpp"
#include "proxy/backend/connector.hpp"
#include "proxy/worker/worker.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>

namespace pgbraid::proxy {
namespace {

// A connection beyond the size is kept for a moment: whoever needed it may need it again.
constexpr std::chrono::seconds surplus_patience{1};

}  // namespace

// Connections that were made under other TLS settings are another pool's.
std::string server_endpoint::key() const {
  const std::string where = host + '\0' + std::to_string(port) + '\0' + database + '\0' + user;
  return where + '\0' + std::to_string(static_cast<int>(tls.mode)) + tls.ca + '\0' + tls.cert + '\0' + tls.key;
}

server_pool::server_pool(worker& owner, server_endpoint endpoint, std::shared_ptr<server_budget> budget)
    : owner_{owner}, endpoint_{std::move(endpoint)}, budget_{std::move(budget)}, random_{std::random_device{}()} {}

server_pool::~server_pool() { close_idle(); }

void server_pool::note_idle() noexcept { budget_->idle(owner_.number(), static_cast<unsigned>(idle_.size()), &endpoint_); }

backend_ptr server_pool::take() {
  if (idle_.empty() || budget_->contended()) return nullptr;
  backend_ptr b = std::move(idle_.back());
  idle_.pop_back();
  ++in_use_;
  note_idle();
  return b;
}

backend_ptr server_pool::take_again(std::uint64_t drawer, std::int32_t pid) {
  const auto found = std::find_if(idle_.begin(), idle_.end(), [&](const backend_ptr& b) {
    return b->pid == pid && b->facts.drawer == drawer;
  });
  if (found == idle_.end()) return nullptr;
  backend_ptr b = std::move(*found);
  idle_.erase(found);
  ++in_use_;
  note_idle();
  return b;
}

lease_request_ptr server_pool::request(lease_callback callback) {
  auto made = std::make_shared<lease_request>();
  made->worker_number = owner_.number();
  made->id = next_request_++;
  made->endpoint = &endpoint_;
  made->asked = std::chrono::steady_clock::now();
  waiting_[made->id] = {made, std::move(callback), made->asked + owner_.options().timeouts.checkout};
  const server_budget::answer answer = budget_->ask(made);
  if (answer.what == server_budget::outcome::connect) {
    open_backend(*this, made->id);
  } else if (answer.of_other != nullptr) {
    owner_.post_to_pool(static_cast<unsigned>(answer.lender), *answer.of_other, [](server_pool& pool) { pool.make_room(); });
  } else if (answer.lender >= 0) {
    owner_.post_to_pool(static_cast<unsigned>(answer.lender), endpoint_, [](server_pool& pool) { pool.lend(); });
  }
  return made;
}

void server_pool::withdraw(const lease_request_ptr& request) {
  request->withdrawn.store(true, std::memory_order_relaxed);
  waiting_.erase(request->id);
}

void server_pool::give_back(backend_ptr b) {
  b->holder = nullptr;
  if (in_use_ > 0) --in_use_;
  if (!b->is_open()) return;
  if (b->cancels_under_way > 0) {
    // The cancel may still strike whatever runs there: nobody gets it before that is over.
    b->given_back_waiting_for_cancel = true;
    owner_.keep_until_cancelled(std::move(b));
    return;
  }
  b->since = owner_.coarse_now();
  if (b->retire_at <= b->since || b->generation != owner_.shared().generation.load(std::memory_order_relaxed)) return discard(*b);
  b->resume();
  idle_.push_back(std::move(b));
  note_idle();
  if (budget_->contended()) lend();
}

void server_pool::make_room() {
  while (!idle_.empty() && budget_->yields()) {
    const backend_ptr b = idle_.front();
    idle_.erase(idle_.begin());
    note_idle();
    discard(*b);
  }
}

void server_pool::lend() {
  if (budget_->limited()) make_room();
  while (!idle_.empty()) {
    const lease_request_ptr first = budget_->next();
    if (!first) return;
    backend_ptr b = std::move(idle_.front());
    idle_.erase(idle_.begin());
    note_idle();
    serve(first, std::move(b));
  }
}

void server_pool::serve(const lease_request_ptr& request, backend_ptr b) {
  if (request->worker_number == owner_.number()) {
    ++in_use_;
    boost::asio::post(owner_.context(), [this, id = request->id, b = std::move(b)]() mutable { answer(id, std::move(b), nullptr); });
    return;
  }
  backend& lent = *b;
  lent.holder = nullptr;
  owner_.lending(b);
  lent.hand_over([this, request, b = std::move(b)](lent_state state) mutable {
    owner_.lent(b);
    if (state.descriptor < 0) {
      // Closed instead of lent: its place in the budget is the request's, to open a connection of its own.
      grant(request);
      return;
    }
    state.pid = b->pid;
    state.key = b->key;
    state.retire_at = b->retire_at;
    state.standby = b->facts.standby;
    state.written = b->facts.writer != 0;
    state.generation = b->generation;
    state.prepared = std::move(b->facts.prepared);
    state.names = std::move(b->facts.sql);
    owner_.post_to_pool(request->worker_number, endpoint_,
                        [state = std::move(state), id = request->id, reported = parameters](server_pool& pool) mutable {
                          // This worker may never have logged in there itself, and a login of its client's wants them.
                          if (pool.parameters == nullptr) pool.parameters = std::move(reported);
                          pool.adopt(id, std::move(state));
                        });
  });
}

void server_pool::grant(const lease_request_ptr& request) {
  owner_.post_to_pool(request->worker_number, *request->endpoint, [id = request->id](server_pool& pool) { pool.open_for(id); });
}

void server_pool::open_for(std::uint64_t request) { open_backend(*this, request); }

void server_pool::adopt(std::uint64_t request, lent_state lent) {
  channel io{owner_.context()};
  boost::system::error_code error;
  io.socket().assign(boost::asio::generic::stream_protocol{AF_UNSPEC, 0}, lent.descriptor, error);
  if (error) {
    ::close(lent.descriptor);
    return open_backend(*this, request);
  }
  if (lent.tls) io.encrypt(std::move(lent.tls));
  backend_ptr b{new backend{*this, std::move(io), lent.pid, lent.key}};
  b->facts.prepared = std::move(lent.prepared);
  b->facts.sql = std::move(lent.names);
  b->retire_at = lent.retire_at;
  b->facts.standby = lent.standby;
  b->facts.writer = lent.written ? writer_elsewhere : 0;
  b->facts.drawer = lent.written ? several_drawers : 0;
  b->generation = lent.generation;
  connected(request, std::move(b));
}

void server_pool::connected(std::uint64_t request, backend_ptr b) {
  b->read();
  ++in_use_;
  answer(request, std::move(b), nullptr);
}

void server_pool::connect_failed(std::uint64_t request, const protocol::error_report& error) {
  if (const lease_request_ptr next = budget_->closed()) grant(next);
  answer(request, nullptr, &error);
}

void server_pool::answer(std::uint64_t request, backend_ptr b, const protocol::error_report* error) {
  const auto found = waiting_.find(request);
  if (found == waiting_.end()) {
    if (b) give_back(std::move(b));
    return;
  }
  const lease_callback callback = std::move(found->second.callback);
  waiting_.erase(found);
  if (b && !b->is_open()) {
    const auto lost = protocol::make_error(protocol::error_id::server_lost, endpoint_.label);
    return callback(nullptr, &lost);
  }
  callback(std::move(b), error);
}

void server_pool::expire(std::chrono::steady_clock::time_point now) {
  std::vector<std::uint64_t> late;
  for (const auto& [id, w] : waiting_) {
    if (w.deadline <= now) late.push_back(id);
  }
  if (!late.empty()) refuse(late);
  while (const lease_request_ptr next = budget_->open_more(now - reserve_after)) grant(next);
  const bool surplus = budget_->surplus();
  const std::size_t before = idle_.size();
  for (std::size_t i = 0; i < idle_.size();) {
    const backend_ptr b = idle_[i];
    const bool unused = b->since < now - idle_timeout || (surplus && i == 0 && b->since < now - surplus_patience);
    if (!unused && b->retire_at > now) {
      ++i;
      continue;
    }
    idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(i));
    discard(*b);
  }
  if (idle_.size() != before) note_idle();
  if (budget_->limited()) make_room();
}

void server_pool::refuse(const std::vector<std::uint64_t>& late) {
  const auto error = protocol::make_error(
      protocol::error_id::pool_timeout,
      fmt::format("{} ms", std::chrono::duration_cast<std::chrono::milliseconds>(owner_.options().timeouts.checkout).count()));
  for (const std::uint64_t id : late) withdraw(id, error);
}

void server_pool::withdraw(std::uint64_t id, const protocol::error_report& why) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return;
  found->second.request->withdrawn.store(true, std::memory_order_relaxed);
  answer(id, nullptr, &why);
}

void server_pool::refuse_all(const protocol::error_report& why) {
  std::vector<std::uint64_t> all;
  for (const auto& [id, w] : waiting_) all.push_back(id);
  std::sort(all.begin(), all.end());
  for (const std::uint64_t id : all) withdraw(id, why);
}

void server_pool::note_promoted() noexcept {
  for (const backend_ptr& b : idle_) b->facts.standby = false;
}

void server_pool::discard(backend& b) {
  if (in_use_ > 0 && b.holder != nullptr) --in_use_;
  if (!b.is_open()) return;
  b.close();
  if (const lease_request_ptr next = budget_->closed()) grant(next);
}

void server_pool::backend_closed(backend& b) {
  const auto found = std::find_if(idle_.begin(), idle_.end(), [&](const backend_ptr& i) { return i.get() == &b; });
  if (found != idle_.end()) {
    idle_.erase(found);
    note_idle();
  } else if (in_use_ > 0) {
    --in_use_;
  }
  if (const lease_request_ptr next = budget_->closed()) grant(next);
}

// An idle backend has something to say: a changed parameter or a notice is no concern of the next client's; all else
// means that it can no longer be trusted.
void server_pool::idle_bytes(backend& b) {
  while (true) {
    protocol::frame_view frame;
    const auto status = protocol::next_frame(b.pending(), std::size_t{1} << 20, frame);
    if (status == protocol::frame_status::incomplete) return;
    if (status != protocol::frame_status::complete || !protocol::backend::is_asynchronous(frame.type)) break;
    b.consume(frame.total);
  }
  const backend_ptr keep{&b};
  std::erase_if(idle_, [&](const backend_ptr& i) { return i.get() == &b; });
  note_idle();
  discard(b);
}

// Of idle backends' connections; those that are lost leave the list.
void server_pool::look_for_ends() {
  const std::vector<backend_ptr> all = idle_;
  for (const backend_ptr& b : all) b->look_for_end();
}

void server_pool::renew() {
  close_idle();
  parameters.reset();
}

void server_pool::close_idle() {
  while (!idle_.empty()) {
    const backend_ptr b = std::move(idle_.back());
    idle_.pop_back();
    discard(*b);
  }
  note_idle();
}

std::chrono::steady_clock::time_point server_pool::retirement(std::chrono::steady_clock::time_point now) {
  if (lifetime.count() == 0) return std::chrono::steady_clock::time_point::max();
  // Connections that were opened together do not all end together.
  const auto less = std::uniform_int_distribution<std::int64_t>{0, lifetime.count() / 10}(random_);
  return now + lifetime - std::chrono::milliseconds{less};
}

}  // namespace pgbraid::proxy
