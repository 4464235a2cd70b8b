// COPY ... FROM STDIN whose rows go to several shards; see copy.hpp.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "router/plan/time_words.hpp"

#include <utility>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;
using part_state = copy_state::part::state;
using phase = copy_state::phase;

namespace {

// What a server answers when it is told to give up a COPY.
constexpr std::string_view given_up = "57014";

}  // namespace

// With the owners of keys that are looked up; null: they cannot be told.
std::shared_ptr<const router::copy_layout> session_machine::layout_of(
    const std::shared_ptr<const router::copy_layout>& planned) const {
  if (planned->values == nullptr || !planned->values->looks_up()) return planned;
  auto layout = std::make_shared<router::copy_layout>(*planned);
  layout->values = looked_up(planned->values, planned->keys.front().type, planned->keys.front().modifier);
  return layout->values == nullptr ? nullptr : layout;
}

// The statement is about to go to `to`.
void session_machine::begin_copy(const std::shared_ptr<const router::copy_layout>& layout, const targets& to) {
  std::vector<router::shard_index> shards;
  std::vector<copy_state::part> parts;
  for (const branch_index i : to) {
    shards.push_back(branches_[i].shard);
    parts.push_back({i});
  }
  router::copy_splitter splitter{layout, context_->state().map, context_->literals, shards, env_.max_message_bytes};
  copy_ = std::make_unique<copy_state>(copy_state{context_, std::move(splitter), std::move(parts)});
}

// A server waits for data. The client is told when all do.
session_machine::verdict session_machine::copy_opened(step& s, branch_index i, const p::frame_view& frame) {
  copy_state& c = *copy_;
  copy_state::part* part = c.of(i);
  if (part == nullptr) return verdict::drop;
  if (part->is != part_state::asked) return verdict::drop;  // its rows are behind the statement
  part->is = part_state::taking;
  again_ = false;
  // The server that draws numbers has been asked in the client's own words.
  if (c.numbers ? c.draws_on(*part) : c.response.empty()) c.response = frame.bytes;
  bool ended = false;
  for (copy_state::part& each : c.parts) {
    if (!branches_[each.branch].outstanding()) each.is = part_state::over;
    ended = ended || each.is == part_state::over;
  }
  if (!c.failed && (ended || (!c.numbers && c.response != frame.bytes))) {
    const char* const why = ended ? "one has ended the COPY before it was given data" : "their columns are not the same";
    p::encode_error(c.fallback, p::make_error(error_id::server_results_differ, why));
    fail_copy(s);
  } else if (c.failed) {
    fail_copy(s);
  }
  const bool all =
      std::none_of(c.parts.begin(), c.parts.end(), [](const auto& each) { return each.is == part_state::asked; });
  if (c.failed || !all) return verdict::drop;
  c.at = phase::receiving;
  for (const copy_state::part& each : c.parts) {
    // As where one server takes it all.
    std::vector<expectation>& expected = branches_[each.branch].expected;
    if (expected.back().kind == answer::sync) expected.pop_back();
  }
  begin_taking_data(s);
  if (!c.numbers) return verdict::keep;
  flush_run(s);
  const std::size_t from = s.client_bytes.size();
  s.client_bytes.append(c.response);
  s.own_to_client(from);
  told_ = true;
  return verdict::drop;
}

// What the client has sent so far is done with, a Sync behind the COPY included; what comes is data.
void session_machine::begin_taking_data(step& s) {
  if (cycle_ == cycle_kind::batch) {
    s.consumed += scan_;
    operations_.clear();
    operation_ = scan_ = 0;
    sync_sent_ = batch_synced_ = false;
    collecting_ = true;
  } else {
    s.consumed += cycle_bytes_;
  }
  cycle_bytes_ = 0;
  s.read_client = s.more_input = true;
}

// Sends each server what it has been given of the data.
void session_machine::send_copied(step& s) {
  std::vector<router::copy_splitter::part>& given = copy_->splitter.parts();
  for (std::size_t k = 0; k < given.size(); ++k) {
    if (copy_->draws_on(copy_->parts[k])) {
      if (copy_->numbers->judging) send_to_judge(s);
      continue;
    }
    if (given[k].bytes.empty()) continue;
    const std::size_t from = s.backend_bytes.size();
    p::encode_copy_data(s.backend_bytes, given[k].bytes);
    s.own_to_backend(copy_->parts[k].branch, from);
    given[k].bytes.clear();
  }
}

