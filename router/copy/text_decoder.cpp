#include "router/copy/text_decoder.hpp"

#include <utility>

namespace pgbraid::router {
namespace {

constexpr std::size_t end_marker_size = 2;

int digit_of(char c, int base) {
  int value = 99;
  if (c >= '0' && c <= '9') value = c - '0';
  if (c >= 'a' && c <= 'f') value = c - 'a' + 10;
  if (c >= 'A' && c <= 'F') value = c - 'A' + 10;
  return value < base ? value : -1;
}

/// A number of at most `most` digits at `at`, which moves behind it; the low byte of it.
char number_at(std::string_view raw, std::size_t& at, int base, int most) {
  int value = 0;
  for (int i = 0; i < most && at < raw.size(); ++i, ++at) {
    const int digit = digit_of(raw[at], base);
    if (digit < 0) break;
    value = value * base + digit;
  }
  return static_cast<char>(value & 0xff);
}

}  // namespace

std::string without_escapes(std::string_view raw) {
  std::string out;
  for (std::size_t at = 0; at < raw.size();) {
    const char c = raw[at++];
    if (c != '\\') {
      out.push_back(c);
      continue;
    }
    if (at >= raw.size()) break;  // a backslash in front of the line's end
    if (digit_of(raw[at], 8) >= 0) {
      out.push_back(number_at(raw, at, 8, 3));
      continue;
    }
    const char escaped = raw[at++];
    switch (escaped) {
      case 'x':
        if (at < raw.size() && digit_of(raw[at], 16) >= 0) {
          out.push_back(number_at(raw, at, 16, 2));
        } else {
          out.push_back('x');
        }
        break;
      case 'b':
        out.push_back('\b');
        break;
      case 'f':
        out.push_back('\f');
        break;
      case 'n':
        out.push_back('\n');
        break;
      case 'r':
        out.push_back('\r');
        break;
      case 't':
        out.push_back('\t');
        break;
      case 'v':
        out.push_back('\v');
        break;
      default:
        out.push_back(escaped);
        break;
    }
  }
  return out;
}

text_decoder::text_decoder(text_shape shape)
    : shape_{std::move(shape)}, csv_{shape_.format.form == copy_format::kind::csv}, heading_{shape_.format.header} {
  const auto stop = [](std::array<bool, 256>& table, char c) { table[static_cast<unsigned char>(c)] = true; };
  for (const char c : {'\n', '\r', shape_.format.delimiter, csv_ ? shape_.format.quote : '\\'}) stop(stops_, c);
  for (const char c : {'\n', '\r', shape_.format.quote, shape_.format.escape}) stop(quoted_stops_, c);
}

void text_decoder::begin_line() {
  ++line_;
  value_ = 0;
  quoted_lf_ = quoted_cr_ = 0;
  key_told_ = saw_quote_ = marker_in_front_ = false;
  part_ = keys_bytes_ = 0;
  in_key_ = !heading_ && shape_.keys.front().at == 0;
  raw_.clear();
  keys_.assign(shape_.keys.size(), {});
}

void text_decoder::end_value() {
  ++value_;
  if (in_key_) {
    in_key_ = false;
    const copied_key& part = shape_.keys[part_];
    copy_key& key = keys_[part_++];
    const bool marked = raw_ == shape_.format.null_mark;
    bool null = marked && !saw_quote_;
    if (csv_ && null && part.not_null_forced) {
      null = false;
    } else if (csv_ && marked && part.null_forced) {
      null = true;
    }
    key.is = null ? copy_key::kind::null : copy_key::kind::value;
    if (!null) key.value = csv_ ? std::move(raw_) : without_escapes(raw_);
    keys_bytes_ += key.value.size();
    raw_.clear();
  }
  if (!heading_ && part_ < shape_.keys.size() && value_ == shape_.keys[part_].at) in_key_ = true;
  saw_quote_ = false;
}

// What must be told of a line that is over, one after the other.
copy_event text_decoder::next_due() {
  if (std::exchange(row_due_, false)) {
    state_ = state::start;
    return std::exchange(heading_, false) ? copy_event::head : copy_event::row;
  }
  return std::exchange(end_due_, false) ? copy_event::end : copy_event::more;
}

copy_event text_decoder::line_over() {
  end_value();
  in_key_ = false;
  row_due_ = true;
  if (heading_ || key_told_) return next_due();
  key_told_ = true;
  keys_bytes_ = 0;
  return copy_event::key;
}

copy_event text_decoder::newline_found(newline found) {
  if (newline_ != newline::unknown && newline_ != found) return copy_event::broken;
  newline_ = found;
  tail_ = found == newline::crlf ? 2 : 1;
  return line_over();
}

// One character behind what may be the end marker. `more`: no marker, and the character is one like any other.
copy_event text_decoder::behind_marker(char c) {
  const bool any = newline_ == newline::unknown && (c == '\n' || c == '\r');
  const bool fits = state_ == state::marker_cr
                        ? c == '\n'
                        : (newline_ == newline::lf && c == '\n') || (newline_ == newline::cr && c == '\r');
  if (any || fits) {
    end_due_ = true;
    tail_ = end_marker_size + (state_ == state::marker_cr ? 2 : 1);
    // What stands in front of it is a line.
    return marker_in_front_ ? next_due() : line_over();
  }
  const bool other_newline = newline_ != newline::crlf && (c == '\n' || c == '\r');
  if (!csv_ || other_newline || state_ == state::marker_cr) return copy_event::broken;
  keep("\\.");
  state_ = state::plain;
  return copy_event::more;
}

std::size_t text_decoder::run_of(std::string_view input, const std::array<bool, 256>& stops) {
  std::size_t at = 0;
  while (at < input.size() && !stops[static_cast<unsigned char>(input[at])]) ++at;
  keep(input.substr(0, at));
  return at;
}

// A character outside of quotes that means something.
copy_event text_decoder::plain_stop(char c) {
  switch (c) {
    case '\n':
      return newline_found(newline::lf);
    case '\r':
      if (newline_ == newline::lf) return copy_event::broken;
      if (newline_ == newline::cr) {
        tail_ = 1;
        return line_over();
      }
      state_ = state::cr;
      return copy_event::more;
    default:
      break;
  }
  if (c == shape_.format.delimiter) {
    const bool ends_key = in_key_;
    end_value();
    if (!ends_key || part_ < shape_.keys.size()) return copy_event::more;
    key_told_ = true;
    keys_bytes_ = 0;
    return copy_event::key;
  }
  if (csv_) saw_quote_ = true;
  state_ = csv_ ? state::quoted : state::backslash;
  return copy_event::more;
}

void text_decoder::quoted_stop(char c) {
  if (c == shape_.format.escape) {
    state_ = state::quoted_escape;
  } else if (c == shape_.format.quote) {
    state_ = state::plain;
  } else {
    ++(c == '\n' ? quoted_lf_ : quoted_cr_);
    if (c == (newline_ == newline::lf ? '\n' : '\r')) ++line_;
    keep({&c, 1});
  }
}

copy_found text_decoder::take(std::string_view input) {
  if (row_due_ || end_due_) return {next_due(), 0};
  std::size_t at = 0;
  copy_event found = copy_event::more;
  while (found == copy_event::more && at < input.size()) {
    const char c = input[at];
    switch (state_) {
      case state::start:
        begin_line();
        marker_in_front_ = c == '\\';
        if (marker_in_front_) ++at;
        state_ = !marker_in_front_ ? state::plain : csv_ ? state::marker : state::backslash;
        break;
      case state::plain:
        at += run_of(input.substr(at), stops_);
        if (at < input.size()) found = plain_stop(input[at++]);
        break;
      case state::backslash:
        ++at;
        state_ = c == '.' ? state::marker_dot : state::plain;
        if (c == '.') break;
        marker_in_front_ = false;
        keep("\\");
        keep({&c, 1});
        break;
      case state::quoted:
        at += run_of(input.substr(at), quoted_stops_);
        if (at < input.size()) quoted_stop(input[at++]);
        break;
      case state::quoted_escape:
        state_ = state::quoted;
        if (c == shape_.format.escape || c == shape_.format.quote) {
          keep({&c, 1});
          ++at;
        } else if (shape_.format.escape == shape_.format.quote) {
          state_ = state::plain;
        } else {
          keep({&shape_.format.escape, 1});
        }
        break;
      case state::cr:
        if (c == '\n') {
          ++at;
          found = newline_found(newline::crlf);
        } else if (newline_ == newline::unknown) {
          found = newline_found(newline::cr);
        } else {
          found = copy_event::broken;
        }
        break;
      case state::marker:
        if (c == '.') {
          ++at;
          state_ = state::marker_dot;
        } else {
          keep("\\");
          state_ = state::plain;
        }
        break;
      case state::marker_dot:
        if (newline_ == newline::crlf && c == '\r') {
          ++at;
          state_ = state::marker_cr;
          break;
        }
        [[fallthrough]];
      case state::marker_cr:
        found = behind_marker(c);
        // A server that meets the end here says the same, which half a character might keep it from.
        if (found != copy_event::more && (found != copy_event::broken || c == '\n' || c == '\r')) ++at;
        break;
    }
  }
  return {found, at};
}

copy_event text_decoder::finish() {
  if (row_due_ || end_due_) return next_due();
  tail_ = 0;
  switch (state_) {
    case state::start:
      return copy_event::more;
    case state::plain:
    case state::backslash:  // it stands for nothing
      return line_over();
    case state::quoted:
      return copy_event::broken;
    case state::quoted_escape:
      return shape_.format.escape == shape_.format.quote ? line_over() : copy_event::broken;
    case state::cr:
      return newline_found(newline::cr);
    case state::marker:
      keep("\\");
      return line_over();
    case state::marker_dot:
      if (!csv_) return copy_event::broken;
      keep("\\.");
      return line_over();
    case state::marker_cr:
      return copy_event::broken;
  }
  return copy_event::broken;
}

}  // namespace pgbraid::router
