#include "protocol/password.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "tests/unit/protocol/bytes.hpp"

using namespace pgbraid::protocol;
using namespace pgbraid::protocol::testing;

namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

TEST_CASE("Base64 as in RFC 4648") {
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
      {"\xff\xef\xbe", "/+++"},
  };
  for (const auto& [plain, text] : rows) {
    CHECK(base64_encode(plain) == text);
    CHECK(base64_decode(text) == std::string{plain});
  }
  for (const std::string_view bad :
       {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 9", "Zm9v\n", "Zm9_"}) {
    INFO(bad);
    CHECK_FALSE(base64_decode(bad));
  }
  CHECK_FALSE(base64_decode(lasting("Zm9\0")));
}

TEST_CASE("digests of published vectors") {
  CHECK(hex(view_of(sha256("abc"))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hex(view_of(hmac_sha256("Jefe", "what do ya want for nothing?"))) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hex(view_of(hmac_sha256({}, {}))) == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
  // RFC 7914, section 11, first 32 bytes
  CHECK(hex(view_of(pbkdf2_sha256("passwd", "salt", 1))) ==
        "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
  CHECK(md5_hex("") == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(equal_in_constant_time("abc", "abc"));
  CHECK_FALSE(equal_in_constant_time("abc", "abd"));
  CHECK_FALSE(equal_in_constant_time("abc", "ab"));
  CHECK(equal_in_constant_time({}, {}));
  CHECK(random_bytes(16).size() == 16);
  CHECK(random_bytes(16) != random_bytes(16));
}

TEST_CASE("a SCRAM secret goes round and equals what PostgreSQL 15 stores") {
  // CREATE ROLE ... PASSWORD 'secret' on PostgreSQL 15.
  const std::string stored =
      "SCRAM-SHA-256$4096:xEeJhQo4pCJPSfp2sl8Brg==$HFLaZBEbKqB0jy6y5jLHUPkkd/"
      "XXVvJBdMzvgwL9MVY=:3VvHukBxq9MSsY3fhq30cNzHFLZYOxRnxgzf961WCbg=";
  const auto secret = parse_scram_secret(stored);
  REQUIRE(secret);
  CHECK(to_string(*secret) == stored);
  CHECK(make_scram_secret("secret", secret->salt, secret->iterations) == *secret);
  CHECK_FALSE(make_scram_secret("Secret", secret->salt, secret->iterations) == *secret);
}

TEST_CASE("what is no SCRAM secret is not taken for one") {
  const std::string good = to_string(make_scram_secret("x", "0123456789abcdef", 1));
  REQUIRE(parse_scram_secret(good));
  for (std::size_t size = 0; size < good.size(); ++size) {
    const exact_buffer cut{std::string_view{good}.substr(0, size)};
    INFO(cut.view());
    CHECK_FALSE(parse_scram_secret(cut.view()));
  }
  const auto with_iterations = [&](std::string_view text) {
    std::string other = good;
    other.replace(14, 1, text);
    return parse_scram_secret(other).has_value();
  };
  CHECK(with_iterations("4096"));
  for (const std::string_view bad : {"0", "-1", "+1", " 1", "1x", "2147483648", "99999999999999999999", ""}) {
    INFO(bad);
    CHECK_FALSE(with_iterations(bad));
  }
  CHECK_FALSE(parse_scram_secret(good + "="));
  CHECK_FALSE(parse_scram_secret("scram-sha-256" + good.substr(13)));
}

TEST_CASE("passwords are normalised as PostgreSQL does, and left alone where that fails") {
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"secret", "secret"},
      {"I\xc2\xadX", "IX"},              // RFC 4013: soft hyphen goes
      {"\xc2\xaa", "a"},                 // RFC 4013: feminine ordinal becomes a
      {"\xe2\x85\xa8", "IX"},            // RFC 4013: roman numeral nine
      {"a\xc2\xa0z", "a z"},             // a no-break space becomes a space
      {"a\tb", "a\tb"},                  // ASCII is not looked at
      {"\xc3\xa9\x07", "\xc3\xa9\x07"},  // a forbidden character: as it is
      {"\xd8\xa7\x31", "\xd8\xa7\x31"},  // a breach of the bidirectional rule: as it is
      {"\xff\xfe", "\xff\xfe"},          // not UTF-8: as it is
      {"\xc2\xad", "\xc2\xad"},          // nothing would be left: as it is
      {"\xcd\xb8", "\xcd\xb8"},          // unassigned: as it is
  };
  for (const auto& [given, expected] : rows) {
    const exact_buffer buffer{given};
    CHECK(hex(normalized_password(buffer.view())) == hex(expected));
  }
  CHECK(normalized_password(raw("\xc2\xaa\0x")) == raw("\xc2\xaa\0x"));
}

TEST_CASE("a mock secret is steady, differs by user and key, and looks like a real one") {
  const scram_secret mock = mock_scram_secret("nobody", "key");
  CHECK(mock == mock_scram_secret("nobody", "key"));
  CHECK_FALSE(mock == mock_scram_secret("nobody", "other"));
  CHECK_FALSE(mock.salt == mock_scram_secret("nobodx", "key").salt);
  const scram_secret real = make_scram_secret("secret");
  CHECK(mock.salt.size() == real.salt.size());
  CHECK(mock.iterations == real.iterations);
}

TEST_CASE("MD5 secrets and answers") {
  // SELECT 'md5' || md5('secret' || 'app')
  const auto secret = make_md5_secret("secret", "app");
  REQUIRE(secret);
  CHECK(*secret == "md56a422f785c9e20873908ce25d1736ae2");
  CHECK(is_md5_secret(*secret));
  CHECK_FALSE(is_md5_secret(secret->substr(1)));
  CHECK_FALSE(is_md5_secret("md5" + std::string(32, 'A')));
  CHECK_FALSE(is_md5_secret("md5"));
  // SELECT 'md5' || md5(substr('<secret>', 4) || 'salt')
  CHECK(md5_response(*secret, "salt") == "md57f097e06031b34893c20e25a0e68242c");
  CHECK_FALSE(md5_response("md", "salt"));
}

TEST_CASE("a stored password is known by its form") {
  const std::string scram = to_string(make_scram_secret("x", "0123456789abcdef", 1));
  CHECK(make_stored_password(scram).scram == parse_scram_secret(scram));
  CHECK_FALSE(make_stored_password(scram).plain);
  const std::string md5 = "md5" + std::string(32, '0');
  CHECK(make_stored_password(md5) == stored_password{{}, {}, md5});
  const stored_password plain = make_stored_password("secret");
  CHECK(plain.plain == "secret");
  REQUIRE(plain.scram);
  CHECK(make_scram_secret("secret", plain.scram->salt, plain.scram->iterations) == *plain.scram);
  CHECK_FALSE(plain.md5);
  CHECK_FALSE(make_stored_password("").known());
}