void session_machine::end_copy_part(step& s, std::size_t k, bool keep, std::string_view reason) {
  copy_state::part& part = copy_->parts[k];
  if (part.is == part_state::drawing) return end_drawing_part(s, keep, reason);
  branch& b = branches_[part.branch];
  part.is = keep ? part_state::ended : part_state::given_up;
  const std::size_t from = s.backend_bytes.size();
  if (keep) {
    p::encode_copy_done(s.backend_bytes);
  } else {
    // An error in a row that it has got is the one that a single server would have found.
    if (!copy_->clients_wish && !copy_->splitter.nudge().empty())
      p::encode_copy_data(s.backend_bytes, copy_->splitter.nudge());
    p::encode_copy_fail(s.backend_bytes, reason);
  }
  // The one that went out before was passed over.
  if (b.outstanding() && b.expected.back().kind == answer::sync) p::encode_sync(s.backend_bytes);
  s.own_to_backend(part.branch, from);
}

// Passes the client's data on as it comes.
void session_machine::split_from_client(step& s) {
  copy_state& c = *copy_;
  std::string_view rest = input_;
  const auto pass = [&](std::size_t bytes) {
    rest.remove_prefix(bytes);
    s.consumed += bytes;
  };
  if (c.numbers && (c.numbers->asked || c.numbers->at != copy_numbers::client::sends)) return;
  while (!c.splitter.stopped()) {
    if (c.bulk > 0) {
      const std::size_t bytes = std::min(c.bulk, rest.size());
      c.numbers ? c.numbers->rows.take(rest.substr(0, bytes)) : c.splitter.take(rest.substr(0, bytes));
      c.bulk -= bytes;
      pass(bytes);
      if (c.bulk > 0) break;
      continue;
    }
    p::frame_view frame;
    const p::frame_status status = p::next_frame(rest, ~std::size_t{0}, frame);
    if (status == p::frame_status::malformed) return protocol_violation(s, "invalid message length");
    if (frame.total == 0) break;
    if (frame.type == p::frontend::copy_data) {
      c.bulk = frame.total - p::frame_header_size;
      pass(p::frame_header_size);
      continue;
    }
    if (frame.type == p::frontend::terminate) return s.add(action_kind::close);
    const bool ends = frame.type == p::frontend::copy_done || frame.type == p::frontend::copy_fail;
    if (!ends && frame.type != p::frontend::flush && frame.type != p::frontend::sync) {
      return protocol_violation(s, "unexpected message type during COPY from stdin");
    }
    if (status != p::frame_status::complete) break;
    if (frame.type == p::frontend::copy_done) {
      pass(frame.total);
      return end_copied_data(s, true, {});
    }
    if (frame.type == p::frontend::copy_fail) {
      p::copy_fail_view view;
      if (!p::decode(frame.body, view)) return protocol_violation(s, "invalid CopyFail message");
      c.clients_wish = true;
      end_copied_data(s, false, view.reason);
      return pass(frame.total);
    }
    pass(frame.total);
  }
  if (keeps_too_many_claims()) {
    p::encode_error(c.fallback, p::make_error(error_id::claims_too_large, env_.max_gather));
    return fail_copy(s);
  }
  if (c.numbers) return number_rows(s);
  send_copied(s);
  if (c.splitter.stopped()) return stop_copy(s);
  s.read_client = true;
}

// Values that are claimed when all rows are there: each shard is told them all, and once more those of other shards.
bool session_machine::keeps_too_many_claims() {
  const router::copied_claims& kept = copy_->splitter.claims();
  const std::size_t bytes = kept.bytes + kept.text_bytes * 2 * copy_->parts.size();
  return bytes > 0 && (bytes > env_.max_gather || !copy_->share.cover(env_.gathered, bytes));
}

// The client has ended its data, or given it up.
void session_machine::end_copied_data(step& s, bool keep, std::string_view reason) {
  copy_state& c = *copy_;
  if (c.numbers && c.numbers->at == copy_numbers::client::sends) {
    c.numbers->at = keep ? copy_numbers::client::has_ended : copy_numbers::client::has_given_up;
    c.numbers->reason = reason;
    keep ? c.numbers->rows.finish() : c.numbers->rows.fail();
    return number_rows(s);
  }
  keep ? c.splitter.finish() : c.splitter.fail();
  send_copied(s);
  if (c.splitter.stopped()) return stop_copy(s);
  if (keep && keeps_too_many_claims()) {
    p::encode_error(c.fallback, p::make_error(error_id::claims_too_large, env_.max_gather));
    return fail_copy(s);
  }
  c.at = phase::closing;
  for (std::size_t k = 0; k < c.parts.size(); ++k) end_copy_part(s, k, keep, reason);
  if (cycle_ == cycle_kind::batch) s.more_input = true;
}

// A row that cannot be given to any shard has been given to one, whose server may know what is wrong with it.
void session_machine::stop_copy(step& s) {
  copy_state& c = *copy_;
  const router::copy_stop& why = *c.splitter.stopped();
  p::encode_error(c.fallback, why.error);
  if (c.parts[why.part].is == part_state::taking || c.parts[why.part].is == part_state::drawing)
    end_copy_part(s, why.part, why.ended, "the row cannot be given to a shard");
  fail_copy(s);
}

