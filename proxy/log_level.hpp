// The topology's log.level as the log library has it.
#pragma once

#include "config/config.hpp"

#include <spdlog/spdlog.h>

namespace pgbraid::proxy {

[[nodiscard]] inline spdlog::level::level_enum level_of(config::log_level level) noexcept {
  switch (level) {
    case config::log_level::debug: return spdlog::level::debug;
    case config::log_level::info: return spdlog::level::info;
    case config::log_level::warning: return spdlog::level::warn;
    case config::log_level::error: break;
  }
  return spdlog::level::err;
}

}  // namespace pgbraid::proxy
