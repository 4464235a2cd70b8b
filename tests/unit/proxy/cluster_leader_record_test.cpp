// Patroni's record of the leader, as its REST API and etcd give it, and everything that either may say instead.
#include "proxy/cluster/leader_record.hpp"

#include "protocol/crypto.hpp"
#include "proxy/cluster/topology_view.hpp"

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include <utility>
#include <vector>

using namespace pgbraid;
using namespace pgbraid::proxy;

namespace {

// As Patroni 3.0.2 answers.
constexpr const char* cluster_answer =
    R"({"members": [{"name": "pg1", "role": "leader", "state": "running", "api_url": "http://127.0.0.1:35813/patroni", )"
    R"("host": "127.0.0.1", "port": 58897, "timeline": 1}, {"name": "pg2", "role": "sync_standby", "state": "running", )"
    R"("api_url": "http://127.0.0.1:46169/patroni", "host": "127.0.0.1", "port": 38253, "timeline": 1, "lag": 0}]})";

using pairs = std::vector<std::pair<std::string, std::string>>;

// As etcd 3.4 answers: every number a text, keys and values in Base64.
std::string range_answer(const pairs& values) {
  std::string kvs;
  for (const auto& [key, value] : values) {
    kvs += fmt::format(
        R"({}{{"key":"{}","create_revision":"5","mod_revision":"9","version":"1","value":"{}","lease":"758767"}})",
        kvs.empty() ? "" : ",", protocol::base64_encode("/service/main/" + key), protocol::base64_encode(value));
  }
  const std::string list = values.empty() ? "" : fmt::format(R"(,"kvs":[{}],"count":"{}")", kvs, values.size());
  return fmt::format(R"({{"header":{{"cluster_id":"14841","member_id":"10276","revision":"12","raft_term":"2"}}{}}})",
                     list);
}

record_reading read_range(const pairs& values) {
  return read_range_answer(range_answer(values), "/service/main/");
}

const std::pair<std::string, std::string> member_pg1{
    "members/pg1", R"({"conn_url":"postgres://127.0.0.1:58897/postgres","api_url":"http://127.0.0.1:35813/patroni"})"};

config::shard listed() {
  config::shard shard;
  for (const std::uint16_t port : {std::uint16_t{1}, std::uint16_t{2}}) {
    config::server& server = shard.servers.emplace_back();
    server.host = "10.0.0.1";
    server.port = port;
  }
  return shard;
}

leader_report report_of(leader_record record) {
  leader_report report;
  report.reached = true;
  report.record = std::move(record);
  return report;
}

}  // namespace

TEST_CASE("Patroni's own answer names the leader and where its server is") {
  const record_reading read = read_cluster_answer(cluster_answer);
  REQUIRE(read.error.empty());
  CHECK(read.record == leader_record{"pg1", "127.0.0.1", 58897, false, ""});
}

TEST_CASE("a cluster may have no leader, be paused, or be a standby of another") {
  const record_reading none = read_cluster_answer(R"({"members":[{"name":"a","role":"replica"}],"pause":true})");
  REQUIRE(none.error.empty());
  CHECK(none.record == leader_record{"", "", 0, true, ""});
  CHECK(read_cluster_answer(R"({"members":[]})").error.empty());
  const record_reading standby =
      read_cluster_answer(R"({"members":[{"name":"a","role":"standby_leader","host":"h","port":"5433"}]})");
  CHECK(standby.record == leader_record{"a", "h", 5433, false, ""});
  // A member that has not said yet where its server is.
  CHECK(read_cluster_answer(R"({"members":[{"name":"a","role":"leader"}]})").record.host.empty());
}

TEST_CASE("what is no list of members is said to be none") {
  for (const char* body :
       {"", "x", "{}", "[]", "null", R"({"members":{}})", R"({"members":[1]})", R"({"members":[{"name":"a"}]})",
        R"({"members":[{"role":"leader"}]})", R"({"members":[{"name":"","role":"leader"}]})",
        R"({"members":[{"name":1,"role":"leader"}]})", "<html><body>502 Bad Gateway</body></html>",
        R"({"members":[{"name":"a","role":"leader"}]} x)"}) {
    INFO(body);
    CHECK_FALSE(read_cluster_answer(body).error.empty());
  }
  CHECK(read_cluster_answer(R"({"members":[{"name":"a","role":"leader"},{"name":"b","role":"leader"}]})").error ==
        "it names two leaders, a and b");
  CHECK_FALSE(read_cluster_answer(std::string(100'000, '[')).error.empty());
  const std::string whole = cluster_answer;
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    INFO(cut);
    CHECK_FALSE(read_cluster_answer(std::string(whole, 0, cut)).error.empty());
  }
}

TEST_CASE("a port that is none is not said") {
  for (const char* port : {"0", "-1", "65536", "\"x\"", "\"\"", "1.5", "null", "[]"}) {
    INFO(port);
    const record_reading read = read_cluster_answer(
        fmt::format(R"({{"members":[{{"name":"a","role":"leader","host":"h","port":{}}}]}})", port));
    CHECK(read.error.empty());
    CHECK(read.record.port == 0);
  }
}

TEST_CASE("etcd's keys name the leader and where its server is") {
  const record_reading read =
      read_range({{"config", R"({"ttl":30})"}, {"initialize", "757"}, {"leader", "pg1"}, member_pg1});
  REQUIRE(read.error.empty());
  CHECK(read.record == leader_record{"pg1", "127.0.0.1", 58897, false, ""});
  CHECK(read_range({{"leader", "a"}, {"members/a", R"({"conn_url":"postgres://u:p@[::1]:7/x?y=1"})"}}).record ==
        leader_record{"a", "::1", 7, false, ""});
  CHECK(read_range({{"leader", "a"}, {"members/a", "garbage"}}).record == leader_record{"a", "", 0, false, ""});
}

TEST_CASE("a leader's key that has run out leaves nobody, a folder that is empty leaves no record") {
  const record_reading read = read_range({{"config", R"({"pause":true})"}, member_pg1});
  REQUIRE(read.error.empty());
  CHECK(read.record == leader_record{"", "", 0, true, ""});
  CHECK(read_range({}).error == "it has nothing below /service/main/: scope or namespace is another");
}

TEST_CASE("a switchover that was asked for is away from the leader, now, or none") {
  const auto switchover = [](const std::string& request) {
    return read_range({{"failover", request}, {"leader", "pg1"}, member_pg1}).record.switchover;
  };
  CHECK(switchover(R"({"leader":"pg1","member":"pg2"})") == "revision 9");
  CHECK(switchover(R"({"leader":"pg1"})") == "revision 9");
  CHECK(switchover(R"({"member":"pg2"})") == "revision 9");
  CHECK(switchover(R"({"leader":"pg2","member":"pg1"})").empty());
  CHECK(switchover(R"({"member":"pg1"})").empty());
  CHECK(switchover(R"({"leader":"pg1","member":"pg2","scheduled_at":"2030-01-01T00:00:00+00:00"})").empty());
  CHECK(switchover("").empty());
  CHECK(switchover("{}").empty());
}

TEST_CASE("what is no answer of etcd's is said to be none") {
  const std::string outside = fmt::format(R"({{"header":{{}},"kvs":[{{"key":"{}"}}]}})", protocol::base64_encode("/x"));
  for (const std::string& body :
       {std::string(), std::string("{}"), std::string(R"({"error":"etcdserver: no leader","code":14})"),
        std::string(R"({"header":{},"kvs":1})"), std::string(R"({"header":{},"kvs":[{}]})"),
        std::string(R"({"header":{},"kvs":[{"key":"*"}]})"), outside}) {
    INFO(body);
    CHECK_FALSE(read_range_answer(body, "/service/main/").error.empty());
  }
  CHECK_FALSE(read_range({{"leader", std::string(1000, 'x')}}).error.empty());
  const std::string whole = range_answer({{"leader", "pg1"}, member_pg1});
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    INFO(cut);
    CHECK_FALSE(read_range_answer(std::string(whole, 0, cut), "/service/main/").error.empty());
  }
}

TEST_CASE("the questions to etcd ask for the folder, and are told of the leader and of switchovers") {
  CHECK(record_folder("service", "main") == "/service/main/");
  CHECK(record_folder("", "main") == "/main/");
  CHECK(range_question("/a/") == fmt::format(R"({{"key":"{}","range_end":"{}"}})", protocol::base64_encode("/a/"),
                                             protocol::base64_encode("/a0")));
  CHECK(watch_question("/a/") == fmt::format(R"({{"create_request":{{"key":"{}","range_end":"{}"}}}})",
                                             protocol::base64_encode("/a/failover"),
                                             protocol::base64_encode(std::string("/a/leader\0", 10))));
}

TEST_CASE("text of others in the log is short and printable") {
  CHECK(harmless("pg1\n\x1b[31m") == "pg1??[31m");
  CHECK(harmless(std::string(200, 'x')) == std::string(100, 'x') + "...");
}

TEST_CASE("a record's server is the one with its address, or the one that says it is the member") {
  using kind = leader_word::kind;
  const leader_word second = word_of(listed(), report_of({"pg2", "10.0.0.1", 2, false, ""}));
  CHECK((second.said == kind::named && second.server == 1));
  CHECK(second.name == "pg2 (10.0.0.1:2)");
  config::shard other = listed();
  other.servers[0].member = "pg2";
  CHECK(word_of(other, report_of({"pg2", "192.168.0.1", 5432, false, ""})).server == 0);
  // Whoever has a name there is not found by its address.
  CHECK(word_of(other, report_of({"pg1", "10.0.0.1", 1, false, ""})).server == -1);
  const leader_word stranger = word_of(listed(), report_of({"pg9", "10.0.0.9", 1, false, ""}));
  CHECK((stranger.said == kind::named && stranger.server == -1));
  CHECK(stranger.name.find("pg9 (10.0.0.9:1), none of the servers listed") == 0);
}

TEST_CASE("no leader means nobody, unless Patroni is paused or cannot be reached") {
  using kind = leader_word::kind;
  CHECK(word_of(listed(), report_of({})).said == kind::vacant);
  CHECK(word_of(listed(), report_of({"", "", 0, true, ""})).said == kind::unreachable);
  CHECK(word_of(listed(), leader_report{}).said == kind::unreachable);
}

TEST_CASE("a primary that a switchover is about to stop is given to nobody") {
  shard_state state;
  state.servers.resize(2);
  state.servers[1].usable = true;
  state.servers[1].role = server_role::primary;
  state.primary = 1;
  take_out_switching(state);
  CHECK(state.primary == -1);
  CHECK((state.servers[1].drained && !state.servers[1].usable));
  CHECK(state.servers[1].role == server_role::primary);
  take_out_switching(state);
  CHECK_FALSE(state.servers[0].drained);
}
