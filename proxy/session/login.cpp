#include "proxy/session/login.hpp"

#include "protocol/client_login.hpp"
#include "proxy/admin/console.hpp"
#include "proxy/session/access.hpp"
#include "proxy/session/find_password.hpp"
#include "proxy/session/opening.hpp"
#include "proxy/session/replication.hpp"
#include "proxy/session/welcome.hpp"
#include "proxy/worker/dial.hpp"
#include "proxy/worker/served_database.hpp"
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

namespace pgbraid::proxy {

namespace asio = boost::asio;
namespace p = protocol;
using protocol::error_id;

namespace {

p::client_method method_of(config::auth_method method) {
  switch (method) {
    case config::auth_method::trust: return p::client_method::trust;
    case config::auth_method::password: return p::client_method::password;
    case config::auth_method::md5: return p::client_method::md5;
    case config::auth_method::cert:
      return p::client_method::trust;  // who it is has been seen before
    default: return p::client_method::scram_sha_256;
  }
}

// Whatever goes wrong before the session stands ends it.
std::string fatal(const p::error_report& error) {
  const p::error_field fields[] = {{'S', "FATAL"}, {'V', "FATAL"}, {'C', p::row_of(error.id).sqlstate}, {'M', error.message}, {'D', error.detail}, {'H', error.hint}};
  std::string bytes;
  p::encode_error_response(bytes, fields);
  return bytes;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  return text;
}

}  // namespace

class client_greeting {
 public:
  explicit client_greeting(session_ptr client) : client_{std::move(client)}, worker_{client_->worker_} {}

  asio::awaitable<void> run() {
    asio::steady_timer timer{worker_.context(), worker_.options().timeouts.login};
    bool timed_out = false;
    auto on_timeout = [&](const boost::system::error_code& error) {
      if (error) return;
      timed_out = true;
      // Who has not even said what it wants may speak another protocol: a word of ours would only confuse it.
      if (!user_.empty()) {
        const auto limit =
            std::chrono::duration_cast<std::chrono::milliseconds>(worker_.options().timeouts.login).count();
        auto late = p::make_error(error_id::login_timeout);
        late.hint = fmt::format("timeouts.login is {} ms.", limit);
        (void)client_->io_.send(fatal(late));
      }
      client_->io_.close();
    };
    timer.async_wait(on_timeout);
    std::optional<p::error_report> failure;
    bool in = false;
    try {
      in = co_await greet(timer);
    } catch (const refused& no) {
      failure = no.error;
    } catch (const boost::system::system_error&) {
      // The client is gone.
    }
    timer.cancel();
    if (failure && !timed_out) {
      const std::string bytes = fatal(*failure);
      try {
        co_await send_all(client_->io_, bytes);
      } catch (const boost::system::system_error&) {
      }
      if (worker_.options().log.connections || failure->id != error_id::protocol_violation) spdlog::info("client refused: {}", failure->message);
    }
    if (!in || failure) {
      client_->close();
      co_return;
    }
    if (replication_) {
      co_await relay_->run(std::move(unread_));
      co_return;
    }
    hand_over_rest();
    client_->begin(*database_, user_, startup_settings_);
  }

