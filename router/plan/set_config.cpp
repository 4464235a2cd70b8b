#include "router/plan/set_config.hpp"

namespace pgbraid::router {

namespace {

/// A constant, or a parameter, through casts to types that leave it as it is.
const sql::expr* plain_argument(const sql::expr_ptr& written, std::string_view type) {
  const sql::expr* e = written.get();
  while (e != nullptr && e->kind == sql::expr_kind::cast) {
    const sql::qualified_name& to = e->type.name;
    if (to.empty() || to.back() != type || e->type.array || !e->type.modifiers.empty() || e->children.size() != 1)
      return nullptr;
    e = e->children.front().get();
  }
  const bool plain = e != nullptr && (e->kind == sql::expr_kind::constant || e->kind == sql::expr_kind::parameter);
  return plain ? e : nullptr;
}

config_argument argument_of(const sql::expr& e) {
  config_argument out;
  out.parameter = e.kind == sql::expr_kind::parameter ? e.number : 0;
  out.null = out.parameter == 0 && e.constant == sql::constant_kind::null;
  if (out.parameter == 0 && !out.null) out.text = e.text;
  return out;
}

bool is_set_config(const sql::expr& e, const plan_context& context) {
  if (e.kind != sql::expr_kind::call || e.name.empty() || e.name.back() != "set_config" || e.name.size() > 2)
    return false;
  if (e.name.size() == 2 && e.name.front() != "pg_catalog") return false;
  const auto known = context.schema->functions.find(e.name.back());
  if (known == context.schema->functions.end() || (e.name.size() == 1 && !known->second.pg_catalog_only)) return false;
  const bool more =
      e.star || e.distinct || e.over || e.within_group || e.variadic || e.filter != nullptr || !e.order.empty();
  return !more && e.children.size() == 3;
}

std::optional<config_call> call_of(const sql::expr& e, constant_marks& marks) {
  const sql::expr* const name = plain_argument(e.children[0], "text");
  const sql::expr* const value = plain_argument(e.children[1], "text");
  const sql::expr* const local = plain_argument(e.children[2], "bool");
  if (name == nullptr || value == nullptr || local == nullptr) return std::nullopt;
  config_call out{argument_of(*name), argument_of(*value), argument_of(*local)};
  out.value.text.clear();
  for (const sql::expr* each : {name, local}) {
    if (const auto at = marks.find(*each)) marks.pin(*at);
  }
  // The server tells what it has come to.
  if (const auto at = marks.find(*value)) marks.mark_free(*at);
  return out;
}

bool has_more(const sql::select_query& q) {
  return !q.with.tables.empty() || q.distinct || !q.distinct_on.empty() || !q.from.empty() || q.where != nullptr ||
         !q.group_by.empty() || q.having != nullptr || !q.windows.empty() || !q.values.empty() || !q.order_by.empty() ||
         q.limit != nullptr || q.offset != nullptr || q.locking || q.into || q.set_op != sql::set_operation::none;
}

}  // namespace

std::optional<std::vector<config_call>> config_calls(const sql::statement& s, const plan_context& context,
                                                     constant_marks& marks) {
  if (s.select == nullptr || s.unparsable_parts || has_more(*s.select) || s.select->targets.empty())
    return std::nullopt;
  for (const sql::target& column : s.select->targets) {
    if (column.value == nullptr || !is_set_config(*column.value, context)) return std::nullopt;
  }
  std::vector<config_call> out;
  for (const sql::target& column : s.select->targets) {
    std::optional<config_call> call = call_of(*column.value, marks);
    if (!call) return std::nullopt;
    out.push_back(std::move(*call));
  }
  return out;
}

}  // namespace pgbraid::router
