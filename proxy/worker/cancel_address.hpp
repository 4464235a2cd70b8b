// What the process id in a client's BackendKeyData says: which instance of pgbraid, which worker of it, which session. It is
// no secret; the key beside it is.
#pragma once

#include <cstdint>

namespace pgbraid::proxy {

struct cancel_address {
  static constexpr unsigned instance_bits = 6, worker_bits = 9, session_bits = 16;

  unsigned instance = 0;  ///< of `instances.own`; 0: the only one
  unsigned worker = 0;
  std::uint32_t session = 0;  ///< the lower bits of its number: several sessions of a worker may share them

  [[nodiscard]] static constexpr std::uint32_t short_number(std::uint64_t session) noexcept {
    return static_cast<std::uint32_t>(session & ((1U << session_bits) - 1));
  }
  /// Never 0 and never negative: clients show it as a process id.
  [[nodiscard]] constexpr std::int32_t pid() const noexcept {
    return static_cast<std::int32_t>(instance << (worker_bits + session_bits) | (worker + 1) << session_bits |
                                     short_number(session));
  }
  /// Whatever stands in a cancel request; `worker` is out of all bounds where it is none of ours.
  [[nodiscard]] static constexpr cancel_address of(std::int32_t pid) noexcept {
    const auto bits = static_cast<std::uint32_t>(pid);
    return {bits >> (worker_bits + session_bits), ((bits >> session_bits) & ((1U << worker_bits) - 1)) - 1,
            short_number(bits)};
  }
  friend bool operator==(const cancel_address&, const cancel_address&) = default;
};

}  // namespace pgbraid::proxy
