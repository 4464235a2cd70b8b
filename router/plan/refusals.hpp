// The refusals of the planner, worded in one place: each says what stands in the way and what to write instead.
#pragma once

#include <string>
#include <string_view>

#include "protocol/errors.hpp"
#include "router/plan/analysis.hpp"

namespace pgbraid::router {

/// "Tie the query to one value of the sharding key, for example \"orders.customer_id = 42\"."
[[nodiscard]] std::string key_hint(const table_use& use);

[[nodiscard]] protocol::error_report refuse_read(std::string_view reason, std::string hint);
[[nodiscard]] protocol::error_report refuse_write(std::string_view reason, const table_use* use = nullptr);
/// Rows of several shards, each of which a trigger's `function` would give its own shard's time.
[[nodiscard]] protocol::error_report refuse_timed(std::string_view function, std::string_view table);
[[nodiscard]] protocol::error_report refuse_session(std::string_view what, std::string_view why);
[[nodiscard]] protocol::error_report refuse_syntax(std::string_view what);

/// A column whose values are kept apart over all shards gets one that cannot be claimed.
inline constexpr std::string_view claims_not_known = "the statement may give rows values that are not known beforehand";
[[nodiscard]] protocol::error_report refuse_claim(std::string_view column, std::string_view table,
                                                  std::string_view why);

/// Planning over several shards needs the servers' catalogs.
[[nodiscard]] protocol::error_report catalog_not_read();

}  // namespace pgbraid::router
