// Checks a document against the table of keys: unknown keys, wrong kinds, values out of range, what is not built yet.
#pragma once

#include "config/config.hpp"
#include "config/yaml_tree.hpp"

#include <vector>

namespace pgbraid::config {

/// Adds a finding for each mistake that the table alone can tell. Values of keys that may hold a secret are not
/// repeated in the text.
void check_shape(const yaml::node& root, std::vector<finding>& findings);

}  // namespace pgbraid::config
