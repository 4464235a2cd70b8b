#include "protocol/crypto.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <stdexcept>

namespace pgbraid::protocol {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

void require(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string{"OpenSSL cannot compute "} + what);
}

}  // namespace

digest256 sha256(std::string_view data) {
  digest256 digest{};
  unsigned size = 0;
  require(
      EVP_Digest(data.data(), data.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1 && size == digest.size(),
      "SHA-256");
  return digest;
}

digest256 hmac_sha256(std::string_view key, std::string_view data) {
  // A null key means "the key of the call before" to HMAC.
  const std::string_view present = key.data() == nullptr ? std::string_view{""} : key;
  digest256 digest{};
  unsigned size = 0;
  require(HMAC(EVP_sha256(), present.data(), static_cast<int>(present.size()), bytes_of(data), data.size(),
               digest.data(), &size) != nullptr &&
              size == digest.size(),
          "HMAC-SHA-256");
  return digest;
}

digest256 pbkdf2_sha256(std::string_view password, std::string_view salt, std::uint32_t iterations) {
  const std::string_view present = password.data() == nullptr ? std::string_view{""} : password;
  digest256 digest{};
  require(PKCS5_PBKDF2_HMAC(present.data(), static_cast<int>(present.size()), bytes_of(salt),
                            static_cast<int>(salt.size()), static_cast<int>(iterations), EVP_sha256(),
                            static_cast<int>(digest.size()), digest.data()) == 1,
          "PBKDF2");
  return digest;
}

std::optional<std::string> md5_hex(std::string_view data) {
  std::array<unsigned char, 16> digest{};
  unsigned size = 0;
  if (EVP_Digest(data.data(), data.size(), digest.data(), &size, EVP_md5(), nullptr) != 1) return std::nullopt;
  std::string hex;
  hex.reserve(2 * digest.size());
  for (const unsigned char byte : digest) {
    hex.push_back("0123456789abcdef"[byte >> 4]);
    hex.push_back("0123456789abcdef"[byte & 15]);
  }
  return hex;
}

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  require(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) == 1, "random bytes");
  return bytes;
}

bool equal_in_constant_time(std::string_view left, std::string_view right) noexcept {
  return left.size() == right.size() && CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

void wipe(std::string& secret) noexcept {
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

std::string base64_encode(std::string_view data) {
  std::string text;
  text.reserve((data.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < data.size(); i += 3) {
    std::uint32_t group = 0;
    const std::size_t held = std::min<std::size_t>(3, data.size() - i);
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < held ? static_cast<unsigned char>(data[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text.push_back(k <= held ? alphabet[group >> (18 - 6 * k) & 63] : '=');
    }
  }
  return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  std::string data;
  data.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const std::size_t held = i + 4 == text.size() ? 4 - padding : 4;
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      std::size_t digit = 0;
      if (k < held) {
        digit = alphabet.find(text[i + k]);
        if (digit == std::string_view::npos) return std::nullopt;
      }
      group = group << 6 | static_cast<std::uint32_t>(digit);
    }
    // Bits that no byte takes must be zero, else two texts would stand for the same bytes.
    if ((held == 3 && (group & 0xff) != 0) || (held == 2 && (group & 0xffff) != 0)) return std::nullopt;
    for (std::size_t k = 0; k + 1 < held; ++k) data.push_back(static_cast<char>(group >> (16 - 8 * k)));
  }
  return data;
}

}  // namespace pgbraid::protocol
