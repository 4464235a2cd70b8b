// See definitions_made.hpp.
#include "proxy/session/definitions_made.hpp"

#include "proxy/cluster/recent_definitions.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgbraid::proxy {
namespace {

bool contains(const std::vector<std::string>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

void add_once(std::vector<std::string>& list, const std::string& name) {
  if (!contains(list, name)) list.push_back(name);
}

}  // namespace

std::array<const std::vector<std::string>*, 3> goes_by(const router::plan& plan) {
  return {&plan.reads, &plan.writes, &plan.calls};
}

std::string described_name(const std::string& name) {
  if (name == router::any_function) return "a function";
  if (name == router::anything) return "a type, an extension or an index";
  if (!name.ends_with("()")) return fmt::format("table \"{}\"", name);
  return fmt::format("function \"{}\"", name.substr(0, name.size() - 2));
}

void definitions_made::add(const router::plan& plan) {
  const bool comment = plan.tag == "COMMENT" && !plan.remakes;
  const bool moves = plan.remakes && plan.tag.starts_with("ALTER");
  for (const auto* list : {&plan.defines, &plan.alters}) {
    for (const std::string& name : *list) {
      add_once(names_, name);
      if (!comment) add_once(altered_, name);
      if (plan.alters_all || (plan.remakes && list == &plan.defines)) add_once(remade_, name);
      if (moves) add_once(moved_, name);
    }
  }
}

void definitions_made::back_to(const mark& then) {
  altered_.resize(std::min(altered_.size(), then.altered));
  remade_.resize(std::min(remade_.size(), then.remade));
  moved_.resize(std::min(moved_.size(), then.moved));
}

std::string definitions_made::outdated(const router::plan& plan) const {
  if (plan.makes_unique) {
    for (const auto* list : {&plan.defines, &plan.alters}) {
      for (const std::string& name : *list) {
        if (contains(moved_, name)) return name;
      }
    }
  }
  if (!plan.defines.empty()) return {};
  for (const auto* list : goes_by(plan)) {
    const auto& stale = plan.by_columns || list == &plan.calls ? altered_ : remade_;
    for (const std::string& name : *list) {
      if (contains(stale, bare_name(name))) return name;
    }
  }
  return {};
}

}  // namespace pgbraid::proxy
