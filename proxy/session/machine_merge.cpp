// Sorted reads over several shards whose rows are merged as they come. See proxy/session/merge.hpp.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "proxy/session/frame_body.hpp"
#include "router/plan/planner.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <type_traits>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;

namespace {

// The servers refuse a negative one.
std::uint64_t not_negative(std::int64_t rows) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(rows, 0));
}

template <typename Number>
std::uint64_t big_endian(std::string_view bytes) {
  std::make_unsigned_t<Number> value = 0;
  for (const char c : bytes)
    value = static_cast<std::make_unsigned_t<Number>>(value << 8 | static_cast<unsigned char>(c));
  return not_negative(static_cast<Number>(value));
}

}  // namespace

// Nothing where the value of LIMIT $n is not certain: what a server makes of bytes depends on the parameter's type.
std::optional<std::uint64_t> session_machine::rows_asked_for(const router::row_limit& limit, const statement& st,
                                                             const p::bind_view& m) const {
  if (limit.parameter == 0) return limit.rows;
  const auto at = static_cast<std::size_t>(limit.parameter) - 1;
  p::wire_value value;
  if (!m.parameter(at, value)) return std::nullopt;
  if (value.null) return std::numeric_limits<std::uint64_t>::max();
  const std::string_view bytes = value.bytes;
  if (!m.binary(at)) {
    std::int64_t rows = 0;
    const auto read = std::from_chars(bytes.data(), bytes.data() + bytes.size(), rows);
    return read.ec == std::errc{} && read.ptr == bytes.data() + bytes.size() ? std::optional{not_negative(rows)}
                                                                             : std::nullopt;
  }
  switch (at < st.parameter_types.size() ? st.parameter_types[at] : 0) {
    case router::type_oid::int2:
      return bytes.size() == 2 ? std::optional{big_endian<std::int16_t>(bytes)} : std::nullopt;
    case router::type_oid::int4:
      return bytes.size() == 4 ? std::optional{big_endian<std::int32_t>(bytes)} : std::nullopt;
    case router::type_oid::int8:
      return bytes.size() == 8 ? std::optional{big_endian<std::int64_t>(bytes)} : std::nullopt;
    default:
      return std::nullopt;
  }
}

p::error_report session_machine::limit_unknown() {
  return p::with_hint(
      p::make_error(error_id::cross_shard_write, "the LIMIT of the rows to be locked is no integer that is known here"),
      "Give the parameter of LIMIT one of the types smallint, integer and bigint, or write a constant.");
}

// A statement that would be gathered is asked of all shards instead, where the order of its rows can be told from what the
// client is sent.
void session_machine::merge_instead(const router::plan& plan) {
  auto* const gathered = std::get_if<router::to_gather>(&route_.target);
  if (gathered == nullptr) return;
  if (plan.merge->of_settings && !text_is_exact()) return;
  if (plan.merge->of_characters && !context_->literals.utf8) return;
  route_.target = router::to_many{std::move(gathered->shards)};
}

// Rows that are locked cannot be gathered instead.
std::optional<p::error_report> session_machine::order_is_unknown(const router::plan& plan, bool limit_known) const {
  if (plan.merge == nullptr || !std::holds_alternative<router::to_many>(route_.target)) return std::nullopt;
  if (!limit_known) return limit_unknown();
  const bool known =
      (!plan.merge->of_settings || text_is_exact()) && (!plan.merge->of_characters || context_->literals.utf8);
  if (known) return std::nullopt;
  return p::with_hint(p::make_error(error_id::cross_shard_write,
                                    "the order of the rows to be locked cannot be told under these settings"),
                      "RESET extra_float_digits, DateStyle and IntervalStyle.");
}

// An Execute of all rows is here already: a portal with a row limit is answered by one server.
bool session_machine::fetches_all(std::string_view portal) const {
  for (std::size_t k = operation_ + 1; k < operations_.size(); ++k) {
    const operation& o = operations_[k];
    if (o.type == p::frontend::describe) continue;
    p::execute_view m;
    return o.type == p::frontend::execute && p::decode(body_of(input_.substr(o.offset, o.length)), m) && m.portal == portal && m.max_rows == 0;
  }
  return false;
}

// Its rows will be asked for some at a time, as far as can be seen: a named portal without an Execute is a cursor.
bool session_machine::fetches_in_parts(std::string_view portal) const {
  for (std::size_t k = operation_ + 1; k < operations_.size(); ++k) {
    const operation& o = operations_[k];
    p::execute_view m;
    if (o.type != p::frontend::execute || !p::decode(body_of(input_.substr(o.offset, o.length)), m) || m.portal != portal) continue;
    return m.max_rows > 0;
  }
  return !portal.empty();
}

// A read whose answers would be put one behind the other is gathered instead, so that one server keeps its portal.
void session_machine::gather_instead(const statement& st) {
  auto* const many = std::get_if<router::to_many>(&route_.target);
  if (many == nullptr || route_.mode != router::access::read) return;
  if (router::plan_gather(st.text, context_->context) == nullptr) return;
  route_.target = router::to_gather{std::move(many->shards)};
}

// How the rows of a portal are merged, in the formats that its Bind asks for.
merge_ptr session_machine::merge_of(const statement& st, const p::bind_view& m) const {
  const router::plan& plan = *st.plan;
  if (plan.merge == nullptr || targets_.size() < 2) return nullptr;
  auto made = std::make_shared<merge_request>(
      merge_request{plan.merge, {}, rows_asked_for(plan.merge->limit, st, m).value_or(0)});
  for (const router::merge_key& key : plan.merge->keys) made->binary.push_back(m.result_formats.of(key.column) == p::binary_format);
  return made;
}

// Whether rows of branch `i` must wait until the others' have come.
bool session_machine::ahead_of_others(branch_index i) {
  if (braid_.failed || !braid_.merge->full(i)) return false;
  std::vector<branch_index>& held = braid_.merge->held;
  if (std::find(held.begin(), held.end(), i) == held.end()) held.push_back(i);
  return true;
}

void session_machine::keep_sorted_row(step& s, branch_index i, std::string_view frame) {
  if (braid_.merge->add(i, frame)) return;
  fail_statement(s, p::make_error(error_id::server_results_differ, "a value to sort by is none of its column's type"));
}

// Tells the client the rows whose turn it is, and goes on with branches that have been held for them.
void session_machine::tell_sorted_rows(step& s) {
  sorted_merge& merge = *braid_.merge;
  if (!braid_.failed) {
    const std::size_t from = s.client_bytes.size();
    merge.take(s.client_bytes);
    if (s.client_bytes.size() > from) {
      s.own_to_client(from);
      told_ = true;
    }
  }
  std::erase_if(merge.held, [&](branch_index i) {
    if (!braid_.failed && merge.full(i)) return false;
    s.add(action_kind::resume, i);
    return true;
  });
}

}  // namespace pgbraid::proxy
