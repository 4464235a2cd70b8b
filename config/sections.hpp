// From the parsed document to the structs, section by section. Each reader adds a finding for what only the meaning of
// several keys together can tell; shapes are checked before.
#pragma once

#include "config/config.hpp"
#include "config/yaml_tree.hpp"

#include <string>
#include <vector>

namespace pgbraid::config {

/// Everything but users and databases.
void read_settings(const yaml::node& root, const std::string& folder, topology& out, std::vector<finding>& findings);

/// users; needs out.auth.
void read_users(const yaml::node& root, const std::string& folder, topology& out, std::vector<finding>& findings);

class fields;
/// auth: method, query and rules; needs out.listen.
void read_access(const fields& auth, topology& out, std::vector<finding>& findings);

/// databases.
void read_databases(const yaml::node& root, const std::string& folder, topology& out, std::vector<finding>& findings);

/// TLS to servers: `value` is a mode or a section with one; nothing is changed when it is null.
void read_server_tls(const yaml::node* value, const std::string& shown, const std::string& folder, server_tls& out,
                     std::vector<finding>& findings);

/// One shard's `discovery`, if there is a `value`; needs out.servers. `shown` is its place in the file.
void read_discovery(const yaml::node* value, const std::string& shown, shard& out, std::vector<finding>& findings);

/// One database's `sharding`, and whether it and the shards' buckets agree. `value` is the database's section, whose
/// shards `out` holds already.
void read_sharding(const yaml::node& value, const std::string& shown, database& out, std::vector<finding>& findings);

/// Whether the shards' bucket ranges, one by one, cover 0 to count - 1 exactly once. `where` has the place of each
/// shard's `buckets`.
void check_buckets(const database& d, std::uint32_t count, const std::vector<position>& where, const std::string& shown,
                   std::vector<finding>& findings);

}  // namespace pgbraid::config
