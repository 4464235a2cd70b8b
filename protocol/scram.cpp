#include "protocol/scram.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace pgbraid::protocol {
namespace {

constexpr std::string_view binding_type = "p=tls-server-end-point";

// attributes: name "=" value { "," name "=" value }
class attribute_reader {
 public:
  explicit attribute_reader(std::string_view message) : rest_{message}, more_{true} {}

  // The next attribute's value if it is called `name`; nothing otherwise, and then nothing is read.
  std::optional<std::string_view> next(char name) {
    if (!more_ || rest_.size() < 2 || rest_[0] != name || rest_[1] != '=') return std::nullopt;
    const std::size_t comma = rest_.find(',');
    const std::string_view value = rest_.substr(2, comma == std::string_view::npos ? comma : comma - 2);
    more_ = comma != std::string_view::npos;
    rest_ = more_ ? rest_.substr(comma + 1) : std::string_view{};
    return value;
  }

  // Reads one attribute whatever its name; false if there is none.
  bool skip() {
    const bool letter =
        !rest_.empty() && ((rest_[0] >= 'a' && rest_[0] <= 'z') || (rest_[0] >= 'A' && rest_[0] <= 'Z'));
    return letter && next(rest_[0]).has_value();
  }

  [[nodiscard]] bool at_end() const { return !more_; }

 private:
  std::string_view rest_;
  bool more_;
};

bool is_nonce(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != ','; });
}

digest256 exclusive_or(const digest256& left, const digest256& right) {
  digest256 result{};
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = left[i] ^ right[i];
  return result;
}

std::optional<digest256> decode_digest(std::string_view text) {
  const std::optional<std::string> bytes = base64_decode(text);
  digest256 digest{};
  if (!bytes || bytes->size() != digest.size()) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), digest.begin());
  return digest;
}

}  // namespace

std::string scram_nonce() {
  return base64_encode(random_bytes(18));
}

scram_server::scram_server(scram_secret secret, std::string nonce)
    : secret_{std::move(secret)}, nonce_{std::move(nonce)} {}

scram_status scram_server::malformed(std::string_view reason) {
  state_ = state::over;
  reason_ = reason;
  return scram_status::malformed;
}

scram_status scram_server::receive(std::string_view message, std::string& reply) {
  reply.clear();
  if (message.find('\0') != std::string_view::npos) return malformed("a SCRAM message holds a NUL");
  switch (std::exchange(state_, state::over)) {
    case state::first:
      return receive_first(message, reply);
    case state::final:
      return receive_final(message, reply);
    case state::over:
      break;
  }
  return malformed("a SCRAM message after the last one");
}

void scram_server::bind(std::string data, bool chosen) {
  binding_ = std::move(data);
  offered_ = true;
  bound_ = chosen;
}

// gs2-header "n" or "y" or "p=" binding "," [ "a=" authzid ] "," then "n=" user "," "r=" nonce [ "," extensions ]
scram_status scram_server::receive_first(std::string_view message, std::string& reply) {
  const std::string_view binding = message.substr(0, message.find(','));
  if (bound_) {
    if (binding != binding_type)
      return malformed("the client chose SCRAM-SHA-256-PLUS and binds no channel that is known");
  } else {
    if (binding.substr(0, 2) == "p=")
      return malformed("the client binds a channel without choosing SCRAM-SHA-256-PLUS");
    if (binding == "y" && offered_) {
      return malformed("the client supports channel binding, and thinks that it was not offered; it was");
    }
    if (binding != "n" && binding != "y") return malformed("malformed SCRAM header");
  }
  const std::string_view after = message.substr(binding.size());
  if (after.substr(0, 3) == ",a=") return malformed("an authorization identity is not supported");
  if (after.substr(0, 2) != ",,") return malformed("malformed SCRAM header");
  gs2_header_ = message.substr(0, binding.size() + 2);
  const std::string_view bare = message.substr(gs2_header_.size());
  attribute_reader in{bare};
  if (in.next('m')) return malformed("a mandatory SCRAM extension is not supported");
  // The user's name is the startup packet's, so libpq leaves this one empty and servers pass over it.
  if (!in.next('n')) return malformed("malformed SCRAM message: no user name");
  const auto client_nonce = in.next('r');
  if (!client_nonce || !is_nonce(*client_nonce)) return malformed("malformed SCRAM message: no nonce");
  while (!in.at_end()) {
    if (!in.skip()) return malformed("malformed SCRAM message");
  }
  nonce_.insert(0, *client_nonce);
  reply = "r=" + nonce_ + ",s=" + base64_encode(secret_.salt) + ",i=" + std::to_string(secret_.iterations);
  auth_message_ = std::string{bare} + ',' + reply + ',';
  state_ = state::final;
  return scram_status::proceed;
}

