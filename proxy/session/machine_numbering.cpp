// COPY ... FROM STDIN that leaves columns to sequences: rows get their numbers on their way. See copy_numbers.hpp.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "protocol/wire.hpp"
#include "router/plan/copies.hpp"
#include "router/plan/names.hpp"
#include "router/plan/words.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;
using part_state = copy_state::part::state;

namespace {

// Rows that refer to each other are checked when their COPY ends, so that all of them must be in one.
std::string question_for_itself(const router::copy_layout& layout) {
  return ", (SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class t ON t.oid "
         "OPERATOR(pg_catalog.=) "
         "k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.relnamespace WHERE "
         "k.contype OPERATOR(pg_catalog.=) 'f' AND k.confrelid OPERATOR(pg_catalog.=) k.conrelid AND "
         "n.nspname OPERATOR(pg_catalog.=) " +
         router::string_literal(layout.schema) + " AND t.relname OPERATOR(pg_catalog.=) " +
         router::string_literal(layout.relation) + "))::pg_catalog.text";
}

p::error_report kept_too_much(std::size_t limit) {
  auto error = p::make_error(error_id::copy_too_large, limit);
  error.message = fmt::format(
      "COPY into a table whose rows refer to each other is kept for the first shard, up to {} bytes", limit);
  return error;
}

}  // namespace

// The COPY that has just been begun. False: it cannot be put into other words, as its plan was made of another text.
bool session_machine::begin_numbers(std::string_view text) {
  copy_state& c = *copy_;
  const auto layout = std::make_shared<router::copy_layout>(c.splitter.layout());
  if (layout->numbered.empty()) return true;
  const auto drawer = std::find_if(c.parts.begin(), c.parts.end(), [&](const copy_state::part& each) {
    return branches_[each.branch].shard == router::designated_shard;
  });
  std::string statement = router::with_numbered_columns(text, *layout);
  if (drawer == c.parts.end() || statement.empty()) {
    copy_.reset();
    return false;
  }
  c.numbers = std::make_unique<copy_numbers>(layout, env_.max_message_bytes,
                                             static_cast<std::size_t>(drawer - c.parts.begin()));
  c.numbers->statement = std::move(statement);
  return true;
}

// Rows whose numbers are there go on; the others' numbers are asked for, and until these come the client is not read.
void session_machine::number_rows(step& s) {
  copy_state& c = *copy_;
  copy_numbers& n = *c.numbers;
  if (n.asked || c.failed) return;
  std::string ready;
  const bool written = n.rows.supply(ready, std::exchange(n.values, {}));
  c.splitter.take(ready);
  const auto fail = [&](const p::error_report& error) {
    send_copied(s);
    p::encode_error(c.fallback, error);
    fail_copy(s);
  };
  if (!written)
    return fail(p::make_error(error_id::internal, "a number of a sequence cannot be written into the data"));
  if (c.splitter.stopped()) {
    send_copied(s);
    return stop_copy(s);
  }
  if (n.rows.wanted() > 0) return ask_copy_numbers(s);
  if (n.rows.refused()) return fail(*n.rows.refused());
  if (n.at != copy_numbers::client::sends) return end_copied_data(s, n.at == copy_numbers::client::has_ended, n.reason);
  send_copied(s);
  s.read_client = true;
}

void session_machine::ask_copy_numbers(step& s) {
  copy_state& c = *copy_;
  copy_numbers& n = *c.numbers;
  copy_state::part& part = c.parts[n.part];
  router::copy_splitter::part& given = c.splitter.parts()[n.part];
  send_copied(s);
  if (n.judging) {
    end_copy_part(s, n.part, true, {});
    n.judging = false;
    part.is = part_state::drawing;
    begin_segment();
  } else if (given.bytes.size() > n.rows.head().size() + copy_numbers::most_waiting) {
    if (!n.refers_to_itself) {
      send_segment(s, true, {});
    } else if (given.bytes.size() > env_.max_gather || !n.share.cover(env_.gathered, given.bytes.size())) {
      p::encode_error(c.fallback,
                      given.bytes.size() > env_.max_gather ? kept_too_much(env_.max_gather) : no_room_left());
      return fail_copy(s);
    }
  }
  draw_numbers(s, part.branch, n, n.knows ? std::string{} : question_for_itself(c.splitter.layout()));
}

