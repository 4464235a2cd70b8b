// EXPLAIN of a statement that several shards are asked for: what pgbraid does itself, then each shard's plan under the
// shard's name. Each shard's rows are kept until all have come.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "router/plan/explain.hpp"

namespace pgbraid::proxy {

namespace p = protocol;

namespace {

// The one column of each row, as it stands in `frames`.
template <typename Take>
void for_each_line(std::string_view frames, Take take) {
  p::frame_view frame;
  while (p::next_frame(frames, frames.size(), frame) == p::frame_status::complete) {
    frames.remove_prefix(frame.total);
    p::data_row_view row;
    if (!p::decode(frame.body, row)) continue;
    auto values = row.columns.values();
    p::wire_value value;
    if (values.next(value)) take(value.bytes);
  }
}

void add_line(std::string& out, std::string_view line) {
  p::encode_data_row(out, std::vector<p::optional_value>{line});
}

}  // namespace

// What would be gathered is not: the shards are asked for the plans of what they would be asked for.
void session_machine::explain_instead() {
  auto* const gathered = std::get_if<router::to_gather>(&route_.target);
  if (gathered == nullptr) return;
  route_.target = router::to_many{std::move(gathered->shards)};
}

void session_machine::tell_plans(step& s) {
  const router::explain_layout& layout = *braid_.explain;
  const std::vector<std::string>& names = context_->context.map->shards;
  const std::size_t from = s.client_bytes.size();
  std::string asked;
  for (const branch_index i : braid_.order) asked.append(asked.empty() ? "" : ", ").append(names[branches_[i].shard]);
  if (layout.json) {
    std::string text = "[\n  {\n    \"pgbraid\": [";
    const auto add = [&](std::string_view line, bool first) {
      text.append(first ? "\n      \"" : ",\n      \"");
      append_json_text(text, line);
      text.push_back('"');
    };
    for (std::size_t k = 0; k < layout.steps.size(); ++k) add(layout.steps[k], k == 0);
    text.append("\n    ],\n    \"shards\": [");
    bool first = true;
    for (const branch_index i : braid_.order) {
      text.append(first ? "\n      {\"shard\": \"" : ",\n      {\"shard\": \"");
      first = false;
      append_json_text(text, names[branches_[i].shard]);
      text.append("\", \"explain\":\n");
      for_each_line(braid_.rows_of[i], [&](std::string_view line) { text.append(line); });
      text.append("}");
    }
    text.append("\n    ]\n  }\n]");
    add_line(s.client_bytes, text);
  } else {
    for (const std::string& line : layout.steps) add_line(s.client_bytes, line);
    add_line(s.client_bytes, "  Shards: " + asked);
    for (const branch_index i : braid_.order) {
      add_line(s.client_bytes, "Shard " + names[branches_[i].shard] + ":");
      for_each_line(braid_.rows_of[i],
                    [&](std::string_view line) { add_line(s.client_bytes, "  " + std::string{line}); });
    }
  }
  s.own_to_client(from);
  told_ = true;
  braid_.order.clear();
  braid_.rows_of.clear();
  braid_.share.give_back();
  braid_.explain.reset();
}

}  // namespace pgbraid::proxy