// "c=" base64(gs2-header) "," "r=" nonce [ "," extensions ] "," "p=" proof
scram_status scram_server::receive_final(std::string_view message, std::string& reply) {
  attribute_reader in{message};
  const auto binding = in.next('c');
  if (!binding) return malformed("malformed SCRAM message: no channel binding");
  if (*binding != base64_encode(bound_ ? gs2_header_ + binding_ : gs2_header_)) {
    return malformed("the SCRAM channel binding is not the one announced");
  }
  const auto nonce = in.next('r');
  if (!nonce || !equal_in_constant_time(*nonce, nonce_)) return malformed("the SCRAM nonce does not match");
  std::optional<std::string_view> proof_text = in.next('p');
  while (!proof_text) {
    if (!in.skip()) return malformed("malformed SCRAM message: no proof");
    proof_text = in.next('p');
  }
  const auto proof = decode_digest(*proof_text);
  if (!in.at_end() || !proof) return malformed("malformed SCRAM message: no proper proof");

  auth_message_.append(message.substr(0, message.size() - proof_text->size() - std::string_view{",p="}.size()));
  const digest256 client_signature = hmac_sha256(view_of(secret_.stored_key), auth_message_);
  const digest256 client_key = exclusive_or(*proof, client_signature);
  if (!equal_in_constant_time(view_of(sha256(view_of(client_key))), view_of(secret_.stored_key))) {
    return scram_status::refused;
  }
  keys_ = {client_key, secret_.stored_key, secret_.server_key};
  reply = "v=" + base64_encode(view_of(hmac_sha256(view_of(secret_.server_key), auth_message_)));
  return scram_status::accepted;
}

scram_client::scram_client(std::string nonce, std::string user) : nonce_{std::move(nonce)}, user_{std::move(user)} {}

bool scram_client::fail(std::string reason) {
  reason_ = std::move(reason);
  return false;
}

void scram_client::bind(std::string data, bool offered) {
  if (data.empty()) return;
  gs2_header_ = offered ? std::string{binding_type} + ",," : "y,,";
  if (offered) binding_ = std::move(data);
}

std::string scram_client::bare_first_message() const {
  return "n=" + user_ + ",r=" + nonce_;
}

std::string scram_client::first_message() const {
  return gs2_header_ + bare_first_message();
}

// "r=" nonce "," "s=" salt "," "i=" iterations [ "," extensions ]
bool scram_client::receive_first(std::string_view message) {
  attribute_reader in{message};
  const auto nonce = in.next('r');
  const auto salt = in.next('s');
  const auto iterations = in.next('i');
  if (!nonce || !salt || !iterations) return fail("malformed SCRAM challenge");
  if (!is_nonce(*nonce) || nonce->size() <= nonce_.size() || nonce->substr(0, nonce_.size()) != nonce_) {
    return fail("the nonce of the SCRAM challenge does not continue ours");
  }
  const auto raw_salt = base64_decode(*salt);
  if (!raw_salt || raw_salt->empty()) return fail("malformed salt in the SCRAM challenge");
  const char* end = iterations->data() + iterations->size();
  const auto [stop, error] = std::from_chars(iterations->data(), end, iterations_);
  if (error != std::errc{} || stop != end || iterations_ == 0) return fail("malformed SCRAM challenge: iterations");
  if (iterations_ > scram_max_iterations) return fail("the SCRAM challenge asks for too many iterations");
  full_nonce_ = *nonce;
  salt_ = *raw_salt;
  server_first_ = message;
  return true;
}

std::string scram_client::final_message(const scram_keys& keys) {
  const std::string without_proof = "c=" + base64_encode(gs2_header_ + binding_) + ",r=" + full_nonce_;
  auth_message_ = bare_first_message() + ',' + server_first_ + ',' + without_proof;
  server_key_ = keys.server_key;
  const digest256 proof = exclusive_or(keys.client_key, hmac_sha256(view_of(keys.stored_key), auth_message_));
  return without_proof + ",p=" + base64_encode(view_of(proof));
}

// "v=" signature, or "e=" error [ "," extensions ]
bool scram_client::receive_final(std::string_view message) {
  attribute_reader in{message};
  if (const auto error = in.next('e')) return fail("the server refused the SCRAM proof: " + std::string{*error});
  const auto text = in.next('v');
  const auto signature = text ? decode_digest(*text) : std::nullopt;
  if (!signature) return fail("malformed SCRAM signature of the server");
  if (!equal_in_constant_time(view_of(*signature), view_of(hmac_sha256(view_of(server_key_), auth_message_)))) {
    return fail("the server does not know the password: its SCRAM signature is wrong");
  }
  return true;
}

}  // namespace pgbraid::protocol
