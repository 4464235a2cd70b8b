// COPY ... FROM STDIN into a reference table that leaves columns to sequences. All of the data is kept, as it is for
// the other shards anyway: the first shard draws the numbers when the client has ended, and every shard gets the same
// rows. The first COPY of the first shard is the client's own, for errors in its words: see copy_numbers.hpp.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "router/plan/copies.hpp"
#include "router/plan/names.hpp"
#include "router/plan/time_words.hpp"

#include <algorithm>
#include <utility>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;

// The COPY whose replay has just been begun. False: it cannot be put into other words, as its plan was made of another
// text.
bool session_machine::begin_numbered_copies(std::string_view text) {
  const std::string statement = router::with_numbered_columns(text, *plan_->copy);
  const branch& first = branches_[static_cast<std::size_t>(braid_.speaker)];
  if (statement.empty() || first.shard != router::designated_shard) return false;
  replay_->layout = plan_->copy;
  replay_->numbers = std::make_unique<copy_numbers>(plan_->copy, env_.max_message_bytes, 0);
  replay_->numbers->statement = statement;
  replay_->statement.clear();
  p::encode_query(replay_->statement, statement);
  return true;
}

bool session_machine::numbers_copies(branch_index i) const noexcept {
  return replay_ && replay_->numbers && braid_.speaker == i;
}

// Keeps the client's data, up to as much as may be kept.
void session_machine::collect_from_client(step& s) {
  copy_numbers& n = *replay_->numbers;
  std::string_view rest = input_;
  const auto pass = [&](std::size_t bytes) {
    rest.remove_prefix(bytes);
    s.consumed += bytes;
  };
  while (true) {
    if (copy_bulk_ > 0) {
      const std::size_t bytes = std::min(copy_bulk_, rest.size());
      // Twice: as rows that wait, and as the rows that are sent.
      n.kept += 2 * bytes;
      // And the values that each of them gets.
      constexpr std::size_t of_row = 100;
      const std::size_t values = n.rows.wanted() * (of_row + n.columns * 2 * sizeof(n.values.front()));
      const bool fits = n.kept / 2 + values <= env_.max_gather;
      if (!replay_->too_large && fits && replay_->share.cover(env_.gathered, n.kept + values)) {
        n.rows.take(rest.substr(0, bytes));
      } else if (!replay_->too_large) {
        replay_->too_large = true;
        replay_->crowded_out = fits;
      }
      copy_bulk_ -= bytes;
      pass(bytes);
      if (copy_bulk_ > 0) break;
      continue;
    }
    p::frame_view frame;
    const p::frame_status status = p::next_frame(rest, ~std::size_t{0}, frame);
    if (status == p::frame_status::malformed) return protocol_violation(s, "invalid message length");
    if (frame.total == 0) break;
    if (frame.type == p::frontend::copy_data) {
      copy_bulk_ = frame.total - p::frame_header_size;
      pass(p::frame_header_size);
      continue;
    }
    if (frame.type == p::frontend::terminate) return s.add(action_kind::close);
    const bool ends = frame.type == p::frontend::copy_done || frame.type == p::frontend::copy_fail;
    if (!ends && frame.type != p::frontend::flush && frame.type != p::frontend::sync) {
      return protocol_violation(s, "unexpected message type during COPY from stdin");
    }
    if (status != p::frame_status::complete) break;
    if (frame.type == p::frontend::copy_fail) {
      p::copy_fail_view view;
      if (!p::decode(frame.body, view)) return protocol_violation(s, "invalid CopyFail message");
      n.reason = view.reason;
    }
    pass(frame.total);
    if (!ends) continue;
    n.at = frame.type == p::frontend::copy_done ? copy_numbers::client::has_ended : copy_numbers::client::has_given_up;
    return collected(s);
  }
  s.read_client = true;
}

// The client has ended. Its own COPY, which has been open, gets the header; behind it the numbers are drawn.
void session_machine::collected(step& s) {
  copy_numbers& n = *replay_->numbers;
  const auto to = static_cast<branch_index>(std::exchange(copy_in_, -1));
  n.at == copy_numbers::client::has_ended ? n.rows.finish() : n.rows.fail();
  const std::size_t from = s.backend_bytes.size();
  if (replay_->too_large || n.rows.refused()) {
    p::encode_copy_fail(s.backend_bytes, "the data cannot be kept for the other shards");
    return s.own_to_backend(to, from);
  }
  std::string first = n.rows.clients_head();
  // A binary header that is not whole is all that there is, and an error.
  const bool broken = first.empty() && replay_->layout->shape.format.form == router::copy_format::kind::binary;
  if (broken) (void)n.rows.supply(first, {});
  if (!first.empty()) p::encode_copy_data(s.backend_bytes, first);
  if (broken && n.at == copy_numbers::client::has_given_up) {
    p::encode_copy_fail(s.backend_bytes, n.reason);
  } else {
    p::encode_copy_done(s.backend_bytes);
  }
  s.own_to_backend(to, from);
  n.judging = false;
  if (n.rows.wanted() > 0) draw_numbers(s, to, n, {});
}

// The first shard has answered all that it was asked: its numbers are there, or the rows that it was given are.
void session_machine::send_numbered_copy(step& s) {
  copy_numbers& n = *replay_->numbers;
  if (n.judging || n.final || cycle_failed_ || n.at == copy_numbers::client::sends) return;
  const bool complete = n.values.size() == n.rows.wanted() * n.columns;
  std::string rows;
  if (!complete || !n.rows.supply(rows, std::exchange(n.values, {})))
    return fail_statement(s, p::make_error(error_id::internal, "numbers of a sequence could not be put into the data"));
  if (n.at == copy_numbers::client::has_ended && plan_->timed_data &&
      router::rows_tell_moments(rows, *plan_->timed_data)) {
    replay_->tells_moments = true;
    return fail_statement(s, cannot_replay());
  }
  n.final = true;
  replay_->data.clear();
  if (!rows.empty()) p::encode_copy_data(replay_->data, rows);
  if (n.at == copy_numbers::client::has_ended) {
    p::encode_copy_done(replay_->data);
  } else {
    p::encode_copy_fail(replay_->data, n.reason);
  }
  const auto to = static_cast<branch_index>(braid_.speaker);
  branches_[to].expect({answer::query, disposition::forward});
  branches_[to].facts->unnamed = 0;
  s.to_backend(to, replay_->statement);
  s.to_backend(to, replay_->data);
}

// A server's error, the first one, as the client knows its data.
session_machine::verdict session_machine::numbered_copy_error(step& s, const p::frame_view& frame, bool drawing) {
  const copy_numbers& n = *replay_->numbers;
  std::uint64_t line = 0;
  flush_run(s);
  const std::size_t from = s.client_bytes.size();
  s.client_bytes.append(drawing ? with_row_of_draw(frame, n, *replay_->layout, line)
                                : retell_line(frame, replay_->layout->relation, nullptr, &n.rows).frame);
  s.own_to_client(from);
  told_ = true;
  return verdict::drop;
}

}  // namespace pgbraid::proxy
