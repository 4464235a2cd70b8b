// Whole numbers as servers print them.
#pragma once

#include <charconv>
#include <optional>
#include <string>

namespace pgbraid::proxy {

/// 0 for NULL and for what is no number.
template <class Number>
[[nodiscard]] Number pg_number(const std::optional<std::string>& text) {
  Number out = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), out);
  return out;
}

}  // namespace pgbraid::proxy
