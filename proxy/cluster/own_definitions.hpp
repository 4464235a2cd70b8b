// The definitions that a transaction under way sees, its own among them: what its servers are asked, and what comes of
// their answers. The transaction's session does the asking, since nobody else sees them yet.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

struct database_state;

/// Columns as text; none: NULL.
using answered_row = std::vector<std::optional<std::string>>;
/// The rows of each statement of a text that gives any, in order.
using answered_text = std::vector<std::vector<answered_row>>;

/// Immutable; one for each published state of a database. runs on: any thread.
class own_definitions {
 public:
  /// What one server has answered to both texts.
  struct reading {
    answered_text first, second;
  };
  /// Whether the transaction has made a table of this bare name, which was not there before under any.
  using is_made = std::function<bool(std::string_view)>;

  own_definitions() = default;
  own_definitions(const own_definitions&) = delete;
  own_definitions& operator=(const own_definitions&) = delete;
  virtual ~own_definitions() = default;

  /// Asked first, as a simple query within the transaction, of which it leaves nothing behind. It is understood under
  /// standard_conforming_strings, and answered in UTF-8.
  [[nodiscard]] virtual std::string first_text() const = 0;
  /// Asked then, of the same server.
  [[nodiscard]] virtual std::string second_text(const answered_text& first) const = 0;
  /// The server's definitions were others when they were asked for last than when they were asked for first.
  [[nodiscard]] virtual bool moved_between(const reading& server) const = 0;
  /// `published` with the definitions that the transaction sees. `shards`: by shard_index, none for one on which it has
  /// not begun. `began`: when the first of them was asked. Not served: they contradict the topology. Null: there is not
  /// enough to go by.
  [[nodiscard]] virtual std::shared_ptr<const database_state> see(
      const database_state& published, const std::vector<std::optional<reading>>& shards, const is_made& made,
      std::chrono::steady_clock::time_point began) const = 0;
};

}  // namespace pgbraid::proxy
