// Reads that are answered over gathered rows: every shard is asked for the rows of its tables, then one server for the
// statement over all of them. See proxy/session/gather.hpp.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace pgbraid::proxy {

namespace p = protocol;
namespace from_server = protocol::backend;
using protocol::error_id;

namespace {

constexpr std::uint32_t json_type = 114;
// Marks the answers to the combining statement, and those about the fragments' columns, among those that are not the client's.
constexpr std::uint32_t combining = 1, typing = 2;

p::error_report refuse(std::string_view reason, std::string hint) {
  return p::with_hint(p::make_error(error_id::cross_shard_read, reason), std::move(hint));
}

constexpr std::string_view foreign_key_violation = "23503";

// PostgreSQL's function that finds several commands where one may be prepared, after it has read all of them.
constexpr std::string_view several_commands = "exec_parse_message";

// It says nothing of the statement: cancelled, out of a resource, a deadlock, a fault of the server's.
bool is_of_server(std::string_view sqlstate) {
  constexpr std::array<std::string_view, 6> classes{"08", "40", "53", "57", "58", "XX"};
  return std::find(classes.begin(), classes.end(), sqlstate.substr(0, 2)) != classes.end();
}

// What the statement computes of its constants cannot be computed: 1 / 0, what is out of range, logarithms and powers.
bool is_of_values(std::string_view sqlstate) {
  constexpr std::array<std::string_view, 4> states{"22012", "22003", "2201E", "2201F"};
  return std::find(states.begin(), states.end(), sqlstate) != states.end();
}

// What the shard that was asked does not have may stand on another one.
bool stands_elsewhere(std::string_view sqlstate) {
  constexpr std::string_view undefined_table = "42P01", undefined_schema = "3F000";
  return sqlstate == undefined_table || sqlstate == undefined_schema;
}

p::error_report rows_referred_to(std::string_view message) {
  auto error = p::with_hint(p::make_error(error_id::cross_shard_write, "rows that would move to another shard are referred to by a foreign key"),
                            "Change the rows that refer to them first, or insert new rows and delete the old ones.");
  error.detail = message;
  return error;
}

p::error_report checked_too_early(std::string_view message) {
  auto error = p::with_hint(
      p::make_error(
          error_id::cross_shard_write,
          "rows that WITH changes are referred to by a foreign key, and the rest of the statement writes too"),
      "Write in statements of their own, those rows first that refer to others.");
  error.detail = message;
  return error;
}

bool begins_with(std::string_view value, std::string_view word) {
  return value.size() >= word.size() &&
         std::equal(word.begin(), word.end(), value.begin(), [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); });
}

// The columns of a result as the statement describes them, "" if the gathered one has others. Tables and attribute
// numbers are the statement's alone; a plan may know more of a modifier: that of coalesce(price, NULL) is price's.
std::string told_columns(std::string_view described, std::string_view gathered) {
  constexpr std::int32_t no_modifier = -1;
  p::row_description a, b;
  if (!p::decode(described, a) || !p::decode(gathered, b)) return {};
  const auto same = [](const p::field_description& x, const p::field_description& y) {
    return x.name == y.name && x.type == y.type && x.type_size == y.type_size &&
           (x.type_modifier == y.type_modifier || x.type_modifier == no_modifier);
  };
  if (!std::equal(a.fields.begin(), a.fields.end(), b.fields.begin(), b.fields.end(), same)) return {};
  for (std::size_t i = 0; i < a.fields.size(); ++i) a.fields[i].type_modifier = b.fields[i].type_modifier;
  std::string out;
  p::encode_row_description(out, a.fields);
  return out;
}

}  // namespace

// Whether numbers and times are told in full, and in one way, and what is told is read as what it was.
bool session_machine::text_is_exact() const {
  const std::string_view digits = local_->value_of("extra_float_digits", "1");
  int value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value >= 1 && begins_with(local_->value_of("datestyle", "iso"), "iso") &&
         !begins_with(local_->value_of("intervalstyle", ""), "sql_standard") &&
         is_true(local_->value_of("array_nulls", "on")) &&
         begins_with(local_->value_of("xmloption", "content"), "content");
}

