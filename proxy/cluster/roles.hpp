// One shard's servers judged by what they answered: who is primary, which replicas may serve reads, how far each has
// replayed. Pure: samples in, shard_state and log lines out; time comes with the samples.
#pragma once

#include "proxy/cluster/epochs.hpp"
#include "proxy/cluster/snapshot.hpp"
#include "proxy/cluster/timeline_history.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pgbraid::proxy {

/// What one probe of one server gave.
struct server_sample {
  bool answered = false;
  std::string failure;  ///< why it did not answer
  steady_time begin{};  ///< before the question was sent
  std::chrono::microseconds took{};  ///< from then to the answer
  bool in_recovery = false;
  std::uint64_t system_identifier = 0;  ///< 0: unknown
  std::uint32_t timeline = 0;           ///< 0: unknown
  std::uint64_t position = 0;           ///< primary: insert position, made replayable; replica: replayed
  std::uint64_t flushed = 0;            ///< primary: flushed to disk, the most that a replica can have been sent
  std::shared_ptr<const timeline_history> history;  ///< primary: of its timeline; null: not known
  std::uint64_t segment_bytes = 16u << 20;          ///< of WAL
  std::uint64_t block_bytes = 8192;
};

/// What a shard's judge needs of the topology.
struct shard_options {
  struct server {
    std::string name;  ///< for log lines: "127.0.0.1:6100"
    unsigned weight = 1;
  };
  std::string name;  ///< for log lines: "shop/s0"
  std::vector<server> servers;
  std::optional<std::uint64_t> max_lag_bytes;
  std::optional<std::chrono::milliseconds> max_lag_time;
  std::optional<std::uint64_t> max_loss;  ///< bytes of the last primary's WAL that the next may lack
};

/// Patroni's word on who leads a shard, in terms of its servers.
struct leader_word {
  enum class kind : std::uint8_t {
    nobodys,      ///< nobody but the servers is asked: their own answers decide
    awaited,      ///< Patroni has not been heard yet
    unreachable,  ///< it cannot be asked at present: the servers' own answers decide
    vacant,       ///< it is certain that nobody leads
    named         ///< `server` leads
  } said = kind::nobodys;
  int server = -1;   ///< in the topology's order; -1: none of those
  std::string name;      ///< for log lines
  steady_time as_of{};   ///< when Patroni was asked: what it says is no older
};

/// Something that people who run the servers want to read in the log.
struct shard_event {
  enum class level : std::uint8_t { info, warning, error } severity = level::info;
  std::string text;
  friend bool operator==(const shard_event&, const shard_event&) = default;
};

/// The judge of one shard. No primary is named before every server has been asked once, so that two primaries at start
/// are seen as two. Once one is known it stays while it answers as one, whoever else claims to be on another timeline; a
/// second one on the same timeline leaves no primary at all. No server on an older timeline or of another cluster is ever
/// taken for the next one.
///
/// Where Patroni is asked, only the server that it names is taken for primary, whoever else answers as one, and only if
/// it answers as one itself. While Patroni cannot be reached the servers' own answers decide, but for a server that it
/// was known not to name: that one stays out until it comes on another timeline. Two primaries on one timeline leave no
/// primary, whatever Patroni says: it makes a new timeline for each.
class shard_roles {
 public:
  explicit shard_roles(shard_options options);

  /// Takes a probe's outcome for one server and judges anew. True if something other than positions changed.
  bool take(std::size_t server, const server_sample& sample);

  /// Takes Patroni's word and judges anew. True as for take().
  bool take_leader(leader_word word);
  [[nodiscard]] const leader_word& leader() const noexcept { return leader_; }

  /// Some server answers as primary that Patroni does not name, or the one that it names does not: one of them is about
  /// to say something else.
  [[nodiscard]] bool leader_in_doubt() const noexcept;

  /// Takes over all that was seen and judged of the same servers in the same order, under options of its own.
  void inherit(const shard_roles& before);

  void change_max_loss(std::optional<std::uint64_t> bytes) { options_.max_loss = bytes; }

  [[nodiscard]] const shard_state& state() const noexcept { return state_; }

  /// Every server has been asked at least once, and so has Patroni.
  [[nodiscard]] bool settled() const noexcept;

  /// Log lines since the last call.
  [[nodiscard]] std::vector<shard_event> take_events();

 private:
  struct observed {
    std::optional<server_sample> latest;
    bool lagging = false;        ///< between falling behind and having caught up well
    std::uint64_t replayed = 0;  ///< the position that safe_until was worked out for
    std::uint32_t unnamed_on = 0;  ///< the timeline on which it was primary when Patroni last named another, or nobody
  };
  struct identity {
    std::uint64_t system_identifier = 0;
    std::uint32_t timeline = 0;
    int server = -1;
    friend bool operator==(const identity&, const identity&) = default;
  };

  [[nodiscard]] bool claims_primary(std::size_t server) const noexcept;
  [[nodiscard]] std::string refuse_primary(const server_sample& sample) const;
  [[nodiscard]] std::string refuse_unnamed(std::size_t server) const;
  [[nodiscard]] std::optional<std::uint64_t> loss_with(const server_sample& sample) const;
  [[nodiscard]] bool shares_timeline(const std::vector<std::size_t>& claims) const;
  void judge();
  [[nodiscard]] std::vector<std::size_t> admit_claims();
  void choose_primary();
  void sample_primary();  ///< harmless when the sample has been taken before
  void judge_replica(std::size_t server);
  [[nodiscard]] std::string judge_lag(std::size_t server);
  void log_changes(const shard_state& before);
  void log(shard_event::level level, std::string text);

  shard_options options_;
  std::vector<observed> observed_;
  shard_state state_;
  leader_word leader_;
  identity known_;                  ///< the last primary that was accepted
  wal_history inserted_, flushed_;  ///< of that primary
  std::string conflict_;            ///< more than one server claims to be primary
  std::vector<shard_event> events_;
};

}  // namespace pgbraid::proxy
