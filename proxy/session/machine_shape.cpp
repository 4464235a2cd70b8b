// What a prepared statement's result looks like. A server never lets that change under a client: it says "cached plan
// must not change result type". A statement that is prepared again on another backend has nothing to compare with
// there, so it is compared here with what clients have been told of it. Source: PostgreSQL's RevalidateCachedQuery().
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"

#include <algorithm>
#include <functional>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;

namespace {

constexpr std::uint64_t no_result = 2;

// Names, types and modifiers; formats are each client's own affair, and where a column comes from may change. Never 0.
std::uint64_t shape_of(const p::frame_view& frame) {
  if (frame.type != p::backend::row_description) return no_result;
  p::row_description description;
  std::string text;
  if (p::decode(frame.body, description)) {
    for (const p::field_description& field : description.fields) {
      text.append(field.name).push_back('\0');
      text.append(fmt::format("{} {};", field.type, field.type_modifier));
    }
  }
  return std::hash<std::string_view>{}(text) | 1;
}

}  // namespace

// A description that is on its way, or would be, tells something new.
bool session_machine::shape_unknown(branch_index i, const statement& st) const {
  if (st.id == 0 || branches_[i].state != branch_state::ready) return false;
  const std::uint64_t* const there = branches_[i].facts->prepared.touch(st.id);
  return st.shape == 0 || there == nullptr || *there == 0;
}

void session_machine::await_shape(const statement_ptr& st) {
  if (std::find(described_.begin(), described_.end(), st) == described_.end()) described_.push_back(st);
}

void session_machine::note_shape(branch_index i, std::uint64_t id, const p::frame_view& frame) {
  const std::uint64_t shape = shape_of(frame);
  if (std::uint64_t* const there = branches_[i].facts->prepared.touch(id)) *there = shape;
  for (const statement_ptr& st : described_) {
    if (st->id != id) continue;
    if (st->shape == 0) {
      st->shape = shape;
    } else if (st->shape != shape) {
      env_.statements.retire(id);
    }
  }
}

// The statement gives on `targets_` what clients have been told that it gives. False: wait, or (cycle_failed_) refused.
bool session_machine::same_shape(step& s, statement& st) {
  if (st.id == 0 || st.shape == 0) return true;
  bool waits = false;
  for (const branch_index i : targets_) {
    branch& b = branches_[i];
    // The others do not know its tables.
    if (st.plan->described_on && b.shard != *st.plan->described_on) continue;
    if (b.shape_due) {
      waits = true;
      continue;
    }
    const std::uint64_t* const there = b.facts->prepared.touch(st.id);
    if (there != nullptr && *there == st.shape) continue;
    if (there != nullptr && *there != 0) {
      env_.statements.retire(st.id);
      (void)op_error(s, p::make_error(error_id::result_type_changed));
      return false;
    }
    const std::size_t from = s.backend_bytes.size();
    ensure_prepared(s, i, st, 0);
    p::encode_describe(s.backend_bytes, p::object_kind::statement, st.backend_name);
    p::encode_flush(s.backend_bytes);
    s.own_to_backend(i, from);
    expectation e{answer::describe_statement, disposition::swallow};
    e.statement = st.id;
    b.expect(e);
    b.flushed = b.unsynced = b.shape_due = waits = true;
  }
  return !waits;
}

}  // namespace pgbraid::proxy
