// Asking all workers for something, each on its own thread.
#pragma once

#include "proxy/worker/worker.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <memory>
#include <utility>
#include <vector>

namespace pgbraid::proxy {

/// What `ask` gives on each worker, in their order. runs on: `here`.
template <class Answer>
boost::asio::awaitable<std::vector<Answer>> ask_everywhere(worker& here, std::function<Answer(worker&)> ask) {
  struct gathering {
    explicit gathering(worker& w)
        : answers(w.shared().workers.size()),
          left{answers.size()},
          done{w.context(), boost::asio::steady_timer::time_point::max()} {}
    std::vector<Answer> answers;
    std::size_t left;
    boost::asio::steady_timer done;
  };
  const auto all = std::make_shared<gathering>(here);
  for (std::size_t i = 0; i < all->answers.size(); ++i) {
    worker& other = *here.shared().workers[i];
    auto on_other = [&here, &other, all, ask, i] {
      auto back = [all, i, answer = ask(other)]() mutable {
        all->answers[i] = std::move(answer);
        if (--all->left == 0) all->done.cancel();
      };
      boost::asio::post(here.context(), std::move(back));
    };
    boost::asio::post(other.context(), std::move(on_other));
  }
  boost::system::error_code ignored;
  while (all->left > 0) {
    all->done.expires_at(boost::asio::steady_timer::time_point::max());
    co_await all->done.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
  }
  co_return std::move(all->answers);
}

}  // namespace pgbraid::proxy
