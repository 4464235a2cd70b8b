// A text of several statements that no one server can carry out: each of them becomes a simple query of its own, in one
// transaction, and the client is told of all as if it were one cycle. Source: PostgreSQL's exec_simple_query(), whose
// implicit transaction block goes from the text's beginning, or from the last COMMIT in it, to its end.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "protocol/wire.hpp"
#include "router/plan/rows.hpp"
#include "router/sql/parser.hpp"

#include <algorithm>
#include <charconv>

namespace pgbraid::proxy {

namespace p = protocol;

namespace {

/// Characters of a text, as servers count them for error positions.
std::size_t characters_of(std::string_view text, bool utf8) {
  if (!utf8) return text.size();
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xc0U) != 0x80U ? 1 : 0;
  return count;
}

/// Where an error is in its text, in characters from 1 on.
std::optional<std::size_t> position_of(std::string_view body) {
  p::error_fields_view fields;
  if (!p::decode(body, fields)) return std::nullopt;
  const std::string_view field = fields.field('P');
  std::size_t at = 0;
  const char* const last = field.data() + field.size();
  const bool number = !field.empty() && std::from_chars(field.data(), last, at).ptr == last && at > 0;
  return number ? std::optional{at} : std::nullopt;
}

/// The byte at which a character stands, `number` from 1 on.
std::size_t byte_of_character(std::string_view text, std::size_t number, bool utf8) {
  if (!utf8) return number - 1;
  std::size_t at = 0;
  for (std::size_t seen = 0; at < text.size(); ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xc0U) != 0x80U && ++seen == number) break;
  }
  return at;
}

/// Where a byte of `edited` stands in `text`, as far as they begin or end alike: nothing between their differences.
std::optional<std::size_t> place_before_edits(std::string_view text, std::string_view edited, std::size_t at) {
  const auto first = std::mismatch(text.begin(), text.end(), edited.begin(), edited.end()).second - edited.begin();
  if (at < static_cast<std::size_t>(first)) return at;
  const auto last = std::mismatch(text.rbegin(), text.rend(), edited.rbegin(), edited.rend()).second - edited.rbegin();
  if (edited.size() - at <= static_cast<std::size_t>(last)) return at + text.size() - edited.size();
  return std::nullopt;
}

/// An ErrorResponse without its position, or with another one.
std::string with_position(std::string_view body, std::optional<std::size_t> position) {
  std::string fields;
  while (!body.empty() && body.front() != '\0') {
    const std::size_t end = std::min(body.find('\0'), body.size());
    const std::string_view field = body.substr(0, end);
    body.remove_prefix(std::min(end + 1, body.size()));
    if (field.front() != 'P') {
      fields.append(field).push_back('\0');
    } else if (position) {
      fields.append("P").append(std::to_string(*position)).push_back('\0');
    }
  }
  fields.push_back('\0');
  std::string out;
  {
    const p::frame_builder frame{out, p::backend::error_response};
    out.append(fields);
  }
  return out;
}

}  // namespace

// Whether the statements cannot go as one text to one server. A failed transaction may be ended in the text's middle,
// where only statements that are seen by themselves go where they belong.
bool session_machine::must_be_parted(std::string_view text, std::span<const router::sql::constant_position> constants) {
  if (txn_.foreign) return false;
  if (client_status() == 'E') return true;
  const auto* fixed = std::get_if<router::fixed_target>(&plan_->where);
  if (fixed != nullptr) return std::holds_alternative<router::to_refusal>(fixed->target);
  route_ = resolve(*plan_, text, constants, {});
  return must_look_up(*plan_) || std::holds_alternative<router::to_refusal>(route_.target);
}

