// Which line of the client's data each line was that one server has been given: servers tell where an error is by
// lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace pgbraid::router {

/// Remembers the newest lines only, in about a megabyte at the most. runs on: any thread.
class line_map {
 public:
  /// The server's next row ends in its line `local`, which is the client's line `whole`. Both grow.
  void add(std::uint64_t local, std::uint64_t whole);
  /// The client's number for the server's line; nothing when it is not known (any more).
  [[nodiscard]] std::optional<std::uint64_t> find(std::uint64_t local) const;
  /// The last line that was added, by the server's count.
  [[nodiscard]] std::uint64_t last() const noexcept { return local_; }

 private:
  struct block {
    std::uint64_t local, whole;  ///< in front of the block's first row
    std::string steps;           ///< two numbers for each row: how much each count grows
  };
  static constexpr std::size_t block_bytes = 4096, most_blocks = 256;

  std::uint64_t local_ = 0, whole_ = 0;
  std::deque<block> blocks_;
};

}  // namespace pgbraid::router
