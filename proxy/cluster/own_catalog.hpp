// A database's definitions as a transaction under way sees them, by the same questions and the same judgement as the
// catalog that is published. Pure.
#pragma once

#include "proxy/cluster/catalog_rows.hpp"
#include "proxy/cluster/own_definitions.hpp"
#include "router/topology.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pgbraid::proxy {

class own_catalog : public own_definitions {
 public:
  /// `listed`: what the topology's file says. `shards`: what is known of each, by shard_index; null: nothing.
  own_catalog(std::shared_ptr<const router::topology> listed, std::vector<std::shared_ptr<const shard_catalog>> shards);

  [[nodiscard]] std::string first_text() const override;
  [[nodiscard]] std::string second_text(const answered_text& first) const override;
  [[nodiscard]] bool moved_between(const reading& server) const override;
  [[nodiscard]] std::shared_ptr<const database_state> see(const database_state& published,
                                                          const std::vector<std::optional<reading>>& shards,
                                                          const is_made& made,
                                                          std::chrono::steady_clock::time_point began) const override;

 private:
  std::shared_ptr<const router::topology> listed_;
  std::vector<std::shared_ptr<const shard_catalog>> shards_;
};

}  // namespace pgbraid::proxy
