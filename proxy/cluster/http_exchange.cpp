#include "proxy/cluster/http_exchange.hpp"

#include <fmt/format.h>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <array>
#include <utility>
#include <vector>

namespace pgbraid::proxy {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t longest_body = 1 << 20;
constexpr std::uint32_t longest_header = 16 << 10;
constexpr auto closest_hearings = 10ms;

using tcp_stream = beast::basic_stream<asio::ip::tcp, asio::io_context::executor_type>;

struct lookup {
  explicit lookup(asio::io_context& context) : resolver(context), limit(context) {}
  asio::ip::tcp::resolver resolver;
  asio::steady_timer limit;
  std::vector<asio::ip::tcp::endpoint> found;
  error_code outcome;
  bool done = false;
};

std::string told(error_code failed) {
  if (failed == beast::error::timeout) return "timed out";
  if (failed == http::error::body_limit) return fmt::format("its answer is longer than {} bytes", longest_body);
  if (failed == http::error::header_limit) return "the header of its answer is too long";
  if (failed.category() == error_code(http::error::end_of_stream).category())
    return fmt::format("its answer is not HTTP, or is cut off: {}", failed.message());
  return failed.message();
}

class marked_busy {
 public:
  explicit marked_busy(bool& flag) : flag_(flag) { flag_ = true; }
  ~marked_busy() { flag_ = false; }
  marked_busy(const marked_busy&) = delete;
  marked_busy& operator=(const marked_busy&) = delete;

 private:
  bool& flag_;
};

}  // namespace

/// The connection of the question under way, new for each.
struct http_exchange::channel {
  channel(asio::io_context& context, std::weak_ptr<lookup> under_way)
      : stream(context.get_executor()), pace(context), names(std::move(under_way)) {}
  tcp_stream stream;
  asio::steady_timer pace;
  std::weak_ptr<lookup> names;  // while the host's name is looked up, also when nobody waits for that any more
  bool interrupted = false;
};

http_exchange::http_exchange(asio::io_context& context, config::host_port place)
    : context_(context),
      place_(std::move(place)),
      channel_(std::make_shared<channel>(context, std::weak_ptr<lookup>{})) {}

http_exchange::~http_exchange() = default;

void http_exchange::interrupt() noexcept {
  channel_->interrupted = true;
  channel_->pace.cancel();
  channel_->stream.close();
  if (const auto names = channel_->names.lock()) names->limit.cancel();
}

asio::awaitable<std::string> http_exchange::open(std::chrono::milliseconds timeout) {
  const auto held = channel_;
  std::vector<asio::ip::tcp::endpoint> endpoints;
  error_code ec;
  const asio::steady_timer::time_point until = asio::steady_timer::clock_type::now() + timeout;
  const asio::ip::address literal = asio::ip::make_address(place_.host, ec);
  if (!ec) {
    endpoints.emplace_back(literal, place_.port);
  } else {
    if (!held->names.expired()) co_return fmt::format("cannot resolve host \"{}\": timed out", place_.host);
    const auto names = std::make_shared<lookup>(context_);
    held->names = names;
    names->limit.expires_at(until);
    const auto resolved = [names](error_code failed, const asio::ip::tcp::resolver::results_type& entries) {
      names->outcome = failed;
      for (const auto& entry : entries) names->found.push_back(entry.endpoint());
      names->done = true;
      names->limit.cancel();
    };
    names->resolver.async_resolve(place_.host, std::to_string(place_.port), resolved);
    co_await names->limit.async_wait(asio::redirect_error(asio::use_awaitable, ec));
    if (!names->done || names->outcome) {
      co_return fmt::format("cannot resolve host \"{}\": {}", place_.host,
                            names->done ? names->outcome.message() : "timed out");
    }
    held->names.reset();
    endpoints = names->found;
  }
  if (held->interrupted) co_return "interrupted";
  held->stream.expires_at(until);
  co_await held->stream.async_connect(endpoints, asio::redirect_error(asio::use_awaitable, ec));
  co_return ec ? told(ec) : std::string{};
}

asio::awaitable<std::string> http_exchange::send(const std::string& target, const std::string& question) {
  const auto held = channel_;
  http::request<http::string_body> request{question.empty() ? http::verb::get : http::verb::post, target, 11};
  request.set(http::field::host, fmt::format("{}:{}", place_.host, place_.port));
  request.set(http::field::user_agent, "pgbraid");
  request.set(http::field::connection, "close");
  if (!question.empty()) {
    request.set(http::field::content_type, "application/json");
    request.body() = question;
  }
  request.prepare_payload();
  error_code ec;
  co_await http::async_write(held->stream, request, asio::redirect_error(asio::use_awaitable, ec));
  co_return ec ? told(ec) : std::string{};
}

asio::awaitable<http_answer> http_exchange::ask(std::string target, std::string question,
                                                std::chrono::milliseconds timeout) {
  if (busy_) co_return http_answer{{}, "it has not answered the last question yet"};
  const marked_busy busy(busy_);
  channel_ = std::make_shared<channel>(context_, channel_->names);
  const auto held = channel_;
  http_answer out;
  out.error = co_await open(timeout);
  if (out.error.empty()) out.error = co_await send(target, question);
  if (!out.error.empty()) co_return out;
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.header_limit(longest_header);
  parser.body_limit(longest_body);
  error_code ec;
  co_await http::async_read(held->stream, buffer, parser, asio::redirect_error(asio::use_awaitable, ec));
  held->stream.close();
  if (ec) {
    out.error = told(ec);
  } else if (parser.get().result() != http::status::ok) {
    out.error = fmt::format("its answer has status {}", parser.get().result_int());
  } else {
    out.body = std::move(parser.get().body());
  }
  co_return out;
}

asio::awaitable<std::string> http_exchange::listen(std::string target, std::string question,
                                                   std::chrono::milliseconds timeout, std::function<void()> heard) {
  if (busy_) co_return "it is listened to already";
  const marked_busy busy(busy_);
  channel_ = std::make_shared<channel>(context_, channel_->names);
  const auto held = channel_;
  std::string failure = co_await open(timeout);
  if (failure.empty()) failure = co_await send(target, question);
  if (!failure.empty()) co_return failure;
  beast::flat_buffer buffer;
  http::response_parser<http::empty_body> parser;
  parser.header_limit(longest_header);
  error_code ec;
  co_await http::async_read_header(held->stream, buffer, parser, asio::redirect_error(asio::use_awaitable, ec));
  if (ec) co_return told(ec);
  if (parser.get().result() != http::status::ok)
    co_return fmt::format("its answer has status {}", parser.get().result_int());
  held->stream.expires_never();
  std::array<char, 4096> dropped;
  while (!held->interrupted) {
    heard();
    held->pace.expires_after(closest_hearings);
    co_await held->pace.async_wait(asio::redirect_error(asio::use_awaitable, ec));
    if (held->interrupted) break;
    co_await held->stream.async_read_some(asio::buffer(dropped), asio::redirect_error(asio::use_awaitable, ec));
    if (ec) co_return told(ec);
  }
  co_return "interrupted";
}

}  // namespace pgbraid::proxy
