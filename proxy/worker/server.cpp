#include "proxy/worker/server.hpp"

#include "proxy/cluster/monitor.hpp"
#include "proxy/log_level.hpp"
#include "proxy/worker/listener.hpp"
#include "proxy/worker/shared_state.hpp"
#include "proxy/worker/worker.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace pgbraid::proxy {

namespace asio = boost::asio;

namespace {

// Each client takes a descriptor: as many as the system lets us have.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

struct file_stamp {
  timespec changed{};
  ino_t node = 0;
  off_t size = 0;
  bool operator==(const file_stamp& o) const {
    return changed.tv_sec == o.changed.tv_sec && changed.tv_nsec == o.changed.tv_nsec && node == o.node && size == o.size;
  }
};

file_stamp stamp_of(const std::string& file) {
  struct stat now {};
  if (::stat(file.c_str(), &now) != 0) return {};
  return {now.st_mtim, now.st_ino, now.st_size};
}

class process {
 public:
  process(std::shared_ptr<const config::topology> topology, std::shared_ptr<const tls_contexts> tls)
      : shared_{topology, std::move(tls)},
        listener_{io_, shared_},
        monitor_{[this](database_state_ptr state) { publish(std::move(state)); }},
        signals_{io_, SIGINT, SIGTERM, SIGHUP},
        timer_{io_} {
    shared_.control_plane = &monitor_;
    monitor_.end_deadlocks([this](const transaction_key& victim) { shared_.workers[victim.worker]->end_deadlock(victim); });
    const unsigned count = topology->workers != 0 ? topology->workers : std::max(1U, std::thread::hardware_concurrency());
    workers_.reserve(count);
    for (unsigned i = 0; i < count; ++i) {
      workers_.push_back(std::make_unique<worker>(shared_, i));
      shared_.workers.push_back(workers_.back().get());
    }
  }

  int run() {
    const auto topology = shared_.topology();
    if (topology->access.empty() && topology->auth == config::auth_method::trust)
      spdlog::warn("auth.method is trust: every client is taken for who it says it is");
    if (const std::string error = listener_.open(topology->listen); !error.empty()) {
      spdlog::error("{}", error);
      return 1;
    }
    for (const auto& each : workers_) {
      threads_.emplace_back([w = each.get()] {
        pthread_setname_np(pthread_self(), "worker");
        w->run();
      });
    }
    monitor_.start(
        topology, [this] { asio::post(io_, [this] { ready(); }); }, topology->monitor.timeout * 3);
    wait_for_signal();
    (void)files_have_changed();
    watch_files();
    io_.run();
    monitor_.stop();
    for (const auto& each : workers_) each->stop();
    for (std::thread& thread : threads_) thread.join();
    spdlog::info("stopped");
    return 0;
  }

 private:
  // The servers have been asked who they are: clients that have come meanwhile are let in.
  void ready() {
    if (stopping_) return;
    listener_.start();
    spdlog::info("ready: {} workers", workers_.size());
  }

  // On the monitor's thread.
  void publish(database_state_ptr state) {
    shared_.publish(state);
    for (worker* each : shared_.workers) each->take_state(state);
  }

  void wait_for_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int number) {
      if (error) return;
      if (number == SIGHUP) {
        reload("SIGHUP");
      } else {
        stop();
      }
      wait_for_signal();
    });
  }

  // The topology's file, and the certificates that it names. A file that is looked at for the first time has not
  // changed.
  [[nodiscard]] bool files_have_changed() {
    const auto topology = shared_.topology();
    std::vector<std::string> files = tls_files(*topology);
    files.push_back(topology->file);
    bool changed = false;
    for (const std::string& file : files) {
      const file_stamp now = stamp_of(file);
      const auto [known, fresh] = stamps_.try_emplace(file, now);
      if (!fresh && !(known->second == now)) {
        known->second = now;
        changed = true;
      }
    }
    return changed;
  }

  void watch_files() {
    timer_.expires_after(std::chrono::seconds{1});
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (error || stopping_) return;
      // Editors write a file in several steps: it is read when it has stood still for a second.
      if (files_have_changed()) {
        settling_ = true;
      } else if (settling_) {
        settling_ = false;
        reload("a file has changed");
      }
      watch_files();
    });
  }

  void reload(std::string_view why) {
    if (stopping_) return;
    const auto before = shared_.topology();
    spdlog::info("reloading {}: {}", before->file, why);
    (void)files_have_changed();
    config::load_result loaded = config::load_file(before->file);
    for (const config::finding& finding : loaded.findings) {
      const std::string text = config::to_string(finding, before->file);
      if (finding.severity == config::finding::level::error) {
        spdlog::error("{}", text);
      } else {
        spdlog::warn("{}", text);
      }
    }
    if (!loaded.ok()) {
      spdlog::error("reload refused: the topology in force stays");
      return;
    }
    auto topology = std::make_shared<config::topology>(std::move(loaded.value));
    topology->file = before->file;
    if (topology->listen.hosts != before->listen.hosts || topology->listen.port != before->listen.port || topology->workers != before->workers) {
      spdlog::warn("listen and workers take effect at the next start");
    }
    const std::shared_ptr<const config::topology> next = std::move(topology);
    std::vector<std::string> unusable;
    const std::shared_ptr<const tls_contexts> tls = load_tls(*next, unusable);
    for (const std::string& error : unusable) spdlog::error("reload refused: {}", error);
    if (!unusable.empty()) return;
    monitor_.reload(next, [this, next, tls](std::vector<std::string> errors) {
      asio::post(io_, [this, next, tls, errors = std::move(errors)] {
        for (const std::string& error : errors) spdlog::error("reload refused: {}", error);
        if (!errors.empty()) return;
        shared_.replace(next, tls);
        spdlog::set_level(level_of(next->log.level));
        for (worker* each : shared_.workers) each->take_topology(next);
        spdlog::info("reloaded");
      });
    });
  }

  void stop() {
    if (stopping_) {
      spdlog::warn("stopping at once");
      for (worker* each : shared_.workers) each->shut_down(true);
      return io_.stop();
    }
    stopping_ = true;
    spdlog::info("stopping: no new clients, open transactions may finish (again to stop at once)");
    listener_.close();
    for (worker* each : shared_.workers) each->shut_down(false);
    deadline_ = std::chrono::steady_clock::now() + shared_.topology()->timeouts.shutdown;
    await_last();
  }

  void await_last() {
    timer_.expires_after(std::chrono::milliseconds{20});
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      if (shared_.clients.load() == 0) return io_.stop();
      if (std::chrono::steady_clock::now() > deadline_) {
        spdlog::warn("{} clients are still in a transaction: stopping all the same", shared_.clients.load());
        return io_.stop();
      }
      await_last();
    });
  }

  asio::io_context io_;
  shared_state shared_;
  listener listener_;
  std::vector<std::unique_ptr<worker>> workers_;
  std::vector<std::thread> threads_;
  monitor monitor_;
  asio::signal_set signals_;
  asio::steady_timer timer_;
  std::map<std::string, file_stamp> stamps_;
  bool settling_ = false, stopping_ = false;
  std::chrono::steady_clock::time_point deadline_;
};

}  // namespace

int serve(std::shared_ptr<const config::topology> topology) {
  raise_descriptor_limit();
  std::vector<std::string> errors;
  auto tls = load_tls(*topology, errors);
  for (const std::string& error : errors) spdlog::error("{}", error);
  if (!errors.empty()) return 1;
  process running{std::move(topology), std::move(tls)};
  return running.run();
}

}  // namespace pgbraid::proxy
