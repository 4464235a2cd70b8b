// A PostgreSQL server that is asked for the partition hash of values, as they come out of a column of a key's type.
#pragma once

#include "router/catalog.hpp"

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pgbraid::tests {

/// A partitioned table with one column `v` of the key's type.
struct key_table {
  std::string name;
  router::oid type = 0;
  std::int32_t modifier = -1;
};

/// What a stored value hashes to, and how it goes over the wire in binary.
struct stored_key {
  std::uint64_t hash = 0;
  std::string bytes;
};

/// A connection to the server that libpq's environment names. Every failure other than a value that the server refuses
/// throws std::runtime_error. Tables are temporary; nothing stays behind.
class key_server {
 public:
  key_server();

  /// Creates the table for a type as SQL writes it, such as numeric(7,2).
  key_table create_table(const std::string& type_name);

  /// Inserts each text as a literal without a type, or as one cast to `as_type`; nullopt where the server refuses it.
  std::vector<std::optional<stored_key>> store_texts(const key_table& table, const std::vector<std::string>& texts,
                                                     const std::string& as_type = "");

  /// Inserts one value through a binary parameter of the type `from`; nullopt if the server refuses it.
  std::optional<stored_key> store_bytes(const key_table& table, router::oid from, const std::string& bytes);

  /// How many partitions of a table partitioned by `key_type` are read for `v = literal`; nullopt: no such operator.
  std::optional<int> partitions_read(const std::string& key_type, const std::string& literal);

  void execute(const std::string& sql);

 private:
  struct clear_result {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
  };
  struct close_connection {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
  };
  using result = std::unique_ptr<PGresult, clear_result>;

  /// Runs a statement with text parameters; throws unless it succeeds.
  result query(const std::string& sql, const std::vector<const char*>& parameters = {});
  [[noreturn]] void fail(const std::string& what, const PGresult* of);

  std::unique_ptr<PGconn, close_connection> connection_;
  int tables_ = 0;
};

}  // namespace pgbraid::tests
