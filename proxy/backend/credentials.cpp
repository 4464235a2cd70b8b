#include "proxy/backend/credentials.hpp"

namespace pgbraid::proxy {
namespace {

std::string key_of(const std::string& user, const std::string& salt, std::uint32_t iterations) {
  return user + '\0' + std::to_string(iterations) + '\0' + salt;
}

// Enough for every user of a large installation; beyond it something is wrong, and starting over is harmless.
constexpr std::size_t max_entries = 10'000;

}  // namespace

user_list::user_list(const std::vector<config::user>& users) {
  for (const config::user& user : users) {
    users_[user.name] = user.password ? protocol::make_stored_password(*user.password) : protocol::stored_password{};
  }
}

protocol::stored_password user_list::find(const std::string& name) const {
  if (const auto found = users_.find(name); found != users_.end()) return found->second;
  if (const auto found = users_.find("*"); found != users_.end()) return found->second;
  return {};
}

bool user_list::listed(const std::string& name) const { return users_.contains(name) || users_.contains("*"); }

std::optional<protocol::scram_keys> scram_key_cache::find(const std::string& user, const std::string& salt, std::uint32_t iterations) const {
  const std::lock_guard lock{mutex_};
  const auto found = keys_.find(key_of(user, salt, iterations));
  if (found == keys_.end()) return std::nullopt;
  return found->second;
}

void scram_key_cache::store(const std::string& user, const std::string& salt, std::uint32_t iterations, const protocol::scram_keys& keys) {
  const std::lock_guard lock{mutex_};
  if (keys_.size() >= max_entries) keys_.clear();
  keys_[key_of(user, salt, iterations)] = keys;
}

void scram_key_cache::store_password(const std::string& user, const std::string& password) {
  const std::lock_guard lock{mutex_};
  if (passwords_.size() >= max_entries) passwords_.clear();
  passwords_[user] = password;
}

std::optional<std::string> scram_key_cache::password(const std::string& user) const {
  const std::lock_guard lock{mutex_};
  const auto found = passwords_.find(user);
  if (found == passwords_.end()) return std::nullopt;
  return found->second;
}

void scram_key_cache::store_md5(const std::string& user, const std::string& secret) {
  const std::lock_guard lock{mutex_};
  if (md5_secrets_.size() >= max_entries) md5_secrets_.clear();
  md5_secrets_[user] = secret;
}

std::optional<std::string> scram_key_cache::md5_secret(const std::string& user) const {
  const std::lock_guard lock{mutex_};
  const auto found = md5_secrets_.find(user);
  if (found == md5_secrets_.end()) return std::nullopt;
  return found->second;
}

void scram_key_cache::clear() {
  const std::lock_guard lock{mutex_};
  keys_.clear();
  passwords_.clear();
  md5_secrets_.clear();
}

std::optional<protocol::stored_password> looked_up_passwords::find(const std::string& database, const std::string& user,
                                                                   clock::time_point now) const {
  const std::lock_guard lock{mutex_};
  const auto found = entries_.find({database, user});
  if (found == entries_.end() || found->second.until <= now) return std::nullopt;
  return found->second.password;
}

void looked_up_passwords::store(const std::string& database, const std::string& user,
                                const protocol::stored_password& password, clock::time_point until) {
  const std::lock_guard lock{mutex_};
  if (entries_.size() >= max_entries) entries_.clear();
  entries_[{database, user}] = {password, until};
}

void looked_up_passwords::forget(const std::string& database, const std::string& user) {
  const std::lock_guard lock{mutex_};
  entries_.erase({database, user});
}

void looked_up_passwords::clear() {
  const std::lock_guard lock{mutex_};
  entries_.clear();
}

}  // namespace pgbraid::proxy