// What would change values on their way through text, or could not be told as JSON.
std::optional<p::error_report> session_machine::cannot_gather() const {
  if (context_->context.multibyte_unsafe) {
    return refuse("rows cannot be gathered under this client_encoding", "Use client_encoding UTF8.");
  }
  if (!text_is_exact()) {
    return refuse("rows cannot be gathered under these settings",
                  "RESET extra_float_digits, DateStyle, IntervalStyle, array_nulls and xmloption.");
  }
  return std::nullopt;
}

std::optional<p::error_report> session_machine::begin_gather(std::string_view text) {
  if (auto error = cannot_gather()) return error;
  auto plan = router::plan_gather(text, context_->context);
  if (plan == nullptr) return refuse("its tables have changed", "Run the statement again.");
  gather_ = std::make_unique<gather_state>(std::move(plan));
  return std::nullopt;
}

// Asks the placed branches for their rows. `whole`: each request ends with a Sync, and the combiner describes the
// statement first, so that its errors and its columns are the server's own.
void session_machine::fetch_fragments(step& s, std::string_view whole, const bound_values& given) {
  gather_state& g = *gather_;
  g.fetching = true;
  g.combiner = targets_[serial_ % targets_.size()];
  // now() is one value in a transaction: that of the server which has been in it for longest.
  if (const auto keeper = keeper_of_time();
      keeper && std::find(targets_.begin(), targets_.end(), *keeper) != targets_.end())
    g.combiner = *keeper;
  for (const branch_index i : targets_) {
    if (g.plan->combiner && branches_[i].shard == *g.plan->combiner) g.combiner = i;
  }
  for (std::size_t k = 0; k < targets_.size(); ++k) {
    const branch_index i = targets_[k];
    branch& b = branches_[i];
    const std::string_view fragments = g.asked.empty() ? g.plan->fragment_sql : g.asked[k];
    bound_values fewer;
    if (!g.asked.empty()) fewer = only_those_in(fragments, given);
    const bound_values& own = g.asked.empty() ? given : fewer;
    const std::size_t from = s.backend_bytes.size();
    const auto ask = [&](answer kind) { b.expect({kind, disposition::gather}); };
    if (!whole.empty() && i == g.combiner) {
      p::encode_parse(s.backend_bytes, "", whole);
      p::encode_describe(s.backend_bytes, p::object_kind::statement, "");
      ask(answer::parse);
      ask(answer::describe_statement);
    }
    p::encode_parse(s.backend_bytes, "", fragments, types_for(i, own.types));
    ask(answer::parse);
    if (g.plan->types_in_text && i == g.combiner) {
      p::encode_describe(s.backend_bytes, p::object_kind::statement, "");
      b.expect({answer::describe_statement, disposition::gather, 0, typing});
    }
    p::encode_bind(s.backend_bytes, "", "", own.formats, own.values, {});
    p::encode_execute(s.backend_bytes, "");
    ask(answer::bind);
    ask(answer::execute);
    if (whole.empty()) {
      p::encode_flush(s.backend_bytes);
      b.unsynced = b.flushed = true;
    } else {
      p::encode_sync(s.backend_bytes);
      ask(answer::sync);
    }
    b.facts->unnamed = 0;
    s.own_to_backend(i, from);
  }
}

// Where the columns of the shards' parts have types that cannot be written, all rows are fetched instead.
void session_machine::fetch_whole_rows() {
  if (gather_->fetching && gather_->plan->otherwise && !anything_outstanding() && gather_->lacks_types())
    gather_ = std::make_unique<gather_state>(gather_->plan->otherwise);
}

// The rows as parameters: what follows the statement's own in the combining statement's Bind.
void session_machine::add_fragments(bound_values& given) const {
  for (std::string& json : gather_->json) {
    json.append(json.empty() ? "[]" : "]");
    if (gather_->plan->rows_in_text) continue;
    given.types.push_back(json_type);
    given.values.emplace_back(json);
    if (!given.formats.empty()) given.formats.push_back(p::text_format);
  }
}

