// COPY ... FROM STDIN into a sharded table, on its way: each shard runs the statement and gets its own rows. See
// router/copy/copy_splitter.hpp; source: the manual's section "COPY Operations" of "Message Flow".
#pragma once

#include "protocol/frame.hpp"
#include "proxy/session/branch.hpp"
#include "proxy/session/copy_numbers.hpp"
#include "proxy/session/gather_budget.hpp"
#include "proxy/session/routing_context.hpp"
#include "router/copy/copy_splitter.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

struct copy_state {
  enum class phase : std::uint8_t {
    opening,    ///< not every server has said that it takes data
    receiving,  ///< the client's data is passed on
    closing     ///< no more of it is
  };
  struct part {
    enum class state : std::uint8_t {
      asked,
      taking,
      drawing,   ///< numbers: none is open at the moment
      ended,     ///< has been told that there is no more data
      given_up,  ///< has been told to undo what it has
      over       ///< has given its last answer
    };
    branch_index branch = 0;
    state is = state::asked;
  };

  std::shared_ptr<routing_context> context;  ///< has what the splitter looks at
  router::copy_splitter splitter;
  std::vector<part> parts;  ///< in the order of the splitter's
  phase at = phase::opening;
  std::string response{};  ///< the first CopyInResponse
  std::size_t bulk = 0;    ///< bytes of a CopyData message still to come
  bool failed = false;
  bool clients_wish = false;  ///< the client gave it up
  // What will be told, when all servers have spoken: the error that stands first in the client's data.
  std::string error{};
  std::uint64_t error_line = 0;  ///< 0: it belongs to no line
  std::string fallback{};        ///< if no server has found an error
  std::unique_ptr<copy_numbers> numbers{};  ///< null: the rows are whole
  std::string tag{};                        ///< all servers have taken it; values of its rows are yet to be claimed
  gather_share share{};                     ///< covers these
  bool claims = false;                      ///< has begun to claim them

  [[nodiscard]] part* of(branch_index b) {
    const auto found = std::find_if(parts.begin(), parts.end(), [b](const part& each) { return each.branch == b; });
    return found == parts.end() ? nullptr : &*found;
  }
  [[nodiscard]] bool all_over() const {
    return std::all_of(parts.begin(), parts.end(), [](const part& each) { return each.is == part::state::over; });
  }
  [[nodiscard]] bool draws_on(const part& each) const { return numbers && &each == &parts[numbers->part]; }
  [[nodiscard]] bool draws_on(branch_index b) const { return numbers && parts[numbers->part].branch == b; }
  [[nodiscard]] router::line_map& lines_of(const part& each) {
    if (draws_on(each) && !numbers->lines.empty()) return numbers->lines.front();
    return splitter.parts()[static_cast<std::size_t>(&each - parts.data())].lines;
  }
};

/// COPY FROM STDIN into a reference table: one server takes the data as it comes, the others when that one has taken
/// it.
struct copy_replay {
  std::string statement;   ///< the client's Query
  std::string data{};      ///< its CopyData and CopyDone
  gather_share share{};    ///< covers them
  bool too_large = false;  ///< more than may be kept
  bool crowded_out = false;  ///< for what other statements keep
  bool tells_moments = false;  ///< 'now' and its like stand in it
  std::unique_ptr<copy_numbers>
      numbers{};  ///< the rows get numbers first, and stand in `data` with them; null: they do not
  std::shared_ptr<const router::copy_layout> layout{};  ///< with numbers
};

/// An error or a notice of one of the servers, its place told as one in the client's data.
struct retold_report {
  std::string frame;
  std::uint64_t line = 0;  ///< 0: none, or one that is not known any more, and then the report does not name it either
};
/// `lines`: null: the server has been given all of the client's data. `numbers`: put behind the rows that this server
/// has been given; null: nothing is.
[[nodiscard]] retold_report retell_line(const protocol::frame_view& frame, std::string_view relation,
                                        const router::line_map* lines, const router::copy_numbering* numbers = nullptr);

}  // namespace pgbraid::proxy
