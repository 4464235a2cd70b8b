// The keys of one section, read into structs. A key that is missing, or whose value is of the wrong kind, leaves the
// struct's default: check_shape has reported the mistake.
#pragma once

#include "config/config.hpp"
#include "config/keys.hpp"
#include "config/units.hpp"
#include "config/values.hpp"
#include "config/yaml_tree.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::config {

class fields {
 public:
  /// `section` may be null or no map: then no key is there.
  explicit fields(const yaml::node* section) : section_(section) {}

  /// The value of a key, or null.
  [[nodiscard]] const yaml::node* at(std::string_view key) const {
    const yaml::node::entry* e = section_ == nullptr ? nullptr : section_->find(key);
    return e == nullptr ? nullptr : e->value.get();
  }

  /// The entries of a map under this key; none when there is no map.
  [[nodiscard]] const std::vector<yaml::node::entry>& entries(std::string_view key) const {
    static const std::vector<yaml::node::entry> none;
    const yaml::node* n = at(key);
    return n == nullptr ? none : n->entries;
  }

  [[nodiscard]] const std::string* scalar(std::string_view key) const {
    const yaml::node* n = at(key);
    return n != nullptr && n->what == yaml::node::kind::scalar ? &n->text : nullptr;
  }

  void text(std::string_view key, std::string& out) const {
    if (const std::string* s = scalar(key)) out = *s;
  }

  /// A file's path; a relative one starts at `folder`, the topology file's.
  void path(std::string_view key, const std::string& folder, std::string& out) const {
    const std::string* s = scalar(key);
    if (s == nullptr || s->empty()) return;
    out = s->front() == '/' || folder.empty() ? *s : folder + '/' + *s;
  }

  /// One text, or the texts of a list.
  void texts(std::string_view key, std::vector<std::string>& out) const {
    const yaml::node* n = at(key);
    if (n == nullptr) return;
    if (n->what == yaml::node::kind::scalar) out = {n->text};
    if (n->what != yaml::node::kind::list) return;
    out.clear();
    for (const auto& item : n->items)
      if (item->what == yaml::node::kind::scalar) out.push_back(item->text);
  }

  template <typename Integer>
  void integer(std::string_view key, Integer& out) const {
    const std::string* s = scalar(key);
    if (s == nullptr) return;
    if (const auto value = parse_integer(*s); value && *value >= 0) out = static_cast<Integer>(*value);
  }

  void boolean(std::string_view key, bool& out) const {
    const std::string* s = scalar(key);
    if (s == nullptr) return;
    if (const auto value = parse_boolean(*s)) out = *value;
  }

  void size(std::string_view key, std::uint64_t& out) const {
    const std::string* s = scalar(key);
    std::string why;
    if (s == nullptr) return;
    if (const auto value = parse_size(*s, why)) out = *value;
  }

  void duration(std::string_view key, std::chrono::milliseconds& out) const {
    const std::string* s = scalar(key);
    std::string why;
    if (s == nullptr) return;
    if (const auto value = parse_duration(*s, why)) out = *value;
  }

  /// A choice whose enumerators stand in the order of the table's row at `path`.
  template <typename Enum>
  void choice(std::string_view key, std::string_view path, Enum& out) const {
    const std::string* s = scalar(key);
    if (s == nullptr) return;
    const auto choices = find_key(path)->choices;
    for (std::size_t i = 0; i < choices.size(); ++i)
      if (choices[i].name == *s) out = static_cast<Enum>(i);
  }

 private:
  const yaml::node* section_;
};

}  // namespace pgbraid::config
