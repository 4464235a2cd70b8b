// A text of several statements that no one server can carry out: each of them becomes a simple query of its own, in one
// transaction, and the client is told of all as if it were one cycle. Source: PostgreSQL's exec_simple_query(), whose
// implicit transaction block goes from the text's beginning, or from the last COMMIT in it, to its end.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "protocol/wire.hpp"
#include "router/sql/parser.hpp"

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

/// An ErrorResponse whose position is `by` characters further on; empty: it has none.
std::string moved_on(std::string_view body, std::size_t by) {
  std::string fields;
  bool moved = false;
  while (!body.empty() && body.front() != '\0') {
    const std::size_t end = body.find('\0');
    if (end == std::string_view::npos) return {};
    const std::string_view field = body.substr(0, end);
    body.remove_prefix(end + 1);
    std::size_t at = 0;
    const char* const last = field.data() + field.size();
    if (field.front() == 'P' && std::from_chars(field.data() + 1, last, at).ptr == last) {
      fields.append("P").append(std::to_string(at + by));
      moved = true;
    } else {
      fields.append(field);
    }
    fields.push_back('\0');
  }
  if (!moved) return {};
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
  if (hold_) release_hold(s);
  finish_cycle(s);
  return true;
}

// As a server does: the last statement is told to be complete when its transaction has been committed.
bool session_machine::holds_completion() const noexcept {
  return txn_.own && (cycle_ == cycle_kind::simple || by_protocol_) && (!several_ || several_->last());
}

// An error of a part of the client's text: its position is told as one in the whole.
session_machine::verdict session_machine::tell_in_place(step& s, const p::frame_view& frame) {
  std::size_t before = 0;
  if (several_) {
    const std::string_view text = several_->text;
    before += characters_of(text.substr(0, several_->parts[several_->next].offset), context_->context.utf8);
  }
  if (by_protocol_) before += characters_of(by_protocol_->before, context_->context.utf8);
  const std::string moved = before == 0 ? std::string{} : moved_on(frame.body, before);
  if (moved.empty()) return verdict::keep;
  flush_run(s);
  const std::size_t from = s.client_bytes.size();
  s.client_bytes.append(moved);
  s.own_to_client(from);
  told_ = true;
  return verdict::drop;
}

}  // namespace pgbraid::proxy