void session_machine::begin_several(step& s, std::string_view text) {
  auto all = std::make_unique<several_statements>();
  all->text = text;
  const router::sql::parse_result parsed = router::sql::parse(text);
  for (const router::sql::statement& each : std::get<std::vector<router::sql::statement>>(parsed))
    all->parts.push_back({static_cast<std::size_t>(each.location), static_cast<std::size_t>(each.length)});
  all->bytes = cycle_bytes_;
  cycle_ = cycle_kind::none;
  cycle_bytes_ = 0;
  if (lookup_) lookup_->forget();
  several_ = std::move(all);
  start_part(s);
}

// Called again for the same statement when what it waited for is there.
void session_machine::start_part(step& s) {
  begin_cycle();
  // What has been told of the statements before cannot be taken back.
  again_ = false;
  several_->frame.clear();
  p::encode_query(several_->frame, several_->statement());
  input_ = several_->frame;
  if (!txn_.active) begin_own();
  p::frame_view frame;
  (void)p::next_frame(input_, several_->frame.size(), frame);
  start_simple(s, frame);
}

// A statement is done. True: the next one is on its way. False: it was the last, or the one that failed.
bool session_machine::goes_on(step& s) {
  several_statements& all = *several_;
  if (all.over) return false;
  if (cycle_failed_ || all.last()) {
    all.over = true;
    cycle_bytes_ = all.bytes;
    return false;
  }
  ++all.next;
  cycle_bytes_ = 0;
  if (needs_) release_hold(s);
  finish_cycle(s);
  return true;
}

// As a server does: the last statement is told to be complete when its transaction has been committed.
bool session_machine::holds_completion() const noexcept {
  return txn_.own && (cycle_ == cycle_kind::simple || by_protocol_) && (!several_ || several_->last());
}

void session_machine::tell_moved(step& s, std::string_view error) {
  flush_run(s);
  const std::size_t from = s.client_bytes.size();
  s.client_bytes.append(error);
  s.own_to_client(from);
  told_ = true;
}

// An error of a part of the client's text: its position is told as one in the whole.
session_machine::verdict session_machine::tell_in_place(step& s, const p::frame_view& frame) {
  std::size_t before = 0;
  if (several_) {
    const std::string_view text = several_->text;
    before += characters_of(text.substr(0, several_->parts[several_->next].offset), context_->context.utf8);
  }
  if (by_protocol_) before += characters_of(by_protocol_->before, context_->context.utf8);
  const auto at = position_of(frame.body);
  if (before == 0 || !at) return verdict::keep;
  tell_moved(s, with_position(frame.body, *at + before));
  return verdict::drop;
}

// An error of a shard's part of an INSERT: its position is told as one in the client's text, and of any other text of
// ours it is not told.
session_machine::verdict session_machine::tell_of_part(step& s, branch_index i, const p::frame_view& frame) {
  const auto at = position_of(frame.body);
  if (!at) return verdict::keep;
  const bool utf8 = context_->context.utf8;
  p::query_view query;
  std::optional<std::size_t> place, told;
  if (cycle_ == cycle_kind::simple && !question_ && !explains() && (splits_rows() || (stage_ && stage_->done)) &&
      p::decode(input_.substr(p::frame_header_size, cycle_bytes_ - p::frame_header_size), query)) {
    const bool of_stage = stage_ && stage_->done;
    const std::string_view whole = of_stage ? std::string_view{stage_->text} : query.text;
    const std::string part =
        splits_rows() ? router::own_rows(whole, rows_of_insert(), branches_[i].shard) : std::string{whole};
    place = byte_of_character(part, *at, utf8);
    if (splits_rows()) place = router::place_of_own_row(whole, rows_of_insert(), branches_[i].shard, *place);
    if (of_stage) place = stage_->texts.empty() && place ? place_before_edits(query.text, whole, *place) : std::nullopt;
  }
  if (place) told = characters_of(query.text.substr(0, *place), utf8) + 1;
  if (place && several_) {
    const std::string_view before = several_->text;
    *told += characters_of(before.substr(0, several_->parts[several_->next].offset), utf8);
  }
  tell_moved(s, with_position(frame.body, told));
  return verdict::drop;
}

}  // namespace pgbraid::proxy
