// COPY ... FROM STDIN whose rows get numbers of sequences on their way (machine_numbering.cpp). The designated shard
// draws them, in the transaction that its rows go into, so its rows wait until there are many, or no more come: a
// connection that takes data of COPY answers nothing else. The first COPY that it gets is the client's own, for errors
// in its words.
#pragma once

#include "proxy/session/gather_budget.hpp"
#include "router/copy/copy_numbering.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pgbraid::proxy {

struct copy_numbers {
  /// So much the designated shard's rows may come to before they are sent.
  static constexpr std::size_t most_waiting = std::size_t{1} << 20;

  enum class client : std::uint8_t { sends, has_ended, has_given_up };

  router::copy_numbering rows;
  std::size_t part;                      ///< the designated shard's, among those of the copy_state
  std::size_t columns;                   ///< numbers of one row
  std::string statement;                 ///< COPY with the numbered columns
  std::string draws;                     ///< SELECT of the numbers of one row, without FROM
  bool judging = true;                   ///< the client's own COPY is open
  bool greeted = false;                  ///< it has been given the client's header
  bool asked = false;                    ///< numbers are on their way
  bool final = false;                    ///< no COPY follows those that it owes an answer to
  std::uint32_t due = 1;                 ///< COPY statements that it owes an answer to
  std::deque<router::line_map> lines{};  ///< of those, but for the one that is open, the oldest first
  std::vector<std::optional<std::string>> values{};  ///< as they come; nothing for NULL
  client at = client::sends;
  std::string reason{};  ///< why it has given up
  bool knows = false;    ///< has been told whether the table refers to itself
  bool refers_to_itself = false;
  std::size_t kept = 0;  ///< into a reference table: bytes that are
  gather_share share{};  ///< covers rows that wait beyond most_waiting

  copy_numbers(const std::shared_ptr<const router::copy_layout>& layout, std::size_t max_row, std::size_t which)
      : rows{layout, max_row}, part{which}, columns{layout->numbered.size()} {
    for (const router::numbered_column& each : layout->numbered)
      draws += (draws.empty() ? "SELECT " : ", ") + each.draws;
  }
};

}  // namespace pgbraid::proxy
