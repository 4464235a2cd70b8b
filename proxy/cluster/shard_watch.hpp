// What a database_watch keeps of one shard. For its own files alone: database_watch.cpp, shard_rounds.cpp,
// number_rounds.cpp and shard_leader.cpp.
#pragma once

#include "proxy/cluster/catalog_loader.hpp"
#include "proxy/cluster/database_watch.hpp"
#include "proxy/cluster/leader_watch.hpp"
#include "proxy/cluster/pattern_tables.hpp"
#include "proxy/cluster/pg_connection.hpp"
#include "proxy/cluster/roles.hpp"
#include "proxy/cluster/shard_numbers.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pgbraid::proxy {

/// One shard: its judge, its probes, and the connection by which its catalog and rows are read.
struct database_watch::shard_watch {
  shard_watch(boost::asio::io_context& context, shard_options options)
      : roles(std::move(options)), look_later(context), connection(context), pause(context) {}

  shard_roles roles;
  router::shard_index index = 0;
  std::vector<std::shared_ptr<server_probe>> probes;
  std::vector<std::string> dbnames;
  std::shared_ptr<leader_watch> leader;  // null: nobody but the servers is asked
  // Positions asked for out of turn: first the primary's, then what the replicas have replayed of it.
  enum class look : std::uint8_t { none, primary, replicas } looking = look::none;
  std::size_t looks_left = 0;            // replicas that have not answered yet
  unsigned look_rounds = 0;              // how often they may still be asked
  std::uint64_t looked_for = 0;          // the primary's position
  bool look_again = false;               // somebody has come for it since it began
  boost::asio::steady_timer look_later;  // they may be asked then
  bool look_waits = false;               // for that
  bool switching = false;                // its primary is about to be stopped for a switchover: it gets nothing new
  pg_connection connection;
  int connected_to = -1;
  bool reached_before = false;  // the connection has served a reading already
  boost::asio::steady_timer pause;
  bool hurried = false;
  std::string token;
  std::shared_ptr<const shard_catalog> catalog;
  steady_time catalog_as_of = steady_time::min();  // a moment before it was last seen to be what it is
  bool in_round = false;
  looked_tables births;                           // rows of tables that patterns mean
  steady_time births_again = steady_time::min();  // those with a problem are looked at again then
  bool rows_checked = false;
  std::vector<std::string> misplaced;
  std::string rows_error;  // why rows could not be checked
  steady_time check_again = steady_time::min();
  std::string trouble;  // the last reason why the catalog could not be read
  steady_time looked_at = steady_time::min();
  bool locked_out = false;                               // its catalog could not be read for a table that is locked
  std::string no_commits = "it has not been asked yet";  // why it can have no part in a commit over several shards
  std::string no_claims = "it has not been asked yet";   // why values cannot be claimed there, where any are to be
  bool claims_asked = false;                             // `no_claims` is its primary's answer
  std::string no_waiting;                                // why instances cannot tell each other there who waits
  bool commits_asked = false;                            // `no_commits` is its primary's answer
  bool doubtful = true;                                  // parts of ours stand prepared there, as far as is known
  std::vector<doubtful_transaction> left_in_doubt;       // those of them that could not be finished
  std::string complaint;                                 // the last about one of them
  steady_time records_forgotten = steady_time::min();
  bool number_asked = false;             // what its primary's function pgbraid.id() knows of it
  std::optional<numbered_shard> number;  // the answer, if there was one
  bool number_clashes = false;           // another shard gives ids of the same number
};

}  // namespace pgbraid::proxy
