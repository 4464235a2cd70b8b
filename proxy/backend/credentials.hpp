// What pgbraid knows of users' passwords, and the SCRAM keys that logins have given or derived: shared by all workers.
#pragma once

#include "config/config.hpp"
#include "protocol/password.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace pgbraid::proxy {

/// The topology's users. Immutable; a reload makes a new one.
class user_list {
 public:
  /// Costs a PBKDF2 for each plain password.
  explicit user_list(const std::vector<config::user>& users);

  /// The password stored for `name` (or for "*"), nothing set for an unknown user.
  [[nodiscard]] protocol::stored_password find(const std::string& name) const;
  /// Whether `name` may log in at all without a password being asked for.
  [[nodiscard]] bool listed(const std::string& name) const;

 private:
  std::map<std::string, protocol::stored_password> users_;
};

/// SCRAM keys by user, salt and iterations. A login that needs keys not here derives them off the workers.
/// runs on: any thread.
class scram_key_cache {
 public:
  [[nodiscard]] std::optional<protocol::scram_keys> find(const std::string& user, const std::string& salt, std::uint32_t iterations) const;
  void store(const std::string& user, const std::string& salt, std::uint32_t iterations, const protocol::scram_keys& keys);
  /// Passwords that clients have given in plain text (method password), for logging in to servers as they are.
  void store_password(const std::string& user, const std::string& password);
  [[nodiscard]] std::optional<std::string> password(const std::string& user) const;
  /// MD5 secrets that auth.query gave, and that clients have proved to know: they log in to servers too.
  void store_md5(const std::string& user, const std::string& secret);
  [[nodiscard]] std::optional<std::string> md5_secret(const std::string& user) const;
  void clear();

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, protocol::scram_keys> keys_;
  std::unordered_map<std::string, std::string> passwords_, md5_secrets_;
};

/// What auth.query gave, by database and user, for as long as it is believed. runs on: any thread.
class looked_up_passwords {
 public:
  using clock = std::chrono::steady_clock;
  [[nodiscard]] std::optional<protocol::stored_password> find(const std::string& database, const std::string& user,
                                                              clock::time_point now) const;
  void store(const std::string& database, const std::string& user, const protocol::stored_password& password,
             clock::time_point until);
  void forget(const std::string& database, const std::string& user);
  void clear();

 private:
  struct entry {
    protocol::stored_password password;
    clock::time_point until;
  };
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, entry> entries_;
};

}  // namespace pgbraid::proxy
