#include "proxy/session/consistency_token.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace pgbraid::proxy {

namespace {

constexpr std::string_view kind = "pgb1.";
constexpr std::size_t longest = 64 * 1024;

// Against tokens that were cut short or mistyped, not against forgery: a forged one can only ask for more.
// FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/
std::uint32_t checksum(std::string_view text) noexcept {
  std::uint32_t sum = 2166136261U;
  for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 16777619U;
  return sum;
}

// What stands before `end`, which is taken away with it; all of the text if it does not stand there.
std::string_view take_until(std::string_view& text, char end) noexcept {
  const std::size_t at = std::min(text.find(end), text.size());
  const std::string_view front = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return front;
}

template <typename Number>
bool read(std::string_view digits, Number& value) noexcept {
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return error == std::errc{} && end == digits.data() + digits.size();
}

const shard_state* shard_of(const database_state& state, std::uint64_t system_identifier) {
  for (const shard_state& shard : state.shards) {
    if (shard.system_identifier == system_identifier) return &shard;
  }
  return nullptr;
}

// Why nobody here could show what the token stands for.
std::optional<protocol::error_report> refuse(const consistency_token& token, const database_state& state) {
  namespace p = protocol;
  using p::error_id;
  for (const wal_position& position : token) {
    const shard_state* const shard = shard_of(state, position.system_identifier);
    if (shard == nullptr) {
      p::error_report error = p::make_error(error_id::token_foreign, state.name, position.system_identifier);
      const bool all_known = shard_of(state, 0) == nullptr;
      if (!all_known) error.detail = "Not every shard's primary has been seen since pgbraid was started.";
      return error;
    }
    if (position.timeline >= shard->timeline || shard->history == nullptr) continue;
    const std::optional<std::uint64_t> end = shard->history->end_of(position.timeline);
    if (end && position.lsn <= *end) continue;
    const std::string at =
        fmt::format("{:X}/{:X} of timeline {}", position.lsn >> 32, position.lsn & 0xFFFFFFFFU, position.timeline);
    if (!end)
      return p::make_error(error_id::token_lost,
                           fmt::format("{}, which the primary's timeline {} does not come from", at, shard->timeline));
    return p::make_error(error_id::token_lost, fmt::format("{}, which was followed up to {:X}/{:X} only", at,
                                                           *end >> 32, *end & 0xFFFFFFFFU));
  }
  return std::nullopt;
}

auto place_of(const consistency_token& token, std::uint64_t system_identifier) noexcept {
  return std::lower_bound(token.begin(), token.end(), system_identifier,
                          [](const wal_position& p, std::uint64_t id) { return p.system_identifier < id; });
}

}  // namespace

void demand(consistency_token& token, const wal_position& more) {
  const auto at = token.begin() + (place_of(token, more.system_identifier) - token.begin());
  if (at == token.end() || at->system_identifier != more.system_identifier) {
    token.insert(at, more);
  } else if (more.timeline > at->timeline || (more.timeline == at->timeline && more.lsn > at->lsn)) {
    *at = more;
  }
}

const wal_position* position_in(const consistency_token& token, std::uint64_t system_identifier) noexcept {
  const auto at = place_of(token, system_identifier);
  return at == token.end() || at->system_identifier != system_identifier ? nullptr : &*at;
}

std::string to_text(const consistency_token& token) {
  std::string text;
  for (const wal_position& p : token) {
    text += fmt::format("{}{:x}-{:x}-{:x}", text.empty() ? kind : "_", p.system_identifier, p.timeline, p.lsn);
  }
  if (!text.empty()) text += fmt::format(".{:08x}", checksum(text));
  return text;
}

std::optional<consistency_token> parse_token(std::string_view text) {
  consistency_token token;
  if (text.empty()) return token;
  if (text.size() > longest || !text.starts_with(kind)) return std::nullopt;
  std::string_view rest = text.substr(kind.size());
  std::string_view positions = take_until(rest, '.');
  while (!positions.empty()) {
    std::string_view one = take_until(positions, '_');
    wal_position p;
    if (!read(take_until(one, '-'), p.system_identifier) || !read(take_until(one, '-'), p.timeline) ||
        !read(one, p.lsn))
      return std::nullopt;
    demand(token, p);
  }
  // It stands for nothing else than itself: whatever reads alike and is written otherwise has been changed.
  if (token.empty() || to_text(token) != text) return std::nullopt;
  return token;
}

std::variant<consistency_token, protocol::error_report> read_token(std::string_view text, const database_state& state) {
  std::optional<consistency_token> token = parse_token(text);
  if (!token)
    return protocol::make_error(protocol::error_id::token_invalid, fmt::format("\"{}\"", text.substr(0, 200)));
  if (auto refused = refuse(*token, state)) return std::move(*refused);
  return std::move(*token);
}

}  // namespace pgbraid::proxy
