// Reads a text; see read_text.hpp.
#include "router/plan/read_text.hpp"

#include <variant>
#include <vector>

namespace pgbraid::router {

read_text::read_text(std::string_view text, const plan_context& context) : parsed_{sql::parse(text)} {
  const auto* statements = std::get_if<std::vector<sql::statement>>(&parsed_);
  if (statements == nullptr || statements->size() != 1) return;
  statement_ = &statements->front();
  const sql::token_scan none;
  constant_marks unused{{}, none};
  analyze(*statement_, context, unused, found);
}

}  // namespace pgbraid::router
