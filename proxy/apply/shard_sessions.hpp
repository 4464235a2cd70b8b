// A connection to the primary of each shard, for commands that serve nobody: every call blocks until all have answered.
#pragma once

#include "proxy/cluster/pg_connection.hpp"
#include "router/topology.hpp"

#include <boost/asio/io_context.hpp>

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace pgbraid::proxy::apply {

struct shard_command {
  router::shard_index shard = 0;
  std::string sql;
};

/// runs on: the thread that calls it.
class shard_sessions {
 public:
  /// Logs in everywhere. The troubles, by shard; all "": it is ready.
  [[nodiscard]] std::vector<std::string> connect(std::vector<pg_login> logins, std::chrono::milliseconds timeout);

  /// Runs each command on its shard, all at once; the answers in their order. A statement may take as long as it likes.
  [[nodiscard]] std::vector<pg_answer> run(std::span<const shard_command> commands);
  [[nodiscard]] pg_answer run(router::shard_index shard, std::string sql, std::vector<std::string> parameters = {});

  [[nodiscard]] bool is_open(router::shard_index shard) const noexcept { return connections_[shard]->is_open(); }

 private:
  void finish();

  boost::asio::io_context context_;
  std::vector<std::unique_ptr<pg_connection>> connections_;
};

}  // namespace pgbraid::proxy::apply
