// PREPARE and EXECUTE by messages; see by_protocol.hpp. A simple query of either becomes one or two batches whose
// answers are told as those of the query.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "router/plan/combine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pgbraid::proxy {

namespace p = protocol;
namespace from_server = protocol::backend;
using protocol::error_id;
using phase = by_protocol_state::phase;

namespace {

constexpr std::string_view asks = "SELECT ";

p::error_report not_executed(std::string_view what, std::string_view why) {
  return p::with_hint(p::make_error(error_id::session_feature, what, why),
                      "Use the driver's own calls for prepared statements.");
}

bool is_explained(const router::plan& plan) {
  constexpr std::array<std::string_view, 5> queries{"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"};
  return std::find(queries.begin(), queries.end(), plan.tag) != queries.end();
}

p::error_report wrong_number(const by_protocol_state& state, std::size_t wanted) {
  p::error_report error = p::make_error(error_id::execute_arguments, state.name);
  error.detail = fmt::format("Expected {} parameters but got {}.", wanted, state.arguments.size());
  return error;
}

}  // namespace

void session_machine::begin_by_protocol(step& s, std::string_view text) {
  auto made = std::make_unique<by_protocol_state>();
  made->name = plan_->name;
  made->bytes = cycle_bytes_;
  const std::string_view inner = plan_->by_protocol ? router::prepared_text(text) : std::string_view{};
  made->before = text.substr(0, text.size() - inner.size());
  if (made->before.find("pgbraid:") != std::string::npos)
    return refuse_simple(
        s, not_executed("a hint for PREPARE or EXECUTE", "it holds for what is prepared where it stands in that"));
  if (!plan_->by_protocol) made->before.clear();
  if (plan_->by_protocol) {
    const auto types = router::declared_types(text);
    if (!types) return refuse_simple(s, not_executed("PREPARE with these types", "their OIDs are not known"));
    p::encode_parse(made->frames, made->name, plan_->inner_text, *types);
  } else {
    const statement& st = **statements_.find(made->name);
    if (controls(st.plan) || may_go_round(*st.plan) || st.plan->effect == router::session_effect::copy_in)
      return refuse_simple(s, not_executed("EXECUTE of this command", "it is carried out by pgbraid itself"));
    made->at = phase::describe;
    if (plan_->tag == "EXPLAIN") {
      if (!is_explained(*st.plan))
        return refuse_simple(s, not_executed("EXPLAIN EXECUTE of this command", "it is no query"));
      made->explains = router::text_before_execute(text);
    }
    made->arguments = router::arguments_of(text);
    made->computed = router::arguments_to_compute(text, *context_->context.schema);
    p::encode_describe(made->frames, p::object_kind::statement, made->name);
  }
  p::encode_sync(made->frames);
  cycle_ = cycle_kind::none;
  cycle_bytes_ = 0;
  by_protocol_ = std::move(made);
  start_phase(s);
}

// Called again for the same phase when what it waited for is there.
void session_machine::start_phase(step& s) {
  begin_cycle();
  if (several_) again_ = false;
  cycle_ = cycle_kind::batch;
  sync_sent_ = batch_synced_ = false;
  input_ = by_protocol_->frames;
  collect_batch(s);
}

// A batch is over. True: the next one is on its way. False: it was the last, or has failed.
bool session_machine::next_phase(step& s) {
  by_protocol_state& state = *by_protocol_;
  if (state.over) return false;
  if (!cycle_failed_ && state.at != phase::prepare && state.at != phase::execute) {
    const auto refused = state.at == phase::describe ? ask_types()
                         : state.at == phase::types  ? ask_values()
                                                     : bind_arguments();
    if (!refused) {
      held_complete_.clear();
      cycle_bytes_ = 0;
      if (needs_) release_hold(s);
      finish_cycle(s);
      return true;
    }
    tell_error(s, *refused);
    if (txn_.active) txn_.failed = true;
  } else if (!cycle_failed_ && state.at == phase::prepare) {
    tell_completion(s, "PREPARE");
  }
  // The client has bound nothing, and a simple query drops what it has parsed without a name.
  unnamed_portal_open_ = false;
  if (!state.computed.list.empty() || !state.explains.empty()) unnamed_.reset();
  state.over = true;
  cycle_bytes_ = state.bytes;
  return false;
}

// Arguments that must be computed are asked for as a query's columns, at first without a row: only what an assignment
// would convert to the parameter's type may be cast to it.
std::optional<p::error_report> session_machine::ask_types() {
  by_protocol_state& state = *by_protocol_;
  const std::size_t wanted = state.types ? state.types->size() : 0;
  // A server does not look at the arguments of a statement that takes none.
  if (wanted > 0 && state.arguments.size() != wanted) return wrong_number(state, wanted);
  bool told = true;
  for (std::size_t i = 0; i < wanted; ++i) {
    std::optional<std::string> text;
    told = told && router::as_parameter(state.arguments[i], (*state.types)[i], text);
  }
  if (told) state.computed = {};
  if (told || state.computed.list.empty()) return bind_arguments();
  if (!state.computed.judged)
    return not_executed("EXECUTE with such an argument", "its value cannot be asked for by itself");
  // All shards would be asked, for their snapshots.
  if (txn_.active && txn_.one_snapshot())
    return not_executed("EXECUTE with such an argument", "it is computed first, in a transaction with one snapshot");
  state.at = phase::types;
  state.before = state.computed.before.substr(0, state.computed.before.size() - asks.size());
  state.frames.clear();
  p::encode_parse(state.frames, "", std::string{asks}.append(state.computed.list));
  p::encode_describe(state.frames, p::object_kind::statement, "");
  p::encode_sync(state.frames);
  return std::nullopt;
}