void session_machine::ask_combiner(step& s, const bound_values& given, std::string_view portal, const std::vector<std::int16_t>& result_formats) {
  branch& b = branches_[gather_->combiner];
  const std::size_t from = s.backend_bytes.size();
  if (gather_->plan->gaps.empty()) {
    p::encode_parse(s.backend_bytes, "", gather_->plan->combine_sql, types_for(gather_->combiner, given.types));
  } else {
    p::encode_parse(s.backend_bytes, "", combining_text(*gather_), types_for(gather_->combiner, given.types));
  }
  p::encode_bind(s.backend_bytes, portal, "", given.formats, given.values, result_formats);
  b.facts->unnamed = 0;
  b.unsynced = true;
  b.expect({answer::parse, disposition::gather, 0, combining});
  s.own_to_backend(gather_->combiner, from);
}

// The simple protocol's part of it; called again whenever something it waits for has come.
void session_machine::run_gather(step& s) {
  p::frame_view frame;
  p::query_view query;
  const bool readable = p::next_frame(input_.substr(0, cycle_bytes_), env_.max_message_bytes, frame) == p::frame_status::complete && p::decode(frame.body, query);
  if (!readable) return protocol_violation(s, "invalid Query message");
  if (!gather_) {
    if (auto error = begin_gather(query.text)) return refuse_simple(s, *error);
    if (gather_->plan->parameters > 0) return refuse_simple(s, refuse("it has parameters and nobody gave them values", "Use the extended protocol."));
  }
  if (!placed_) {
    p::error_report refusal;
    if (!place(s, *plan_, route_, targets_, refusal)) return refuse_simple(s, refusal);
    placed_ = true;
  }
  fetch_whole_rows();
  if (!gather_->fetching) {
    if (!ready(s, targets_)) return;
    mark_use(*plan_, route_, targets_);
    braid_ = braid_state{};
    fetch_fragments(s, gather_->plan->described_sql, {});
    if (plan_->effect == router::session_effect::declare_cursor) cursors_.set(plan_->name, gather_->combiner);
    return;
  }
  if (anything_outstanding()) return;
  sent_ = true;
  again_ = false;
  const bool later = plan_->effect != router::session_effect::declare_cursor && reads_stored_tables(*plan_);
  if (needs_ && !later) release_hold(s, reads_stored_tables(*plan_) ? gather_->combiner : -1);
  bound_values given;
  add_fragments(given);
  const branch_index i = gather_->combiner;
  ask_combiner(s, given, "", {});
  gather_->json.clear();
  branch& b = branches_[i];
  const std::size_t from = s.backend_bytes.size();
  p::encode_describe(s.backend_bytes, p::object_kind::portal, "");
  p::encode_execute(s.backend_bytes, "");
  p::encode_sync(s.backend_bytes);
  b.expect({answer::bind, disposition::gather, 0, combining});
  b.expect({answer::describe_portal, disposition::gather, 0, combining});
  b.expect({answer::execute, disposition::forward});
  b.expect({answer::sync, disposition::forward});
  s.own_to_backend(i, from);
}

