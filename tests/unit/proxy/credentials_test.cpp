// What is kept of passwords, and for how long.
#include "proxy/backend/credentials.hpp"

#include <catch2/catch.hpp>

using namespace pgbraid;
using namespace pgbraid::proxy;
using namespace std::chrono_literals;

TEST_CASE("a looked up password is believed until its time is over") {
  looked_up_passwords kept;
  const looked_up_passwords::clock::time_point now{};
  const protocol::stored_password password = protocol::make_stored_password("md5f097e06031b34893c20e25a0e68242ca");
  CHECK_FALSE(kept.find("d", "u", now));
  kept.store("d", "u", password, now + 5s);
  CHECK(kept.find("d", "u", now + 4s) == password);
  CHECK_FALSE(kept.find("d", "u", now + 5s));
  CHECK_FALSE(kept.find("d", "v", now));
  CHECK_FALSE(kept.find("e", "u", now));
}

TEST_CASE("a looked up password may be forgotten before") {
  looked_up_passwords kept;
  const looked_up_passwords::clock::time_point now{};
  kept.store("d", "u", {}, now + 5s);
  kept.store("d", "v", {}, now + 5s);
  kept.forget("d", "u");
  CHECK_FALSE(kept.find("d", "u", now));
  CHECK(kept.find("d", "v", now));
  kept.clear();
  CHECK_FALSE(kept.find("d", "v", now));
}

TEST_CASE("MD5 secrets that clients have proved are kept by user") {
  scram_key_cache keys;
  CHECK_FALSE(keys.md5_secret("u"));
  keys.store_md5("u", "md5...");
  CHECK(keys.md5_secret("u") == "md5...");
  keys.clear();
  CHECK_FALSE(keys.md5_secret("u"));
}
