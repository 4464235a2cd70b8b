// What a session's state machine wants done: the values between it and the driver that owns the sockets.
#pragma once

#include "proxy/session/branch.hpp"
#include "router/topology.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

enum class action_kind : std::uint8_t {
  to_client,   ///< send bytes to the client
  to_backend,  ///< send bytes to the branch's backend
  acquire,     ///< lease a backend for the branch; answered by on_lease or on_lease_failed
  release,     ///< give the branch's backend back to the pool: it is idle and clean
  discard,     ///< close the branch's backend: its state is not known to be clean
  hold,        ///< nothing more is read from the branch's backend until `resume`: what has come of it must wait
  resume,      ///< hand the branch's held-back bytes to on_backend again, and read on
  cancel,      ///< ask the branch's server to cancel what it runs for us
  doubt,  ///< the branch's server, taken for a primary, has refused a write as a standby does: have it asked who it is
  close   ///< close the client's connection once everything is sent
};

struct action {
  action_kind kind = action_kind::close;
  branch_index branch = 0;
  bool own = false;            ///< bytes stand in step::client_bytes / step::backend_bytes at `offset`
  bool replica = false;        ///< acquire: a replica may be given
  bool may_wait = false;       ///< acquire: nobody is kept waiting by locks of the session while there is no primary
  bool later = false;          ///< acquire: a primary has just been lost, so the servers are asked first who they are
  bool wrote = false;          ///< release, discard: the transaction that ends here may have written
  bool ddl = false;            ///< release: the schema may have changed
  router::shard_index shard = 0;
  const char* data = nullptr;  ///< bytes in the caller's buffer, valid until the event's actions are carried out
  std::size_t offset = 0;
  std::size_t size = 0;
};

/// Collects the actions of one event. One for each worker, reused.
struct step {
  std::vector<action> actions;
  std::string client_bytes;
  std::string backend_bytes;
  std::size_t consumed = 0;   ///< bytes at the front of the client's input that are done with
  bool read_client = false;   ///< more bytes from the client are needed
  bool more_input = false;    ///< call on_client again with what is left of the input

  void clear();
  /// Bytes in the caller's buffer; adjacent ones become one action.
  void to_client(std::string_view bytes);
  /// Adds what was appended to client_bytes since it had the size `from`.
  void own_to_client(std::size_t from);
  void to_backend(branch_index branch, std::string_view bytes);
  void own_to_backend(branch_index branch, std::size_t from);
  void add(action_kind kind, branch_index branch = 0);
  [[nodiscard]] std::string_view bytes_of(const action& a) const noexcept;
};

}  // namespace pgbraid::proxy
