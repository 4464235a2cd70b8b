// What one transaction on one shard takes of its session's state machine, without sockets: the driver's part is played
// by a few lines, and what client and servers say is written down before it is run over and over.
//
// micro_session KIND TRANSACTIONS tells the nanoseconds of one. The instructions are exact: run it twice under
// `valgrind --tool=callgrind`, and divide the difference of the totals by that of the transactions.
#include "bench/micro/pgbench_world.hpp"
#include "protocol/backend.hpp"
#include "protocol/frame.hpp"
#include "protocol/frontend.hpp"
#include "proxy/session/machine.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy::bench {
namespace {

namespace p = protocol;

constexpr unsigned texts = 256;  ///< different keys, of rows on all shards
constexpr router::shard_index shards = 2;

void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

/// What the client sends at once, and what the server answers; "": it is not asked.
struct exchange {
  std::string asked, answer;
};
using transaction = std::vector<exchange>;

/// A server with one row, which says what PostgreSQL would to the statements below.
class server {
 public:
  [[nodiscard]] std::string answer(std::string_view asked) {
    std::string out;
    p::frame_view frame;
    for (; p::next_frame(asked, ~std::size_t{0}, frame) == p::frame_status::complete;
         asked.remove_prefix(frame.total)) {
      switch (frame.type) {
        case p::frontend::query:
          query(out, frame.body);
          ready(out);
          break;
        case p::frontend::parse:
          p::encode_parse_complete(out);
          break;
        case p::frontend::bind:
          p::encode_bind_complete(out);
          break;
        case p::frontend::execute:
          row(out);
          break;
        case p::frontend::sync:
          ready(out);
          break;
        default:
          require(false, "the server was asked something else");
      }
    }
    return out;
  }

 private:
  void query(std::string& out, std::string_view text) {
    if (text.starts_with("SELECT")) {
      const std::array columns{p::field_description{"abalance", 16384, 3, 23, 4, -1, 0}};
      p::encode_row_description(out, columns);
      return row(out);
    }
    const std::string_view word = text.substr(0, text.find_first_of(std::string_view{" ;\n\0", 4}));
    require(word == "BEGIN" || word == "UPDATE" || word == "COMMIT", "the server was asked another statement");
    if (word == "BEGIN") status_ = p::transaction_status::in_transaction;
    if (word == "COMMIT") status_ = p::transaction_status::idle;
    p::encode_command_complete(out, word == "UPDATE" ? "UPDATE 1" : word);
  }

  static void row(std::string& out) {
    const std::array<p::optional_value, 1> values{"4711"};
    p::encode_data_row(out, values);
    p::encode_command_complete(out, "SELECT 1");
  }

  void ready(std::string& out) const { p::encode_ready_for_query(out, status_); }

  p::transaction_status status_ = p::transaction_status::idle;
};

/// One session before shards that are all there, and whose connections nobody else uses.
class driver {
 public:
  driver() {
    for (backend_facts& each : facts_) each.current = settings_.none();
  }

  /// The first time the servers are asked, and their answers are written down: `record`. Later these are given.
  void run(transaction& t, bool record) {
    for (exchange& each : t) run(each, record);
    require(!leased_, "the server was not given back");
  }

  [[nodiscard]] std::size_t told_bytes() const noexcept { return told_; }

 private:
  static database_state_ptr state() {
    router::bench::world world{shards};
    world.schema.single_writer.clear();
    world.schema.no_claims.clear();
    auto out = std::make_shared<database_state>();
    out->name = world.map.database;
    out->served = true;
    out->map = std::make_shared<router::topology>(world.map);
    out->schema = std::make_shared<router::catalog>(world.schema);
    out->schema_as_of = std::chrono::steady_clock::now();
    out->definitions = std::make_shared<recent_definitions>();
    out->shards.resize(shards);
    for (std::size_t i = 0; i < shards; ++i) out->shards[i].identity = "bench" + std::to_string(i);
    return out;
  }

  void run(exchange& x, bool record) {
    input_ = x.asked;
    asked_.clear();
    step_.clear();
    machine_.on_client(step_, input_);
    perform(record);
    if (record) x.answer = servers_[shard_].answer(asked_);
    if (!x.answer.empty()) {
      step_.clear();
      require(machine_.on_backend(step_, branch_, x.answer) == x.answer.size(), "not all of an answer was taken");
      perform(record);
    }
    require(input_.empty(), "the client was not heard");
  }

