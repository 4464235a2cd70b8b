// One check for every decoder: it takes the whole body, and nothing that is shorter or longer.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "tests/unit/protocol/bytes.hpp"

namespace pgbraid::protocol::testing {

template <typename Message>
void check_only_whole(const std::string& body) {
  INFO(Catch::StringMaker<std::string>::convert(body));
  for (std::size_t size = 0; size < body.size(); ++size) {
    const exact_buffer buffer{std::string_view{body}.substr(0, size)};
    Message message;
    INFO("cut to " << size);
    CHECK_FALSE(decode(buffer.view(), message));
  }
  Message message;
  const exact_buffer whole{body};
  CHECK(decode(whole.view(), message));
  const exact_buffer longer{body + '\0'};
  CHECK_FALSE(decode(longer.view(), message));
}

}  // namespace pgbraid::protocol::testing
