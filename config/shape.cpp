#include "config/shape.hpp"

#include "config/keys.hpp"
#include "config/nearest.hpp"
#include "config/units.hpp"
#include "config/values.hpp"

#include <fmt/format.h>

#include <bit>
#include <string>
#include <string_view>
#include <utility>

namespace pgbraid::config {
namespace {

using yaml::node;

class shape_check {
 public:
  explicit shape_check(std::vector<finding>& findings) : findings_(findings) {}

  /// `row_path` is the row's path in the table, `shown` the same place as the user wrote it.
  void check_section(const node& value, std::string_view row_path, const std::string& shown) {
    const auto known = keys_below(row_path);
    for (const node::entry& e : value.entries) {
      const key_row* row = nullptr;
      for (const key_row* candidate : known)
        if (candidate->name() == e.key) row = candidate;
      if (row == nullptr)
        unknown_key(e, known, shown);
      else
        check(*e.value, *row, below(shown, e.key), e.where);
    }
    for (const key_row* row : known)
      if (row->required && value.find(row->name()) == nullptr)
        error(value.where, shown.empty() ? fmt::format("{} is missing", row->name())
                                         : fmt::format("{}: {} is missing", shown, row->name()));
  }

 private:
  static std::string below(const std::string& shown, std::string_view key) {
    return shown.empty() ? std::string(key) : fmt::format("{}.{}", shown, key);
  }

  void error(position at, std::string text) { findings_.push_back({finding::level::error, at, std::move(text)}); }
  void warning(position at, std::string text) { findings_.push_back({finding::level::warning, at, std::move(text)}); }

  void unknown_key(const node::entry& e, const std::vector<const key_row*>& known, const std::string& shown) {
    std::vector<std::string_view> names;
    for (const key_row* row : known) names.push_back(row->name());
    const std::string text =
        fmt::format("unknown key \"{}\"{}", e.key, shown.empty() ? std::string() : fmt::format(" in {}", shown));
    if (const auto meant = nearest(e.key, names))
      return error(e.where, fmt::format("{}; did you mean \"{}\"?", text, *meant));
    for (const key_row& row : keys())
      if (row.name() == e.key) return error(e.where, fmt::format("{}; there is a {}", text, row.path));
    error(e.where, fmt::format("{}; known here: {}", text, fmt::join(names, ", ")));
  }

  void check(const node& value, const key_row& row, const std::string& shown, position key_at) {
    if (row.status == stage::refused) return error(key_at, fmt::format("{} is not supported yet", shown));
    if (row.status == stage::ignored) warning(key_at, fmt::format("{} has no effect yet", shown));
    const bool secret = row.path.find("password") != row.path.npos;
    const auto wrong = [&] {
      const std::string found = secret && value.what == node::kind::scalar ? "a text" : yaml::spelled(value);
      error(value.where, fmt::format("{}: expected {}, found {}", shown, expectation(row), found));
    };
    switch (row.what) {
      case key_kind::section:
        if (value.what == node::kind::map) return check_section(value, row.path, shown);
        if (value.what == node::kind::null && !row.path.ends_with("[]")) return check_section(value, row.path, shown);
        if (value.what != node::kind::scalar || !row.short_form) wrong();
        return;
      case key_kind::named:
        return check_named(value, row, shown, wrong);
      case key_kind::items:
        return check_items(value, row, shown, wrong);
      case key_kind::text_or_list:
        if (value.what == node::kind::scalar) return not_empty(value, shown);
        [[fallthrough]];
      case key_kind::text_list:
        return check_texts(value, shown, wrong);
      case key_kind::buckets:
        return check_buckets(value, shown, wrong);
      case key_kind::anything:
        return;
      default:
        if (value.what != node::kind::scalar) return wrong();
        check_scalar(value, row, shown, wrong);
    }
  }

  template <typename Wrong>
  void check_named(const node& value, const key_row& row, const std::string& shown, const Wrong& wrong) {
    if (value.what == node::kind::null) return;  // a section whose lines are all commented out
    if (value.what != node::kind::map) return wrong();
    const key_row* each = find_key(fmt::format("{}.*", row.path));
    for (const node::entry& e : value.entries) {
      if (e.key.empty()) error(e.where, fmt::format("{}: a name is empty", shown));
      check(*e.value, *each, below(shown, e.key), e.where);
    }
  }

