#include "router/shard/array_values.hpp"

#include <array>
#include <cstdint>
#include <utility>

#include "router/shard/key_values.hpp"

namespace pgbraid::router {
namespace {

/// Array types beside those of their elements (src/include/catalog/pg_type.dat).
constexpr std::array<std::pair<oid, oid>, 12> array_types{{{1000, type_oid::boolean},
                                                           {1005, type_oid::int2},
                                                           {1007, type_oid::int4},
                                                           {1016, type_oid::int8},
                                                           {1009, type_oid::text},
                                                           {1014, type_oid::bpchar},
                                                           {1015, type_oid::varchar},
                                                           {1182, type_oid::date},
                                                           {1115, type_oid::timestamp},
                                                           {1185, type_oid::timestamptz},
                                                           {1231, type_oid::numeric},
                                                           {2951, type_oid::uuid}}};

/// Reads big-endian numbers from the front; past the end it fails for good.
class number_reader {
 public:
  explicit number_reader(std::string_view bytes) : rest_{bytes} {}
  std::int32_t next() {
    std::uint32_t value = 0;
    for (const char c : take(4)) value = value << 8 | static_cast<unsigned char>(c);
    return static_cast<std::int32_t>(value);
  }
  std::string_view take(std::size_t size) {
    ok = ok && size <= rest_.size();
    if (!ok) return {};
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }
  bool ok = true;

 private:
  std::string_view rest_;
};

class text_array {
 public:
  explicit text_array(std::string_view text) : text_{trim_blanks(text)} {}

  std::optional<array_elements> read() {
    if (text_.size() < 2 || text_.front() != '{') return std::nullopt;
    at_ = 1;
    skip_blanks();
    if (at('}')) return at_ + 1 == text_.size() ? std::optional{array_elements{}} : std::nullopt;
    array_elements out;
    while (true) {
      skip_blanks();
      auto element = at('"') ? quoted() : bare();
      if (!ok_) return std::nullopt;
      out.push_back(std::move(element));
      skip_blanks();
      if (at(',')) {
        ++at_;
      } else if (at('}') && at_ + 1 == text_.size()) {
        return out;
      } else {
        return std::nullopt;
      }
    }
  }

 private:
  [[nodiscard]] bool at(char c) const { return at_ < text_.size() && text_[at_] == c; }
  void skip_blanks() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  }

  std::optional<std::string> quoted() {
    std::string out;
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
      if (at_ < text_.size()) out.push_back(text_[at_]);
    }
    ok_ = at('"');
    ++at_;
    return out;
  }

  std::optional<std::string> bare() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '}') {
      // Escapes, quotes inside and arrays of arrays are left to the server.
      if (text_[at_] == '\\' || text_[at_] == '"' || text_[at_] == '{') ok_ = false;
      ++at_;
    }
    const std::string_view value = trim_blanks(text_.substr(begin, at_ - begin));
    ok_ = ok_ && !value.empty();
    if (equals_ignoring_case(value, "null")) return std::nullopt;
    return std::string{value};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace

oid element_type(oid array_type) noexcept {
  for (const auto& [array, element] : array_types) {
    if (array == array_type) return element;
  }
  return 0;
}

std::optional<array_elements> parse_array(std::string_view text) {
  return text_array{text}.read();
}

std::optional<array_elements> receive_array(std::string_view bytes, oid& type) {
  number_reader in{bytes};
  const std::int32_t dimensions = in.next();
  (void)in.next();  // whether there are NULLs
  type = static_cast<oid>(in.next());
  array_elements out;
  if (!in.ok || dimensions < 0 || dimensions > 1) return std::nullopt;
  if (dimensions == 0) return in.left() == 0 ? std::optional{std::move(out)} : std::nullopt;
  const std::int32_t count = in.next();
  (void)in.next();  // the lower bound
  // Each element has a length.
  if (!in.ok || count < 0 || static_cast<std::size_t>(count) > in.left() / 4) return std::nullopt;
  for (std::int32_t i = 0; i < count; ++i) {
    const std::int32_t length = in.next();
    if (length < -1) return std::nullopt;
    if (length < 0) {
      out.emplace_back();
    } else {
      out.emplace_back(in.take(static_cast<std::size_t>(length)));
    }
    if (!in.ok) return std::nullopt;
  }
  return in.left() == 0 ? std::optional{std::move(out)} : std::nullopt;
}

}  // namespace pgbraid::router
