// Where keys live whose shards a table names (sharding.function: lookup): what sessions of a worker keep in mind, and
// what one statement has asked.
#pragma once

#include "proxy/cluster/snapshot.hpp"
#include "router/shard/key_directory.hpp"
#include "router/shard/value_map.hpp"

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pgbraid::proxy {

/// Keys of one database and their shards; those asked for longest ago go first. runs on: its worker.
class key_cache {
 public:
  key_cache(std::size_t most, std::chrono::milliseconds max_age) : most_{most}, max_age_{max_age} {}

  /// The shard, if it was asked for after `changed` and is not too old at `now`.
  [[nodiscard]] std::optional<router::shard_index> find(std::string_view key, steady_time changed, steady_time now);
  /// What a question that was sent at `asked` has told.
  void keep(std::string_view key, router::shard_index shard, steady_time asked);
  [[nodiscard]] std::size_t size() const noexcept { return by_key_.size(); }

 private:
  struct entry {
    std::string key;
    router::shard_index shard = 0;
    steady_time asked;
  };
  using entries = std::list<entry>;

  std::size_t most_;
  std::chrono::milliseconds max_age_;
  entries entries_;  ///< the last used in front
  std::unordered_map<std::string_view, entries::iterator> by_key_;
};

/// What is known while one statement is routed.
class key_lookup final : public router::key_directory {
 public:
  /// Before each resolve(): `cache` is null where it must not be used.
  void begin(std::shared_ptr<key_cache> cache, steady_time changed, steady_time now);
  /// The statement has gone its way.
  void forget();

  [[nodiscard]] router::known_key find(std::string_view bytes) override;
  void want(router::wanted_key key) override;

  /// The keys to ask for next, in the order of the parameters; none: all are known.
  [[nodiscard]] const std::vector<router::wanted_key>& wanted() const noexcept { return wanted_; }
  /// The question about wanted() leaves at `now`, and its answers may be kept in `cache` if there is one.
  void ask(std::shared_ptr<key_cache> cache, steady_time now);
  void answer(std::size_t number, std::optional<router::shard_index> shard);
  /// All answers are there: what got none is listed nowhere.
  void answered();

  /// All rows, of which one is told after the other; no shard: one that the topology does not have, or a key that may
  /// be another one in the server's encoding.
  void add_row(std::string_view key, std::optional<router::shard_index> shard);
  void whole_answered() noexcept { whole_known_ = true; }
  [[nodiscard]] bool whole_known() const noexcept { return whole_known_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  /// All rows as a list of values; null: one names no shard, or cannot be read.
  [[nodiscard]] std::shared_ptr<const router::value_map> whole(const router::value_map& rule, router::oid type,
                                                               std::int32_t modifier) const;

 private:
  std::shared_ptr<key_cache> cache_, kept_in_;
  steady_time changed_{}, now_{}, asked_at_{};
  std::unordered_map<std::string, router::known_key> answers_;
  std::vector<router::wanted_key> wanted_, asked_;
  router::value_rule rows_;
  std::size_t bytes_ = 0;
  bool whole_known_ = false, unclear_ = false;
};

}  // namespace pgbraid::proxy
