#include "proxy/session/number_blocks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <utility>

namespace pgbraid::proxy {

namespace {

std::atomic<std::uint64_t> forgotten{0};

}  // namespace

void number_blocks::forget_everywhere() noexcept {
  forgotten.fetch_add(1, std::memory_order_relaxed);
}

void number_blocks::look_whether_forgotten() {
  const std::uint64_t now = forgotten.load(std::memory_order_relaxed);
  if (now != as_of_) blocks_.clear();
  as_of_ = now;
}

std::vector<std::string>& number_blocks::block_of(std::string_view role, std::string_view sequence) {
  look_whether_forgotten();
  std::string name{role};
  return blocks_[name.append(1, '\0').append(sequence)];
}

bool number_blocks::take(std::string_view role, std::string_view sequence, std::size_t count,
                         std::vector<std::string>& out) {
  std::vector<std::string>& block = block_of(role, sequence);
  if (block.size() < count) return false;
  for (; count > 0; --count) {
    out.push_back(std::move(block.back()));
    block.pop_back();
  }
  return true;
}

void number_blocks::keep(std::string_view role, std::string_view sequence, std::vector<std::string>& drawn,
                         std::size_t used) {
  std::vector<std::string>& block = block_of(role, sequence);
  const auto rest = drawn.begin() + static_cast<std::ptrdiff_t>(used);
  // What two have drawn at once is given in the order in which it came.
  std::reverse(rest, drawn.end());
  block.insert(block.begin(), std::move_iterator{rest}, std::move_iterator{drawn.end()});
  drawn.erase(rest, drawn.end());
}

void number_blocks::absorb(number_blocks& other) {
  other.look_whether_forgotten();
  look_whether_forgotten();
  for (auto& [name, numbers] : other.blocks_) {
    std::vector<std::string>& block = blocks_[name];
    if (block.size() >= size_) continue;
    block.insert(block.begin(), std::move_iterator{numbers.begin()}, std::move_iterator{numbers.end()});
  }
  other.blocks_.clear();
}

std::string number_blocks::statement(std::string_view sequence, std::size_t count) const {
  // Who may call nextval() may not always ask what is left.
  return fmt::format(
      "SELECT (pg_catalog.nextval({0}))::pg_catalog.text FROM (SELECT CASE WHEN "
      "pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.<>) ALL (ARRAY['on', 'remote_apply']) THEN "
      "pg_catalog.set_config('synchronous_commit', 'on', true) END) AS durable, "
      "pg_catalog.generate_series(1, coalesce((SELECT CASE WHEN "
      "(CASE WHEN q.seqincrement OPERATOR(pg_catalog.>) 0 THEN q.seqmax ELSE q.seqmin END::pg_catalog.numeric "
      "OPERATOR(pg_catalog.-) CASE WHEN pg_catalog.has_sequence_privilege(q.seqrelid, 'USAGE, SELECT') THEN "
      "coalesce(pg_catalog.pg_sequence_last_value(q.seqrelid), q.seqstart) END) OPERATOR(pg_catalog./) q.seqincrement "
      "OPERATOR(pg_catalog.>) {2} THEN {1} END FROM pg_catalog.pg_sequence q WHERE q.seqrelid OPERATOR(pg_catalog.=) "
      "{0}), {3}))",
      sequence, std::max<std::size_t>(size_, count), 10 * std::max<std::size_t>(size_, count), count);
}

}  // namespace pgbraid::proxy
