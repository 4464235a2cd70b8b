// What set_config() changes of a session's settings.
#pragma once

#include <string>
#include <vector>

namespace pgbraid::proxy {

/// One call of it.
struct config_change {
  std::string name;
  bool to_default = false;  ///< the value is NULL
  bool local = false;       ///< for the transaction only
};

/// A statement of such calls under way.
struct config_state {
  std::vector<config_change> changes;
  std::vector<std::string> values;  ///< the settings as the server has told them
  bool sent = false;                ///< extended protocol: Execute is on its way
};

}  // namespace pgbraid::proxy
