// Wording of refusals; see refusals.hpp.
#include "router/plan/refusals.hpp"

#include <utility>

namespace pgbraid::router {

using protocol::error_id;
using protocol::make_error;
using protocol::with_hint;

std::string key_hint(const table_use& use) {
  std::vector<std::string> names;
  for (const key_column& each : use.keys) names.push_back(each.name);
  if (names.empty() && use.table.sharding != nullptr) names = use.table.sharding->key;
  if (names.empty()) names.emplace_back("key");
  std::string out = "Tie \"" + use.table.full_name + "\" to one value of the sharding key, for example WHERE ";
  for (std::size_t i = 0; i < names.size(); ++i)
    out += (i == 0 ? "" : " AND ") + use.alias + "." + names[i] + " = $" + std::to_string(i + 1);
  return out;
}

protocol::error_report refuse_read(std::string_view reason, std::string hint) {
  return with_hint(make_error(error_id::cross_shard_read, reason), std::move(hint));
}

protocol::error_report refuse_write(std::string_view reason, const table_use* use) {
  protocol::error_report out = make_error(error_id::cross_shard_write, reason);
  return use == nullptr ? out : with_hint(std::move(out), key_hint(*use));
}

protocol::error_report refuse_timed(std::string_view function, std::string_view table) {
  std::string reason = "function \"";
  reason.append(function)
      .append("\" of \"")
      .append(table)
      .append("\" writes down the time, of which each shard has its own");
  return with_hint(refuse_write(reason),
                   "Write one row at a time, tied to its key, or list the function under sharding.shard_local if each "
                   "shard's own time will do.");
}

protocol::error_report refuse_session(std::string_view what, std::string_view why) {
  return make_error(error_id::session_feature, what, why);
}

protocol::error_report refuse_syntax(std::string_view what) {
  return make_error(error_id::syntax_not_understood, what);
}

protocol::error_report refuse_claim(std::string_view column, std::string_view table, std::string_view why) {
  return make_error(error_id::claim_refused, column, table, why);
}

protocol::error_report catalog_not_read() {
  return refuse_read("the servers' catalogs have not been read yet", "Try again in a moment.");
}

}  // namespace pgbraid::router
