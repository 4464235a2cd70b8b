// Statements that go over one shard after the other, each shard by itself and committed at once: what cannot run in a
// transaction. See round.hpp.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "protocol/wire.hpp"
#include "router/plan/upkeep.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace pgbraid::proxy {

namespace p = protocol;
namespace from_server = protocol::backend;
using protocol::error_id;
using router::block_rule;
using router::stop_task;
using phase = round_state::phase;

namespace {

constexpr std::string_view begin_again = "Run the statement again: it goes on where it has not been done.";
constexpr std::string_view begin_anew = "Run the statement again: it begins with the first shard.";

const router::to_many* many_of(const router::plan& plan) {
  const auto* fixed = std::get_if<router::fixed_target>(&plan.where);
  return fixed == nullptr ? nullptr : std::get_if<router::to_many>(&fixed->target);
}

// Which shards are done, and which one is at fault; "" while none is.
std::string standing(const round_state& r) {
  std::string done;
  for (const round_stop& each : r.stops) {
    if (each.done) done.append(done.empty() ? "" : ", ").append(each.name);
  }
  if (done.empty() || r.next >= r.stops.size()) return {};
  return fmt::format("This is shard {}; it is done on: {}.", r.stops[r.next].name, done);
}

std::string_view way_on(const round_state& r) {
  const bool repeats = r.how.what == router::upkeep::kind::repeat || r.how.what == router::upkeep::kind::use_index;
  return repeats ? begin_anew : begin_again;
}

// A server's error with more to its DETAIL and HINT.
std::string retold(const p::frame_view& frame, const std::string& detail, std::string_view hint) {
  std::string out;
  const p::frame_builder builder{out, frame.type};
  p::wire_reader fields{frame.body};
  bool detailed = false, hinted = false;
  const auto add = [&](char code, std::string_view first, std::string_view second) {
    out.push_back(code);
    out.append(first).append(first.empty() || second.empty() ? "" : "\n");
    p::append_cstring(out, second);
  };
  while (!fields.at_end()) {
    const char code = fields.character();
    if (code == '\0') break;
    const std::string_view value = fields.cstring();
    detailed = detailed || code == 'D';
    hinted = hinted || code == 'H';
    add(code, value, code == 'D' ? std::string_view{detail} : code == 'H' ? hint : std::string_view{});
  }
  if (!detailed) add('D', detail, {});
  if (!hinted) add('H', hint, {});
  out.push_back('\0');
  return out;
}

// Statements that say what is wrong go first: nothing has been done anywhere then.
void conflicts_first(std::vector<round_stop>& stops) {
  std::stable_partition(stops.begin(), stops.end(),
                        [](const round_stop& each) { return each.found.exists && each.task == stop_task::run; });
}

// What each shard has to do, now that all have said what they have of the index. False: they mean different ones.
bool share_out(round_state& r, const router::topology& map) {
  using kind = router::upkeep::kind;
  std::string table;
  for (const round_stop& each : r.stops) {
    if (each.found.table.empty()) continue;
    if (table.empty()) table = each.found.table;
    if (table != each.found.table) return false;
  }
  for (round_stop& each : r.stops) {
    const bool missing = r.how.what == kind::drop_index && !each.found.exists;
    const bool there = r.how.what == kind::create_index && each.found.valid && each.found.same;
    const bool leftover = r.how.what == kind::create_index && each.found.leftover;
    each.task = missing || there ? stop_task::skip : leftover ? stop_task::rebuild : stop_task::run;
  }
  const auto home = map.unsharded.find(table);
  const auto at_home = [&](const round_stop& each) { return each.shard == home->second; };
  if (home != map.unsharded.end() && r.how.what != kind::create_index) {
    std::erase_if(r.stops, [&](const round_stop& each) { return !at_home(each); });
  }
  const auto skipped = [](const round_stop& each) { return each.task == stop_task::skip; };
  if (std::all_of(r.stops.begin(), r.stops.end(), skipped)) {
    r.stops.resize(1);
    r.stops.front().task = stop_task::run;
  } else if (r.how.what == kind::create_index) {
    conflicts_first(r.stops);
  }
  return true;
}

}  // namespace

bool session_machine::may_go_round(const router::plan& plan) noexcept {
  return (plan.blocks == block_rule::either || plan.blocks == block_rule::outside) && plan.statement_count == 1 &&
         many_of(plan) != nullptr;
}

bool session_machine::goes_round(const router::plan& plan) const {
  if (!may_go_round(plan) || txn_.active) return false;
  return plan.blocks == block_rule::outside || stands_alone();
}

