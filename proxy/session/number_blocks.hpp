// Numbers of sequences that a worker has drawn ahead, so that not every INSERT asks the designated shard:
// sharding.sequence_blocks. What the manual's page "CREATE SEQUENCE" says of CACHE holds, with a worker in the place of
// a session: numbers are lost when the process ends, are not given in their order, and go on for a while behind
// setval().
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pgbraid::proxy {

/// Of one database. A sequence is named as the argument of nextval() in a column's default, which names its schema.
/// Numbers here have been drawn by a transaction that is committed: until then a crash of the server may take them
/// back, and then it gives them once more. runs on: its worker, but for forget_everywhere().
class number_blocks {
 public:
  /// `size`: numbers in a block.
  explicit number_blocks(std::uint32_t size) : size_{size} {}

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

  /// Appends `count` numbers that `role` has drawn, which may so use the sequence. False, and nothing is taken: there
  /// are not as many.
  [[nodiscard]] bool take(std::string_view role, std::string_view sequence, std::size_t count,
                          std::vector<std::string>& out);

  /// What is left behind the first `used` of `drawn`, numbers as the server writes them, is kept for others.
  void keep(std::string_view role, std::string_view sequence, std::vector<std::string>& drawn, std::size_t used);

  /// What `other` has, which then has nothing. As many sessions as come may draw a block each in their transactions:
  /// of a sequence that has a block here already no more are kept.
  void absorb(number_blocks& other);

  /// They may be given again by another server, or be of another sequence.
  void forget() noexcept { blocks_.clear(); }

  /// Somebody has made a sequence begin elsewhere: no worker gives what was drawn before. Of any thread.
  static void forget_everywhere() noexcept;

  /// Draws a block where `count` numbers are wanted, or just these if the sequence's end is near; one in each row. Its
  /// transaction will be on disk when it is committed, whatever the client thinks of its own.
  [[nodiscard]] std::string statement(std::string_view sequence, std::size_t count) const;

 private:
  void look_whether_forgotten();
  [[nodiscard]] std::vector<std::string>& block_of(std::string_view role, std::string_view sequence);

  std::uint32_t size_;
  std::uint64_t as_of_ = 0;  ///< how often has been forgotten when these were drawn
  std::unordered_map<std::string, std::vector<std::string>> blocks_;  ///< by role and sequence; the next one last
};

/// What one session has to do with blocks.
struct session_blocks {
  std::set<std::string>
      unknown;             ///< sequences whose last number came from a block: no server knows it as the session's
  number_blocks ahead{1};  ///< drawn in the transaction that is open
};

}  // namespace pgbraid::proxy
