#include "proxy/backend/connector.hpp"

#include "protocol/backend_login.hpp"
#include "protocol/frame.hpp"
#include "proxy/backend/credentials.hpp"
#include "proxy/backend/dial_server.hpp"
#include "proxy/backend/pool.hpp"
#include "proxy/worker/dial.hpp"
#include "proxy/worker/worker.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

namespace pgbraid::proxy {

namespace asio = boost::asio;
namespace p = protocol;
using protocol::error_id;

namespace {

// Text of the server's own ErrorResponse, for ours.
p::error_report from_server(const p::backend_login::failed& failed, const std::string& label) {
  p::error_report error = failed.error;
  error.detail = error.detail.empty() ? label : label + ": " + error.detail;
  return error;
}

asio::awaitable<p::scram_keys> find_keys(worker& owner, const std::string& user, const p::stored_password& stored,
                                         const std::string& salt, std::uint32_t iterations, bool& found) {
  found = true;
  if (auto cached = owner.shared().keys.find(user, salt, iterations)) co_return *cached;
  std::optional<std::string> plain = stored.plain;
  if (!plain) plain = owner.shared().keys.password(user);
  if (!plain) {
    found = false;
    co_return p::scram_keys{};
  }
  // PBKDF2 takes milliseconds: on its own thread, and back here with the result.
  co_await asio::post(asio::bind_executor(owner.shared().slow_work.get_executor(), asio::use_awaitable));
  p::scram_keys keys = p::derive_scram_keys(*plain, salt, iterations);
  co_await asio::post(owner.context().get_executor(), asio::use_awaitable);
  owner.shared().keys.store(user, salt, iterations, keys);
  co_return keys;
}

std::string sqlstate_of(const p::backend_login::failed& failed) {
  p::frame_view frame;
  p::error_fields_view fields;
  if (p::next_frame(failed.server_error, p::max_login_message, frame) != p::frame_status::complete) return {};
  return p::decode(frame.body, fields) ? std::string{fields.sqlstate()} : std::string{};
}

// Whether another kind of encryption may do: pg_hba.conf has no line for this one.
bool refused_this_way(const p::backend_login::failed& failed) { return sqlstate_of(failed) == "28000"; }

// A server that starts or stops lets nobody in: soon there may be another, or itself again.
bool comes_or_goes(const p::backend_login::failed& failed) {
  const std::string state = sqlstate_of(failed);
  return state == "57P03" || state == "57P01" || state == "57P02";
}

/// One login under way.
struct login_attempt {
  worker& owner;
  const server_endpoint endpoint;
  const p::parameter_list parameters;  ///< of the startup packet, beside user and database
  channel io;
  std::optional<p::error_report> failure;
  std::optional<p::backend_login::done> welcome;
  std::string server_error;  ///< the server's own word on it
  bool try_another = false;  ///< failed, and another kind of encryption may succeed
};

asio::awaitable<void> converse(login_attempt& attempt) {
  worker& owner = attempt.owner;
  const server_endpoint& endpoint = attempt.endpoint;
  const p::stored_password stored = owner.shared().users()->find(endpoint.user);
  p::backend_password password{stored.plain, stored.md5};
  if (!password.plain) password.plain = owner.shared().keys.password(endpoint.user);
  if (!password.md5_secret) password.md5_secret = owner.shared().keys.md5_secret(endpoint.user);
  std::string binding = attempt.io.tls() == nullptr ? std::string{} : attempt.io.tls()->server_end_point();
  p::backend_login login{
      {endpoint.user, endpoint.database, attempt.parameters}, password, p::scram_nonce(), std::move(binding)};
  p::backend_login::action next = login.start();
  std::string unread;
  std::array<char, 8192> buffer;
  while (true) {
    if (auto* send = std::get_if<p::backend_login::send>(&next)) {
      const std::string bytes = std::move(send->bytes);
      co_await send_all(attempt.io, bytes);
    } else if (auto* need = std::get_if<p::backend_login::need_keys>(&next)) {
      bool found = false;
      const p::scram_keys keys = co_await find_keys(owner, endpoint.user, stored, need->salt, need->iterations, found);
      next =
          found ? login.keys(keys) : login.no_keys(fmt::format("no password is known for user \"{}\"", endpoint.user));
      continue;
    } else if (auto* failed = std::get_if<p::backend_login::failed>(&next)) {
      attempt.failure = from_server(*failed, endpoint.label);
      if (comes_or_goes(*failed)) attempt.failure->id = error_id::server_unreachable;
      attempt.try_another = refused_this_way(*failed);
      attempt.server_error = std::move(failed->server_error);
      co_return;
    } else if (auto* done = std::get_if<p::backend_login::done>(&next)) {
      attempt.welcome = std::move(*done);
      if (!unread.empty())
        attempt.failure =
            p::make_error(error_id::server_login_failed, endpoint.label + " sent bytes behind its welcome");
      co_return;
    }
    p::frame_view frame;
    p::frame_status status;
    while ((status = p::next_frame(unread, p::max_login_message, frame)) == p::frame_status::incomplete) {
      const std::size_t bytes = co_await receive_some(attempt.io, buffer.data(), buffer.size());
      unread.append(buffer.data(), bytes);
    }
    if (status != p::frame_status::complete) {
      attempt.failure =
          p::make_error(error_id::server_login_failed, endpoint.label + " does not speak PostgreSQL's protocol");
      co_return;
    }
    next = login.receive(frame);
    unread.erase(0, frame.total);
  }
}

std::string words_for(const login_attempt& attempt, const boost::system::error_code& error, bool timed_out) {
  if (timed_out) return "timed out";
  const tls_stream* tls = attempt.io.tls();
  if (tls != nullptr && !tls->reason().empty()) return tls->reason();
  return error == asio::error::eof ? "connection closed" : error.message();
}

// Ends with attempt.welcome, or with attempt.failure and a closed channel.
asio::awaitable<void> connect(login_attempt& attempt) {
  worker& owner = attempt.owner;
  const server_endpoint& endpoint = attempt.endpoint;
  asio::steady_timer timer{owner.context(), owner.options().timeouts.connect};
  bool timed_out = false;
  auto on_timeout = [&](const boost::system::error_code& error) {
    if (error) return;
    timed_out = true;
    attempt.io.close();
  };
  timer.async_wait(on_timeout);

  for (const encryption how : attempts_at(endpoint)) {
    attempt.io.close();
    attempt.io = channel{owner.context()};
    attempt.failure.reset();
    attempt.server_error.clear();
    attempt.try_another = false;
    try {
      co_await dial_server(owner, attempt.io, endpoint, how);
      co_await converse(attempt);
    } catch (const tls_failure& error) {
      attempt.failure =
          p::make_error(error_id::server_login_failed, fmt::format("{}: {}", endpoint.label, error.what()));
      attempt.try_another = true;
    } catch (const boost::system::system_error& error) {
      attempt.failure =
          p::make_error(error_id::server_unreachable,
                        fmt::format("{}: {}", endpoint.label, words_for(attempt, error.code(), timed_out)));
    }
    if (timed_out || !attempt.try_another) break;
  }
  timer.cancel();
  if (!attempt.failure) co_return;
  attempt.io.close();
  spdlog::warn("{}: login as \"{}\" failed: {}", endpoint.label, endpoint.user, attempt.failure->message);
}

asio::awaitable<void> log_in(server_pool& pool, std::uint64_t request) {
  worker& owner = pool.owner();
  const auto& newest = owner.shared().generation;
  unsigned generation = newest.load();
  login_attempt attempt{owner, pool.endpoint(), {}, channel{owner.context()}, {}, {}, {}};
  co_await connect(attempt);
  while (!attempt.failure && generation != newest.load()) {
    // Its settings may be those from before a change that its client knows of.
    generation = newest.load();
    attempt.io.close();
    attempt.welcome.reset();
    co_await connect(attempt);
  }
  if (attempt.failure) {
    pool.connect_failed(request, *attempt.failure);
    co_return;
  }
  p::backend_login::done& welcome = *attempt.welcome;
  backend_ptr made{new backend{pool, std::move(attempt.io), welcome.key.pid, welcome.key.key}};
  made->generation = generation;
  made->facts.current = owner.settings().none();
  made->retire_at = pool.retirement(std::chrono::steady_clock::now());
  const auto& told = welcome.parameters;
  made->facts.standby = std::any_of(told.begin(), told.end(), [](const auto& each) {
    return each.first == "in_hot_standby" && each.second == "on";
  });
  if (pool.parameters == nullptr)
    pool.parameters = std::make_shared<const p::parameter_list>(std::move(welcome.parameters));
  pool.connected(request, std::move(made));
}

}  // namespace

asio::awaitable<dedicated_connection> open_dedicated(worker& owner, server_endpoint endpoint,
                                                     p::parameter_list parameters) {
  login_attempt attempt{owner, std::move(endpoint), std::move(parameters), channel{owner.context()}, {}, {}, {}};
  co_await connect(attempt);
  dedicated_connection made{std::move(attempt.io), {}, std::move(attempt.failure), std::move(attempt.server_error)};
  if (attempt.welcome) made.welcome = std::move(*attempt.welcome);
  co_return made;
}

void open_backend(server_pool& pool, std::uint64_t request) {
  auto task = [&pool, request]() -> asio::awaitable<void> { return log_in(pool, request); };
  asio::co_spawn(pool.owner().context(), task, asio::detached);
}

}  // namespace pgbraid::proxy
