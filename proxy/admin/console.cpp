#include "proxy/admin/console.hpp"

#include "protocol/backend.hpp"
#include "protocol/errors.hpp"
#include "protocol/frame.hpp"
#include "protocol/frontend.hpp"
#include "proxy/admin/console_command.hpp"
#include "proxy/admin/console_reports.hpp"
#include "proxy/worker/dial.hpp"
#include "proxy/worker/worker.hpp"
#include "router/catalog.hpp"

#include <spdlog/spdlog.h>

#include <array>
#include <utility>
#include <vector>

namespace pgbraid::proxy {

namespace asio = boost::asio;
namespace p = protocol;

namespace {

constexpr std::size_t longest_message = 64 * 1024;

void encode_report(std::string& out, const console_report& report) {
  std::vector<p::field_description> fields;
  for (const std::string& name : report.columns)
    fields.push_back({name, 0, 0, router::type_oid::text, -1, -1, p::text_format});
  p::encode_row_description(out, fields);
  std::vector<p::optional_value> values;
  for (const std::vector<std::string>& row : report.rows) {
    values.assign(row.begin(), row.end());
    p::encode_data_row(out, values);
  }
  p::encode_command_complete(out, "SHOW");
}

asio::awaitable<void> reply_to(worker& here, std::string& out, std::string text) {
  using kind = console_command::kind;
  const console_command command = read_console_command(text);
  switch (command.what) {
    case kind::none:
      p::encode_empty_query_response(out);
      break;
    case kind::unknown:
      p::encode_error(out, p::make_error(p::error_id::console_unknown, text.substr(0, 200)));
      break;
    case kind::pause:
    case kind::resume: {
      const auto error = co_await pause_or_resume(here, command);
      if (error) {
        p::encode_error(out, *error);
      } else {
        p::encode_command_complete(out, command.what == kind::pause ? "PAUSE" : "RESUME");
      }
      break;
    }
    default: {
      const console_report report = co_await report_of(here, command.what);
      encode_report(out, report);
    }
  }
}

std::string welcome() {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> parameters{
      {{"server_version", "15.0 (pgbraid)"},
       {"server_encoding", "UTF8"},
       {"client_encoding", "UTF8"},
       {"DateStyle", "ISO, MDY"},
       {"integer_datetimes", "on"},
       {"standard_conforming_strings", "on"}}};
  std::string bytes;
  for (const auto& [name, value] : parameters) p::encode_parameter_status(bytes, name, value);
  p::encode_ready_for_query(bytes, p::transaction_status::idle);
  return bytes;
}

}  // namespace

asio::awaitable<void> run_console(worker& here, channel& io, std::string user, std::string unread) {
  spdlog::info("console: user={}", user);
  std::string out = welcome();
  bool skipping = false;  // what comes before Sync, after a message of the extended protocol
  while (true) {
    if (!out.empty()) co_await send_all(io, std::exchange(out, {}));
    p::frame_view frame;
    p::frame_status status;
    while ((status = p::next_frame(unread, longest_message, frame)) == p::frame_status::incomplete) {
      char buffer[4096];
      const std::size_t bytes = co_await receive_some(io, buffer, sizeof buffer);
      unread.append(buffer, bytes);
    }
    if (status != p::frame_status::complete) co_return;
    const char type = frame.type;
    p::query_view query;
    if (type == p::frontend::query && p::decode(frame.body, query)) {
      std::string text{query.text};
      unread.erase(0, frame.total);
      co_await reply_to(here, out, std::move(text));
      p::encode_ready_for_query(out, p::transaction_status::idle);
      continue;
    }
    unread.erase(0, frame.total);
    if (type == p::frontend::terminate) co_return;
    if (type == p::frontend::sync) {
      skipping = false;
      p::encode_ready_for_query(out, p::transaction_status::idle);
    } else if (!std::exchange(skipping, true)) {
      p::encode_error(out, p::make_error(p::error_id::console_unknown, "the extended query protocol"));
    }
  }
}

}  // namespace pgbraid::proxy
