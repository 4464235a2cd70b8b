#include "router/copy/line_map.hpp"

namespace pgbraid::router {
namespace {

// Seven bits to a byte, the lowest first; the highest bit says that more follow.
void append_number(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

std::uint64_t read_number(const std::string& from, std::size_t& at) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; at < from.size(); shift += 7) {
    const auto byte = static_cast<unsigned char>(from[at++]);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return value;
}

}  // namespace

void line_map::add(std::uint64_t local, std::uint64_t whole) {
  if (blocks_.empty() || blocks_.back().steps.size() >= block_bytes) {
    blocks_.push_back({local_, whole_, {}});
    if (blocks_.size() > most_blocks) blocks_.pop_front();
  }
  append_number(blocks_.back().steps, local - local_);
  append_number(blocks_.back().steps, whole - whole_);
  local_ = local;
  whole_ = whole;
}

std::optional<std::uint64_t> line_map::find(std::uint64_t wanted) const {
  if (wanted > local_) return std::nullopt;
  for (auto b = blocks_.rbegin(); b != blocks_.rend(); ++b) {
    if (wanted <= b->local) continue;
    std::uint64_t local = b->local, whole = b->whole;
    for (std::size_t at = 0; at < b->steps.size();) {
      const std::uint64_t lines = read_number(b->steps, at);
      local += lines;
      whole += read_number(b->steps, at);
      if (wanted > local) continue;
      // Inside of a row, lines are counted alike as far as they go back.
      return local - wanted < lines ? std::optional{whole - (local - wanted)} : std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace pgbraid::router