// Bind of a statement whose rows must be gathered first. True: it is done; false: it waits.
bool session_machine::bind_gather(step& s, const p::bind_view& m, const statement& st) {
  if (!gather_) {
    if (!drained(s)) return false;
    if (auto error = begin_gather(st.text)) return op_error(s, *error);
    // Types may have been declared for more than the text names.
    const std::size_t wanted = std::max<std::size_t>(gather_->plan->parameters, st.parameter_types.size());
    if (m.parameters.size() != wanted) {
      gather_.reset();
      return op_error(s, p::make_error(error_id::parameter_count, m.parameters.size(), m.statement, wanted));
    }
  }
  fetch_whole_rows();
  if (!gather_->fetching) {
    p::error_report refusal;
    if (!placed_ && !place(s, *st.plan, route_, targets_, refusal)) {
      gather_.reset();
      return op_error(s, refusal);
    }
    placed_ = awaits_lease(targets_);
    if (placed_ || !ready(s, targets_)) return false;
    mark_use(*st.plan, route_, targets_);
    braid_ = braid_state{};
    fetch_fragments(s, {}, {m, st.parameter_types, gather_->plan->fragment_parameters});
    return false;
  }
  if (anything_outstanding()) return false;
  if (needs_.hold()) {
    const bool stored = reads_stored_tables(*st.plan);
    // A portal that is done with at the batch's end needs no gate behind that; a cursor would go with it.
    const bool done = reads_in_one_batch() && !fetches_in_parts(m.portal) &&
                      st.plan->effect != router::session_effect::declare_cursor;
    if (!stored || !done) release_hold(s, stored ? gather_->combiner : -1);
  }
  bound_values given{m, st.parameter_types, gather_->plan->combine_parameters};
  add_fragments(given);
  std::vector<std::int16_t> result_formats;
  for (std::size_t i = 0; i < m.result_formats.size(); ++i) result_formats.push_back(m.result_formats.of(i));
  ask_combiner(s, given, m.portal, result_formats);
  if (st.plan->effect == router::session_effect::declare_cursor) cursors_.set(st.plan->name, gather_->combiner);
  const targets home{gather_->combiner};
  gather_.reset();
  branches_[home.front()].expect({answer::bind, disposition::forward});
  open_portal(m.portal, nullptr, home);
  return true;
}

std::string session_machine::gathered_columns(std::string_view body) const {
  if (!gather_ || gather_->row_description.empty()) return {};
  return told_columns(std::string_view{gather_->row_description}.substr(p::frame_header_size), body);
}

// What is wrong with the statement itself is told before what its rows come upon: one server reads it first.
bool session_machine::comes_early(branch_index i, const p::error_fields_view& error) const {
  if (cycle_ != cycle_kind::simple || cycle_failed_ || !gather_ || !gather_->fetching || gather_->taken) return false;
  const std::string_view kind = error.sqlstate().substr(0, 2);
  return i != gather_->combiner && (kind == "21" || kind == "22" || kind == "23" || kind == "42");
}

void session_machine::tell_early_error(step& s) {
  gather_->taken = true;
  if (gather_->early.empty() || cycle_failed_) return;
  flush_run(s);
  const std::size_t from = s.client_bytes.size();
  s.client_bytes.append(gather_->early);
  s.own_to_client(from);
  told_ = cycle_failed_ = true;
}

