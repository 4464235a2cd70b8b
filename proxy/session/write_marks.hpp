// When each table was last written to through this pgbraid: what reads.consistency "global" goes by. One for the
// process; any thread may note and ask at any time, without a lock.
#pragma once

#include "proxy/cluster/snapshot.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace pgbraid::proxy {

/// Tables are known by router::table_mark() and shards by a seed. Several tables may share a place, which makes reads
/// more careful than they need to be, never less.
class write_marks {
 public:
  /// `began`: nothing is known of what was written before.
  explicit write_marks(steady_time began);

  /// The number that stands for one shard of one database, whatever its place in the topology.
  [[nodiscard]] static std::uint64_t seed_of(std::string_view database, std::string_view shard) noexcept;

  /// A transaction that changed this table has ended, in whatever way; to be called before its client is told.
  void wrote(std::uint64_t seed, std::uint32_t table, steady_time ended) noexcept;
  /// The same for one that may have changed any table.
  void wrote_anything(std::uint64_t seed, steady_time ended) noexcept;

  /// The same for one that changed definitions: what is known of tables from before may be wrong.
  void defined(std::uint64_t seed, steady_time ended) noexcept;

  /// The end of the last transaction that may have changed one of these tables.
  [[nodiscard]] steady_time last(std::uint64_t seed, std::span<const std::uint32_t> tables) const noexcept;
  /// The end of the last transaction that may have changed any table.
  [[nodiscard]] steady_time last_of_all(std::uint64_t seed) const noexcept;
  /// The end of the last that changed definitions.
  [[nodiscard]] steady_time last_definition(std::uint64_t seed) const noexcept;

 private:
  static constexpr std::size_t places = 1U << 14;
  using place = std::atomic<steady_time::rep>;

  [[nodiscard]] place& at(std::uint64_t seed, std::uint64_t what) const noexcept;
  static void raise(place& p, steady_time to) noexcept;

  std::unique_ptr<std::array<place, places>> places_;
};

}  // namespace pgbraid::proxy
