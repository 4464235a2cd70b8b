#include "proxy/backend/backend.hpp"

#include "protocol/frontend.hpp"
#include "proxy/backend/pool.hpp"

#include <algorithm>
#include <cstring>

namespace pgbraid::proxy {
namespace {

// As much as a server sends in one write (its own output buffer holds 8 kB), times a few.
constexpr std::size_t initial_buffer = 32 * 1024;
constexpr std::size_t largest_buffer = std::size_t{1} << 30;

}  // namespace

backend::backend(server_pool& pool, channel io, std::int32_t backend_pid, std::int32_t backend_key)
    : pid{backend_pid},
      key{backend_key},
      since{std::chrono::steady_clock::now()},
      pool_{&pool},
      io_{std::move(io)},
      buffer_{std::make_unique_for_overwrite<char[]>(initial_buffer)},
      capacity_{initial_buffer} {
  facts.pid = pid;
}

void backend::consume(std::size_t bytes) noexcept {
  begin_ += bytes;
  // A read that is under way has been told where to put its bytes.
  if (begin_ == end_ && !reading_) begin_ = end_ = 0;
}

void backend::read() {
  if (reading_ || paused_ || !io_.is_open()) return;
  if (begin_ > 0 && (begin_ == end_ || end_ == capacity_)) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == capacity_) {
    // One message fills the buffer and its owner needs it whole.
    if (capacity_ >= largest_buffer) return lost("a message from the server is too large");
    auto larger = std::make_unique_for_overwrite<char[]>(capacity_ * 2);
    std::memcpy(larger.get(), buffer_.get(), end_);
    buffer_ = std::move(larger);
    capacity_ *= 2;
  } else if (capacity_ > initial_buffer && end_ == 0) {
    buffer_ = std::make_unique_for_overwrite<char[]>(initial_buffer);
    capacity_ = initial_buffer;
  }
  reading_ = true;
  if (!encrypted()) return read_.start(*this, io_.socket(), buffer_.get() + end_, capacity_ - end_);
  io_.async_read(buffer_.get() + end_, capacity_ - end_,
                 [self = backend_ptr{this}](const boost::system::error_code& error, std::size_t bytes) { self->on_read(error, bytes); });
}

void backend::on_read(const boost::system::error_code& error, std::size_t bytes) {
  reading_ = looked_for_end_ = false;
  end_ += bytes;
  if (handing_over_) return finish_hand_over(bytes > 0 || (error && error != boost::asio::error::operation_aborted));
  if (!io_.is_open()) return;
  if (error) return lost(error == boost::asio::error::eof ? "server closed the connection unexpectedly" : error.message());
  if (holder != nullptr) {
    holder->backend_readable(*this);
  } else {
    pool_->idle_bytes(*this);
  }
  read();
}

void backend::look_for_end() {
  if (looked_for_end_ || !reading_ || encrypted() || !io_.is_open()) return;
  looked_for_end_ = true;
  if (io_.at_end()) lost("server closed the connection unexpectedly");
}

void backend::resume() {
  paused_ = false;
  read();
}

bool backend::send(const iovec* parts, std::size_t count) {
  if (!io_.is_open()) return false;
  std::size_t sent = 0;
  if (unsent_.empty()) {
    const ssize_t result = io_.send(parts, count);
    if (result < 0) {
      // The read tells the holder, with what the server may have said last: whoever sends is in the middle of something.
      resume();
      return false;
    }
    sent = static_cast<std::size_t>(result);
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t skipped = std::min(sent, parts[i].iov_len);
    sent -= skipped;
    unsent_.append(static_cast<const char*>(parts[i].iov_base) + skipped, parts[i].iov_len - skipped);
  }
  if (!unsent_.empty() && !waiting_writable_) {
    waiting_writable_ = true;
    io_.async_wait_writable([self = backend_ptr{this}](const boost::system::error_code& error) { self->on_writable(error); });
  }
  return true;
}

void backend::on_writable(const boost::system::error_code& error) {
  waiting_writable_ = false;
  if (!io_.is_open()) return;
  if (error) return lost(error.message());
  const ssize_t sent = io_.send(unsent_);
  if (sent < 0) return lost("could not send to the server");
  unsent_.erase(0, static_cast<std::size_t>(sent));
  if (!unsent_.empty()) {
    waiting_writable_ = true;
    io_.async_wait_writable([self = backend_ptr{this}](const boost::system::error_code& e) { self->on_writable(e); });
    return;
  }
  if (holder != nullptr) holder->backend_writable(*this);
}

void backend::lost(std::string_view why) {
  if (!io_.is_open()) return;
  const backend_ptr keep{this};
  backend_holder* const who = holder;
  holder = nullptr;
  io_.close();
  pool_->backend_closed(*this);
  if (who != nullptr) who->backend_lost(*this, why);
}

void backend::close() noexcept {
  if (!io_.is_open()) return;
  holder = nullptr;
  if (unsent_.empty()) {
    static constexpr char terminate[] = {protocol::frontend::terminate, 0, 0, 0, 4};
    (void)io_.send(std::string_view{terminate, sizeof terminate});
  }
  io_.close();
}

void backend::finish_hand_over(bool arrived) {
  const auto taken = std::move(handing_over_);
  handing_over_ = nullptr;
  const bool held = io_.tls() != nullptr && io_.tls()->holds_bytes();
  if (arrived || held || !io_.is_open() || end_ > begin_ || send_blocked()) {
    io_.close();
    return taken({});
  }
  boost::system::error_code error;
  const int descriptor = io_.socket().release(error);
  if (error) {
    io_.close();
    return taken({});
  }
  lent_state state;
  state.descriptor = descriptor;
  state.tls = io_.release_tls();
  taken(std::move(state));
}

}  // namespace pgbraid::proxy
