// INSERT ... VALUES whose rows go to several shards: each gets a statement with its own rows, and the rows that
// RETURNING gives come back in the order in which they were written.
#include "proxy/session/machine.hpp"

#include "protocol/frontend.hpp"
#include "router/plan/explain.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;

// The shard of each row; empty for any other statement.
std::span<const router::shard_index> session_machine::rows_of_insert() const {
  const auto* many = std::get_if<router::to_many>(&route_.target);
  return many == nullptr ? std::span<const router::shard_index>{} : std::span{many->rows};
}

// All shards do the same: one of them goes ahead, so that whoever does it at the same time waits there and nowhere
// else.
bool session_machine::mirrors() const {
  const auto* many = std::get_if<router::to_many>(&route_.target);
  return many != nullptr && many->mirrored;
}

targets session_machine::order_of_rows() const {
  if (explains()) return targets_;
  targets order;
  if (stage_) {
    for (const std::size_t target : stage_->source.order) order.push_back(targets_[target]);
  }
  for (const router::shard_index shard : rows_of_insert()) {
    const auto home =
        std::find_if(targets_.begin(), targets_.end(), [&](branch_index i) { return branches_[i].shard == shard; });
    order.push_back(*home);
  }
  return order;
}

// One for each of the targets; none if the text has other rows than its route, and nothing may be sent.
std::vector<router::insert_part> session_machine::parts_of_insert(std::string_view text, std::size_t parameters) const {
  std::vector<router::insert_part> parts;
  if (explains() && !braid_.explain->asked.empty()) return {targets_.size(), router::renumbered(braid_.explain->asked)};
  const bool each_its_own = stage_ && !stage_->texts.empty();
  if (stage_ && !each_its_own) text = stage_->text;
  for (std::size_t k = 0; k < targets_.size(); ++k) {
    if (splits_rows()) {
      parts.push_back(router::part_of_insert(text, rows_of_insert(), branches_[targets_[k]].shard));
    } else if (each_its_own) {
      parts.push_back(router::renumbered(stage_->texts[k]));
    } else if (stage_) {
      parts.push_back(router::renumbered(text));
    } else {
      parts.push_back({std::string{text}, {}});
      for (std::size_t n = 0; n < parameters; ++n) parts.back().parameters.push_back(static_cast<std::uint16_t>(n));
    }
    if (parts.back().sql.empty()) return {};
  }
  return parts;
}

void session_machine::keep_ordered_row(step& s, branch_index i, std::string_view frame) {
  braid_.rows_of[i].append(frame);
  braid_.kept += frame.size();
  if (braid_.kept > env_.max_gather || !braid_.share.cover(env_.gathered, braid_.kept)) keeps_too_much(s);
}

void session_machine::tell_ordered_rows(step& s) {
  if (explains()) return tell_plans(s);
  if (braid_.order.empty()) return;
  std::vector<std::size_t> told(braid_.rows_of.size());
  const std::size_t from = s.client_bytes.size();
  for (const branch_index i : braid_.order) {
    p::frame_view row;
    const std::string_view rest = std::string_view{braid_.rows_of[i]}.substr(told[i]);
    if (p::next_frame(rest, rest.size(), row) != p::frame_status::complete) continue;  // without RETURNING
    s.client_bytes.append(row.bytes);
    told[i] += row.total;
  }
  s.own_to_client(from);
  braid_.order.clear();
  braid_.rows_of.clear();
  braid_.share.give_back();
}

// A statement of which each branch gets its own part, in the simple protocol, to branches that are ready for it.
void session_machine::send_parts(step& s, std::string_view text, bool ahead) {
  const std::vector<router::insert_part> parts = parts_of_insert(text, 0);
  if (parts.empty()) {
    return refuse_simple(s, p::make_error(error_id::internal, "the rows of an INSERT could not be told apart"));
  }
  braid_.order = order_of_rows();
  if (!braid_.order.empty()) braid_.rows_of.assign(branches_.size(), {});
  for (std::size_t k = 0; k < targets_.size(); ++k) {
    branch& b = branches_[targets_[k]];
    if (mirrors() && ahead == echoes(targets_[k])) continue;
    b.facts->unnamed = 0;
    b.expect({answer::query, disposition::forward});
    const std::size_t from = s.backend_bytes.size();
    p::encode_query(s.backend_bytes, parts[k].sql);
    s.own_to_backend(targets_[k], from);
  }
}

// Bind of such a statement: each branch gets its own Parse and Bind, under the portal's one name.
bool session_machine::bind_parts(step& s, const p::bind_view& m, const statement& st, std::string_view text) {
  const std::vector<router::insert_part> parts = parts_of_insert(text, m.parameters.size());
  if (parts.empty()) return op_error(s, p::make_error(error_id::internal, "the rows of an INSERT could not be told apart"));
  std::vector<p::optional_value> all;
  auto given = m.parameters.values();
  p::wire_value value;
  while (given.next(value)) all.push_back(value.null ? p::optional_value{} : p::optional_value{value.bytes});
  std::vector<std::int16_t> result_formats;
  for (std::size_t i = 0; i < m.result_formats.size(); ++i) result_formats.push_back(m.result_formats.of(i));
  const std::uint32_t sequence = braid_.next_sequence++;
  for (std::size_t k = 0; k < targets_.size(); ++k) {
    const branch_index i = targets_[k];
    branch& b = branches_[i];
    const router::insert_part& part = parts[k];
    std::vector<router::oid> types;
    std::vector<std::int16_t> formats;
    std::vector<p::optional_value> values;
    for (const std::uint16_t index : part.parameters) {
      types.push_back(index < st.parameter_types.size() ? st.parameter_types[index] : 0);
      formats.push_back(m.formats.of(index));
      values.push_back(index < all.size() ? all[index] : p::optional_value{});
    }
    const std::size_t from = s.backend_bytes.size();
    p::encode_parse(s.backend_bytes, "", part.sql, types_for(i, types));
    p::encode_bind(s.backend_bytes, m.portal, "", formats, values, result_formats);
    s.own_to_backend(i, from);
    b.facts->unnamed = 0;
    b.expect({answer::parse, disposition::swallow});
    expectation e{answer::bind, disposition::forward};
    e.sequence = sequence;
    b.expect(e);
    b.unsynced = true;
  }
  return true;
}

}  // namespace pgbraid::proxy