std::optional<p::error_report> session_machine::ask_values() {
  by_protocol_state& state = *by_protocol_;
  const statement& prepared = **statements_.find(state.name);
  // In a transaction both ask for the same time.
  const bool of_moment = unnamed_ && unnamed_->plan->transaction_dependent && !txn_.active;
  if (of_moment && (prepared.plan->mode != router::access::read || prepared.plan->transaction_dependent))
    return not_executed("EXECUTE with the time as an argument",
                        "outside of a transaction what it carries out would have another time");
  std::string columns, casts;
  std::vector<std::int16_t> formats;
  for (std::size_t i = 0; i < state.arguments.size(); ++i) {
    const router::oid type = (*state.types)[i];
    std::optional<std::string> told;
    const std::string name = router::type_in_catalog(type);
    const bool plain = router::as_parameter(state.arguments[i], type, told);
    const bool fits = i < state.argument_types.size() && router::is_assignable(state.argument_types[i], type);
    if (!plain && (!fits || name.empty()))
      return not_executed("EXECUTE with such an argument", "what it means to the parameter's type is not known here");
    const std::string column = "a" + std::to_string(i);
    columns.append(i == 0 ? "" : ", ").append(column);
    casts.append(i == 0 ? "" : ", ").append(plain ? "NULL" : "v." + column + "::" + name);
    formats.push_back(router::has_one_text(type) ? 0 : 1);
  }
  state.at = phase::values;
  state.before.clear();
  state.frames.clear();
  p::encode_parse(state.frames, "",
                  fmt::format("{}{} FROM ({}{}) AS v({})", asks, casts, asks, state.computed.list, columns));
  p::encode_bind(state.frames, "", "", {}, {}, formats);
  p::encode_execute(state.frames, "");
  p::encode_sync(state.frames);
  return std::nullopt;
}

// What a server says of arguments that are computed.
void session_machine::note_computed(const p::frame_view& frame) {
  by_protocol_state& state = *by_protocol_;
  if (p::row_description described; state.at == phase::types && frame.type == from_server::row_description) {
    if (!p::decode(frame.body, described)) return;
    for (const p::field_description& each : described.fields) state.argument_types.push_back(each.type);
  } else if (p::data_row_view row; state.at == phase::values && frame.type == from_server::data_row) {
    if (!p::decode(frame.body, row)) return;
    p::value_list::cursor values = row.columns.values();
    for (p::wire_value value; values.next(value);)
      state.computed_values.push_back(value.null ? std::nullopt : std::optional<std::string>{value.bytes});
  }
}

// The messages that carry the statement out with the arguments of EXECUTE.
std::optional<p::error_report> session_machine::bind_arguments() {
  by_protocol_state& state = *by_protocol_;
  const std::size_t wanted = state.types ? state.types->size() : 0;
  const bool computed = !state.computed.list.empty();
  if (computed && state.computed_values.size() != wanted)
    return not_executed("EXECUTE with such an argument", "the server has not told its value");
  std::vector<std::optional<std::string>> texts(wanted);
  std::vector<p::optional_value> values;
  std::vector<std::int16_t> formats(wanted, 0);
  for (std::size_t i = 0; i < wanted; ++i) {
    const router::oid type = (*state.types)[i];
    if (!router::as_parameter(state.arguments[i], type, texts[i])) {
      if (!computed)
        return not_executed("EXECUTE with such an argument", "what it means to the parameter's type is not known here");
      texts[i] = state.computed_values[i];
      formats[i] = router::has_one_text(type) ? 0 : 1;
    }
    values.push_back(texts[i] ? p::optional_value{*texts[i]} : p::optional_value{});
  }
  state.at = phase::execute;
  state.before.clear();
  state.frames.clear();
  if (!state.explains.empty()) {
    const std::vector<router::oid> types = state.types.value_or(std::vector<router::oid>{});
    p::encode_parse(state.frames, "", state.explains + (**statements_.find(state.name)).text, types);
  }
  p::encode_bind(state.frames, "", state.explains.empty() ? state.name : "", formats, values, {});
  p::encode_describe(state.frames, p::object_kind::portal, "");
  p::encode_execute(state.frames, "");
  p::encode_sync(state.frames);
  return std::nullopt;
}

// What a simple query's answer does not have.
bool session_machine::is_muted(const p::frame_view& frame) {
  if (by_protocol_->at == phase::types || by_protocol_->at == phase::values) {
    const bool told = frame.type == from_server::error_response || frame.type == from_server::notice_response ||
                      from_server::is_asynchronous(frame.type) || frame.type == from_server::ready_for_query;
    if (!told) note_computed(frame);
    return !told;
  }
  switch (frame.type) {
    case from_server::parameter_description: {
      p::parameter_description_view described;
      if (!p::decode(frame.body, described)) return true;
      by_protocol_->types.emplace();
      for (std::size_t i = 0; i < described.types.size(); ++i) by_protocol_->types->push_back(described.types[i]);
      return true;
    }
    case from_server::parse_complete:
    case from_server::bind_complete:
    case from_server::close_complete:
    case from_server::no_data:
      return true;
    case from_server::row_description:
      return by_protocol_->at != phase::execute;
    default:
      return false;
  }
}

}  // namespace pgbraid::proxy