  // Carries out the step, and those that follow from it.
  void perform(bool record) {
    while (true) {
      for (std::size_t i = 0; i < step_.actions.size(); ++i) perform(action{step_.actions[i]}, record);
      input_.remove_prefix(step_.consumed);
      if (!step_.more_input || input_.empty()) return;
      step_.clear();
      machine_.on_client(step_, input_);
    }
  }

  void perform(const action& a, bool record) {
    switch (a.kind) {
      case action_kind::to_client:
        told_ += a.size;
        return;
      case action_kind::to_backend:
        if (record) asked_.append(step_.bytes_of(a));
        return;
      case action_kind::acquire:
        require(!leased_, "a second server was wanted");
        leased_ = true;
        shard_ = a.shard;
        branch_ = a.branch;
        return machine_.on_lease(step_, a.branch, facts_[a.shard], false);
      case action_kind::release:
        leased_ = false;
        return;
      default:
        require(false, "something rare was wanted");
    }
  }

  settings_registry settings_;
  statement_memory memory_;
  statement_registry statements_{0, memory_};
  routing_contexts contexts_{1u << 20};
  session_environment environment_{settings_, statements_, contexts_, state()};
  session_machine machine_{environment_, "bench", settings_.none(), 1};
  std::array<backend_facts, shards> facts_;
  std::array<server, shards> servers_;
  step step_;
  std::string_view input_;
  std::string asked_;
  std::size_t told_ = 0;
  router::shard_index shard_ = 0;
  branch_index branch_ = 0;
  bool leased_ = false;
};

exchange query(std::string_view text) {
  exchange out;
  p::encode_query(out.asked, text);
  return out;
}

transaction prepare() {
  exchange out;
  p::encode_parse(out.asked, "point", router::bench::point_select_with_parameter());
  p::encode_sync(out.asked);
  return {std::move(out)};
}

/// One of each key.
std::vector<transaction> make_transactions(std::string_view kind) {
  std::vector<transaction> out;
  for (unsigned i = 0; i < texts; ++i) {
    const std::string key = std::to_string(i * 977 + 1);
    if (kind == "write") {
      out.push_back({query("BEGIN"),
                     query("UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = " + key + ";"),
                     query("COMMIT")});
    } else if (kind == "read") {
      out.push_back({query("SELECT abalance FROM pgbench_accounts WHERE aid = " + key + ";")});
    } else {
      require(kind == "prepared", "the kinds are write, read and prepared");
      exchange x;
      const std::array<p::optional_value, 1> values{key};
      p::encode_bind(x.asked, "", "point", {}, values, {});
      p::encode_execute(x.asked, "");
      p::encode_sync(x.asked);
      out.push_back({std::move(x)});
    }
  }
  return out;
}

void run(std::string_view kind, std::size_t count) {
  auto transactions = make_transactions(kind);
  driver d;
  if (kind == "prepared") {
    auto first = prepare();
    d.run(first, true);
  }
  // Once for plans and what servers have to prepare, and once for the answers that are given from then on.
  for (transaction& each : transactions) d.run(each, true);
  const std::size_t before = d.told_bytes();
  for (transaction& each : transactions) d.run(each, true);
  const std::size_t bytes = (d.told_bytes() - before) / texts;
  require(bytes > 0 && d.told_bytes() - before == bytes * texts, "the client was told different things");

  const std::size_t begun = d.told_bytes();
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < count; ++i) d.run(transactions[i % texts], false);
  const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begin;
  require(d.told_bytes() - begun == bytes * count, "the client was told something else");
  std::printf("%s: %.0f ns a transaction, %zu bytes to the client\n", std::string{kind}.c_str(),
              taken.count() / static_cast<double>(count), bytes);
}

}  // namespace
}  // namespace pgbraid::proxy::bench

int main(int argc, char** argv) try {
  std::size_t count = 0;
  if (argc == 3) std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), count);
  if (count == 0) throw std::runtime_error("usage: micro_session write|read|prepared TRANSACTIONS");
  pgbraid::proxy::bench::run(argv[1], count);
  return EXIT_SUCCESS;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return EXIT_FAILURE;
}
