#include "proxy/session/statement.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgbraid::proxy {

std::string backend_statement_name(std::uint64_t id) { return fmt::format("pgbraid_{:x}", id); }

// Changes of the schema make all of them doubtful. Nobody counts who still needs which: too many begin anew.
void statement_memory::forget_old() {
  constexpr std::size_t most = 65'536;
  const std::uint64_t now = changes();
  if (now == parsed_at_ && parsed_.size() < most) return;
  parsed_.clear();
  parsed_at_ = now;
}

void statement_memory::note_parsed(std::uint64_t key) {
  const std::lock_guard lock{mutex_};
  forget_old();
  parsed_.insert(key);
}

bool statement_memory::parsed(std::uint64_t key) {
  const std::lock_guard lock{mutex_};
  forget_old();
  return parsed_.contains(key);
}

statement_ptr statement_registry::get(std::uint64_t context, std::string_view text, std::vector<router::oid> types,
                                      bool& made) {
  if (const std::uint64_t now = memory_.changes(); now != seen_changes_) {
    known_.clear();
    seen_changes_ = now;
  }
  std::string key;
  key.reserve(sizeof context + types.size() * sizeof(router::oid) + text.size() + 1);
  key.append(reinterpret_cast<const char*>(&context), sizeof context);
  key.append(text).push_back('\0');
  key.append(reinterpret_cast<const char*>(types.data()), types.size() * sizeof(router::oid));
  if (const auto found = known_.find(key); found != known_.end()) {
    if (statement_ptr alive = found->second.lock()) {
      made = false;
      return alive;
    }
  }
  if (known_.size() >= sweep_at_) {
    std::erase_if(known_, [](const auto& item) { return item.second.expired(); });
    sweep_at_ = std::max<std::size_t>(1024, known_.size() * 2);
  }
  auto fresh = std::make_shared<statement>();
  fresh->id = next_id_++;
  fresh->backend_name = backend_statement_name(fresh->id);
  fresh->text = text;
  fresh->parameter_types = std::move(types);
  known_[std::move(key)] = fresh;
  made = true;
  return fresh;
}

void statement_registry::retire(std::uint64_t id) {
  std::erase_if(known_, [id](const auto& item) {
    const statement_ptr alive = item.second.lock();
    return alive == nullptr || alive->id == id;
  });
}

std::uint64_t* prepared_set::touch(std::uint64_t id) {
  if (!order_.empty() && order_.back().id == id) return &order_.back().shape;
  const auto found = where_.find(id);
  if (found == where_.end()) return nullptr;
  order_.splice(order_.end(), order_, found->second);
  return &found->second->shape;
}

void prepared_set::add(std::uint64_t id) {
  if (touch(id) != nullptr) return;
  where_[id] = order_.insert(order_.end(), entry{id, 0});
}

void prepared_set::remove(std::uint64_t id) {
  const auto found = where_.find(id);
  if (found == where_.end()) return;
  order_.erase(found->second);
  where_.erase(found);
}

void prepared_set::clear() {
  order_.clear();
  where_.clear();
}

std::uint64_t prepared_set::evict() {
  const std::uint64_t id = order_.front().id;
  remove(id);
  return id;
}

}  // namespace pgbraid::proxy
