// Numbers of sequences that have been drawn ahead: what a session takes of them, and gives. See number_blocks.hpp.
#include "proxy/session/machine.hpp"

namespace pgbraid::proxy {

// The numbers may be there without asking.
void session_machine::take_from_block() {
  question_state& q = *question_;
  const std::string& sequence = q.drawing->sequence;
  // Who asks for currval() needs a server that remembers; who has become another role may not use the sequence.
  q.in_block = env_.blocks && !sequence.empty() && !env_.sequences_asked && !sets_sequences_ &&
               local_->find("role") == nullptr && local_->find("session_authorization") == nullptr;
  if (!q.in_block) return;
  const std::size_t count = q.drawing->count;
  const bool own = blocks_ && blocks_->ahead.take(user_, sequence, count, q.values);
  q.asked = own || env_.blocks->take(user_, sequence, count, q.values);
}

// The numbers are there, and those that the statement does not need are for others.
void session_machine::share_block() {
  question_state& q = *question_;
  if (!blocks_) blocks_ = std::make_unique<session_blocks>();
  blocks_->unknown.insert(q.drawing->sequence);
  blocks_->ahead.keep(user_, q.drawing->sequence, q.values, q.drawing->count);
  if (!txn_.active && cycle_ == cycle_kind::simple) publish_blocks();
}

// What has been drawn is committed.
void session_machine::publish_blocks() {
  if (env_.blocks) env_.blocks->absorb(blocks_->ahead);
  blocks_->ahead.forget();
}

// The cycle is over.
void session_machine::settle_blocks() {
  if (sets_sequences_) {
    number_blocks::forget_everywhere();
    sets_sequences_ = txn_.active;
  }
  if (!blocks_ || txn_.active) return;
  if (!cycle_failed_) publish_blocks();
  blocks_->ahead.forget();
}

}  // namespace pgbraid::proxy
