// The questions of catalog_sql.hpp in the order in which they are asked, and where their answers belong.
#pragma once

#include "proxy/cluster/catalog_rows.hpp"
#include "router/topology.hpp"

#include <span>
#include <string>
#include <vector>

namespace pgbraid::proxy {

struct catalog_question {
  const char* sql;
  std::vector<pg_row> catalog_answers::*answer;
  bool about_tables = false;  ///< takes the named tables as $1; these come last
  bool of_defaults = false;   ///< what roles and the server's configuration set, as its login sees it
};

[[nodiscard]] std::span<const catalog_question> catalog_questions() noexcept;

/// Said before them, in their transaction: definitions are printed in full only when nothing but pg_catalog is in the
/// search path, and their constants so that every session reads them alike. JIT would cost more than the whole reading.
inline constexpr const char* reading_settings =
    "SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL jit = off; SET LOCAL datestyle = 'ISO, MDY'; "
    "SET LOCAL intervalstyle = 'postgres'; SET LOCAL timezone = 'UTC'; SET LOCAL extra_float_digits = 3; "
    "SET LOCAL quote_all_identifiers = off; SET LOCAL bytea_output = 'hex'";

/// The tables that the topology means; `answers`: what is known of relations and columns.
[[nodiscard]] std::vector<std::string> named_tables(const router::topology& map, const catalog_answers& answers);

}  // namespace pgbraid::proxy
