// What becomes of a connection that a session has kept for its state: DISCARD ALL, and back into the pool.
// Source: the manual's page on DISCARD.
#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "proxy/backend/pool.hpp"
#include "proxy/worker/worker.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;

namespace {

constexpr std::size_t longest_answer = std::size_t{1} << 20;

}  // namespace

void server_pool::clean(backend_ptr b) {
  b->holder = this;
  if (!b->is_open() || b->send_blocked() || !b->pending().empty()) return discard(*b);
  std::string bytes;
  p::encode_query(bytes, "DISCARD ALL");
  backend& cleaned = *b;
  cleaning_.push_back(std::move(b));
  // A connection that is broken is told of by backend_lost.
  (void)cleaned.send(bytes);
  cleaned.resume();
}

void server_pool::backend_readable(backend& b) {
  while (true) {
    p::frame_view frame;
    const p::frame_status status = p::next_frame(b.pending(), longest_answer, frame);
    if (status == p::frame_status::incomplete) return;
    const bool over = status == p::frame_status::complete && frame.type == p::backend::ready_for_query;
    const bool expected = status == p::frame_status::complete && (over || frame.type == p::backend::command_complete ||
                                                                  p::backend::is_asynchronous(frame.type));
    const bool idle = over && frame.body == "I";
    if (expected) b.consume(frame.total);
    if (expected && !over) continue;
    const auto found =
        std::find_if(cleaning_.begin(), cleaning_.end(), [&](const backend_ptr& c) { return c.get() == &b; });
    if (found == cleaning_.end()) return;
    backend_ptr done = std::move(*found);
    cleaning_.erase(found);
    // Anything but success: nobody knows what it still holds.
    if (!idle) return discard(*done);
    backend_facts& facts = done->facts;
    facts.current = owner_.settings().none();
    facts.prepared.clear();
    facts.sql.reset();
    facts.unnamed = 0;
    facts.drawer = 0;
    return give_back(std::move(done));
  }
}

void server_pool::backend_lost(backend& b, std::string_view) {
  std::erase_if(cleaning_, [&](const backend_ptr& c) { return c.get() == &b; });
}

}  // namespace pgbraid::proxy
