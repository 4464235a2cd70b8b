// recv() and send() that are no cancellation points: in a process with threads glibc's own exchange the thread's
// cancellation state atomically, twice for each call. No thread of ours is ever cancelled. errno is set as theirs do.
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

namespace pgbraid::proxy {

[[nodiscard]] inline ssize_t receive_now(int descriptor, char* data, std::size_t size) noexcept {
  return ::syscall(SYS_recvfrom, descriptor, data, size, MSG_DONTWAIT, nullptr, nullptr);
}

[[nodiscard]] inline ssize_t send_now(int descriptor, const void* data, std::size_t size) noexcept {
  return ::syscall(SYS_sendto, descriptor, data, size, MSG_NOSIGNAL | MSG_DONTWAIT, nullptr, 0);
}

}  // namespace pgbraid::proxy
