// UPDATE of the sharding key: every shard is asked to take its rows out, and those are put in where their new keys belong
// (machine_stage.cpp). See router/plan/row_moves.hpp.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/staged_source.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;

namespace {

// The values of some columns as one string; "" if one is NULL, which is like nothing.
std::string key_of(const std::vector<std::optional<std::string_view>>& row, const std::vector<std::size_t>& columns) {
  std::string out;
  for (const std::size_t c : columns) {
    if (c >= row.size() || !row[c]) return {};
    out.append(std::to_string(row[c]->size())).append(":").append(*row[c]);
  }
  return out;
}

}  // namespace

// All targets are asked for the rows. In the simple protocol one of them is shown the statement itself first, for errors
// in the server's own words. False: the client's parameters cannot be said again.
bool session_machine::take_out(step& s, const p::bind_view* m, const statement* st) {
  stage_->asked = true;
  stage_->source.json.assign(targets_.size(), {});
  std::string sql;
  if (gather_) {
    bound_values none;
    add_fragments(none);
    sql = combining_text(*gather_);
    gather_.reset();
  } else {
    sql = stage_->plan->text;
  }
  const router::insert_part part = router::renumbered(router::with_moments(sql, stage_->moments));
  own_parameters given;
  if (!parameters_of(part, m, st, given)) return false;
  p::query_view shown;
  if (m == nullptr) (void)p::decode(input_.substr(p::frame_header_size, cycle_bytes_ - p::frame_header_size), shown);
  for (const branch_index i : targets_) {
    branch& b = branches_[i];
    const std::size_t from = s.backend_bytes.size();
    if (m == nullptr && i == targets_.front() && !stage_->shown) {
      p::encode_parse(s.backend_bytes, "", shown.text);
      b.expect({answer::parse, disposition::gather, 0, asking_source});
    }
    ask_rows(s, b, part.sql, given, asking_source);
    s.own_to_backend(i, from);
  }
  return true;
}

// What a row has in the table's unique keys, before and after, is taken off its end. False: it has other columns.
bool session_machine::note_move(std::vector<std::optional<std::string_view>>& row) {
  const router::staged_source& source = *stage_->plan->source;
  source_rows& rows = stage_->source;
  rows.before.resize(source.unique.size());
  rows.after.resize(source.unique.size());
  for (std::size_t k = 0; k < source.unique.size(); ++k) {
    std::string before = key_of(row, source.unique[k].before), after = key_of(row, source.unique[k].after);
    rows.bytes += before.size() + after.size();
    if (!after.empty() && after != before) rows.after[k].insert(std::move(after));
    if (!before.empty()) rows.before[k].insert(std::move(before));
  }
  if (row.size() < source.columns.size()) return false;
  row.resize(source.columns.size());
  return true;
}

// A row gets a unique key that another one has now. One server changes row by row: if the other has been changed before,
// all is well, if not, it is a violation. Nobody knows which.
bool session_machine::order_matters() const {
  const source_rows& rows = stage_->source;
  for (std::size_t k = 0; k < rows.after.size(); ++k) {
    for (const std::string& key : rows.after[k]) {
      if (rows.before[k].contains(key)) return true;
    }
  }
  return false;
}

// What was only there to be compared is no part of the rows.
void session_machine::end_of_move() {
  stage_->source.types.resize(std::min(stage_->source.types.size(), stage_->plan->source->columns.size()));
}

}  // namespace pgbraid::proxy
