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

#include <spdlog/spdlog.h>

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
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
  explicit process(std::shared_ptr<const config::topology> topology)
      : shared_{topology}, listener_{io_, shared_}, monitor_{[this](database_state_ptr state) { publish(std::move(state)); }}, signals_{io_, SIGINT, SIGTERM, SIGHUP}, timer_{io_} {
    shared_.control_plane = &monitor_;
    const unsigned count = topology->workers != 0 ? topology->workers : std::max(1U, std::thread::hardware_concurrency());
    workers_.reserve(count);
    for (unsigned i = 0; i < count; ++i) {
      workers_.push_back(std::make_unique<worker>(shared_, i));
      shared_.workers.push_back(workers_.back().get());
    }
  }

  int run() {
    const auto topology = shared_.topology();
    if (topology->auth == config::auth_method::trust) spdlog::warn("auth.method is trust: every client is taken for who it says it is");
    if (const std::string error = listener_.open(topology->listen); !error.empty()) {
      spdlog::error("{}", error);
      return 1;
    }
    for (const auto& each : workers_) threads_.emplace_back([w = each.get()] { w->run(); });
    monitor_.start(topology, [this] { asio::post(io_, [this] { ready(); }); });
    wait_for_signal();
    stamp_ = stamp_of(topology->file);
    watch_file();
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

  void watch_file() {
    timer_.expires_after(std::chrono::seconds{1});
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (error || stopping_) return;
      const file_stamp now = stamp_of(shared_.topology()->file);
      // Editors write a file in several steps: it is read when it has stood still for a second.
      if (!(now == stamp_)) {
        stamp_ = now;
        settling_ = true;
      } else if (settling_) {
        settling_ = false;
        reload("the file has changed");
      }
      watch_file();
    });
  }

  void reload(std::string_view why) {
    if (stopping_) return;
    const auto before = shared_.topology();
    spdlog::info("reloading {}: {}", before->file, why);
    stamp_ = stamp_of(before->file);
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
    monitor_.reload(next, [this, next](std::vector<std::string> errors) {
      asio::post(io_, [this, next, errors = std::move(errors)] {
        for (const std::string& error : errors) spdlog::error("reload refused: {}", error);
        if (!errors.empty()) return;
        shared_.replace(next);
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
  file_stamp stamp_;
  bool settling_ = false, stopping_ = false;
  std::chrono::steady_clock::time_point deadline_;
};

}  // namespace

int serve(std::shared_ptr<const config::topology> topology) {
  raise_descriptor_limit();
  process running{std::move(topology)};
  return running.run();
}

}  // namespace pgbraid::proxy
