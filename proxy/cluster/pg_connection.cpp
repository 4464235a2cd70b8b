#include "proxy/cluster/pg_connection.hpp"

#include <libpq-fe.h>
#include <unistd.h>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

struct clear_result {
  void operator()(PGresult* r) const noexcept { PQclear(r); }
};
using result_ptr = std::unique_ptr<PGresult, clear_result>;

// Several lines as one, without libpq's indented advice.
std::string one_line(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '\t') continue;
    if (!out.empty()) out += "; ";
    out += line;
  }
  return out;
}

const char* sslmode(config::server_tls_mode mode) {
  switch (mode) {
    case config::server_tls_mode::allow:
      return "allow";
    case config::server_tls_mode::prefer:
      return "prefer";
    case config::server_tls_mode::require:
      return "require";
    case config::server_tls_mode::verify_ca:
      return "verify-ca";
    case config::server_tls_mode::verify_full:
      return "verify-full";
    case config::server_tls_mode::disable:
      break;
  }
  return "disable";
}

/// `unreplicated`: a bool of the connection's.
void take_notice(void* unreplicated, const PGresult* notice) {
  const char* const function = PQresultErrorField(notice, PG_DIAG_SOURCE_FUNCTION);
  if (function != nullptr && std::string_view{function} == "SyncRepWaitForLSN")
    *static_cast<bool*>(unreplicated) = true;
}

}  // namespace

namespace {

/// A host name being looked up. The look-up itself cannot be interrupted: it is left behind when time is up.
struct lookup {
  explicit lookup(asio::io_context& context) : resolver(context), limit(context) {}
  asio::ip::tcp::resolver resolver;
  asio::steady_timer limit;
  asio::ip::tcp::resolver::results_type entries;
  error_code outcome;
  bool done = false;
};

}  // namespace

/// The descriptor that the reactor watches (a duplicate, so that libpq may close its own at any time) and the timer of
/// the operation under way. Shared with the timer's handler, which may run after the connection is gone.
struct pg_connection::channel {
  explicit channel(asio::io_context& context) : socket(context), timer(context) {}
  asio::posix::stream_descriptor socket;
  asio::steady_timer timer;
  std::weak_ptr<lookup> names;  // while a host name is looked up
  std::uint64_t generation = 0;
  bool late = false;
};

void pg_connection::finish::operator()(pg_conn* c) const noexcept {
  PQfinish(c);
}

pg_connection::pg_connection(asio::io_context& context)
    : context_(context), channel_(std::make_shared<channel>(context)) {}

pg_connection::~pg_connection() {
  disarm();
  close();
}

void pg_connection::close() noexcept {
  error_code ignored;
  channel_->socket.close(ignored);
  connection_.reset();
}

void pg_connection::interrupt() noexcept {
  error_code ignored;
  channel_->socket.close(ignored);
  channel_->late = true;
  if (const auto names = channel_->names.lock()) names->limit.cancel();
}

void pg_connection::arm(std::chrono::milliseconds timeout) {
  channel_->late = false;
  const std::uint64_t generation = ++channel_->generation;
  channel_->timer.expires_after(timeout);
  channel_->timer.async_wait([shared = channel_, generation](error_code ec) {
    if (ec || generation != shared->generation) return;
    shared->late = true;
    error_code ignored;
    shared->socket.cancel(ignored);
  });
}

void pg_connection::disarm() noexcept {
  ++channel_->generation;
  channel_->timer.cancel();
}

std::string pg_connection::trouble() const {
  if (channel_->late) return "timed out";
  std::string text = one_line(connection_ ? PQerrorMessage(connection_.get()) : "not connected");
  return text.empty() ? "connection lost" : text;
}

void pg_connection::watch_socket() {
  error_code ignored;
  channel_->socket.close(ignored);
  const int fd = PQsocket(connection_.get());
  if (fd < 0) return;
  const int copy = ::dup(fd);
  if (copy < 0) return;
  channel_->socket.assign(copy, ignored);
  if (ignored) ::close(copy);
}

