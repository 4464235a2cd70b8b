// Checks of libpqxx against the server of the environment; prints "ok NAME" for each.
#include <atomic>
#include <iostream>
#include <pqxx/pqxx>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace {

void require(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error("not so: " + what);
}

template <typename Error, typename Function>
void refused(const std::string& sqlstate, Function function) {
  try {
    function();
  } catch (const Error& e) {
    return require(e.sqlstate() == sqlstate, "sqlstate " + e.sqlstate() + " instead of " + sqlstate);
  }
  require(false, "refused with " + sqlstate);
}

void transactions() {
  pqxx::connection c{""};
  {
    pqxx::work w{c};
    w.exec("DROP TABLE IF EXISTS pqxx_t");
    w.exec("CREATE TABLE pqxx_t (id int PRIMARY KEY, name text)");
    w.exec_params("INSERT INTO pqxx_t VALUES ($1, $2)", 1, "a");
    w.commit();
  }
  {
    pqxx::work w{c};
    w.exec("DELETE FROM pqxx_t");
    w.abort();
  }
  {
    pqxx::work w{c};
    try {
      pqxx::subtransaction inner{w, "inner"};
      inner.exec("INSERT INTO pqxx_t VALUES (1, 'twice')");
      require(false, "a second row");
    } catch (const pqxx::unique_violation&) {
    }
    require(w.exec("SELECT name FROM pqxx_t").at(0).at(0).as<std::string>() == "a", "the row is there");
    w.commit();
  }
  pqxx::read_transaction r{c};
  require(r.exec("SHOW transaction_read_only").at(0).at(0).as<std::string>() == "on", "read only");
}

void errors() {
  pqxx::connection c{""};
  pqxx::nontransaction n{c};
  refused<pqxx::sql_error>("42P01", [&] { n.exec("SELECT * FROM nowhere"); });
  refused<pqxx::sql_error>("22012", [&] { n.exec("SELECT 1/0"); });
  refused<pqxx::sql_error>("42601", [&] { n.exec("SELEC"); });
  require(n.exec("SELECT 1").at(0).at(0).as<int>() == 1, "in step");
}

void prepared() {
  pqxx::connection a{""}, b{""};
  a.prepare("same", "SELECT $1::int + 1");
  b.prepare("same", "SELECT $1::int + 2");
  for (int i = 0; i < 10; ++i) {
    pqxx::work x{a};
    require(x.exec_prepared("same", i).at(0).at(0).as<int>() == i + 1, "a's own statement");
    x.commit();
    pqxx::work y{b};
    require(y.exec_prepared("same", i).at(0).at(0).as<int>() == i + 2, "b's own statement");
    y.commit();
  }
  a.unprepare("same");
  pqxx::work x{a};
  try {
    x.exec_prepared("same", 1);
    require(false, "refused: the statement is gone");
  } catch (const pqxx::argument_error&) {
    // The library itself knows.
  }
}

void cursor() {
  pqxx::connection c{""};
  pqxx::work w{c};
  pqxx::icursorstream rows{w, "SELECT n FROM generate_series(1, 1000) n", "numbers", 64};
  long sum = 0;
  for (pqxx::result r; rows >> r;) {
    for (const auto& row : r) sum += row[0].as<int>();
  }
  require(sum == 500500, "sum of a cursor");
}

void streams() {
  pqxx::connection c{""};
  pqxx::work w{c};
  w.exec("CREATE TEMP TABLE pqxx_s (id int, name text)");
  pqxx::stream_to out{w, "pqxx_s", std::vector<std::string>{"id", "name"}};
  for (int i = 0; i < 3000; ++i) out << std::make_tuple(i, "name " + std::to_string(i));
  out.complete();
  pqxx::stream_from in{w, "pqxx_s"};
  long count = 0;
  for (std::tuple<int, std::string> row; in >> row; ++count) require(std::get<1>(row) == "name " + std::to_string(std::get<0>(row)), "a row");
  in.complete();
  require(count == 3000, "all rows");
  w.commit();
}

void pipeline() {
  pqxx::connection c{""};
  pqxx::work w{c};
  pqxx::pipeline p{w};
  std::vector<pqxx::pipeline::query_id> ids;
  for (int i = 0; i < 100; ++i) ids.push_back(p.insert("SELECT " + std::to_string(i)));
  for (int i = 0; i < 100; ++i) require(p.retrieve(ids[static_cast<std::size_t>(i)]).at(0).at(0).as<int>() == i, "answers in order");
}

struct receiver : pqxx::notification_receiver {
  using notification_receiver::notification_receiver;
  std::string heard;
  void operator()(const std::string& payload, int) override { heard = payload; }
};

void notifications() {
  pqxx::connection listener{""}, speaker{""};
  receiver r{listener, "pqxx_channel"};
  pqxx::work w{speaker};
  w.exec("SELECT pg_notify('pqxx_channel', 'hello')");
  w.commit();
  while (r.heard.empty()) listener.await_notification(30, 0);
  require(r.heard == "hello", "the payload");
}

void robust() {
  pqxx::connection c{""};
  pqxx::perform([&] {
    pqxx::transaction<pqxx::serializable> w{c};
    w.exec_params("INSERT INTO pqxx_t VALUES ($1, 'serializable') ON CONFLICT (id) DO UPDATE SET name = excluded.name", 2);
    w.commit();
  });
  pqxx::work w{c};
  require(w.exec("SELECT count(*) FROM pqxx_t WHERE id = 2").at(0).at(0).as<int>() == 1, "committed");
}

void fifty() {
  {
    pqxx::connection c{""};
    pqxx::work w{c};
    w.exec("DROP TABLE IF EXISTS pqxx_n");
    w.exec("CREATE TABLE pqxx_n AS SELECT 0 AS n");
    w.commit();
  }
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([i, &failed] {
      try {
        pqxx::connection c{""};
        c.prepare("add", "UPDATE pqxx_n SET n = n + $1");
        for (int turn = 0; turn < 8; ++turn) {
          const std::string tag = std::to_string(i) + "." + std::to_string(turn);
          {
            pqxx::work w{c};
            w.exec("SET pqxx.tag = '" + tag + "'");
            w.exec_prepared("add", 1);
            w.commit();
          }
          pqxx::work w{c};
          require(w.exec("SELECT current_setting('pqxx.tag')").at(0).at(0).as<std::string>() == tag, "its own setting");
        }
      } catch (const std::exception& e) {
        std::cerr << e.what() << '\n';
        ++failed;
      }
    });
  }
  for (auto& t : threads) t.join();
  require(failed == 0, "all clients end well");
  pqxx::connection c{""};
  pqxx::work w{c};
  require(w.exec("SELECT n FROM pqxx_n FOR UPDATE").at(0).at(0).as<int>() == 400, "every update counted");
}

}  // namespace

int main() {
  const std::vector<std::pair<std::string, void (*)()>> checks = {
      {"transactions", transactions}, {"errors", errors},     {"prepared", prepared},           {"cursor", cursor}, {"streams", streams},
      {"pipeline", pipeline},         {"notifications", notifications}, {"robust", robust}, {"fifty", fifty}};
  for (const auto& [name, check] : checks) {
    try {
      check();
    } catch (const std::exception& e) {
      std::cerr << name << ": " << e.what() << '\n';
      return 1;
    }
    std::cout << "ok " << name << std::endl;
  }
}
