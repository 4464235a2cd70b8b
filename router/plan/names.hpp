// Names of relations and types as statements write them, resolved as PostgreSQL would: by search_path over the catalog,
// then placed by the topology. Source: the manual's chapter "Schemas" (search path, pg_catalog implicitly first).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "router/plan/route.hpp"

namespace pgbraid::router {

/// Where a relation's rows live.
enum class placement : std::uint8_t {
  sharded,
  reference,    ///< a full copy on each shard
  unsharded,    ///< on `shard` alone
  system,       ///< pg_catalog, information_schema: the designated shard's
  temporary,    ///< named through pg_temp
  spread_view,  ///< a view over sharded tables, or over tables of several shards
  unlisted,     ///< exists, but the topology does not say where
  unknown       ///< neither in the catalog nor in the topology
};

/// The shard whose catalogs and OIDs clients know.
inline constexpr shard_index designated_shard = 0;

struct written_view;  // written_view.hpp

/// A relation name, resolved.
struct resolved_table {
  std::string full_name;  ///< "schema.name"
  std::string schema, name;
  const relation* described = nullptr;      ///< the catalog's entry; none for unknown and most system relations
  const sharded_table* sharding = nullptr;  ///< sharded only
  placement where = placement::unknown;
  shard_index shard = 0;  ///< unsharded only
  bool chosen = false;    ///< and it is everywhere: a view or a sequence of each shard, of which that one's counts
  std::shared_ptr<const written_view> through;  ///< a view that is written: what `described` and `sharding` are of
};

/// Resolves names against one context, which must outlive it. runs on: any thread.
class name_resolver {
 public:
  explicit name_resolver(const plan_context& context);

  /// CTE names are the caller's business: they hide relations and must be looked for first.
  [[nodiscard]] resolved_table resolve(const sql::qualified_name& name) const;

  /// True if `name` (unqualified or pg_catalog's) can only mean pg_catalog's own operator or type: nothing in the
  /// search path stands before pg_catalog.
  [[nodiscard]] bool catalog_first() const noexcept { return catalog_first_; }

 private:
  [[nodiscard]] resolved_table place(std::string schema, std::string name) const;
  void place_view(resolved_table& table) const;

  const topology& map_;
  const catalog& schema_;
  const std::vector<std::string>& search_path_;
  bool catalog_first_ = true;
  bool catalog_listed_ = false;
};

/// The OID of a type written in a cast if it is one of pg_catalog's that routing knows, without a modifier and no
/// array; 0 otherwise. A user's type of the same name makes an unqualified spelling 0.
[[nodiscard]] oid known_type(const sql::type_name& type, const catalog& schema);

/// The SQL name of a key's type, for messages.
[[nodiscard]] std::string_view type_label(oid type) noexcept;

/// True for the schemas that PostgreSQL itself fills.
[[nodiscard]] bool system_schema(std::string_view schema) noexcept;

/// True for pg_catalog's views whose content belongs to one running server rather than to the database.
[[nodiscard]] bool server_state_view(std::string_view name) noexcept;

}  // namespace pgbraid::router
