// A hint in CREATE TABLE; see hints.hpp.
#include "router/plan/gather_text.hpp"
#include "router/plan/hints.hpp"
#include "router/plan/key_columns.hpp"
#include "router/plan/names.hpp"
#include "router/plan/planner.hpp"
#include "router/plan/targets.hpp"

namespace pgbraid::router {

using protocol::error_id;
using protocol::make_error;

/// CREATE TABLE with a key: it names the columns, and is kept as a comment on the table.
void hint_applier::declare_key(const sql::statement& s, const std::string& key, plan& out) const {
  const auto* fixed = std::get_if<fixed_target>(&out.where);
  const bool refused = fixed != nullptr && std::holds_alternative<to_refusal>(fixed->target);
  if (refused || s.relations.empty()) return;
  const auto refuse = [&](std::string_view what, std::string hint) {
    out.where = refusal(protocol::with_hint(make_error(error_id::hint_invalid, what), std::move(hint)));
  };
  const auto columns = key_columns(key);
  if (!columns)
    return refuse("\"" + key + "\" names no columns", "For example: key=customer_id, or key=(tenant, region)");
  const resolved_table table = name_resolver{context_}.resolve(s.relations.front());
  const bool listed =
      table.where != placement::unknown && table.where != placement::unlisted && table.described == nullptr;
  if (listed || s.temporary)
    return refuse("the topology says where table \"" + table.full_name + "\" is", "Leave the hint out.");
  if (s.if_not_exists)
    return refuse("with IF NOT EXISTS the table may be there, with another key",
                  "Leave the hint or IF NOT EXISTS out.");
  std::string name, comment;
  for (const std::string& part : s.relations.front())
    name.append(name.empty() ? "" : ".").append(quote_identifier(part));
  for (const char c : key_declaration(*columns)) comment.append(c == '\'' ? 2 : 1, c);
  if ((name + comment).find('\\') != std::string::npos)
    return refuse("a name with a backslash cannot be kept", "Use another name.");
  out.declares = "COMMENT ON TABLE " + name + " IS '" + comment + "'";
  out.reason += "; a hint: sharded by " + comment.substr(comment.find('('));
}

}  // namespace pgbraid::router
