#include "proxy/session/access.hpp"

#include <algorithm>

namespace pgbraid::proxy {
namespace {

bool names(const std::vector<std::string>& listed, std::string_view name) {
  return listed.empty() || std::find(listed.begin(), listed.end(), name) != listed.end();
}

bool fits(const config::access_rule& rule, const access_request& request) {
  const auto here = [&](const config::network& n) { return n.contains(request.from); };
  return names(rule.databases, request.database) && names(rule.users, request.user) &&
         (rule.addresses.empty() || std::any_of(rule.addresses.begin(), rule.addresses.end(), here)) &&
         (!rule.tls || *rule.tls == request.tls);
}

}  // namespace

config::auth_method access_method(const config::topology& topology, const access_request& request) {
  if (topology.access.empty()) return topology.auth;
  for (const config::access_rule& rule : topology.access) {
    if (fits(rule, request)) return rule.method;
  }
  return config::auth_method::reject;
}

}  // namespace pgbraid::proxy
