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
    entry*& last = entries_->last_found;
    if (last != nullptr && last->first == name) return &last->second;
    const auto found = entries_->by_name.find(name);
    if (found == entries_->by_name.end()) return nullptr;
    last = &*found;
    return &last->second;
  }
  [[nodiscard]] bool contains(std::string_view name) const { return find(name) != nullptr; }
  [[nodiscard]] std::size_t size() const noexcept { return entries_ ? entries_->by_name.size() : 0; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  void set(std::string_view name, Value value) {
    if (!entries_) entries_ = std::make_unique<entries>();
    if (Value* known = find(name)) {
      *known = std::move(value);
    } else {
      entries_->by_name.emplace(name, std::move(value));
    }
  }
  void erase(std::string_view name) {
    if (!entries_) return;
    if (const auto found = entries_->by_name.find(name); found != entries_->by_name.end()) entries_->by_name.erase(found);
    entries_->last_found = nullptr;
  }
  /// Erases every value for which `condition(value)` holds.
  template <typename Condition>
  void erase_if(Condition condition) {
    if (!entries_) return;
    std::erase_if(entries_->by_name, [&](const entry& e) { return condition(e.second); });
    entries_->last_found = nullptr;
  }
  /// Calls `each(name, value)` for all of them.
  template <typename Each>
  void for_each(Each each) const {
    if (!entries_) return;
    for (const auto& [name, value] : entries_->by_name) each(name, value);
  }
  void clear() noexcept { entries_.reset(); }

 private:
  struct hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const noexcept { return std::hash<std::string_view>{}(name); }
  };
  using map = std::unordered_map<std::string, Value, hash, std::equal_to<>>;
  using entry = typename map::value_type;
  struct entries {
    map by_name;
    entry* last_found = nullptr;  ///< most clients ask for the same one again
  };
  std::unique_ptr<entries> entries_;
};

}  // namespace pgbraid::proxy