// In a block, or outside of one, where it must not be.
std::optional<p::error_report> session_machine::wrong_block(const router::plan& plan) const {
  if (plan.blocks == block_rule::any || plan.blocks == block_rule::either || many_of(plan) == nullptr)
    return std::nullopt;
  const bool client_block = txn_.active && (!txn_.own || several_);
  if (plan.blocks == block_rule::within)
    return client_block ? std::nullopt : std::optional{p::make_error(error_id::not_in_transaction, plan.tag)};
  if (!txn_.active) return std::nullopt;
  const bool index = plan.tag.ends_with(" INDEX") && !plan.tag.starts_with("REINDEX");
  return p::make_error(error_id::inside_transaction, index ? plan.tag + " CONCURRENTLY" : plan.tag);
}

// Execute. False: to be called again when the shard at hand has answered.
bool session_machine::execute_round(step& s, const statement_ptr& st) {
  if (!round_) {
    if (!drained(s)) return false;
    if (txn_.active || !nothing_unsynced())
      return op_error(s, p::make_error(error_id::inside_transaction, st->plan->tag));
    begin_round(st->plan, st->text);
  }
  if (!run_round(s)) return cycle_failed_ && !anything_outstanding();
  round_.reset();
  return true;
}

void session_machine::begin_round(const router::plan_ptr& plan, std::string_view text) {
  round_ = std::make_unique<round_state>();
  round_->plan = plan;
  round_->text = text;
  round_->how = router::plan_upkeep(text);
  if (!round_->how.state_sql.empty()) round_->at = phase::ask;
  const router::topology& map = *context_->context.map;
  for (const router::shard_index each : many_of(*plan)->shards)
    round_->stops.push_back({each, map.shards[each], {}, {}, false});
  braid_ = braid_state{};
  placed_ = false;
}

// True: it is done on all shards. False: the shard at hand is to answer, or it has failed.
bool session_machine::run_round(step& s) {
  round_state& r = *round_;
  while (!cycle_failed_) {
    if (r.asked) {
      if (anything_outstanding()) return false;
      r.asked = false;
      stop_over(s);
      continue;
    }
    if (r.next == r.stops.size()) {
      if (r.at != phase::ask) break;
      if (!share_out(r, *context_->context.map)) {
        r.next = 0;
        fail_round(s, p::make_error(error_id::server_results_differ, "the index is one of different tables"));
        return false;
      }
      r.next = 0;
      r.at = phase::run;
      if (r.stops.empty()) break;
    }
    round_stop& stop = r.stops[r.next];
    if (r.at == phase::run && !stop.done && stop.task == stop_task::skip) {
      stop.done = true;
      tell_stop(s, r.how.what == router::upkeep::kind::create_index ? "the index is there already"
                                                                    : "there is no such index");
      ++r.next;
      continue;
    }
    if (r.at == phase::run && stop.task == stop_task::rebuild) r.at = phase::again;
    if (!placed_) {
      const auto& shards = context_->context.map->shards;
      if (stop.shard >= shards.size() || shards[stop.shard] != stop.name) {
        fail_round(s, with_round(p::make_error(error_id::no_server, "primary", stop.name, "the topology has changed")));
        return false;
      }
      targets_.assign(1, branch_for(s, stop.shard, false));
      placed_ = true;
    }
    if (!ready(s, targets_)) return false;
    ask_stop(s);
    return false;
  }
  if (cycle_failed_) return false;
  complete_round(s);
  return true;
}

// The shard at hand is asked what the phase wants to know or have done.
void session_machine::ask_stop(step& s) {
  round_state& r = *round_;
  const branch_index i = targets_.front();
  const round_stop& stop = r.stops[r.next];
  r.asked = true;
  r.failed = false;
  r.rows.clear();
  if (r.at == phase::run || r.at == phase::remove) {
    mark_use(*r.plan, {router::to_any{}, router::access::write, true}, targets_);
  }
  branch& b = branches_[i];
  const std::size_t from = s.backend_bytes.size();
  switch (r.at) {
    case phase::ask:
    case phase::again:
      p::encode_query(s.backend_bytes, r.how.state_sql);
      break;
    case phase::compare:
      p::encode_query(s.backend_bytes, router::compare_question(r.how, stop.found));
      break;
    case phase::remove:
      p::encode_query(s.backend_bytes,
                      fmt::format("DROP INDEX CONCURRENTLY {}.{}", stop.found.schema, stop.found.name));
      break;
    case phase::run:
      p::encode_query(s.backend_bytes, r.text);
      break;
  }
  s.own_to_backend(i, from);
  b.facts->unnamed = 0;
  b.expect({answer::query, disposition::round});
}

