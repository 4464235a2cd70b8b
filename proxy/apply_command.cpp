#include "proxy/apply_command.hpp"

#include "proxy/apply/alone_statement.hpp"
#include "proxy/apply/atomic_group.hpp"
#include "proxy/apply/destinations.hpp"
#include "proxy/apply/script.hpp"
#include "proxy/apply/shard_sessions.hpp"
#include "proxy/look.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace pgbraid::proxy {

using namespace apply;

namespace {

constexpr std::string_view stored_secret = "SCRAM-SHA-256$";

std::optional<std::string> read_file(const std::string& name, std::string& trouble) {
  struct closing {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, closing> opened;
  std::FILE* in = stdin;
  if (name != "-") {
    opened.reset(std::fopen(name.c_str(), "rb"));
    in = opened.get();
  }
  std::string text;
  std::array<char, 1 << 16> piece{};
  std::size_t got = 0;
  while (in != nullptr && (got = std::fread(piece.data(), 1, piece.size(), in)) > 0) text.append(piece.data(), got);
  if (in == nullptr || std::ferror(in) != 0) {
    trouble = std::strerror(errno);
    return std::nullopt;
  }
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text.starts_with(byte_order_mark)) text.erase(0, byte_order_mark.size());
  return text;
}

std::string count_of(std::size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

/// One run over a file.
class application {
 public:
  application(const config::topology& topology, const apply_request& request, script file, database_state_ptr state)
      : topology_(topology),
        request_(request),
        file_(std::move(file)),
        state_(std::move(state)),
        user_(request.user.empty() ? usual_user(topology) : request.user),
        shown_(request.file == "-" ? "standard input" : request.file) {}

  int run() {
    destinations planned = find_destinations(file_, user_, state_, topology_.limits.max_parse);
    where_ = std::move(planned.of);
    if (request_.dry_run) print_destinations(planned.errors);
    for (const line_report& error : planned.errors) print(error);
    if (!planned.errors.empty()) return 1;
    if (!find_resumption()) return 1;
    if (request_.dry_run) return 0;
    if (!log_in()) return 1;
    for (const statement_group& group : file_.groups) {
      const bool done = group.first < resume_from_ ? repeat_settings(group)
                        : group.alone              ? run_alone_group(group)
                                                   : run_group(group);
      if (!done) return 1;
    }
    return compare();
  }

  void print(const line_report& report) const {
    const std::string place = report.line == 0 ? shown_ : fmt::format("{}:{}", shown_, report.line);
    fmt::print(stderr, "{}: error: {}\n", place, report.message);
    const auto field = [](std::string_view name, const std::string& value) {
      if (!value.empty()) fmt::print(stderr, "  {}: {}\n", name, value);
    };
    field("shard", report.shard);
    field("SQLSTATE", report.sqlstate);
    field("detail", report.detail);
    field("hint", report.hint);
  }

 private:
  [[nodiscard]] std::string lines_of(const statement_group& group) const {
    const std::size_t first = file_.statements[group.first].line,
                      last = file_.statements[group.first + group.count - 1].line;
    return first == last ? fmt::format("line {}", first) : fmt::format("lines {} to {}", first, last);
  }

  [[nodiscard]] std::string names_of(const std::vector<router::shard_index>& shards) const {
    std::vector<std::string> names;
    for (const router::shard_index shard : shards) names.push_back(state_->map->shards[shard]);
    return fmt::format("shard{} {}", names.size() == 1 ? "" : "s", fmt::join(names, ", "));
  }

  void print_destinations(const std::vector<line_report>& errors) const {
    for (const statement_group& group : file_.groups) {
      fmt::print("{}, {}:\n", lines_of(group),
                 group.alone ? "outside of a transaction, shard by shard" : "in one transaction");
      for (std::size_t i = group.first; i < group.first + group.count; ++i) {
        const script_statement& s = file_.statements[i];
        const auto refused =
            std::find_if(errors.begin(), errors.end(), [&](const line_report& e) { return e.line == s.line; });
        const std::string where = refused != errors.end() ? "refused: " + refused->message : names_of(where_[i].shards);
        fmt::print("  {}: {}: {}\n", s.line, where, summary_of(s.text));
      }
    }
  }

  /// What has run before stands in whole groups.
  bool find_resumption() {
    if (request_.resume_at == 0) return true;
    for (const statement_group& group : file_.groups) {
      for (std::size_t i = group.first; i < group.first + group.count; ++i) {
        if (file_.statements[i].line != request_.resume_at) continue;
        resume_from_ = group.first;
        if (i == group.first) return true;
        print({request_.resume_at,
               fmt::format("this statement is in a transaction with those from line {} on",
                           file_.statements[group.first].line),
               {},
               fmt::format("They are applied together or not at all: --resume-at {}.",
                           file_.statements[group.first].line),
               {},
               {}});
        return false;
      }
    }
    print({request_.resume_at, "no statement begins on the line of --resume-at", {}, {}, {}, {}});
    return false;
  }

  bool log_in() {
    const config::user* known = config::find_user(topology_, user_);
    std::optional<std::string> password = known == nullptr ? std::nullopt : known->password;
    if (user_ == topology_.monitor.user && topology_.monitor.password) password = topology_.monitor.password;
    // Others are for libpq to find: PGPASSWORD, ~/.pgpass.
    if (password && (password->starts_with(stored_secret) || password->starts_with("md5"))) password.reset();
    std::vector<pg_login> logins;
    for (std::size_t i = 0; i < state_->shards.size(); ++i) {
      logins.push_back(primary_login(*state_, i, user_, password));
      logins.back().application = "pgbraid apply";
    }
    const std::vector<std::string> troubles = sessions_.connect(logins, topology_.timeouts.connect);
    bool well = true;
    for (std::size_t i = 0; i < troubles.size(); ++i) {
      if (troubles[i].empty()) continue;
      well = false;
      fmt::print(stderr, "shard {}: login as \"{}\" at {}:{} failed: {}\n", state_->map->shards[i], user_,
                 logins[i].host, logins[i].port, troubles[i]);
    }
    if (!well)
      fmt::print(stderr, "Nothing has been run.{}\n",
                 password ? ""
                          : " The topology has no plain password of this user: give it in PGPASSWORD, or name another "
                            "one by --user.");
    return well;
  }

  bool repeat_settings(const statement_group& group) {
    atomic_group running{sessions_, *state_};
    for (std::size_t i = group.first; i < group.first + group.count; ++i) {
      if (file_.statements[i].kind != statement_class::setting) continue;
      if (const auto failed = running.run(file_.statements[i], where_[i])) return print(*failed), false;
    }
    return running.commit().is == atomic_group::outcome::committed;
  }

  bool run_group(const statement_group& group) {
    atomic_group running{sessions_, *state_};
    const std::size_t first = file_.statements[group.first].line;
    const auto undone = [&] {
      const bool before = group.first > resume_from_;
      fmt::print(
          stderr, "Nothing of {} has been kept on any shard{}\n", lines_of(group),
          before ? fmt::format("; what stands before is committed. When it is mended: --resume-at {}", first) : ".");
      return false;
    };
    for (std::size_t i = group.first; i < group.first + group.count; ++i) {
      if (const auto failed = running.run(file_.statements[i], where_[i])) return print(*failed), undone();
      count(i);
    }
    atomic_group::ending ending = running.commit();
    ending.report.line = first;
    if (ending.is == atomic_group::outcome::undone) return print(ending.report), undone();
    if (ending.is == atomic_group::outcome::unknown) {
      print(ending.report);
      fmt::print(stderr,
                 "Whether {} are committed is not known: the connection was lost at the moment of the decision. It is "
                 "the same "
                 "on all shards; any instance of pgbraid, or its next command, finishes what is open.\n",
                 lines_of(group));
      return false;
    }
    fmt::print(stderr, "{}: committed\n", lines_of(group));
    if (!ending.report.message.empty()) {
      print(ending.report);
      fmt::print(
          stderr,
          "It is committed there too as soon as any instance of pgbraid, or its next command, finds the shard.\n");
    }
    return true;
  }

  bool run_alone_group(const statement_group& group) {
    const script_statement& s = file_.statements[group.first];
    if (const auto failed = run_alone(sessions_, *state_, s, where_[group.first])) {
      print(*failed);
      fmt::print(stderr,
                 "What stands before line {0} is committed. When it is mended: --resume-at {0}, which passes over "
                 "shards that have it.\n",
                 s.line);
      return false;
    }
    count(group.first);
    return true;
  }

  void count(std::size_t statement) {
    if (file_.statements[statement].kind == statement_class::setting) return;
    ++applied_;
    touched_.insert(where_[statement].shards.begin(), where_[statement].shards.end());
  }

  int compare() const {
    const std::string done =
        fmt::format("applied {} on {}", count_of(applied_, "statement"), count_of(touched_.size(), "shard"));
    if (state_->shards.size() == 1) {
      fmt::print("{}\n", done);
      return 0;
    }
    const drift_report drift = compare_definitions(topology_, *state_);
    if (drift.error.empty() && drift.differences.empty()) {
      fmt::print("{}, definitions are equal\n", done);
      return 0;
    }
    fmt::print(
        "{}, {}\n", done,
        drift.error.empty() ? "but definitions differ" : "but definitions could not be compared: " + drift.error);
    for (const std::string& difference : drift.differences) fmt::print("{}\n", difference);
    return 1;
  }

  const config::topology& topology_;
  const apply_request& request_;
  script file_;
  database_state_ptr state_;
  std::string user_, shown_;
  std::vector<destination> where_;
  shard_sessions sessions_;
  std::size_t resume_from_ = 0;  ///< index of the first statement that runs
  std::size_t applied_ = 0;
  std::set<router::shard_index> touched_;
};

/// Why nothing may run on these servers; "": it may.
std::string objection_to(const database_state& state) {
  for (std::size_t i = 0; i < state.shards.size(); ++i) {
    if (state.shards[i].primary >= 0) continue;
    std::string reasons;
    for (std::size_t k = 0; k < state.shards[i].servers.size(); ++k) {
      const config::server& at = state.config->shards[i].servers[k];
      reasons += fmt::format("; {}:{}: {}", at.host, at.port, state.shards[i].servers[k].reason);
    }
    return fmt::format("shard {} has no primary{}", state.map->shards[i], reasons);
  }
  if (state.shards.size() < 2 || !state.schema || state.schema->single_writer.empty()) return {};
  const std::string& why = state.schema->single_writer;
  const bool off = why.find("max_prepared_transactions") != std::string::npos;
  return why +
         (off ? "; set max_prepared_transactions = 10, or more, in postgresql.conf of every server and restart them"
              : "");
}

}  // namespace

int apply_command(std::shared_ptr<const config::topology> topology, const apply_request& request) {
  std::string trouble;
  const auto text = read_file(request.file, trouble);
  if (!text) {
    fmt::print(stderr, "{}: error: {}\n", request.file, trouble);
    return 1;
  }
  script file = read_script(*text);
  const std::vector<line_report> errors = std::move(file.errors);
  database_state_ptr state;
  if (errors.empty()) {
    state = look_at_database(topology, request.database, trouble);
    if (state != nullptr) trouble = objection_to(*state);
    if (!trouble.empty()) {
      fmt::print(stderr, "{}\nNothing has been run.\n", trouble);
      return 1;
    }
  }
  application running{*topology, request, std::move(file), state};
  for (const line_report& error : errors) running.print(error);
  return errors.empty() ? running.run() : 1;
}

}  // namespace pgbraid::proxy