 private:
  asio::awaitable<bool> greet(asio::steady_timer& login_timer) {
    if (!co_await read_startup()) co_return false;
    if (worker_.too_many_clients()) throw refused{p::make_error(error_id::too_many_clients, worker_.options().limits.max_clients)};
    co_await authenticate();
    if (wants_console()) {
      const auto& admins = worker_.options().admin.users;
      if (std::find(admins.begin(), admins.end(), user_) == admins.end()) throw refused{p::make_error(error_id::console_refused, user_)};
      login_timer.cancel();
      co_await run_console(worker_, client_->io_, user_, std::move(unread_));
      co_return false;
    }
    co_await find_database();
    count();
    if (replication_) {
      co_await open_replication();
      co_return true;
    }
    startup_settings_ = settings_of_startup();
    const auto told = co_await welcome_of(worker_, *database_, user_, startup_settings_);
    if (const auto* error = std::get_if<p::error_report>(&told)) throw refused{*error};
    if (const auto* frame = std::get_if<std::string>(&told)) {
      co_await send_all(client_->io_, *frame);
      co_return false;
    }
    std::string bytes;
    for (const auto& [name, value] : *std::get<welcome_parameters>(told)) p::encode_parameter_status(bytes, name, value);
    p::encode_backend_key_data(bytes, {worker_.cancel_pid(client_->id()), client_->cancel_key()});
    p::encode_ready_for_query(bytes, p::transaction_status::idle);
    co_await send_all(client_->io_, bytes);
    if (worker_.options().log.connections) {
      const tls_stream* tls = client_->io_.tls();
      spdlog::info("client logged in: user={} database={} tls={}", user_, database_name_,
                   tls == nullptr ? "off" : tls->version());
    }
    co_return true;
  }

  /// A database of that name in the topology goes before.
  [[nodiscard]] bool wants_console() const {
    const auto& databases = worker_.options().databases;
    const auto named = [](const config::database& d) { return d.name == console_database; };
    return database_name_ == console_database && !replication_ && std::none_of(databases.begin(), databases.end(), named);
  }

  asio::awaitable<void> more() {
    char buffer[4096];
    const std::size_t bytes = co_await receive_some(client_->io_, buffer, sizeof buffer);
    unread_.append(buffer, bytes);
  }

  /// Who the client is and what it wants. False: nothing follows (a cancel request).
  asio::awaitable<bool> read_startup() {
    auto opened = co_await open_connection(worker_, client_->io_, unread_);
    if (!opened) co_return false;
    startup_ = std::move(*opened);
    user_ = startup_.find("user").value_or("");
    if (user_.empty()) throw refused{p::make_error(error_id::missing_user)};
    database_name_ = startup_.find("database").value_or("");
    if (database_name_.empty()) database_name_ = user_;
    const std::string_view replication = startup_.find("replication").value_or("");
    replication_ = !replication.empty() && replication != "false" && replication != "off" && replication != "no" &&
                   replication != "0";
    // Physical replication is of a whole server: clients (libpq's own among them) name no database of it.
    const auto& databases = worker_.options().databases;
    const bool of_any = replication_ && replication != "database" && database_name_ == "replication";
    if (of_any && databases.size() == 1 && databases.front().name != "*") database_name_ = databases.front().name;
    co_return true;
  }

  /// The method by which the client must prove who it is. Refuses those whom no rule admits.
  [[nodiscard]] config::auth_method method_for_client() const {
    const bool tls = client_->io_.tls() != nullptr;
    const access_request request{database_name_, user_, address_of_client(client_->io_.socket()), tls};
    const config::auth_method method = access_method(worker_.options(), request);
    if (method == config::auth_method::reject) {
      throw refused{p::make_error(error_id::access_denied, user_, database_name_, config::to_string(request.from),
                                  tls ? "encrypted" : "not encrypted")};
    }
    if (method != config::auth_method::cert) return method;
    auto no = p::make_error(error_id::certificate_refused, user_);
    if (!tls || !client_->io_.tls()->has_peer_certificate())
      throw refused{with_detail(no, "The connection requires a valid client certificate.")};
    if (client_->io_.tls()->peer_common_name() != user_)
      throw refused{with_detail(no, "The certificate's common name is another.")};
    return method;
  }

  /// What is known of the user's password.
  asio::awaitable<p::stored_password> password_for(config::auth_method method) {
    const p::stored_password stored = worker_.shared().users()->find(user_);
    const bool asked_for = method != config::auth_method::trust && method != config::auth_method::cert;
    if (stored.known() || !asked_for || worker_.options().auth_query.empty()) co_return stored;
    co_await await_database();
    // A database that is not there is told of after the login, as servers do it: here to nobody, since no password is
    // known. One whose servers cannot be asked is told of at once.
    if (database_ == nullptr) co_return stored;
    if (!database_->state().served)
      throw refused{p::make_error(error_id::database_not_served, database_name_, database_->state().reason)};
    const auto found = co_await look_up_password(worker_, *database_, user_);
    if (!found) throw refused{p::make_error(error_id::password_lookup_failed, user_)};
    co_return *found;
  }