// The shard at hand has answered.
void session_machine::stop_over(step& s) {
  round_state& r = *round_;
  round_stop& stop = r.stops[r.next];
  switch (r.at) {
    case phase::ask:
      if (!r.rows.empty()) stop.found = router::read_index_state(r.rows.front());
      if (stop.found.valid && !router::compare_question(r.how, stop.found).empty()) {
        r.at = phase::compare;
        return;
      }
      break;
    case phase::compare:
      stop.found.same = !r.failed && !r.rows.empty() && !r.rows.front().empty() && r.rows.front().front() == "t";
      r.at = phase::ask;
      break;
    case phase::again: {
      // Others may have made it whole since, or taken it away: then the server itself says what there is.
      const router::index_state now = r.rows.empty() ? router::index_state{} : router::read_index_state(r.rows.front());
      const bool stays = now.leftover && now.schema == stop.found.schema && now.name == stop.found.name;
      if (!stays) stop.task = stop_task::run;
      r.at = stays ? phase::remove : phase::run;
      return;
    }
    case phase::remove:
      stop.task = stop_task::run;
      r.at = phase::run;
      return;
    case phase::run:
      stop.done = true;
      tell_stop(s, "done");
      break;
  }
  ++r.next;
  placed_ = false;
  targets_.clear();
  // The way may be long: nobody need wait for a connection that is not used.
  release_branches(s);
}

void session_machine::fail_round(step& s, const p::error_report& error) {
  cycle_ == cycle_kind::simple ? refuse_simple(s, error) : static_cast<void>(op_error(s, error));
}

// Progress, as a server would tell it: its own messages about the shard stand before this.
void session_machine::tell_stop(step& s, std::string_view what) {
  const round_state& r = *round_;
  const std::string_view level = local_->value_of("client_min_messages", "notice");
  if (r.stops.size() < 2 || level == "warning" || level == "error") return;
  const std::string message =
      fmt::format("shard \"{}\": {} ({} of {})", r.stops[r.next].name, what, r.next + 1, r.stops.size());
  const std::array<p::error_field, 4> fields{{{'S', "NOTICE"}, {'V', "NOTICE"}, {'C', "00000"}, {'M', message}}};
  const std::size_t from = s.client_bytes.size();
  p::encode_notice_response(s.client_bytes, fields);
  s.own_to_client(from);
  told_ = true;
}

void session_machine::complete_round(step& s) {
  const std::size_t from = s.client_bytes.size();
  p::encode_command_complete(s.client_bytes, round_->tag);
  s.own_to_client(from);
  told_ = true;
}

session_machine::verdict session_machine::round_answer(step& s, branch_index i, const p::frame_view& frame) {
  branch& b = branches_[i];
  round_state* const r = round_.get();
  switch (frame.type) {
    case from_server::data_row: {
      p::data_row_view row;
      p::wire_value value;
      if (r == nullptr || cycle_failed_ || !p::decode(frame.body, row)) return verdict::drop;
      std::vector<std::optional<std::string>>& kept = r->rows.emplace_back();
      auto values = row.columns.values();
      while (values.next(value)) kept.push_back(value.null ? std::nullopt : std::optional{std::string{value.bytes}});
      return verdict::drop;
    }
    case from_server::command_complete: {
      p::command_complete_view complete;
      if (r != nullptr && r->at == phase::run && r->tag.empty() && p::decode(frame.body, complete))
        r->tag = complete.tag;
      return verdict::drop;
    }
    case from_server::error_response: {
      if (r == nullptr || cycle_failed_) return verdict::drop;
      p::error_fields_view fields;
      (void)p::decode(frame.body, fields);
      if (fields.sqlstate() == "25006") s.add(action_kind::doubt, i);
      r->failed = true;
      if (r->at == phase::compare && fields.sqlstate() != "57014") return verdict::drop;
      flush_run(s);
      const std::string detail = standing(*r);
      const std::size_t from = s.client_bytes.size();
      s.client_bytes.append(detail.empty() ? std::string{frame.bytes} : retold(frame, detail, way_on(*r)));
      s.own_to_client(from);
      told_ = cycle_failed_ = true;
      if (cycle_ == cycle_kind::batch) batch_failed();
      return verdict::drop;
    }
    case from_server::ready_for_query:
      b.transaction = frame.body.empty() ? 'I' : frame.body[0];
      pop_answer(i);
      return verdict::drop;
    default:
      return verdict::drop;
  }
}

// What keeps it from going on, with what has been done so far.
p::error_report session_machine::with_round(const p::error_report& error) const {
  const std::string detail = round_ ? standing(*round_) : std::string{};
  if (detail.empty()) return error;
  p::error_report out = error;
  out.detail.append(out.detail.empty() ? "" : "\n").append(detail);
  out.hint.append(out.hint.empty() ? "" : "\n").append(way_on(*round_));
  return out;
}

}  // namespace pgbraid::proxy
