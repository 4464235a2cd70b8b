// See definitions_made.hpp.
#include "proxy/session/definitions_made.hpp"

#include "proxy/cluster/recent_definitions.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgbraid::proxy {
namespace {

bool contains(const std::vector<std::string>& list, std::string_view name, std::size_t from = 0) {
  return from < list.size() &&
         std::find(list.begin() + static_cast<std::ptrdiff_t>(from), list.end(), name) != list.end();
}

void add_once(std::vector<std::string>& list, const std::string& name, std::size_t from = 0) {
  if (!contains(list, name, from)) list.push_back(name);
}

}  // namespace

std::array<const std::vector<std::string>*, 3> goes_by(const router::plan& plan) {
  return {&plan.reads, &plan.writes, &plan.calls};
}

bool is_refused(const router::plan& plan) noexcept {
  const auto* fixed = std::get_if<router::fixed_target>(&plan.where);
  return fixed != nullptr && std::holds_alternative<router::to_refusal>(fixed->target);
}

std::string described_name(const std::string& name) {
  if (name == router::any_function) return "a function";
  if (name == router::anything) return "a type, an extension or an index";
  if (!name.ends_with("()")) return fmt::format("table \"{}\"", name);
  return fmt::format("function \"{}\"", name.substr(0, name.size() - 2));
}

void definitions_made::add(const router::plan& plan) {
  ++statements_;
  const bool comment = plan.tag == "COMMENT" && !plan.remakes;
  const bool moves = plan.remakes && plan.tag.starts_with("ALTER");
  const mark known = learnt_.value_or(mark{});
  for (const auto* list : {&plan.defines, &plan.alters}) {
    for (const std::string& name : *list) {
      add_once(names_, name);
      if (!comment) add_once(altered_, name, known.altered);
      if (plan.alters_all || (plan.remakes && list == &plan.defines)) add_once(remade_, name, known.remade);
      if (moves) add_once(moved_, name);
      if (plan.tag == "CREATE TABLE" && list == &plan.defines) add_once(made_, name);
    }
  }
}

void definitions_made::back_to(const mark& then) {
  if (learnt_ && learnt_->statements > then.statements) forget();
  made_.resize(std::min(made_.size(), then.made));
  altered_.resize(std::min(altered_.size(), then.altered));
  remade_.resize(std::min(remade_.size(), then.remade));
  moved_.resize(std::min(moved_.size(), then.moved));
}

bool definitions_made::makes(std::string_view name) const noexcept {
  return contains(made_, name);
}

bool definitions_made::changes_anything() const {
  return contains(altered_, router::anything, learnt_.value_or(mark{}).altered);
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
  const mark known = learnt_.value_or(mark{});
  for (const auto* list : goes_by(plan)) {
    const bool any = plan.by_columns || list == &plan.calls;
    for (const std::string& name : *list) {
      const std::string_view bare = bare_name(name);
      // Full under another name, it may hold rows that belong elsewhere.
      if (contains(moved_, bare)) return name;
      if (any ? contains(altered_, bare, known.altered) : contains(remade_, bare, known.remade)) return name;
    }
  }
  return {};
}

}  // namespace pgbraid::proxy