  asio::awaitable<void> authenticate() {
    const config::auth_method method = method_for_client();
    const p::stored_password stored = co_await password_for(method);
    std::string binding = client_->io_.tls() == nullptr ? std::string{} : client_->io_.tls()->server_end_point();
    p::client_login login{method_of(method), user_, stored, worker_.shared().mock_key, p::scram_nonce(),
                          std::move(binding)};
    p::client_login::action next = login.start();
    while (true) {
      if (auto* send = std::get_if<p::client_login::send>(&next)) {
        const std::string bytes = std::move(send->bytes);
        co_await send_all(client_->io_, bytes);
      } else if (auto* derive = std::get_if<p::client_login::derive>(&next)) {
        const p::client_login::derive what = *derive;
        co_await asio::post(asio::bind_executor(worker_.shared().slow_work.get_executor(), asio::use_awaitable));
        const p::scram_keys keys = p::derive_scram_keys(what.password, what.salt, what.iterations);
        co_await asio::post(worker_.context().get_executor(), asio::use_awaitable);
        next = login.derived(keys);
        continue;
      } else if (auto* no = std::get_if<p::client_login::refused>(&next)) {
        // The password may have been changed since it was looked up.
        worker_.shared().looked_up.forget(database_name_, user_);
        throw refused{no->error};
      } else {
        auto& yes = std::get<p::client_login::accepted>(next);
        if (yes.password) worker_.shared().keys.store_password(user_, *yes.password);
        if (stored.md5 && method != config::auth_method::trust && method != config::auth_method::cert) {
          worker_.shared().keys.store_md5(user_, *stored.md5);
        }
        if (yes.keys && stored.scram) worker_.shared().keys.store(user_, stored.scram->salt, stored.scram->iterations, *yes.keys);
        const std::string bytes = std::move(yes.bytes);
        co_await send_all(client_->io_, bytes);
        co_return;
      }
      p::frame_view frame;
      p::frame_status status;
      while ((status = p::next_frame(unread_, p::max_password_message, frame)) == p::frame_status::incomplete) co_await more();
      if (status != p::frame_status::complete) throw refused{p::make_error(error_id::protocol_violation, "invalid password packet size")};
      next = login.receive(frame);
      unread_.erase(0, frame.total);
    }
  }

  /// Looks for the database, and waits for one that the topology names by "*" alone.
  asio::awaitable<void> await_database() {
    database_ = worker_.find_database(database_name_);
    if (database_ == nullptr && worker_.any_database()) {
      // The topology has a "*": the control plane begins to watch this one, and says so here.
      worker_.ensure_database(database_name_);
      asio::steady_timer poll{worker_.context()};
      const auto deadline = std::chrono::steady_clock::now() + worker_.options().timeouts.connect;
      while (std::chrono::steady_clock::now() < deadline) {
        database_ = worker_.find_database(database_name_);
        if (database_ != nullptr && (!database_->state().served || database_->state().shards.front().primary >= 0)) break;
        poll.expires_after(std::chrono::milliseconds{10});
        co_await poll.async_wait(asio::use_awaitable);
      }
    }
  }

  asio::awaitable<void> find_database() {
    co_await await_database();
    if (database_ == nullptr) throw refused{p::make_error(error_id::no_such_database, database_name_)};
    if (!database_->state().served) throw refused{p::make_error(error_id::database_not_served, database_name_, database_->state().reason)};
  }

