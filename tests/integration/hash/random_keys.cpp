#include "random_keys.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

namespace pgbraid::tests {

namespace type_oid = router::type_oid;

std::uint64_t chosen_seed() {
  if (const char* given = std::getenv("PGBRAID_TEST_SEED")) return std::strtoull(given, nullptr, 10);
  return std::random_device{}();
}

std::string random_keys::text(router::oid type, bool with_offset) {
  switch (type) {
    case type_oid::int2:
    case type_oid::int4:
    case type_oid::int8:
      return integer(type);
    case type_oid::boolean:
      return boolean();
    case type_oid::uuid:
      return uuid();
    case type_oid::date:
      return blanks() + (one_in(40) ? (one_in(2) ? "infinity" : "-Infinity") : date()) + blanks();
    case type_oid::timestamp:
    case type_oid::timestamptz:
      return blanks() + (one_in(40) ? (one_in(2) ? "INFINITY" : "-infinity") : timestamp(with_offset)) + blanks();
    case type_oid::numeric:
      return numeric();
    default:
      return characters();
  }
}

std::string random_keys::broken(std::string text) {
  constexpr std::string_view alphabet = "0123456789  -+:./TZezEbBcCaAdDnNiIfFtTyY{}\t,_x";
  for (auto changes = number(1, 3); changes > 0; --changes) {
    const auto at = static_cast<std::size_t>(number(0, static_cast<std::int64_t>(text.size())));
    const char c = alphabet[static_cast<std::size_t>(number(0, static_cast<std::int64_t>(alphabet.size()) - 1))];
    // What stays has to be UTF-8, or the server never sees it.
    if (at < text.size() && static_cast<unsigned char>(text[at]) >= 0x80) continue;
    const auto kind = number(1, 3);
    if (kind == 1 || at == text.size())
      text.insert(at, 1, c);
    else if (kind == 2)
      text.erase(at, 1);
    else
      text[at] = c;
  }
  return text;
}

std::string random_keys::bytes(std::size_t size) {
  std::string made(size, '\0');
  for (char& c : made) c = static_cast<char>(number(0, 255));
  return made;
}

std::string random_keys::numeric_bytes() {
  std::string made;
  const auto add = [&made](std::int64_t value) {
    made.push_back(static_cast<char>((value >> 8) & 0xFF));
    made.push_back(static_cast<char>(value & 0xFF));
  };
  constexpr std::array<std::int64_t, 5> signs{0x0000, 0x4000, 0xC000, 0xD000, 0xF000};
  const auto count = number(0, 6);
  add(count);
  add(number(-4, 5));
  add(one_in(8) ? signs[static_cast<std::size_t>(number(0, 4))] : signs[static_cast<std::size_t>(number(0, 1))]);
  add(one_in(30) ? number(0, 0xFFFF) : number(0, 12));
  for (auto i = count; i > 0; --i) add(one_in(3) ? 0 : one_in(60) ? number(0, 0xFFFF) : number(0, 9999));
  if (one_in(40)) made.pop_back();
  return made;
}

std::int64_t random_keys::number(std::int64_t least, std::int64_t most) {
  return std::uniform_int_distribution<std::int64_t>(least, most)(engine_);
}

std::string random_keys::digits(std::int64_t least, std::int64_t most) {
  std::string made;
  for (auto left = number(least, most); left > 0; --left)
    made += one_in(6) ? '9' : one_in(6) ? '0' : static_cast<char>('0' + number(0, 9));
  return made;
}

std::string random_keys::padded(std::int64_t value, std::size_t width) {
  std::string made = std::to_string(value);
  if (made.size() < width) made.insert(0, width - made.size(), '0');
  return made;
}

std::string random_keys::blanks() {
  if (!one_in(10)) return "";
  constexpr std::string_view kinds = " \t\n\r\f\v";
  return std::string(static_cast<std::size_t>(number(1, 3)), kinds[static_cast<std::size_t>(number(0, 5))]);
}

std::string random_keys::integer(router::oid type) {
  const int bits = type == type_oid::int2 ? 16 : type == type_oid::int4 ? 32 : 64;
  // All widths alike often, so that small values and the ends of the types come up.
  const auto value = static_cast<std::int64_t>(engine_()) >> (64 - number(1, bits));
  std::string made = std::to_string(value);
  if (value >= 0 && one_in(10)) made.insert(0, "+");
  if (one_in(20)) made.insert(made.find_first_of("0123456789"), static_cast<std::size_t>(number(1, 30)), '0');
  return blanks() + made + blanks();
}

std::string random_keys::boolean() {
  constexpr std::array<std::string_view, 6> words{"true", "false", "yes", "no", "on", "off"};
  if (one_in(6)) return blanks() + (one_in(2) ? "1" : "0");
  std::string made(words[static_cast<std::size_t>(number(0, 5))]);
  made.resize(std::max<std::size_t>(made[0] == 'o' ? 2 : 1,
                                    static_cast<std::size_t>(number(1, static_cast<std::int64_t>(made.size())))));
  if (one_in(3)) made[0] = static_cast<char>(made[0] - 'a' + 'A');
  return blanks() + made + blanks();
}

std::string random_keys::uuid() {
  constexpr std::string_view lower = "0123456789abcdef", upper = "0123456789ABCDEF";
  const bool usual = !one_in(4), braces = one_in(5), shout = one_in(5);
  std::string made;
  for (int i = 0; i < 32; ++i) {
    const bool between = i > 0 && i % 4 == 0;
    if (between && (usual ? i == 8 || i == 12 || i == 16 || i == 20 : one_in(2))) made += '-';
    made += (shout ? upper : lower)[static_cast<std::size_t>(number(0, 15))];
  }
  return braces ? "{" + made + "}" : made;
}

std::string random_keys::characters() {
  constexpr std::array<std::string_view, 12> pieces{"a", "Z", "0", " ", "'", "\"", "\\", "é", "ł", "日", "🐘", "\n"};
  const bool ascii = one_in(2);
  std::string made;
  for (auto left = number(0, one_in(10) ? 80 : 12); left > 0; --left) {
    const auto which = static_cast<std::size_t>(number(0, static_cast<std::int64_t>(pieces.size()) - 1));
    made += ascii || one_in(2) ? std::string(1, static_cast<char>('a' + number(0, 25))) : std::string(pieces[which]);
  }
  if (one_in(4)) made.append(static_cast<std::size_t>(number(1, 6)), ' ');
  return made;
}

std::string random_keys::date() {
  const bool christ = one_in(2);
  const auto year = one_in(10) ? number(1, 9'999'999) : one_in(4) ? number(1, 5000) : number(1900, 2100);
  const auto day = one_in(6) ? number(28, 31) : number(1, 28);
  std::string made = padded(year, 4) + "-" + padded(number(1, 12), 2) + "-" + padded(day, 2);
  if (christ && one_in(8)) made += one_in(2) ? " BC" : " AD";
  return made;
}

std::string random_keys::timestamp(bool with_offset) {
  std::string made = date();
  std::string era;
  if (const auto blank = made.find(' '); blank != std::string::npos) {
    era = made.substr(blank);
    made.resize(blank);
  }
  if (!with_offset && one_in(10)) return made + era;
  made += one_in(3) ? "T" : " ";
  made += padded(one_in(30) ? 24 : number(0, 23), one_in(10) ? 1 : 2) + ":" + padded(number(0, 59), 2);
  if (!one_in(10)) {
    made += ":" + padded(one_in(30) ? 60 : number(0, 59), 2);
    if (one_in(2))
      made += "." + digits(1, 14);
    else if (one_in(3))
      made += "." + digits(6, 6) + (one_in(2) ? "5" : "4999999");
  }
  if (with_offset || one_in(3)) {
    if (one_in(8)) made += " ";
    if (one_in(4)) {
      made += "Z";
    } else {
      made += (one_in(2) ? "+" : "-") + padded(one_in(20) ? 15 : number(0, 14), 2);
      if (one_in(2)) made += (one_in(2) ? ":" : "") + padded(number(0, 59), 2);
    }
  }
  return made + era;
}

std::string random_keys::numeric() {
  if (one_in(40)) {
    constexpr std::array<std::string_view, 7> words{"NaN", "nan", "Infinity", "-infinity", "+Inf", "-inf", "inf"};
    return blanks() + std::string(words[static_cast<std::size_t>(number(0, 6))]) + blanks();
  }
  std::string made = one_in(3) ? "-" : one_in(10) ? "+" : "";
  const auto kind = number(1, 4);
  if (kind == 1) made += digits(1, 30);
  if (kind == 2) made += digits(1, 12) + "." + digits(0, 12);
  if (kind == 3) made += digits(0, 3) + "." + digits(1, 40);
  if (kind == 4) made += digits(1, 5) + "." + digits(0, 4) + (one_in(2) ? "5" : "49999");
  if (one_in(5))
    made += (one_in(2) ? "e" : "E") + std::string(one_in(3) ? "+" : "") + std::to_string(number(0, 60));
  else if (one_in(8))
    made += "e-" + std::to_string(number(0, 60));
  return blanks() + made + blanks();
}

}  // namespace pgbraid::tests
