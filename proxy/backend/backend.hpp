// One connection to a server, past its login: socket, receive buffer, and what it carries from lease to lease.
// States and where it stands: idle (in its pool's list), leased (held by a session's lease), closing (nowhere).
#pragma once

#include "proxy/session/branch.hpp"
#include "proxy/worker/channel.hpp"
#include "proxy/worker/read_operation.hpp"

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace pgbraid::proxy {

class backend;
class server_pool;

/// Who holds a backend.
class backend_holder {
 public:
  /// Bytes have arrived, or held-back ones may be looked at again. `b.pending()` is all that is not consumed.
  virtual void backend_readable(backend& b) = 0;
  /// What could not be sent at once has been sent.
  virtual void backend_writable(backend& b) = 0;
  /// The connection is gone; `b` has been taken from the holder already.
  virtual void backend_lost(backend& b, std::string_view why) = 0;

 protected:
  ~backend_holder() = default;
};

/// What passes from one worker to another when a backend is lent.
struct lent_state {
  int descriptor = -1;  ///< -1: none, it was closed instead
  std::unique_ptr<tls_stream> tls;
  std::int32_t pid = 0, key = 0;
  std::chrono::steady_clock::time_point retire_at;
  bool standby = false;
  bool written = false;  ///< see backend_facts::writer
  unsigned generation = 0;
  prepared_set prepared;
  std::unique_ptr<sql_names> names;
};

/// runs on: its worker.
class backend : public boost::intrusive_ref_counter<backend, boost::thread_unsafe_counter> {
 public:
  backend(server_pool& pool, channel io, std::int32_t pid, std::int32_t key);

  backend_facts facts;
  backend_holder* holder = nullptr;
  branch_index branch = 0;              ///< of the holder's
  std::int32_t pid, key;                ///< as its BackendKeyData told
  unsigned generation = 0;              ///< shared_state's, when it was opened
  unsigned cancels_under_way = 0;       ///< it is not handed on before they have reached their end
  bool given_back_waiting_for_cancel = false;
  std::chrono::steady_clock::time_point since;  ///< last used; when connected, at first
  std::chrono::steady_clock::time_point retire_at = std::chrono::steady_clock::time_point::max();  ///< closed when it is back

  [[nodiscard]] server_pool& pool() noexcept { return *pool_; }
  [[nodiscard]] std::string_view pending() const noexcept { return {buffer_.get() + begin_, end_ - begin_}; }
  void consume(std::size_t bytes) noexcept;
  /// Sends, keeping what the kernel does not take. False: the connection is broken; backend_lost is called soon.
  bool send(const iovec* parts, std::size_t count);
  bool send(std::string_view bytes) {
    const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    return send(&part, 1);
  }
  [[nodiscard]] bool send_blocked() const noexcept { return !unsent_.empty(); }
  /// Starts reading unless it is under way or paused.
  void read();
  /// No read is started until resume().
  void pause() noexcept { paused_ = true; }
  void resume();
  /// Loses the connection if its end came together with bytes that have been read, which no event tells of.
  void look_for_end();
  [[nodiscard]] bool is_open() const noexcept { return io_.is_open(); }
  /// Says goodbye and closes. The pool must have been told.
  void close() noexcept;

  [[nodiscard]] bool encrypted() const noexcept { return io_.tls() != nullptr; }

  /// Takes the socket out for another worker: the read is cancelled and awaited first. `taken(lent_state)`:
  /// without a descriptor if bytes had arrived or it is closed.
  template <typename Taken>
  void hand_over(Taken taken) {
    handing_over_ = std::function<void(lent_state)>(std::move(taken));
    boost::system::error_code ignored;
    io_.socket().cancel(ignored);
    if (!reading_) finish_hand_over(false);
  }

 private:
  friend read_operation<backend>;

  void on_read(const boost::system::error_code& error, std::size_t bytes);
  void on_writable(const boost::system::error_code& error);
  void finish_hand_over(bool arrived);
  void lost(std::string_view why);

  server_pool* pool_;
  channel io_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_, begin_ = 0, end_ = 0;
  std::string unsent_;
  bool reading_ = false, paused_ = false, waiting_writable_ = false;
  bool looked_for_end_ = false;  ///< since the last bytes
  read_operation<backend> read_;
  std::function<void(lent_state)> handing_over_;
};
using backend_ptr = boost::intrusive_ptr<backend>;

}  // namespace pgbraid::proxy
