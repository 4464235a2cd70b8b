// PREPARE and EXECUTE by messages; see by_protocol.hpp. A simple query of either becomes one or two batches whose
// answers are told as those of the query.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "router/plan/combine.hpp"

#include <fmt/format.h>

namespace pgbraid::proxy {

namespace p = protocol;
namespace from_server = protocol::backend;
using protocol::error_id;
using phase = by_protocol_state::phase;

namespace {

p::error_report not_executed(std::string_view what, std::string_view why) {
  return p::with_hint(p::make_error(error_id::session_feature, what, why),
                      "Use the driver's own calls for prepared statements.");
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
    made->arguments = router::arguments_of(text);
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
  if (!cycle_failed_ && state.at == phase::describe) {
    const auto refused = bind_arguments();
    if (!refused) {
      state.at = phase::execute;
      cycle_bytes_ = 0;
      if (hold_) release_hold(s);
      finish_cycle(s);
      return true;
    }
    tell_error(s, *refused);
    if (txn_.active) txn_.failed = true;
  } else if (!cycle_failed_ && state.at == phase::prepare) {
    tell_completion(s, "PREPARE");
  }
  // The client has bound nothing.
  unnamed_portal_open_ = false;
  state.over = true;
  cycle_bytes_ = state.bytes;
  return false;
}

// The messages that carry the statement out with the arguments of EXECUTE.
std::optional<p::error_report> session_machine::bind_arguments() {
  by_protocol_state& state = *by_protocol_;
  const std::size_t wanted = state.types ? state.types->size() : 0;
  // A server does not look at the arguments of a statement that takes none.
  if (wanted > 0 && state.arguments.size() != wanted) return wrong_number(state, wanted);
  std::vector<std::optional<std::string>> texts(wanted);
  std::vector<p::optional_value> values;
  for (std::size_t i = 0; i < wanted; ++i) {
    if (!router::as_parameter(state.arguments[i], (*state.types)[i], texts[i]))
      return not_executed("EXECUTE with such an argument", "what it means to the parameter's type is not known here");
    values.push_back(texts[i] ? p::optional_value{*texts[i]} : p::optional_value{});
  }
  state.frames.clear();
  p::encode_bind(state.frames, "", state.name, {}, values, {});
  p::encode_describe(state.frames, p::object_kind::portal, "");
  p::encode_execute(state.frames, "");
  p::encode_sync(state.frames);
  return std::nullopt;
}

// What a simple query's answer does not have.
bool session_machine::is_muted(const p::frame_view& frame) {
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