// One for each row that waits, and what else is asked.
void session_machine::draw_numbers(step& s, branch_index i, copy_numbers& n, const std::string& more) {
  branch& b = branches_[i];
  const std::size_t from = s.backend_bytes.size();
  p::encode_query(s.backend_bytes,
                  n.draws + more + " FROM pg_catalog.generate_series(1, " + std::to_string(n.rows.wanted()) + ")");
  s.own_to_backend(i, from);
  b.expect({answer::query, disposition::gather, 0, asking_copied});
  b.facts->unnamed = 0;
  note_drawn(i);
  drew_elsewhere_ = false;
  n.asked = true;
}

copy_numbers* session_machine::numbers_under_way() const noexcept {
  return copy_ ? copy_->numbers.get() : replay_ ? replay_->numbers.get() : nullptr;
}

void session_machine::take_copy_numbers(copy_numbers& n, std::string_view body) {
  p::data_row_view row;
  p::wire_value value;
  if (!p::decode(body, row)) return;
  auto values = row.columns.values();
  std::size_t left = n.columns;
  while (values.next(value)) {
    if (left > 0) {
      --left;
      n.values.push_back(value.null ? std::nullopt : std::optional<std::string>{value.bytes});
      continue;
    }
    n.knows = true;
    n.refers_to_itself = value.bytes == "true";
  }
}

// The server that draws numbers owes nothing at the moment.
void session_machine::copy_numbers_over(step& s) {
  copy_numbers& n = *copy_->numbers;
  if (copy_->failed || !n.asked) return;
  n.asked = false;
  if (n.values.size() != n.rows.wanted() * n.columns) {
    p::encode_error(copy_->fallback, p::make_error(error_id::internal, "numbers of a sequence could not be read"));
    return fail_copy(s);
  }
  number_rows(s);
  if (s.read_client) s.more_input = true;
}

// The client's own COPY gets the header as the client has sent it, and what keeps it from being carried out.
void session_machine::send_to_judge(step& s) {
  copy_numbers& n = *copy_->numbers;
  std::string bytes = std::exchange(copy_->splitter.parts()[n.part].bytes, {});
  if (!n.greeted && !n.rows.head().empty() && !bytes.empty()) {
    bytes.replace(0, n.rows.head().size(), n.rows.clients_head());
    n.greeted = true;
  }
  if (bytes.empty()) return;
  const std::size_t from = s.backend_bytes.size();
  p::encode_copy_data(s.backend_bytes, bytes);
  s.own_to_backend(copy_->parts[n.part].branch, from);
}

// What the designated shard's rows are collected in, from here on.
void session_machine::begin_segment() {
  copy_numbers& n = *copy_->numbers;
  router::copy_splitter::part& given = copy_->splitter.parts()[n.part];
  const bool binary = copy_->splitter.layout().shape.format.form == router::copy_format::kind::binary;
  const std::uint64_t line = binary ? 0 : n.rows.head_line();
  // The splitter may still wait to see whether a newline follows the header's carriage return.
  if (given.lines.last() < line) given.lines.add(line, line);
  n.lines.push_back(std::exchange(given.lines, {}));
  given.bytes = n.rows.head();
  given.started = !given.bytes.empty();
  if (line > 0) given.lines.add(line, line);
}

