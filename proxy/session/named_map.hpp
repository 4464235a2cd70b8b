// What a client has given names to, statements and portals: most clients have none, and looking one up makes no string.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace pgbraid::proxy {

/// A map by name that takes one pointer while it is empty. Values stay where they are until they are erased.
template <typename Value>
class named_map {
 public:
  /// Null when there is none of this name.
  [[nodiscard]] Value* find(std::string_view name) const {
    if (!entries_) return nullptr;
    const auto found = entries_->find(name);
    return found == entries_->end() ? nullptr : &found->second;
  }
  [[nodiscard]] bool contains(std::string_view name) const { return find(name) != nullptr; }
  [[nodiscard]] std::size_t size() const noexcept { return entries_ ? entries_->size() : 0; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  void set(std::string_view name, Value value) {
    if (!entries_) entries_ = std::make_unique<entries>();
    if (Value* known = find(name)) {
      *known = std::move(value);
    } else {
      entries_->emplace(name, std::move(value));
    }
  }
  void erase(std::string_view name) {
    if (!entries_) return;
    if (const auto found = entries_->find(name); found != entries_->end()) entries_->erase(found);
  }
  /// Erases every value for which `condition(value)` holds.
  template <typename Condition>
  void erase_if(Condition condition) {
    if (entries_) std::erase_if(*entries_, [&](const auto& entry) { return condition(entry.second); });
  }
  /// Calls `each(name, value)` for all of them.
  template <typename Each>
  void for_each(Each each) const {
    if (!entries_) return;
    for (const auto& [name, value] : *entries_) each(name, value);
  }
  void clear() noexcept { entries_.reset(); }

 private:
  struct hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const noexcept { return std::hash<std::string_view>{}(name); }
  };
  using entries = std::unordered_map<std::string, Value, hash, std::equal_to<>>;
  std::unique_ptr<entries> entries_;
};

}  // namespace pgbraid::proxy
