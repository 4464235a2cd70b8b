// What one transaction has defined so far, of which the catalog that is published knows nothing.
#pragma once

#include "router/plan/route.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pgbraid::proxy {

/// All that a plan goes by: tables, functions as "name()", and what its views read.
[[nodiscard]] std::array<const std::vector<std::string>*, 3> goes_by(const router::plan& plan);

/// Refused whatever its values are.
[[nodiscard]] bool is_refused(const router::plan& plan) noexcept;

/// It defines something itself, which the servers do alike.
[[nodiscard]] inline bool defines(const router::plan& plan) noexcept {
  return !plan.defines.empty() || !plan.alters.empty();
}

/// For messages: `table "t"`, `function "f"`; "()" is some function.
[[nodiscard]] std::string described_name(const std::string& name);

/// runs on: its session's worker.
class definitions_made {
 public:
  /// A savepoint, to which back_to() returns.
  struct mark {
    std::size_t altered = 0, remade = 0, moved = 0, made = 0;
    std::size_t statements = 0;  ///< that have defined something, those that were taken back included
  };

  void add(const router::plan& plan);
  /// Bare names of all that is not what it was for others either, once the transaction is over, whatever becomes of it.
  [[nodiscard]] const std::vector<std::string>& names() const noexcept { return names_; }
  [[nodiscard]] mark now() const noexcept { return {altered_.size(), remade_.size(), moved_.size(), made_.size(), statements_}; }
  void back_to(const mark& then);

  /// All so far has been learnt (see learning.hpp), and is planned by.
  void learn() noexcept {
    learnt_ = now();
    forgotten_ = false;
  }
  /// What has been learnt is not planned by any more, though rows may have come into tables by it.
  void forget() noexcept {
    if (std::exchange(learnt_, std::nullopt)) forgotten_ = true;
  }
  [[nodiscard]] bool forgotten() const noexcept { return forgotten_; }
  /// There is something to learn.
  [[nodiscard]] bool unlearnt() const noexcept { return !learnt_ || learnt_->statements != statements_; }
  /// What any statement may go by has changed since.
  [[nodiscard]] bool changes_anything() const;
  /// A table of this bare name has been made.
  [[nodiscard]] bool makes(std::string_view name) const noexcept;
  /// What a later plan of the transaction goes by and must not; "" without one.
  [[nodiscard]] std::string outdated(const router::plan& plan) const;

 private:
  std::vector<std::string> names_;
  std::vector<std::string> altered_;  ///< of them: the catalog has other columns, or another function
  std::vector<std::string> remade_;   ///< of them: nothing that the catalog knows may hold
  std::vector<std::string> moved_;    ///< of them: tables that may be full already, under a new name
  std::vector<std::string> made_;     ///< of them: tables that there were not before
  std::optional<mark> learnt_;
  std::size_t statements_ = 0;
  bool forgotten_ = false;
};

}  // namespace pgbraid::proxy