// A COPY of the rows that wait for the designated shard, from its beginning to its end.
void session_machine::send_segment(step& s, bool keep, std::string_view reason) {
  copy_numbers& n = *copy_->numbers;
  const branch_index i = copy_->parts[n.part].branch;
  const std::size_t from = s.backend_bytes.size();
  p::encode_query(s.backend_bytes, n.statement);
  p::encode_copy_data(s.backend_bytes, copy_->splitter.parts()[n.part].bytes);
  if (keep) {
    p::encode_copy_done(s.backend_bytes);
  } else {
    if (!copy_->clients_wish && !copy_->splitter.nudge().empty())
      p::encode_copy_data(s.backend_bytes, copy_->splitter.nudge());
    p::encode_copy_fail(s.backend_bytes, reason);
  }
  s.own_to_backend(i, from);
  branches_[i].expect({answer::query, disposition::forward});
  branches_[i].facts->unnamed = 0;
  ++n.due;
  begin_segment();
}

// No more rows come for the designated shard, whose COPY is not open.
void session_machine::end_drawing_part(step& s, bool keep, std::string_view reason) {
  copy_numbers& n = *copy_->numbers;
  copy_state::part& part = copy_->parts[n.part];
  if (copy_->splitter.parts()[n.part].bytes.size() > n.rows.head().size()) send_segment(s, keep, reason);
  n.final = true;
  if (branches_[part.branch].outstanding()) {
    part.is = keep ? part_state::ended : part_state::given_up;
    return;
  }
  part.is = part_state::over;
  if (keep && braid_.executing > 0) --braid_.executing;
}

// True: the client is not told of the end of this COPY, as it is one of several.
bool session_machine::segment_complete(branch_index i, std::string_view body) {
  if (!copy_->draws_on(i) || copy_->numbers->judging) return false;
  copy_numbers& n = *copy_->numbers;
  --n.due;
  if (!n.lines.empty()) n.lines.pop_front();
  if (n.final && n.due == 0) return false;
  p::command_complete_view complete;
  if (!p::decode(body, complete)) return true;
  std::uint64_t rows = 0;
  const std::size_t blank = complete.tag.rfind(' ');
  if (blank != std::string_view::npos)
    std::from_chars(complete.tag.data() + blank + 1, complete.tag.data() + complete.tag.size(), rows);
  braid_.rows += rows;
  return true;
}

// It failed elsewhere, and what was on its way to the designated shard has been dealt with there.
void session_machine::drawing_part_ready(step& s, branch_index i) {
  if (!copy_->draws_on(i) || !copy_->failed || branches_[i].outstanding()) return;
  copy_state::part& part = copy_->parts[copy_->numbers->part];
  if (part.is != part_state::drawing && part.is != part_state::given_up) return;
  part.is = part_state::over;
  copy_part_over(s);
}

// An error or a notice, its place and the line that it shows told as the client knows them.
retold_report session_machine::retell(const copy_state::part& part, const p::frame_view& frame) const {
  return retell_line(frame, copy_->splitter.layout().relation, &copy_->lines_of(part),
                     copy_->numbers ? &copy_->numbers->rows : nullptr);
}

// A number could not be drawn: told as of the row that it was for.
std::string session_machine::with_row_of_draw(const p::frame_view& frame, const copy_numbers& n,
                                              const router::copy_layout& layout, std::uint64_t& line) {
  const router::copy_numbering::place place = n.rows.place_of(n.values.size() / n.columns);
  std::string context = "COPY " + layout.relation + ", line " + std::to_string(place.line);
  if (layout.shape.format.form != router::copy_format::kind::binary) context += ": \"" + place.shown + '"';
  line = place.line;
  std::string out;
  const p::frame_builder builder{out, frame.type};
  p::wire_reader fields{frame.body};
  while (!fields.at_end()) {
    const char code = fields.character();
    if (code == '\0') break;
    const std::string_view value = fields.cstring();
    if (code == 'W' || code == 'P') continue;
    out.push_back(code);
    p::append_cstring(out, value);
  }
  out.push_back('W');
  p::append_cstring(out, context);
  out.push_back('\0');
  return out;
}

}  // namespace pgbraid::proxy
