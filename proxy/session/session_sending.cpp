// What a session sends, and how a receiver that does not take it sets the pace of all that is read for it.
#include "proxy/session/session.hpp"

#include "proxy/worker/worker.hpp"

#include <algorithm>
#include <cstring>

namespace pgbraid::proxy {

// The bytes of this action and of those that directly follow for the same receiver, to be sent in one call.
std::size_t session::gather(const step& s, std::size_t from, send_parts& parts) {
  const action& first = s.actions[from];
  std::size_t next = from;
  while (next < s.actions.size() && parts.count < parts.list.size()) {
    const action& a = s.actions[next];
    if (a.kind != first.kind || a.branch != first.branch) break;
    const std::string_view bytes = s.bytes_of(a);
    parts.list[parts.count++] = {const_cast<char*>(bytes.data()), bytes.size()};
    parts.total += bytes.size();
    ++next;
  }
  // A few small pieces are cheaper as one than as a vector.
  if (parts.count > 1 && parts.total <= parts.joined.size()) {
    std::size_t at = 0;
    for (std::size_t i = 0; i < parts.count; ++i) {
      std::memcpy(parts.joined.data() + at, parts.list[i].iov_base, parts.list[i].iov_len);
      at += parts.list[i].iov_len;
    }
    parts.list[0] = {parts.joined.data(), at};
    parts.count = 1;
  }
  return next;
}

std::size_t session::send_to_backend(step& s, std::size_t from) {
  send_parts parts;
  const std::size_t next = gather(s, from, parts);
  const branch_index branch = s.actions[from].branch;
  if (branch < leases_.size() && leases_[branch].held) (void)leases_[branch].held->send(parts.list.data(), parts.count);
  return next;
}

std::size_t session::send_to_client(step& s, std::size_t from) {
  send_parts gathered;
  const std::size_t next = gather(s, from, gathered);
  const auto& parts = gathered.list;
  const std::size_t count = gathered.count, total = gathered.total;
  std::size_t sent = 0;
  if (unsent_.empty()) {
    const ssize_t result = io_.send(parts.data(), count);
    if (result < 0) {
      close();
      return s.actions.size();
    }
    sent = static_cast<std::size_t>(result);
  }
  if (sent == total) return next;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t skipped = std::min(sent, parts[i].iov_len);
    sent -= skipped;
    unsent_.append(static_cast<const char*>(parts[i].iov_base) + skipped, parts[i].iov_len - skipped);
  }
  // The client sets the pace: nothing more is read for it until it has taken this.
  for (const lease& l : leases_) {
    if (l.held) l.held->pause();
  }
  if (!waiting_writable_) {
    waiting_writable_ = true;
    io_.async_wait_writable([self = session_ptr{this}](const boost::system::error_code& error) { self->on_writable(error); });
  }
  return next;
}

void session::on_writable(const boost::system::error_code& error) {
  waiting_writable_ = false;
  if (!io_.is_open()) return;
  if (error) return close();
  const ssize_t sent = io_.send(unsent_);
  if (sent < 0) return close();
  unsent_.erase(0, static_cast<std::size_t>(sent));
  if (!unsent_.empty()) {
    waiting_writable_ = true;
    io_.async_wait_writable([self = session_ptr{this}](const boost::system::error_code& e) { self->on_writable(e); });
    return;
  }
  unsent_.shrink_to_fit();
  if (closing_) return close();
  drained();
}

// With what has come from a backend, and then with what comes, unless it must wait.
void session::read_on(backend& b) {
  const backend_ptr keep{&b};
  if (b.holder != this) return;
  leases_[b.branch].held_back = false;
  if (!b.pending().empty()) backend_readable(b);
  if (b.holder == this && !leases_[b.branch].held_back && unsent_.empty()) b.resume();
}

void session::drained() {
  const session_ptr keep{this};
  for (std::size_t i = 0; i < leases_.size(); ++i) {
    const backend_ptr b = leases_[i].held;
    if (!b) continue;
    if (leases_[i].held_back) continue;
    read_on(*b);
    if (!unsent_.empty() || closing_) return;
  }
  if (wants_input_ && unsent_.empty()) {
    wants_input_ = false;
    if (begin_ < end_) {
      process();
    } else {
      read();
    }
  }
}

}  // namespace pgbraid::proxy