// Answers to the fragments' statements, and to the first messages of the combining one.
session_machine::verdict session_machine::gather_answer(step& s, branch_index i, const p::frame_view& frame) {
  branch& b = branches_[i];
  const expectation e = b.expected[b.next];
  const auto completes = [&](answer kind) {
    if (e.kind == kind) pop_answer(i);
    return verdict::drop;
  };
  switch (frame.type) {
    case from_server::data_row:
      if (e.sequence == asking_moments && stage_ && !cycle_failed_) take_moments(s, frame.body);
      if (e.sequence == asking_source && stage_ && !cycle_failed_) take_source_row(s, frame.body);
      if (e.sequence == asking_collations && stage_ && !cycle_failed_) take_collations(frame.body);
      if (e.sequence == asking_numbers && question_ && !cycle_failed_) take_numbers(s, frame.body);
      if (e.sequence == asking_definitions && learning_ && !cycle_failed_) take_definition(i, frame.body);
      if (e.sequence == asking_copied && numbers_under_way() != nullptr)
        take_copy_numbers(*numbers_under_way(), frame.body);
      if (e.sequence >= asking_moments || cycle_failed_ || !gather_) return verdict::drop;
      if (!gather_->add_row(frame.body)) {
        fail_statement(s, p::make_error(error_id::server_results_differ, "a gathered row has other columns than were asked for"));
      } else if (gather_->bytes > env_.max_gather || !gather_->share.cover(env_.gathered, gather_->bytes)) {
        keeps_too_much(s);
      }
      return verdict::drop;
    case from_server::parse_complete:
      if (e.sequence == asking_source && stage_) stage_->source.parsed = true;
      if (gather_ && gather_->fetching && i == gather_->combiner) tell_early_error(s);
      return completes(answer::parse);
    case from_server::bind_complete:
      return completes(answer::bind);
    case from_server::command_complete:
      return completes(answer::execute);
    case from_server::close_complete:
      return completes(answer::close);
    case from_server::no_data:
      return completes(e.sequence == combining || e.sequence == asking_source ? answer::describe_portal
                                                                              : answer::describe_statement);
    case from_server::row_description:
      if (e.sequence == typing) {
        if (gather_) gather_->read_types(frame.body);
        return completes(answer::describe_statement);
      }
      if (e.sequence == asking_source) {
        if (stage_ && !cycle_failed_) take_source_columns(s, frame.body);
        return completes(answer::describe_portal);
      }
      if (e.sequence == asking_definitions) {
        if (answered_text* const text = learning_ ? learning_->text_of(i) : nullptr) text->emplace_back();
        return verdict::drop;
      }
      if (e.sequence != combining) {
        if (gather_) gather_->row_description.assign(frame.bytes);
        return completes(answer::describe_statement);
      }
      if (const std::string told = gathered_columns(frame.body); !told.empty()) {
        const std::size_t from = s.client_bytes.size();
        flush_run(s);
        s.client_bytes.append(told);
        s.own_to_client(from);
        told_ = true;
      } else {
        fail_statement(s, p::make_error(error_id::server_results_differ, "the gathered result has other columns"));
        // Its rows are on their way: nobody is told of them.
        for (std::size_t k = b.next; k < b.expected.size(); ++k) {
          if (b.expected[k].kind == answer::execute) b.expected[k].what = disposition::gather;
        }
      }
      return completes(answer::describe_portal);
    case from_server::error_response: {
      const bool subquery = e.sequence == asking_source && stage_ && !stage_->plan->source &&
                            e.kind != answer::execute && (cycle_ == cycle_kind::batch || stage_->source.parsed);
      p::error_fields_view fields;
      (void)p::decode(frame.body, fields);
      if (e.sequence == asking_source && stage_ && stage_->plan->moves && fields.sqlstate() == foreign_key_violation) {
        // An UPDATE is told of a unique key that is taken before it is told of this.
        fail_statement(s, rows_referred_to(fields.message()));
        (void)error_answer(s, i, frame);
        return verdict::drop;
      }
      const bool before_the_rest =
          e.sequence == 0 && stage_ && !stage_->plan->shown.empty() && !stage_->plan->answered_once;
      if (before_the_rest && fields.sqlstate() == foreign_key_violation) {
        // One server looks after its keys at the statement's end.
        fail_statement(s, checked_too_early(fields.message()));
        (void)error_answer(s, i, frame);
        return verdict::drop;
      }
      if (e.sequence == asking_numbers && question_ && question_->refusal &&
          (stands_elsewhere(fields.sqlstate()) || fields.field('R') == several_commands)) {
        fail_statement(s, *question_->refusal);
        (void)error_answer(s, i, frame);
        return verdict::drop;
      }
      if (comes_early(i, fields)) {
        if (gather_->early.empty()) gather_->early.assign(frame.bytes);
        pass_to_sync(i);
        return verdict::drop;
      }
      const bool own = is_of_server(fields.sqlstate()) || is_of_values(fields.sqlstate());
      if ((e.sequence != combining && !subquery) || own) return error_answer(s, i, frame);
      // The statement itself is right, or its own description would have failed: it means more than its rows.
      fail_statement(s, refuse(fmt::format("it cannot be answered over gathered rows ({})", fields.message()), "Tie the statement to keys of one shard."));
      (void)error_answer(s, i, frame);
      return verdict::drop;
    }
    case from_server::ready_for_query:
      b.transaction = frame.body.empty() ? 'I' : frame.body[0];
      b.unsynced = b.failed_quietly = false;
      b.pop();
      if (copy_) drawing_part_ready(s, i);
      return verdict::drop;
    default:
      return verdict::drop;
  }
}

}  // namespace pgbraid::proxy
