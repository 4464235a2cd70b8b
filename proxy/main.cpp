// The command line: serve, check, route, apply.
#include "config/config.hpp"
#include "proxy/apply_command.hpp"
#include "proxy/check_command.hpp"
#include "proxy/log_level.hpp"
#include "proxy/route_command.hpp"
#include "proxy/worker/server.hpp"
#include "proxy/worker/tls_context.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace {

using pgbraid::config::finding;

void set_up_log(pgbraid::config::log_level level) {
  auto log = spdlog::stdout_logger_mt("pgbraid");
  log->set_pattern("%Y-%m-%d %H:%M:%S.%e %L %v");
  log->set_level(pgbraid::proxy::level_of(level));
  log->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(log));
}

/// Every finding on stderr; the topology if there is no error among them.
std::shared_ptr<pgbraid::config::topology> load(const std::string& file, bool warnings) {
  pgbraid::config::load_result loaded = pgbraid::config::load_file(file);
  for (const finding& f : loaded.findings) {
    if (f.severity == finding::level::error || warnings) fmt::print(stderr, "{}\n", pgbraid::config::to_string(f, file));
  }
  if (!loaded.ok()) return nullptr;
  auto topology = std::make_shared<pgbraid::config::topology>(std::move(loaded.value));
  topology->file = file;
  return topology;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"pgbraid: one address for many PostgreSQL servers"};
  app.set_version_flag("--version", "pgbraid " PGBRAID_VERSION);
  app.require_subcommand(1);

  std::string file;
  auto* serve = app.add_subcommand("serve", "Serve clients as the topology says, until told to stop");
  serve->add_option("-c,--config", file, "The topology (YAML)")->required();

  auto* check = app.add_subcommand("check", "Check a topology and print it as it is understood");
  check->add_option("FILE", file, "The topology (YAML)")->required();
  bool servers = false;
  check->add_flag("--servers", servers, "Ask the servers too: roles, replicas, what the shards disagree in");

  auto* route = app.add_subcommand("route", "Say where a statement would go and why, without running it");
  pgbraid::proxy::route_question question;
  route->add_option("-c,--config", file, "The topology (YAML)")->required();
  route->add_option("-d,--database", question.database, "Database that a client would name (default: the first)");
  route->add_option("-u,--user", question.user, "User that the client would be (default: the first)");
  route->add_option("SQL", question.sql, "The statement")->required();

  auto* apply =
      app.add_subcommand("apply", "Run a schema on every shard, on all of them or on none, and compare what came out");
  pgbraid::proxy::apply_request request;
  apply->add_option("-c,--config", file, "The topology (YAML)")->required();
  apply->add_option("-d,--database", request.database, "Database that a client would name (default: the first)");
  apply->add_option("-u,--user", request.user,
                    "User to log in as (default: the first); a password that is not in the topology is taken from "
                    "PGPASSWORD or ~/.pgpass");
  apply->add_flag("--dry-run", request.dry_run, "Say where each statement would go, and run nothing");
  apply->add_option("--resume-at", request.resume_at,
                    "Begin with the statement on this line; of those before only SET and the like run");
  apply->add_option("FILE", request.file, "SQL statements; - is standard input")->required();

  CLI11_PARSE(app, argc, argv);
  std::signal(SIGPIPE, SIG_IGN);

  const auto topology = load(file, true);
  if (topology == nullptr) return 1;
  if (check->parsed()) {
    std::vector<std::string> errors;
    (void)pgbraid::proxy::load_tls(*topology, errors);
    for (const std::string& error : errors) fmt::print(stderr, "{}: error: {}\n", file, error);
    if (!errors.empty()) return 1;
    if (servers) {
      set_up_log(pgbraid::config::log_level::warning);
      return pgbraid::proxy::check_servers(topology);
    }
    fmt::print("{}", pgbraid::config::describe(*topology));
    return 0;
  }
  if (route->parsed()) {
    set_up_log(pgbraid::config::log_level::error);
    return pgbraid::proxy::route_command(topology, question);
  }
  if (apply->parsed()) {
    set_up_log(pgbraid::config::log_level::error);
    return pgbraid::proxy::apply_command(topology, request);
  }
  set_up_log(topology->log.level);
  return pgbraid::proxy::serve(topology);
}
