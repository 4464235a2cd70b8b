#include "config/secrets.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace pgbraid::config {
namespace {

constexpr std::size_t max_secret_bytes = 4096;
constexpr std::string_view scram_prefix = "SCRAM-SHA-256$";
constexpr std::string_view base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

/// Base64 of 32 bytes, the length of both keys.
bool is_key(std::string_view text) {
  return text.size() == 44 && text.find_first_not_of(base64) == text.npos;
}

/// SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, as pg_authid holds it.
bool is_scram_secret(std::string_view secret) {
  std::string_view rest = secret.substr(scram_prefix.size());
  std::array<std::string_view, 4> parts;
  constexpr std::string_view separators = ":$:";
  for (std::size_t i = 0; i < separators.size(); ++i) {
    const std::size_t end = rest.find(separators[i]);
    if (end == rest.npos) return false;
    parts[i] = rest.substr(0, end);
    rest.remove_prefix(end + 1);
  }
  parts[3] = rest;
  const auto iterations = parse_integer(parts[0]);
  const bool salt =
      !parts[1].empty() && parts[1].size() % 4 == 0 && parts[1].find_first_not_of(base64) == parts[1].npos;
  return iterations && *iterations > 0 && salt && is_key(parts[2]) && is_key(parts[3]);
}

std::optional<std::string> from_file(const std::string& path, std::string& why) {
  std::ifstream in(path, std::ios::binary);
  std::string text(max_secret_bytes + 1, '\0');
  errno = 0;
  if (!in || (!in.read(text.data(), static_cast<std::streamsize>(text.size())) && !in.eof()) || in.bad()) {
    why = fmt::format("cannot read {}: {}", path, std::strerror(errno != 0 ? errno : ENOENT));
    return std::nullopt;
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > max_secret_bytes) {
    why = fmt::format("{} is longer than {} bytes", path, max_secret_bytes);
    return std::nullopt;
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (text.empty()) {
    why = fmt::format("{} is empty", path);
    return std::nullopt;
  }
  return text;
}

std::optional<std::string> from_environment(const std::string& name, std::string& why) {
  const char* value = std::getenv(name.c_str());
  if (value != nullptr && *value != '\0') return std::string(value);
  why = fmt::format("the environment variable {} is {}", name, value == nullptr ? "not set" : "empty");
  return std::nullopt;
}

}  // namespace

bool is_md5_secret(std::string_view secret) {
  return secret.size() == 35 && secret.starts_with("md5") &&
         secret.find_first_not_of("0123456789abcdef", 3) == secret.npos;
}

std::string wrong_secret(std::string_view secret) {
  if (secret.starts_with(scram_prefix) && !is_scram_secret(secret))
    return "this stored secret is not whole: expected SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>";
  if (secret.find_first_of(std::string_view("\0\n", 2)) != secret.npos) return "a password is one line";
  return {};
}

std::optional<std::string> read_password(const fields& section, const std::string& shown, const std::string& folder,
                                         std::vector<finding>& findings) {
  constexpr std::array<std::string_view, 3> forms{"password", "password_file", "password_env"};
  std::optional<std::string> out;
  std::string_view taken;
  for (const std::string_view form : forms) {
    const std::string* given = section.scalar(form);
    if (given == nullptr || given->empty()) continue;
    const position at = section.at(form)->where;
    const auto fail = [&](const std::string& why) {
      findings.push_back({finding::level::error, at, fmt::format("{}.{}: {}", shown, form, why)});
    };
    if (!taken.empty()) {
      fail(fmt::format("{} is given too: one of them is enough", taken));
      continue;
    }
    taken = form;
    std::string why;
    if (form == "password") out = *given;
    if (form == "password_file")
      out = from_file(given->front() == '/' || folder.empty() ? *given : fmt::format("{}/{}", folder, *given), why);
    if (form == "password_env") out = from_environment(*given, why);
    if (out) why = wrong_secret(*out);
    if (!why.empty()) fail(why);
  }
  return out;
}

}  // namespace pgbraid::config