// It fails: nothing more is taken from the client, and every server gives up.
void session_machine::fail_copy(step& s) {
  copy_state& c = *copy_;
  c.failed = true;
  if (c.at == phase::receiving && c.bulk > 0) {
    skip_ = skip_total_ = std::exchange(c.bulk, 0);
    skip_type_ = p::frontend::copy_data;
  }
  if (c.at == phase::receiving) s.more_input = true;
  c.at = phase::closing;
  braid_.failed = true;
  if (cycle_ == cycle_kind::batch) batch_failed();
  cycle_failed_ = true;
  for (std::size_t k = 0; k < c.parts.size(); ++k) {
    if (c.parts[k].is == part_state::taking || c.parts[k].is == part_state::drawing)
      end_copy_part(s, k, false, "it failed on another shard");
  }
}

// A server has said what is wrong. True: it is a part of a COPY, and the client is told when all have spoken.
bool session_machine::copy_error(step& s, branch_index i, const p::frame_view& frame) {
  if (!copy_) return false;
  copy_state& c = *copy_;
  copy_state::part* part = c.of(i);
  if (part == nullptr || part->is == part_state::over) return false;
  p::error_fields_view fields;
  (void)p::decode(frame.body, fields);
  retold_report told = retell(*part, frame);
  const branch& b = branches_[i];
  if (c.draws_on(*part) && b.outstanding() && b.expected[b.next].sequence == asking_copied) {
    told.frame = with_row_of_draw(frame, *c.numbers, c.splitter.layout(), told.line);
    // The other servers are given the rows in front of it, in which something else may be wrong.
    std::string ready;
    if (c.numbers->rows.supply(ready, std::exchange(c.numbers->values, {}))) c.splitter.take(ready);
    send_copied(s);
  }
  const bool echo = part->is == part_state::given_up && fields.sqlstate() == given_up;
  part->is = part_state::over;
  if (!echo) {
    const auto place = [](std::uint64_t line) { return line - 1; };  // those of no line come last
    // Of a header, the server that has been given the client's own tells it in the client's words.
    const bool own_words = c.draws_on(*part) && told.line == c.error_line;
    if (c.error.empty() || place(told.line) < place(c.error_line) || own_words) {
      c.error = std::move(told.frame);
      c.error_line = told.line;
    }
  } else if (c.clients_wish && (c.fallback.empty() || part == &c.parts[c.splitter.last_part()])) {
    c.fallback = std::move(told.frame);
  }
  fail_copy(s);
  return true;
}

void session_machine::copy_lost(step& s, branch_index i, const p::error_report& error) {
  if (!copy_) return;
  copy_state::part* part = copy_->of(i);
  if (part == nullptr || part->is == part_state::over) return;
  part->is = part_state::over;
  if (copy_->error.empty()) p::encode_error(copy_->error, error);
  fail_copy(s);
  copy_part_over(s);
}

// A server has given its last answer to it.
void session_machine::copy_part_over(step& s) {
  copy_state& c = *copy_;
  if (!c.failed || !c.all_over()) return;
  flush_run(s);
  const std::size_t from = s.client_bytes.size();
  s.client_bytes.append(c.error.empty() ? c.fallback : c.error);
  s.own_to_client(from);
  told_ = true;
  if (txn_.active) txn_.failed = true;
  copy_.reset();
}

// What the first server takes of a COPY into a reference table, for the others.
void session_machine::keep_for_replay(std::string_view bytes) {
  if (replay_->too_large) return;
  const std::size_t size = replay_->data.size() + bytes.size();
  if (size <= env_.max_gather && replay_->share.cover(env_.gathered, size)) {
    replay_->data.append(bytes);
    return;
  }
  replay_->too_large = true;
  replay_->crowded_out = size <= env_.max_gather;
  replay_->data = {};
  replay_->share.give_back();
}

// The first server has been given all of it. False: the others cannot be given the same.
bool session_machine::may_replay() {
  if (replay_->too_large) return false;
  if (plan_->timed_data == nullptr) return true;
  std::string rows;
  for (std::string_view rest = replay_->data; !rest.empty();) {
    p::frame_view frame;
    if (p::next_frame(rest, ~std::size_t{0}, frame) != p::frame_status::complete) break;
    rows.append(frame.body);
    rest.remove_prefix(frame.total);
  }
  replay_->tells_moments = router::rows_tell_moments(rows, *plan_->timed_data);
  return !replay_->tells_moments;
}

p::error_report session_machine::cannot_replay() const {
  if (replay_->crowded_out) return no_room_left();
  if (replay_->too_large) return p::make_error(error_id::copy_too_large, env_.max_gather);
  return p::with_hint(
      p::make_error(error_id::cross_shard_write,
                    "'now', 'today' and the like in the data of COPY mean another moment on each shard"),
      "Write the date or the time itself.");
}

void session_machine::replay_copy(step& s, branch_index i) {
  // It stands there until the cycle's end.
  s.to_backend(i, replay_->data);
}

}  // namespace pgbraid::proxy
