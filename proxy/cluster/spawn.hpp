// Starts a coroutine of the control plane. One that ends by an exception ends the process: a server that is no longer
// watched would be worse.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <utility>

namespace pgbraid::proxy {

inline void spawn(boost::asio::io_context& context, boost::asio::awaitable<void> work) {
  const auto ended = [](std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);
  };
  boost::asio::co_spawn(context, std::move(work), ended);
}

}  // namespace pgbraid::proxy
