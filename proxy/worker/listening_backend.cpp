#include "proxy/worker/listening_backend.hpp"

#include "protocol/frontend.hpp"
#include "proxy/backend/connector.hpp"
#include "proxy/session/listening.hpp"
#include "proxy/worker/dial.hpp"
#include "proxy/worker/served_database.hpp"
#include "proxy/worker/worker.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>

namespace pgbraid::proxy {

namespace asio = boost::asio;
namespace p = protocol;

namespace {

constexpr std::chrono::milliseconds try_again_after{100};
constexpr std::size_t largest_message = std::size_t{1} << 20;

// Time-outs that its role or database may set are meant for sessions that have something to do. By a query, since not
// every server knows them all.
constexpr std::string_view stay_awake =
    "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings"
    " WHERE name OPERATOR(pg_catalog.=) ANY (ARRAY['idle_session_timeout', 'statement_timeout', 'lock_timeout'])";

}  // namespace

listening_backend::listening_backend(worker& at, served_database& database, listening_owner& owner,
                                     router::shard_index shard, std::string user, std::string encoding)
    : worker_{at},
      database_{database},
      owner_{&owner},
      shard_{shard},
      user_{std::move(user)},
      encoding_{std::move(encoding)},
      io_{at.context()} {
  p::encode_query(outbox_, stay_awake);
  due_.push_back(no_mark);
}

// Not before the caller is done: its owner must not hear that it is gone while it is still being told who listens.
void listening_backend::start() {
  asio::post(worker_.context(), [self = shared_from_this()] {
    auto task = [self]() -> asio::awaitable<void> { return self->run(); };
    auto keep = [self](const std::exception_ptr&) {};
    asio::co_spawn(self->worker_.context(), task, keep);
  });
}

void listening_backend::listen(std::string_view channel) {
  std::string bytes;
  p::encode_query(bytes, "LISTEN " + quoted_channel(channel));
  due_.push_back(no_mark);
  send(bytes);
}

void listening_backend::unlisten(std::string_view channel) {
  std::string bytes;
  p::encode_query(bytes, "UNLISTEN " + quoted_channel(channel));
  due_.push_back(no_mark);
  send(bytes);
}

// A server tells what it has been told of before it is ready for the next: a Sync is all that it takes.
void listening_backend::mark(std::uint64_t mark) {
  std::string bytes;
  p::encode_sync(bytes);
  due_.push_back(mark);
  send(bytes);
}

void listening_backend::send(std::string_view bytes) {
  if (!ready_ || !outbox_.empty()) {
    outbox_.append(bytes);
    return;
  }
  outbox_.assign(bytes);
  write_rest();
}

void listening_backend::write_rest() {
  if (!ready_ || writing_ || outbox_.empty() || !io_.is_open()) return;
  const ssize_t sent = io_.send(outbox_);
  // A broken connection is noticed by who reads.
  if (sent > 0) outbox_.erase(0, static_cast<std::size_t>(sent));
  if (sent < 0 || outbox_.empty()) return;
  writing_ = true;
  io_.async_wait_writable([self = shared_from_this()](const boost::system::error_code& error) {
    self->writing_ = false;
    if (!error) self->write_rest();
  });
}

void listening_backend::abandon() {
  owner_ = nullptr;
  if (ready_ && io_.is_open() && outbox_.empty()) {
    static constexpr char terminate[] = {p::frontend::terminate, 0, 0, 0, 4};
    (void)io_.send(std::string_view{terminate, sizeof terminate});
  }
  io_.close();
}

bool listening_backend::is_elsewhere() const {
  if (!ready_) return false;
  p::error_report ignored;
  const chosen_server chosen = database_.choose(shard_, false, {}, user_, ignored);
  return chosen.pool != nullptr && chosen.pool->endpoint().key() != connected_to_;
}

void listening_backend::lose(std::string_view why) {
  if (io_.is_open()) io_.close();
  if (listening_owner* const told = std::exchange(owner_, nullptr)) told->gone(why);
}

asio::awaitable<bool> listening_backend::connect() {
  const auto deadline = std::chrono::steady_clock::now() + worker_.options().failover.hold;
  asio::steady_timer timer{worker_.context()};
  while (owner_ != nullptr) {
    p::error_report why;
    const chosen_server chosen = database_.choose(shard_, false, {}, user_, why);
    if (chosen.pool != nullptr) {
      const server_endpoint endpoint = chosen.pool->endpoint();
      p::parameter_list parameters{{"application_name", "pgbraid (LISTEN)"}};
      if (!encoding_.empty()) parameters.emplace_back("client_encoding", encoding_);
      dedicated_connection made = co_await open_dedicated(worker_, endpoint, std::move(parameters));
      if (!made.failure) {
        if (owner_ == nullptr) {
          made.io.close();
          co_return false;
        }
        io_ = std::move(made.io);
        connected_to_ = endpoint.key();
        co_return true;
      }
      why = *made.failure;
      database_.server_trouble(*chosen.pool);
    }
    const bool passing = chosen.pool == nullptr ? chosen.no_primary : why.id == p::error_id::server_unreachable;
    if (!passing || std::chrono::steady_clock::now() >= deadline) {
      lose(why.message);
      break;
    }
    timer.expires_after(try_again_after);
    co_await timer.async_wait(asio::use_awaitable);
  }
  co_return false;
}

asio::awaitable<void> listening_backend::run() {
  if (!co_await connect()) co_return;
  ready_ = true;
  write_rest();
  std::string unread;
  const auto buffer = std::make_unique<std::array<char, 8192>>();
  std::string why;
  try {
    while (owner_ != nullptr) {
      const std::size_t bytes = co_await receive_some(io_, buffer->data(), buffer->size());
      unread.append(buffer->data(), bytes);
      read(unread);
    }
  } catch (const boost::system::system_error& error) {
    why = error.code() == asio::error::eof ? "server closed the connection unexpectedly" : error.code().message();
  }
  lose(why);
}

void listening_backend::read(std::string& unread) {
  std::size_t done = 0;
  p::frame_view frame;
  while (owner_ != nullptr) {
    const auto status = p::next_frame(std::string_view{unread}.substr(done), largest_message, frame);
    if (status == p::frame_status::incomplete) break;
    if (status != p::frame_status::complete) return lose("the server sent a message of impossible length");
    done += frame.total;
    switch (frame.type) {
      case p::backend::notification_response: {
        p::notification_view told;
        if (p::decode(frame.body, told)) owner_->heard(shard_, told);
        break;
      }
      case p::backend::ready_for_query: {
        if (due_.empty()) return lose("the server sent an answer that nobody asked for");
        const std::uint64_t mark = due_.front();
        due_.pop_front();
        if (mark != no_mark) owner_->marked(mark);
        break;
      }
      case p::backend::error_response: {
        // LISTEN does not fail on a server that is well.
        p::error_fields_view fields;
        const bool readable = p::decode(frame.body, fields);
        return lose(readable ? std::string{fields.message()} : std::string{"unreadable error"});
      }
      default:
        break;
    }
  }
  unread.erase(0, done);
}

}  // namespace pgbraid::proxy
