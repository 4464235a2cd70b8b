// The partition hash held against what a server answered: hash_vectors.inc, which hash_vectors.sql writes.
#include "router/shard/hash.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <string>

using namespace pgbraid::router;

namespace {

/// One value, as text and in its binary form, and the server's hash; none where the server refuses the value.
struct hash_vector {
  oid type;
  std::int32_t modifier;
  std::string_view text;
  std::optional<std::uint64_t> hash;
  std::string_view hex;
};

constexpr hash_vector vectors[] = {
#include "hash_vectors.inc"
};

std::string bytes_of(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return bytes;
}

/// A copy in a block of its own, exactly as large: a sanitizer sees any read past its end.
struct exact_copy {
  explicit exact_copy(std::string_view of) : block(new char[of.size()]), size(of.size()) { of.copy(block.get(), size); }
  [[nodiscard]] std::string_view view() const { return {block.get(), size}; }
  std::unique_ptr<char[]> block;
  std::size_t size;
};

}  // namespace

TEST_CASE("every text hashes as on the server, or is refused as there") {
  STATIC_REQUIRE(std::size(vectors) > 200);
  for (const hash_vector& v : vectors) {
    CAPTURE(v.type, v.modifier, std::string(v.text));
    CHECK(partition_hash_text(v.type, v.modifier, 0, v.text, "UTC") == v.hash);
    CHECK(partition_hash_text(v.type, v.modifier, v.type, v.text, "Etc/UTC") == v.hash);
    CHECK(partition_hash_text(v.type, v.modifier, type_oid::unknown, v.text, "GMT") == v.hash);
  }
}

TEST_CASE("every binary form hashes as on the server") {
  for (const hash_vector& v : vectors) {
    if (!v.hash) continue;
    CAPTURE(v.type, v.modifier, std::string(v.text));
    CHECK(partition_hash_binary(v.type, v.modifier, 0, bytes_of(v.hex)) == v.hash);
    CHECK(partition_hash_binary(v.type, -1, v.type, bytes_of(v.hex)) == v.hash);
  }
}

TEST_CASE("a binary form that is too short or too long is refused") {
  for (const hash_vector& v : vectors) {
    if (!v.hash || v.type == type_oid::text || v.type == type_oid::varchar || v.type == type_oid::bpchar) continue;
    CAPTURE(v.type, std::string(v.text));
    const std::string bytes = bytes_of(v.hex);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      CHECK_FALSE(partition_hash_binary(v.type, -1, 0, std::string_view(bytes).substr(0, size)));
    CHECK_FALSE(partition_hash_binary(v.type, -1, 0, bytes + '\0'));
  }
}

TEST_CASE("integers of every type and numeric hash as one another where they tie") {
  for (const hash_vector& v : vectors) {
    if (!v.hash || v.type != type_oid::int2) continue;
    CAPTURE(std::string(v.text));
    for (const oid key : {type_oid::int4, type_oid::int8}) {
      CHECK(partition_hash_text(key, -1, v.type, v.text, "UTC") == v.hash);
      CHECK(partition_hash_binary(key, -1, v.type, bytes_of(v.hex)) == v.hash);
    }
    const auto as_numeric = partition_hash_text(type_oid::numeric, -1, 0, v.text, "UTC");
    CHECK(as_numeric);
    CHECK(partition_hash_text(type_oid::numeric, -1, v.type, v.text, "UTC") == as_numeric);
    CHECK(partition_hash_binary(type_oid::numeric, -1, v.type, bytes_of(v.hex)) == as_numeric);
    CHECK_FALSE(partition_hash_text(v.type, -1, type_oid::numeric, v.text, "UTC"));
  }
}

TEST_CASE("every beginning of a value is read within its bounds, and twice alike") {
  for (const hash_vector& v : vectors) {
    CAPTURE(v.type, v.modifier, std::string(v.text));
    for (std::size_t size = 0; size <= v.text.size(); ++size) {
      const exact_copy text(v.text.substr(0, size));
      CHECK(partition_hash_text(v.type, v.modifier, 0, text.view(), "UTC") ==
            partition_hash_text(v.type, v.modifier, 0, v.text.substr(0, size), "UTC"));
    }
    const std::string bytes = bytes_of(v.hex);
    for (std::size_t size = 0; size <= bytes.size(); ++size) {
      const exact_copy form(std::string_view(bytes).substr(0, size));
      CHECK(partition_hash_binary(v.type, v.modifier, 0, form.view()) ==
            partition_hash_binary(v.type, v.modifier, 0, std::string_view(bytes).substr(0, size)));
    }
  }
}
