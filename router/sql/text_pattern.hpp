// A text that has been scanned, kept so that others which differ from it only in their constants need not be: most
// programs send the same few texts with other values. What stands between constants is compared, not scanned again.
#pragma once

#include "router/sql/tokenizer.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::router::sql {

/// runs on: any thread, one at a time.
class text_pattern {
 public:
  /// Remembers `text`, of which scan() has made `found`. False: it has what a pattern does not recognise (constants
  /// other than short integers, plain decimals and plain strings, bytes above 0x7f, backslashes, no constants at all),
  /// or is too long; what was remembered before stays.
  [[nodiscard]] bool remember(std::string_view text, const token_scan& found);

  /// True: `text` differs from the remembered one only in its constants, each of which is of the same kind, so that
  /// scan() would make the same key of it. `out` is then as after scan(), but for `key` and `normalized`, which are not
  /// made. False says nothing: scan() must look.
  [[nodiscard]] bool matches(std::string_view text, token_scan& out) const;

  /// Longer texts are not remembered.
  static constexpr std::size_t max_bytes = 4096;

 private:
  std::string text_;
  std::vector<constant_position> constants_;
  bool many_statements_ = false;
};

}  // namespace pgbraid::router::sql
