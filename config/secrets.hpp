// Passwords: written out, in a file, or in an environment variable.
#pragma once

#include "config/config.hpp"
#include "config/fields.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pgbraid::config {

/// The password that a section gives under password, password_file or password_env, or nothing. More than one of them,
/// a file that cannot be read, a variable that is not set, and a stored secret that is cut short are findings. A
/// relative path starts at `folder`. `shown` is the section as the user wrote it.
[[nodiscard]] std::optional<std::string> read_password(const fields& section, const std::string& shown,
                                                       const std::string& folder, std::vector<finding>& findings);

/// What is wrong with a password or stored secret; empty when nothing is. Never repeats it.
[[nodiscard]] std::string wrong_secret(std::string_view secret);

/// True for `md5` and 32 hexadecimal digits, which PostgreSQL takes for a stored secret.
[[nodiscard]] bool is_md5_secret(std::string_view secret);

}  // namespace pgbraid::config
