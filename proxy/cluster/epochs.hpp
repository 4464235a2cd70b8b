// WAL positions and time: what a replica must have replayed for a session to read its own writes there. Pure.
// A write that ended at time T has a position no greater than that of any primary sample begun after T; a replica that
// has replayed such a sample's position has replayed the write.
#pragma once

#include "proxy/cluster/snapshot.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

namespace pgbraid::proxy {

/// A WAL position as PostgreSQL prints it ("16/B374D848"); nullopt if it is none.
[[nodiscard]] std::optional<std::uint64_t> parse_lsn(std::string_view text) noexcept;

/// What a replica can replay of an insert position: one that stands directly after a page header (24 bytes, 40 on the
/// first page of a segment) means that nothing is on the page yet, and replay rests at the page's start.
/// Sizes in bytes, both powers of two. Source: XLogBytePosToRecPtr (xlog.c), SizeOfXLogShortPHD and SizeOfXLogLongPHD.
[[nodiscard]] std::uint64_t replayable(std::uint64_t insert_lsn, std::uint64_t segment_bytes,
                                       std::uint64_t block_bytes) noexcept;

/// Samples of one primary's WAL position on one timeline, oldest first, positions strictly ascending. Bounded: when it
/// is full, every second sample of the older half is dropped, which can only make answers more careful.
class wal_history {
 public:
  static constexpr std::size_t max_samples = 256;

  /// Adds a sample; `begin` is a moment before the question was sent, not earlier than the last sample's. A position
  /// lower than the last one (crash recovery lost unflushed WAL) drops the whole history first.
  void add(steady_time begin, std::uint64_t lsn);
  void clear() noexcept { samples_.clear(); }
  [[nodiscard]] bool empty() const noexcept { return samples_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return samples_.size(); }

  /// The latest begin among the samples that `replayed` covers; steady_time::min() if it covers none.
  [[nodiscard]] steady_time covered_until(std::uint64_t replayed) const noexcept;

  /// How long, counted at the newest sample, `replayed` has at least been behind; zero if it covers the newest.
  [[nodiscard]] steady_time::duration behind(std::uint64_t replayed) const noexcept;

  /// The newest sample's position; 0 if there is none.
  [[nodiscard]] std::uint64_t newest() const noexcept { return samples_.empty() ? 0 : samples_.back().lsn; }

 private:
  struct sample {
    steady_time first, last;  ///< begin of the first and of the last sample at this position
    std::uint64_t lsn;
  };
  [[nodiscard]] std::deque<sample>::const_iterator first_after(std::uint64_t replayed) const noexcept;
  void thin();

  std::deque<sample> samples_;
};

}  // namespace pgbraid::proxy
