// A session's settings (SET, startup parameters) as immutable, interned values: two sessions with equal settings share one,
// so that bringing a backend in line costs one pointer comparison when there is nothing to do.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pgbraid::proxy {

/// One setting that differs from what the server gives by itself.
struct setting {
  std::string name;   ///< lower case
  std::string value;  ///< as text; empty when only `sql` knows it (SET TIME ZONE INTERVAL ...)
  std::string sql;    ///< the statement that brings it about
  friend bool operator==(const setting&, const setting&) = default;
};

/// Settings in the order in which they were made.
struct settings {
  std::vector<setting> entries;

  [[nodiscard]] const setting* find(std::string_view name) const noexcept;
  /// The value of `name`, or `fallback` when it is not set here.
  [[nodiscard]] std::string_view value_of(std::string_view name, std::string_view fallback) const noexcept;
};
/// As the server reads the words of a boolean setting.
[[nodiscard]] bool is_true(std::string_view value) noexcept;

/// Settings that are for pgbraid alone, see router/plan/hints.hpp: no server is told of them.
[[nodiscard]] bool is_hint_setting(std::string_view name) noexcept;
inline constexpr std::string_view shard_setting = "pgbraid.shard", key_setting = "pgbraid.key", target_setting = "pgbraid.target";

using settings_ptr = std::shared_ptr<const settings>;

/// Makes equal settings one value.
/// runs on: its worker.
class settings_registry {
 public:
  settings_registry();

  /// Settings with no entry: what a fresh backend has.
  [[nodiscard]] const settings_ptr& none() const noexcept { return none_; }
  /// `base` with `added` in place of any entry of that name.
  [[nodiscard]] settings_ptr with(const settings_ptr& base, setting added);
  /// `base` without `name`.
  [[nodiscard]] settings_ptr without(const settings_ptr& base, std::string_view name);

 private:
  [[nodiscard]] settings_ptr intern(std::vector<setting> entries);

  settings_ptr none_;
  std::unordered_map<std::string, std::weak_ptr<const settings>> known_;
  std::size_t sweep_at_ = 64;
};

/// The statements that turn a backend with `current` settings into one with `wanted`, "" if there is nothing to do.
/// `current` may be null: unknown, so everything is reset first.
[[nodiscard]] std::string settings_difference(const settings* current, const settings& wanted);

/// SET datestyle, which leaves alone what it does not name: the output's style, or the order of an input's parts.
/// `before`: what was set until then, null for nothing; `sql`: the client's statement.
[[nodiscard]] setting date_style_setting(const setting* before, std::string_view value, std::string_view sql);

/// `SET name TO 'value'`, quoted. Lists (search_path, DateStyle) are passed as the one text the client gave at startup.
[[nodiscard]] std::string set_statement(std::string_view name, std::string_view value);

/// The same by set_config(), which takes a list as the one text that SHOW gives.
/// Nothing: back to the default. `local`: for the transaction.
[[nodiscard]] std::string set_config_statement(std::string_view name, std::optional<std::string_view> value,
                                               bool local = false);

/// Splits the startup parameter `options` ("-c a=b --c=d") into name/value pairs. False if it holds anything else.
[[nodiscard]] bool parse_startup_options(std::string_view options, std::vector<std::pair<std::string, std::string>>& out);

}  // namespace pgbraid::proxy
