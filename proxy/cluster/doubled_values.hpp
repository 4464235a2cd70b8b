// Values of a column that is kept apart over the shards and that stand on several of them all the same: what was there
// before the column was listed, or has been written to a server directly. Each shard gives its values in order, in
// portions, so a table of any size takes little memory here.
#pragma once

#include "proxy/cluster/pg_connection.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pgbraid::proxy {

/// Merges what the shards have. Pure.
class value_merge {
 public:
  /// Of the values on several shards the first `most` are kept, all are counted.
  value_merge(std::size_t shards, std::size_t most) : streams_(shards), most_(most) {}

  /// The shard whose next portion is needed; none: all have ended.
  [[nodiscard]] std::optional<std::size_t> wants() const;
  /// A portion of `shard`, its values in the order of their bytes, none twice; an empty one is its end.
  void take(std::size_t shard, std::vector<std::string> portion);

  [[nodiscard]] const std::vector<std::string>& doubled() const noexcept { return doubled_; }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

 private:
  struct stream {
    std::deque<std::string> values;
    bool ended = false;
  };
  std::vector<stream> streams_;
  std::size_t most_;
  std::vector<std::string> doubled_;
  std::uint64_t count_ = 0;
};

struct doubled_value {
  std::string value;
  std::vector<std::size_t> shards;  ///< where it stands
};
struct doubled_report {
  std::vector<doubled_value> found;  ///< the first of them
  std::uint64_t more = 0;            ///< so many beside them
  std::string error;                 ///< why it could not be found out
  std::size_t failed = 0;            ///< on this shard
};

/// Reads a column on all shards, over a connection to each one's primary, in the order of the shards. What moves from
/// one shard to another meanwhile is looked at twice and not told. Each question has `timeout` for itself.
[[nodiscard]] boost::asio::awaitable<doubled_report> find_doubled_values(
    std::vector<std::unique_ptr<pg_connection>>& shards, std::string schema, std::string table, std::string column,
    std::chrono::milliseconds timeout);

}  // namespace pgbraid::proxy
