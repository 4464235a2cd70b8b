// decode_string_constant(): the value of a string constant, escapes resolved as PostgreSQL 15's scan.l does for a
// server whose encoding is UTF-8.
#include <cstdint>

#include "router/sql/characters.hpp"
#include "router/sql/tokenizer.hpp"

namespace pgbraid::router::sql {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_utf8(std::uint32_t point, std::string& out) {
  if (point < 0x80) {
    out += static_cast<char>(point);
    return;
  }
  if (point < 0x800) {
    out += static_cast<char>(0xc0 | (point >> 6));
  } else {
    if (point < 0x10000) {
      out += static_cast<char>(0xe0 | (point >> 12));
    } else {
      out += static_cast<char>(0xf0 | (point >> 18));
      out += static_cast<char>(0x80 | ((point >> 12) & 0x3f));
    }
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
  }
  out += static_cast<char>(0x80 | (point & 0x3f));
}

/// Whether `text` is UTF-8 as PostgreSQL takes it: shortest forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(const std::string& text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  for (std::size_t at = 0; at < text.size();) {
    const unsigned char lead = byte(at);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xc2 ? 0
                               : lead < 0xe0 ? 2
                               : lead < 0xf0 ? 3
                               : lead < 0xf5 ? 4
                                             : 0;
    if (length == 0 || at + length > text.size()) return false;
    for (std::size_t i = 1; i < length; ++i)
      if ((byte(at + i) & 0xc0) != 0x80) return false;
    if (lead == 0xe0 && byte(at + 1) < 0xa0) return false;
    if (lead == 0xed && byte(at + 1) > 0x9f) return false;
    if (lead == 0xf0 && byte(at + 1) < 0x90) return false;
    if (lead == 0xf4 && byte(at + 1) > 0x8f) return false;
    at += length;
  }
  return true;
}

/// Reads the escapes of one E'' constant.
class escape_reader {
 public:
  escape_reader(const char* at, const char* end, std::string& out) : at_(at), end_(end), out_(out) {}

  /// at() stands behind a backslash. False for what the server would refuse.
  bool read();
  [[nodiscard]] const char* at() const { return at_; }
  [[nodiscard]] bool made_high_bytes() const { return high_; }
  void move_to(const char* at) { at_ = at; }

 private:
  bool read_code_point(int digits, std::uint32_t& point);
  bool read_unicode(int digits);
  bool put_byte(unsigned value) {
    if (value == 0) return false;
    high_ = high_ || value > 0x7f;
    out_ += static_cast<char>(value);
    return true;
  }

  const char* at_;
  const char* end_;
  std::string& out_;
  bool high_ = false;
};

bool escape_reader::read_code_point(int digits, std::uint32_t& point) {
  point = 0;
  for (int i = 0; i < digits; ++i, ++at_) {
    const int digit = at_ == end_ ? -1 : hex_digit(*at_);
    if (digit < 0) return false;
    point = point << 4 | static_cast<std::uint32_t>(digit);
  }
  return true;
}

bool escape_reader::read_unicode(int digits) {
  std::uint32_t point;
  if (!read_code_point(digits, point) || point == 0 || point > 0x10ffff) return false;
  if (point >= 0xdc00 && point <= 0xdfff) return false;
  if (point >= 0xd800 && point <= 0xdbff) {
    // The other half must follow at once, in either notation.
    if (end_ - at_ < 2 || at_[0] != '\\' || (at_[1] != 'u' && at_[1] != 'U')) return false;
    const int low_digits = at_[1] == 'u' ? 4 : 8;
    at_ += 2;
    std::uint32_t low;
    if (!read_code_point(low_digits, low) || low < 0xdc00 || low > 0xdfff) return false;
    point = 0x10000 + ((point & 0x3ff) << 10 | (low & 0x3ff));
  }
  append_utf8(point, out_);
  return true;
}

bool escape_reader::read() {
  if (at_ == end_) return false;
  const char c = *at_++;
  switch (c) {
    case 'b':
      out_ += '\b';
      return true;
    case 'f':
      out_ += '\f';
      return true;
    case 'n':
      out_ += '\n';
      return true;
    case 'r':
      out_ += '\r';
      return true;
    case 't':
      out_ += '\t';
      return true;
    case 'u':
      return read_unicode(4);
    case 'U':
      return read_unicode(8);
    case 'x': {
      unsigned value = 0;
      int digits = 0;
      for (; digits < 2 && at_ != end_ && hex_digit(*at_) >= 0; ++digits)
        value = value << 4 | static_cast<unsigned>(hex_digit(*at_++));
      if (digits > 0) return put_byte(value);
      out_ += 'x';
      return true;
    }
    default:
      break;
  }
  if (c < '0' || c > '7') {
    out_ += c;
    return true;
  }
  unsigned value = static_cast<unsigned>(c - '0');
  for (int digits = 1; digits < 3 && at_ != end_ && *at_ >= '0' && *at_ <= '7'; ++digits)
    value = value << 3 | static_cast<unsigned>(*at_++ - '0');
  return put_byte(value & 0xff);
}

bool decode_dollar(std::string_view token, std::string& out) {
  const std::size_t tag = token.size() < 4 || token[0] != '$' ? std::string_view::npos : token.find('$', 1);
  if (tag == std::string_view::npos) return false;
  const std::string_view delimiter = token.substr(0, tag + 1);
  if (token.size() < 2 * delimiter.size() || !token.ends_with(delimiter)) return false;
  const std::string_view body = token.substr(delimiter.size(), token.size() - 2 * delimiter.size());
  // The first closing delimiter ends the constant; it may begin nowhere but at the token's own end.
  if (token.find(delimiter, delimiter.size()) != delimiter.size() + body.size()) return false;
  out.assign(body);
  return true;
}

}  // namespace

bool decode_string_constant(std::string_view token, token_constant kind, std::string& out) {
  out.clear();
  if (kind == token_constant::dollar_string) return decode_dollar(token, out);
  const bool escapes = kind == token_constant::escape_string;
  if (!escapes && kind != token_constant::string) return false;
  if (escapes) {
    if (token.empty() || (token[0] != 'e' && token[0] != 'E')) return false;
    token.remove_prefix(1);
  }
  if (token.empty() || token[0] != '\'') return false;
  const char* const end = token.data() + token.size();
  escape_reader reader(token.data() + 1, end, out);
  for (;;) {
    const char* at = reader.at();
    const char* plain = at;
    while (at != end && *at != '\'' && !(escapes && *at == '\\')) ++at;
    out.append(plain, static_cast<std::size_t>(at - plain));
    if (at == end) return false;
    if (*at == '\\') {
      reader.move_to(at + 1);
      if (!reader.read()) return false;
      continue;
    }
    if (++at == end) break;
    if (*at == '\'') {
      out += '\'';
    } else {
      at = next_piece(at, end);
      if (at == nullptr) return false;
    }
    reader.move_to(at + 1);
  }
  return !reader.made_high_bytes() || is_utf8(out);
}

}  // namespace pgbraid::router::sql