  template <typename Wrong>
  void check_items(const node& value, const key_row& row, const std::string& shown, const Wrong& wrong) {
    if (value.what == node::kind::null) return;
    if (value.what != node::kind::list) return wrong();
    const key_row* each = find_key(fmt::format("{}[]", row.path));
    for (std::size_t i = 0; i < value.items.size(); ++i)
      check(*value.items[i], *each, fmt::format("{}[{}]", shown, i), value.items[i]->where);
  }

  void not_empty(const node& value, const std::string& shown) {
    if (value.text.empty()) error(value.where, fmt::format("{}: the text is empty", shown));
  }

  template <typename Wrong>
  void check_texts(const node& value, const std::string& shown, const Wrong& wrong) {
    if (value.what == node::kind::null) return;
    if (value.what != node::kind::list) return wrong();
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      const node& item = *value.items[i];
      const std::string item_shown = fmt::format("{}[{}]", shown, i);
      if (item.what != node::kind::scalar)
        error(item.where, fmt::format("{}: expected a text, found {}", item_shown, yaml::spelled(item)));
      else
        not_empty(item, item_shown);
    }
  }

  template <typename Wrong>
  void check_buckets(const node& value, const std::string& shown, const Wrong& wrong) {
    std::string why;
    const auto one = [&](const node& n) {
      if (n.what != node::kind::scalar)
        error(n.where, fmt::format("{}: expected a bucket or a range as 0-2047, found {}", shown, yaml::spelled(n)));
      else if (!parse_buckets(n.text, why))
        error(n.where, fmt::format("{}: {}", shown, why));
    };
    if (value.what == node::kind::scalar) return one(value);
    if (value.what != node::kind::list || value.items.empty()) return wrong();
    for (const auto& item : value.items) one(*item);
  }

  template <typename Wrong>
  void check_scalar(const node& value, const key_row& row, const std::string& shown, const Wrong& wrong) {
    std::string why;
    const auto within = [&](std::int64_t n) { return n >= row.minimum && n <= row.maximum; };
    switch (row.what) {
      case key_kind::text:
        return not_empty(value, shown);
      case key_kind::integer_or_auto:
        if (value.text == "auto") return;
        [[fallthrough]];
      case key_kind::integer:
      case key_kind::power_of_two: {
        const auto n = parse_integer(value.text);
        const bool power =
            row.what != key_kind::power_of_two || (n && *n > 0 && std::has_single_bit(static_cast<std::uint64_t>(*n)));
        if (!n || !within(*n) || !power) wrong();
        return;
      }
      case key_kind::boolean:
        if (!parse_boolean(value.text)) wrong();
        return;
      case key_kind::size: {
        const auto bytes = parse_size(value.text, why);
        if (!bytes) return error(value.where, fmt::format("{}: {}", shown, why));
        if (!within(static_cast<std::int64_t>(*bytes))) wrong();
        return;
      }
      case key_kind::duration: {
        const auto time = parse_duration(value.text, why);
        if (!time) return error(value.where, fmt::format("{}: {}", shown, why));
        if (!within(time->count())) wrong();
        return;
      }
      case key_kind::size_or_duration:
        if (!parse_lag(value.text, why)) error(value.where, fmt::format("{}: {}", shown, why));
        return;
      case key_kind::address:
        if (!parse_address(value.text, 0, why)) return error(value.where, fmt::format("{}: {}", shown, why));
        if (parse_address(value.text, 0, why)->port == 0) wrong();
        return;
      case key_kind::choice:
        return check_choice(value, row, shown, wrong);
      default:
        return;
    }
  }

  template <typename Wrong>
  void check_choice(const node& value, const key_row& row, const std::string& shown, const Wrong& wrong) {
    std::vector<std::string_view> names;
    for (const choice_row& c : row.choices) {
      if (c.name == value.text) {
        if (c.status == stage::refused) error(value.where, fmt::format("{}: {} is not supported yet", shown, c.name));
        if (c.status == stage::ignored) warning(value.where, fmt::format("{}: {} has no effect yet", shown, c.name));
        return;
      }
      names.push_back(c.name);
    }
    if (const auto meant = nearest(value.text, names))
      return error(value.where, fmt::format("{}: expected {}, found \"{}\"; did you mean \"{}\"?", shown,
                                            expectation(row), value.text, *meant));
    wrong();
  }

  std::vector<finding>& findings_;
};

}  // namespace

void check_shape(const node& root, std::vector<finding>& findings) {
  if (root.what != node::kind::map) {
    findings.push_back(
        {finding::level::error, root.where, fmt::format("expected a map of keys, found {}", yaml::spelled(root))});
    return;
  }
  shape_check(findings).check_section(root, "", "");
}

}  // namespace pgbraid::config
