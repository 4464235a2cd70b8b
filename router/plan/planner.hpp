// Statement -> plan -> route. Pure: no I/O, no clock.
#pragma once

#include "router/plan/gather.hpp"
#include "router/plan/route.hpp"
#include "router/sql/tokenizer.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace pgbraid::router {

/// A plan, and which of the text's constants it depends on by value.
struct planned {
  plan_ptr plan;
  std::vector<std::uint16_t> pinned;  ///< ascending indices into token_scan::constants; all others are free
  std::vector<std::uint16_t>
      typed;  ///< ascending indices of constants whose lexical class (5, 5.0, '5') the plan depends on
};

/// Plans `text` (all its statements). `scan` is the text's token scan. Never fails: what cannot be planned is a plan
/// whose target is a refusal, or (one shard) an opaque plan to that shard.
[[nodiscard]] planned make_plan(std::string_view text, const sql::token_scan& scan, const plan_context& context);

/// How a statement whose route is to_gather is carried out; the same text and context that it was planned with. Null if
/// it cannot be gathered after all.
[[nodiscard]] std::shared_ptr<const gather_plan> plan_gather(std::string_view text, const plan_context& context);

/// Plan + constants + parameters -> route. `text` and `constants` are those of this execution. Parameters that are not
/// there yet (Describe before Bind) make a keyed target a refusal of key_not_provable; ask plan::where first.
/// Hot path: no allocation for to_shard and to_any.
[[nodiscard]] route resolve(const plan& p, const topology& map, std::string_view text,
                            std::span<const sql::constant_position> constants,
                            std::span<const bound_parameter> parameters, const literal_context& literals);

/// A value of one column of a key: `from` is its own type, 0 for the column's; `modifier` the column's atttypmod for a
/// value that is stored, -1 for one that is compared.
struct key_value {
  std::string_view text;
  oid type = 0;
  std::int32_t modifier = -1;
  oid from = 0;
};

/// What a key's values say of its shard.
struct key_owner {
  enum class kind : std::uint8_t {
    shard,
    unowned,  ///< no shard owns it
    unknown   ///< it cannot be told beyond doubt
  } is = kind::unknown;
  shard_index shard = 0;
};

/// `values`: see table_use.
[[nodiscard]] key_owner owner_of_key(const topology& map, std::span<const key_value> key,
                                     const literal_context& literals, const value_map* values);

}  // namespace pgbraid::router
