// The process ids that clients are told.
#include <catch2/catch.hpp>

#include "proxy/worker/cancel_address.hpp"

using pgbraid::proxy::cancel_address;

TEST_CASE("a client's process id names its instance, worker and session", "[cancel]") {
  for (const cancel_address& a : {cancel_address{0, 0, 0}, cancel_address{0, 255, 65'535}, cancel_address{63, 255, 1}}) {
    CHECK(cancel_address::of(a.pid()) == a);
    CHECK(a.pid() > 0);
  }
  CHECK(cancel_address::short_number(65'536 + 7) == 7);
}

TEST_CASE("a process id that nobody was told means no worker", "[cancel]") {
  CHECK(cancel_address::of(0).worker > 255);
  CHECK(cancel_address::of(-1).worker > 255);
  CHECK(cancel_address::of(12'345).worker > 255);
}
