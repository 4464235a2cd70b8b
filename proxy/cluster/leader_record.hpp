// What Patroni has on record of who leads a cluster, read from its two faces: the answer of `GET /cluster` of its REST
// API (the chapter "Patroni REST API" of its manual), and its keys in etcd (the chapter "etcd v3 API" of etcd's manual;
// keys and values as Patroni's etcd3 writes them). Pure.
#pragma once

#include "proxy/cluster/snapshot.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace pgbraid::proxy {

/// Who leads, and what is about to become of that.
struct leader_record {
  std::string name;        ///< of the member that holds the leader's lease; "": nobody does
  std::string host;        ///< of its PostgreSQL, as Patroni knows it; "": Patroni has not said
  std::uint16_t port = 0;  ///< of its PostgreSQL; 0: Patroni has not said
  bool paused = false;     ///< Patroni promotes nobody (maintenance): a lease that has run out means nothing then
  /// A switchover away from this leader that was asked for and is not carried out yet: which one, so that the next can
  /// be told from it. "": none. Etcd alone tells.
  std::string switchover;
  friend bool operator==(const leader_record&, const leader_record&) = default;
};

/// What is known after a round of questions to whoever keeps the record.
struct leader_report {
  bool reached = false;  ///< somebody has answered; else there is no record at present
  leader_record record;
  bool switching = false;  ///< the leader is about to be stopped for a switchover, and has been for a short time only
  steady_time as_of{};     ///< when the question was sent
};

/// A record, or why an answer is none.
struct record_reading {
  leader_record record;
  std::string error;  ///< "" when the record counts
};

/// The body of Patroni's answer to `GET /cluster`.
[[nodiscard]] record_reading read_cluster_answer(std::string_view body);

/// The body of etcd's answer to range_question(). A record of a scope of which etcd has nothing is an error: what was
/// never there cannot have been lost.
[[nodiscard]] record_reading read_range_answer(std::string_view body, std::string_view folder);

/// The folder of Patroni's keys: "/service/main/".
[[nodiscard]] std::string record_folder(std::string_view name_space, std::string_view scope);

/// Bodies for etcd: `POST /v3/kv/range` for all keys of the folder, and `POST /v3/watch` for a stream that says
/// something whenever the leader, or a switchover that was asked for, changes.
[[nodiscard]] std::string range_question(std::string_view folder);
[[nodiscard]] std::string watch_question(std::string_view folder);

/// Text of somebody else's for a log line: printable ASCII of at most a hundred characters.
[[nodiscard]] std::string harmless(std::string_view text);

}  // namespace pgbraid::proxy