asio::awaitable<bool> pg_connection::wait(bool writable) {
  if (!channel_->socket.is_open() || channel_->late) co_return false;
  const auto held = channel_;
  error_code ec;
  const auto direction = writable ? asio::posix::descriptor_base::wait_write : asio::posix::descriptor_base::wait_read;
  co_await held->socket.async_wait(direction, asio::redirect_error(asio::use_awaitable, ec));
  co_return !ec && !held->late;
}

asio::awaitable<std::string> pg_connection::poll_login() {
  auto direction = PGRES_POLLING_WRITING;
  for (;;) {
    watch_socket();
    if (!co_await wait(direction == PGRES_POLLING_WRITING)) co_return trouble();
    direction = PQconnectPoll(connection_.get());
    if (direction == PGRES_POLLING_OK) break;
    if (direction == PGRES_POLLING_FAILED) co_return trouble();
  }
  watch_socket();
  if (!channel_->socket.is_open()) co_return "no descriptor left for this connection";
  PQsetnonblocking(connection_.get(), 1);
  co_return std::string{};
}

asio::awaitable<std::string> pg_connection::connect(pg_login login, std::chrono::milliseconds timeout) {
  close();
  arm(timeout);
  std::string hosts = login.host, addresses, ports = std::to_string(login.port);
  if (!login.host.starts_with('/')) {
    error_code ec;
    const asio::ip::address literal = asio::ip::make_address(login.host, ec);
    if (!ec) {
      addresses = literal.to_string();
    } else {
      const auto found = std::make_shared<lookup>(context_);
      channel_->names = found;
      found->limit.expires_after(timeout);
      const auto resolved = [found](error_code failed, const asio::ip::tcp::resolver::results_type& entries) {
        found->outcome = failed;
        found->entries = entries;
        found->done = true;
        found->limit.cancel();
      };
      found->resolver.async_resolve(login.host, ports, resolved);
      co_await found->limit.async_wait(asio::redirect_error(asio::use_awaitable, ec));
      if (!found->done || found->outcome) {
        disarm();
        co_return "cannot resolve host \"" + login.host +
            "\": " + (found->done ? found->outcome.message() : "timed out");
      }
      hosts.clear();
      ports.clear();
      for (const auto& entry : found->entries) {
        const bool first = addresses.empty();
        addresses += (first ? "" : ",") + entry.endpoint().address().to_string();
        hosts += (first ? "" : ",") + login.host;
        ports += (first ? "" : ",") + std::to_string(login.port);
      }
    }
  }
  std::vector<const char*> keys, values;
  const auto give = [&](const char* key, const std::string& value) {
    keys.push_back(key);
    values.push_back(value.c_str());
  };
  const std::string name = login.application.empty() ? "pgbraid_monitor" : login.application, encoding = "UTF8",
                    off = "disable", mode = sslmode(login.tls.mode), options = "-c client_min_messages=error";
  give("host", hosts);
  if (!addresses.empty()) give("hostaddr", addresses);
  give("port", ports);
  give("dbname", login.dbname);
  const std::string walsender = "database";
  if (login.replication) give("replication", walsender);
  give("user", login.user);
  if (login.password) give("password", *login.password);
  give("application_name", name);
  give("client_encoding", encoding);
  give("sslmode", mode);
  if (!login.tls.ca.empty()) give("sslrootcert", login.tls.ca);
  if (!login.tls.cert.empty()) give("sslcert", login.tls.cert);
  if (!login.tls.key.empty()) give("sslkey", login.tls.key);
  give("gssencmode", off);
  give("options", options);
  keys.push_back(nullptr);
  values.push_back(nullptr);

  connection_.reset(PQconnectStartParams(keys.data(), values.data(), 0));
  std::string failure;
  if (connection_ == nullptr) {
    failure = "out of memory";
  } else if (PQstatus(connection_.get()) == CONNECTION_BAD) {
    failure = trouble();
  } else {
    PQsetNoticeReceiver(connection_.get(), take_notice, &unreplicated_);
    failure = co_await poll_login();
  }
  disarm();
  if (!failure.empty()) close();
  co_return failure;
}