  /// From here on it is one of its user's and one of its database's clients.
  void count() {
    if (!client_->is_linked()) return;
    const config::topology& now = worker_.options();
    const config::user* const user = config::find_user(now, user_);
    const unsigned of_user = user != nullptr && user->max_clients != 0 ? user->max_clients : now.limits.max_clients_per_user;
    client_->counted_user_ = worker_.shared().users_clients.enter(user_, of_user);
    if (client_->counted_user_ == nullptr) throw refused{p::make_error(error_id::too_many_clients_of_user, user_, of_user)};
    const unsigned own = database_->state().config->max_clients;
    const unsigned of_database = own != 0 ? own : now.limits.max_clients_per_database;
    client_->counted_database_ = worker_.shared().databases_clients.enter(database_name_, of_database);
    if (client_->counted_database_ == nullptr) {
      throw refused{p::make_error(error_id::too_many_clients_of_database, database_name_, of_database)};
    }
  }

  asio::awaitable<void> open_replication() {
    const auto opened = co_await proxy::open_replication(client_, *database_, user_, startup_.parameters);
    if (const auto* error = std::get_if<p::error_report>(&opened)) throw refused{*error};
    if (const auto* frame = std::get_if<std::string>(&opened)) {
      co_await send_all(client_->io_, *frame);
      throw boost::system::system_error{asio::error::connection_refused};
    }
    relay_ = std::get<std::shared_ptr<replication_relay>>(opened);
    const std::string bytes = relay_->welcome();
    co_await send_all(client_->io_, bytes);
    if (worker_.options().log.connections) {
      spdlog::info("client logged in for replication: user={} database={}", user_, database_name_);
    }
  }

  /// The startup packet's settings: what RESET goes back to.
  settings_ptr settings_of_startup() {
    settings_registry& registry = worker_.settings();
    settings_ptr made = registry.none();
    const auto add = [&](std::string name, const std::string& value) {
      if (name == token_setting) {
        auto token = read_token(value, database_->state());
        if (const auto* const error = std::get_if<p::error_report>(&token)) throw refused{*error};
        client_->note_past().demanded = std::get<consistency_token>(std::move(token));
        return;
      }
      if (name == "time zone") name = "timezone";
      if (name == "datestyle")
        return void(made = registry.with(made, date_style_setting(nullptr, value, set_statement(name, value))));
      made = registry.with(made, {name, value, set_statement(name, value)});
    };
    if (const auto options = startup_.find("options"); options && !options->empty()) {
      std::vector<std::pair<std::string, std::string>> pairs;
      if (!parse_startup_options(*options, pairs)) {
        throw refused{with_detail(p::make_error(error_id::protocol_violation, "invalid command-line argument for server process"), std::string{*options})};
      }
      for (auto& [name, value] : pairs) add(lower(name), value);
    }
    for (const auto& [name, value] : startup_.parameters) {
      if (name == "user" || name == "database" || name == "options" || name == "replication" || p::is_protocol_option(name)) continue;
      add(lower(name), value);
    }
    return made;
  }

  /// What the client has sent behind its login is its session's first input.
  void hand_over_rest() {
    std::string_view rest = unread_;
    while (!rest.empty()) {
      client_->make_room();
      const std::size_t bytes = std::min(rest.size(), client_->capacity_ - client_->end_);
      std::copy_n(rest.data(), bytes, client_->data_ + client_->end_);
      client_->end_ += bytes;
      rest.remove_prefix(bytes);
    }
  }

  session_ptr client_;
  worker& worker_;
  std::string unread_;
  p::startup_message startup_;
  std::string user_, database_name_;
  served_database* database_ = nullptr;
  settings_ptr startup_settings_;
  bool replication_ = false;
  std::shared_ptr<replication_relay> relay_;
};

void log_in_client(session_ptr client) {
  worker& owner = client->owner();
  auto task = [client = std::move(client)]() -> asio::awaitable<void> {
    client_greeting greeting{client};
    co_await greeting.run();
  };
  asio::co_spawn(owner.context(), std::move(task), asio::detached);
}

}  // namespace pgbraid::proxy
