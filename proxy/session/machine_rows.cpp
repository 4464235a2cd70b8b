// INSERT ... VALUES whose rows go to several shards: each gets a statement with its own rows, and the rows that
// RETURNING gives come back in the order in which they were written.
#include "proxy/session/machine.hpp"

#include "protocol/frontend.hpp"
#include "router/plan/rows.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;

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

session_machine::targets session_machine::order_of_rows() const {
  targets order;
  for (const router::shard_index shard : rows_of_insert()) {
    const auto home =
        std::find_if(targets_.begin(), targets_.end(), [&](branch_index i) { return branches_[i].shard == shard; });
    order.push_back(*home);
  }
  return order;
}

void session_machine::tell_ordered_rows(step& s) {
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
}

// Bind of such a statement: each branch gets its own Parse and Bind, under the portal's one name.
void session_machine::bind_rows(step& s, const p::bind_view& m, const statement& st) {
  std::vector<p::optional_value> all;
  auto given = m.parameters.values();
  p::wire_value value;
  while (given.next(value)) all.push_back(value.null ? p::optional_value{} : p::optional_value{value.bytes});
  std::vector<std::int16_t> result_formats;
  for (std::size_t i = 0; i < m.result_formats.size(); ++i) result_formats.push_back(m.result_formats.of(i));
  const std::uint32_t sequence = braid_.next_sequence++;
  for (const branch_index i : targets_) {
    branch& b = branches_[i];
    const router::insert_part part = router::part_of_insert(st.text, rows_of_insert(), b.shard);
    std::vector<router::oid> types;
    std::vector<std::int16_t> formats;
    std::vector<p::optional_value> values;
    for (const std::uint16_t index : part.parameters) {
      types.push_back(index < st.parameter_types.size() ? st.parameter_types[index] : 0);
      formats.push_back(m.formats.of(index));
      values.push_back(index < all.size() ? all[index] : p::optional_value{});
    }
    const std::size_t from = s.backend_bytes.size();
    p::encode_parse(s.backend_bytes, "", part.sql, types);
    p::encode_bind(s.backend_bytes, m.portal, "", formats, values, result_formats);
    s.own_to_backend(i, from);
    b.facts->unnamed = 0;
    b.expect({answer::parse, disposition::swallow});
    expectation e{answer::bind, disposition::forward};
    e.sequence = sequence;
    b.expect(e);
    b.unsynced = true;
  }
}

}  // namespace pgbraid::proxy