asio::awaitable<pg_answer> pg_connection::collect(std::chrono::milliseconds timeout) {
  pg_answer answer;
  const auto lost = [&] {
    answer.rows.clear();
    answer.sqlstate.clear();
    answer.error = trouble();
    disarm();
    close();
  };
  arm(timeout);
  for (int unsent = PQflush(connection_.get()); unsent != 0; unsent = PQflush(connection_.get())) {
    if (unsent < 0 || !co_await wait(true) || PQconsumeInput(connection_.get()) == 0) {
      lost();
      co_return answer;
    }
  }
  for (;;) {
    while (PQisBusy(connection_.get()) != 0) {
      if (!co_await wait(false) || PQconsumeInput(connection_.get()) == 0) {
        lost();
        co_return answer;
      }
    }
    const result_ptr result(PQgetResult(connection_.get()));
    if (!result) break;
    switch (PQresultStatus(result.get())) {
      case PGRES_COMMAND_OK:
      case PGRES_EMPTY_QUERY:
        break;
      case PGRES_TUPLES_OK: {
        const int rows = PQntuples(result.get()), columns = PQnfields(result.get());
        answer.rows.clear();
        answer.rows.reserve(static_cast<std::size_t>(rows));
        for (int r = 0; r < rows; ++r) {
          pg_row& row = answer.rows.emplace_back(static_cast<std::size_t>(columns));
          for (int c = 0; c < columns; ++c) {
            if (PQgetisnull(result.get(), r, c) != 0) continue;
            row[static_cast<std::size_t>(c)].emplace(PQgetvalue(result.get(), r, c),
                                                     static_cast<std::size_t>(PQgetlength(result.get(), r, c)));
          }
        }
        break;
      }
      case PGRES_FATAL_ERROR: {
        const auto field = [&](int code) {
          const char* text = PQresultErrorField(result.get(), code);
          return text == nullptr ? std::string{} : one_line(text);
        };
        answer.sqlstate = field(PG_DIAG_SQLSTATE);
        answer.error = field(PG_DIAG_MESSAGE_PRIMARY);
        answer.detail = field(PG_DIAG_MESSAGE_DETAIL);
        answer.hint = field(PG_DIAG_MESSAGE_HINT);
        answer.position = std::strtoul(field(PG_DIAG_STATEMENT_POSITION).c_str(), nullptr, 10);
        if (answer.error.empty()) answer.error = one_line(PQresultErrorMessage(result.get()));
        if (answer.error.empty()) answer.error = "unknown error";
        break;
      }
      default:
        answer.error = "unexpected answer to a monitoring command";
        disarm();
        close();
        co_return answer;
    }
  }
  disarm();
  if (PQstatus(connection_.get()) == CONNECTION_BAD) close();
  if (!answer.ok()) answer.rows.clear();
  co_return answer;
}

asio::awaitable<pg_answer> pg_connection::query(std::string sql, std::vector<std::string> parameters,
                                                std::chrono::milliseconds timeout) {
  if (!is_open()) co_return pg_answer{{}, "not connected", {}};
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const std::string& p : parameters) values.push_back(p.c_str());
  const int sent = parameters.empty()
                       ? PQsendQuery(connection_.get(), sql.c_str())
                       : PQsendQueryParams(connection_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                                           values.data(), nullptr, nullptr, 0);
  if (sent == 0) {
    pg_answer failed{{}, trouble(), {}};
    close();
    co_return failed;
  }
  co_return co_await collect(timeout);
}

asio::awaitable<pg_answer> pg_connection::prepare(std::string name, std::string sql,
                                                  std::chrono::milliseconds timeout) {
  if (!is_open()) co_return pg_answer{{}, "not connected", {}};
  if (PQsendPrepare(connection_.get(), name.c_str(), sql.c_str(), 0, nullptr) == 0) {
    pg_answer failed{{}, trouble(), {}};
    close();
    co_return failed;
  }
  co_return co_await collect(timeout);
}

asio::awaitable<pg_answer> pg_connection::run_prepared(std::string name, std::chrono::milliseconds timeout) {
  if (!is_open()) co_return pg_answer{{}, "not connected", {}};
  if (PQsendQueryPrepared(connection_.get(), name.c_str(), 0, nullptr, nullptr, nullptr, 0) == 0) {
    pg_answer failed{{}, trouble(), {}};
    close();
    co_return failed;
  }
  co_return co_await collect(timeout);
}

}  // namespace pgbraid::proxy
