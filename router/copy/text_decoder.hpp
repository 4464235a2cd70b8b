// Finds rows and their keys in data of COPY FROM in the formats text and csv, however it is cut into pieces. Source:
// CopyReadLineText, CopyReadAttributesText and CopyReadAttributesCSV (copyfromparse.c), whose states these are.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "router/copy/copy_event.hpp"
#include "router/copy/copy_format.hpp"

namespace pgbraid::router {

/// A column of the key in copied rows.
struct copied_key {
  std::size_t at = 0;            ///< how many values stand before it in a row
  bool null_forced = false;      ///< csv: a quoted null mark is NULL for it too
  bool not_null_forced = false;  ///< csv: an unquoted null mark is a value for it
};

/// What a text decoder must know.
struct text_shape {
  copy_format format;
  std::vector<copied_key> keys;  ///< one or more, in the order of the values
};

/// runs on: any thread.
class text_decoder {
 public:
  explicit text_decoder(text_shape shape);

  /// Looks at the next bytes up to the first event. To be called again with what lies behind it.
  [[nodiscard]] copy_found take(std::string_view input);
  /// There are no more bytes. To be called until it tells `more`.
  [[nodiscard]] copy_event finish();

  /// With the event `key`: its columns, in the order of the values.
  [[nodiscard]] const std::vector<copy_key>& keys() const noexcept { return keys_; }
  /// The number that the server would tell for the line under way: lines so far, those inside of quotes included.
  [[nodiscard]] std::uint64_t line() const noexcept { return line_; }
  /// The same for an error that is found now, also in front of a line.
  [[nodiscard]] std::uint64_t next_line() const noexcept { return line_ + (state_ == state::start ? 1 : 0); }
  /// Lines inside of quotes that the row under way has: as a server counts them that has seen how lines end, and as one
  /// does to which it is the first.
  [[nodiscard]] std::uint64_t quoted_lines(bool first) const noexcept {
    return first || newline_ != newline::lf ? quoted_cr_ : quoted_lf_;
  }
  /// With the events `row` and `head`: how many values the line has, and how many bytes of it stand behind its last
  /// one: what ends the line, and the end marker, if that stands in it.
  [[nodiscard]] std::size_t values() const noexcept { return value_; }
  [[nodiscard]] std::size_t tail() const noexcept { return tail_; }
  /// Bytes kept of a key that has not been told.
  [[nodiscard]] std::size_t kept() const noexcept { return raw_.size() + keys_bytes_; }

 private:
  enum class newline : std::uint8_t { unknown, lf, cr, crlf };
  enum class state : std::uint8_t {
    start,  ///< in front of a line
    plain,
    backslash,  ///< text: the next character stands for itself
    quoted,
    quoted_escape,  ///< csv: an escape, or a quote, inside of quotes
    cr,             ///< a carriage return, which may have a newline behind it
    marker,         ///< csv: a backslash in front of a line
    marker_dot,     ///< the end marker, but for its newline
    marker_cr
  };

  void begin_line();
  void end_value();
  [[nodiscard]] copy_event line_over();
  [[nodiscard]] copy_event next_due();
  [[nodiscard]] copy_event newline_found(newline found);
  [[nodiscard]] copy_event behind_marker(char c);
  [[nodiscard]] copy_event plain_stop(char c);
  void quoted_stop(char c);
  /// How many bytes in front of the next that means something.
  [[nodiscard]] std::size_t run_of(std::string_view input, const std::array<bool, 256>& stops);
  void keep(std::string_view bytes) {
    if (in_key_) raw_.append(bytes);
  }

  text_shape shape_;
  bool csv_;
  std::array<bool, 256> stops_{}, quoted_stops_{};
  state state_ = state::start;
  newline newline_ = newline::unknown;
  bool heading_;           ///< the line under way is the header
  std::size_t value_ = 0;  ///< values that have ended in this line
  std::size_t tail_ = 0;
  bool in_key_ = false, key_told_ = false, saw_quote_ = false;
  bool marker_in_front_ = false;  ///< the backslash under way is the line's first character
  bool row_due_ = false, end_due_ = false;
  std::string raw_;  ///< text: the key as it stands; csv: without quotes and escapes
  std::vector<copy_key> keys_;
  std::size_t part_ = 0, keys_bytes_ = 0;  ///< of the key: columns that have ended, and their bytes
  std::uint64_t line_ = 0, quoted_lf_ = 0, quoted_cr_ = 0;
};

/// The value that the escapes of format text stand for.
[[nodiscard]] std::string without_escapes(std::string_view raw);

}  // namespace pgbraid::router
