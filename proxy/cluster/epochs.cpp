#include "proxy/cluster/epochs.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

namespace pgbraid::proxy {

namespace {

constexpr std::uint64_t short_page_header = 24;
constexpr std::uint64_t long_page_header = 40;

std::optional<std::uint64_t> parse_half(std::string_view text) noexcept {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::uint64_t> parse_lsn(std::string_view text) noexcept {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto high = parse_half(text.substr(0, slash)), low = parse_half(text.substr(slash + 1));
  if (!high || !low) return std::nullopt;
  return (*high << 32) | *low;
}

std::uint64_t replayable(std::uint64_t insert_lsn, std::uint64_t segment_bytes, std::uint64_t block_bytes) noexcept {
  const std::uint64_t in_page = insert_lsn & (block_bytes - 1);
  const std::uint64_t page = insert_lsn - in_page;
  const bool first_of_segment = (page & (segment_bytes - 1)) == 0;
  return in_page == (first_of_segment ? long_page_header : short_page_header) ? page : insert_lsn;
}

void wal_history::add(steady_time begin, std::uint64_t lsn) {
  if (!samples_.empty()) {
    sample& newest = samples_.back();
    if (lsn == newest.lsn) {
      newest.last = std::max(newest.last, begin);
      return;
    }
    if (lsn < newest.lsn) samples_.clear();
  }
  if (samples_.size() >= max_samples) thin();
  samples_.push_back({begin, begin, lsn});
}

void wal_history::thin() {
  std::deque<sample> kept;
  const std::size_t half = samples_.size() / 2;
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    if (i >= half || i % 2 == 0) kept.push_back(samples_[i]);
  }
  samples_ = std::move(kept);
}

std::deque<wal_history::sample>::const_iterator wal_history::first_after(std::uint64_t replayed) const noexcept {
  return std::upper_bound(samples_.begin(), samples_.end(), replayed,
                          [](std::uint64_t lsn, const sample& s) { return lsn < s.lsn; });
}

steady_time wal_history::covered_until(std::uint64_t replayed) const noexcept {
  const auto after = first_after(replayed);
  return after == samples_.begin() ? steady_time::min() : std::prev(after)->last;
}

steady_time::duration wal_history::behind(std::uint64_t replayed) const noexcept {
  const auto after = first_after(replayed);
  return after == samples_.end() ? steady_time::duration::zero() : samples_.back().last - after->first;
}

}  // namespace pgbraid::proxy
