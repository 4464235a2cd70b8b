// Who may log in, and how: the topology's ordered rules. Pure. Source: the manual's chapter "The pg_hba.conf File".
#pragma once

#include "config/config.hpp"

#include <string_view>

namespace pgbraid::proxy {

/// All that a rule can ask about a client.
struct access_request {
  std::string_view database, user;
  config::client_address from;
  bool tls = false;
};

/// What the first rule that fits asks the client for; `reject` when none fits. Without rules: the topology's one
/// method.
[[nodiscard]] config::auth_method access_method(const config::topology& topology, const access_request& request);

}  // namespace pgbraid::proxy
