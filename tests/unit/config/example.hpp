// Topologies that several tests use, and findings as text.
#pragma once

#include "config/config.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <unistd.h>

namespace pgbraid::config::test {

/// The full example of the project's description; needs PGBRAID_MONITOR_PASSWORD.
inline const std::string& example() {
  static const std::string text = R"(listen:
  host: 127.0.0.1            # or a list; a path starting with / is a Unix-socket directory
  port: 6432
admin:
  users: [postgres]          # who may open the console database `pgbraid`
  http: 127.0.0.1:9632       # metrics, health, status page
workers: auto
auth:
  method: scram-sha-256      # trust | password | md5 | scram-sha-256 | cert
monitor: {user: postgres, password_env: PGBRAID_MONITOR_PASSWORD}   # control plane's own login
users:
  app: {password: secret}    # or a stored SCRAM-SHA-256$... secret, or {password_file: ...}, or {password_env: ...}
databases:
  shop:                      # what clients name
    shards:
      - name: s0                                              # buckets: 0-2047 may be given; else an even split
        servers: ["127.0.0.1:6100", "127.0.0.1:6110"]        # roles are discovered
      - name: s1
        servers:
          - {host: 127.0.0.1, port: 6101, dbname: shop}
          - {host: 127.0.0.1, port: 6111, dbname: shop, weight: 2}
    sharding:
      function: postgres_hash
      buckets: 4096
      tables:
        customers: {key: id}
        orders: {key: customer_id}
      reference_tables: [countries]
      unsharded: {settings: s0}
    reads: {replicas: prefer, max_lag: 16MB, consistency: session}   # prefer | require | off; session | global | eventual
    pool: {mode: transaction, size: 20}
)";
  return text;
}

inline load_result load_example() {
  setenv("PGBRAID_MONITOR_PASSWORD", "watch", 1);
  return load_text(example(), "shop.yaml");
}

/// All findings, each as "line:column: level: text".
inline std::vector<std::string> told(const load_result& r) {
  std::vector<std::string> out;
  for (const finding& f : r.findings) out.push_back(to_string(f, "t"));
  return out;
}

/// A folder for this test run's own files; gone at its end.
inline const std::string& testing_folder() {
  struct folder {
    std::string path = std::filesystem::temp_directory_path() / ("pgbraid_unit_config." + std::to_string(getpid()));
    folder() { std::filesystem::create_directories(path); }
    ~folder() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  };
  static const folder only;
  return only.path;
}

/// What loading a text tells.
inline std::vector<std::string> told(const std::string& yaml) {
  return told(load_text(yaml, "t"));
}

}  // namespace pgbraid::config::test
