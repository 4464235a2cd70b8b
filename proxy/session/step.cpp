#include "proxy/session/step.hpp"

namespace pgbraid::proxy {
namespace {

// Extends the last action when the new bytes follow its own directly: one send instead of two.
bool extend(std::vector<action>& actions, action_kind kind, branch_index branch, const char* data, std::size_t offset, std::size_t size) {
  if (actions.empty()) return false;
  action& last = actions.back();
  if (last.kind != kind || last.branch != branch) return false;
  if (data == nullptr) {
    if (!last.own || last.offset + last.size != offset) return false;
  } else {
    if (last.own || last.data + last.size != data) return false;
  }
  last.size += size;
  return true;
}

void append(std::vector<action>& actions, action_kind kind, branch_index branch, const char* data, std::size_t offset, std::size_t size) {
  if (size == 0 || extend(actions, kind, branch, data, offset, size)) return;
  action a;
  a.kind = kind;
  a.branch = branch;
  a.own = data == nullptr;
  a.data = data;
  a.offset = offset;
  a.size = size;
  actions.push_back(a);
}

}  // namespace

void step::clear() {
  actions.clear();
  client_bytes.clear();
  backend_bytes.clear();
  consumed = 0;
  read_client = false;
  more_input = false;
}

void step::to_client(std::string_view bytes) { append(actions, action_kind::to_client, 0, bytes.data(), 0, bytes.size()); }

void step::own_to_client(std::size_t from) { append(actions, action_kind::to_client, 0, nullptr, from, client_bytes.size() - from); }

void step::to_backend(branch_index branch, std::string_view bytes) {
  // A few bytes behind bytes of ours: copied to them, they cost less than as a piece of their own.
  constexpr std::size_t few = 128;
  if (bytes.size() <= few && !actions.empty()) {
    action& last = actions.back();
    if (last.kind == action_kind::to_backend && last.branch == branch && last.own && last.offset + last.size == backend_bytes.size()) {
      backend_bytes.append(bytes);
      last.size += bytes.size();
      return;
    }
  }
  append(actions, action_kind::to_backend, branch, bytes.data(), 0, bytes.size());
}

void step::own_to_backend(branch_index branch, std::size_t from) {
  append(actions, action_kind::to_backend, branch, nullptr, from, backend_bytes.size() - from);
}

void step::add(action_kind kind, branch_index branch) {
  action a;
  a.kind = kind;
  a.branch = branch;
  actions.push_back(a);
}

std::string_view step::bytes_of(const action& a) const noexcept {
  if (!a.own) return {a.data, a.size};
  const std::string& from = a.kind == action_kind::to_client ? client_bytes : backend_bytes;
  return {from.data() + a.offset, a.size};
}

}  // namespace pgbraid::proxy
