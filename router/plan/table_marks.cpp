// The tables of a plan; see table_marks.hpp.
#include "router/plan/table_marks.hpp"

#include <algorithm>

namespace pgbraid::router {
namespace {

void add(std::vector<std::uint32_t>& marks, std::string_view table) {
  const std::uint32_t mark = table_mark(table);
  if (std::find(marks.begin(), marks.end(), mark) == marks.end()) marks.push_back(mark);
}

void mark_view(const relation& view, const plan_context& context, plan& out) {
  out.reads_more = out.reads_more || !view.user_code.empty() || !view.view_read_safe;
  for (const std::string& below : view.view_relations) {
    add(out.read_marks, below);
    const auto inner = context.schema->relations.find(below);
    const bool plain =
        inner != context.schema->relations.end() && inner->second.kind != 'f' && !inner->second.row_security;
    out.reads_more = out.reads_more || !plain;
  }
}

void mark_read(const resolved_table& table, const plan_context& context, plan& out) {
  add(out.read_marks, table.full_name);
  // Only definitions change the system's own tables, and those count as changes of all.
  if (table.where == placement::system && (table.described == nullptr || system_schema(table.schema))) return;
  if (table.described == nullptr || table.described->row_security || table.described->kind == 'f') {
    out.reads_more = true;
  } else if (table.described->kind == 'v') {
    mark_view(*table.described, context, out);
  }
}

void mark_write(const resolved_table& table, plan& out) {
  add(out.write_marks, table.full_name);
  const relation* described = table.described;
  const bool alone =
      described != nullptr && described->kind == 'r' && !described->writes_spread && !described->row_security;
  out.writes_more = out.writes_more || !alone;
}

}  // namespace

// FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/
std::uint32_t table_mark(std::string_view full_name) noexcept {
  std::uint32_t mark = 2166136261U;
  for (const char c : full_name) mark = (mark ^ static_cast<unsigned char>(c)) * 16777619U;
  return mark;
}

void mark_tables(const analysis& a, const plan_context& context, plan& out) {
  out.reads_more = a.not_understood || a.functions.reads_more || context.schema->user_casts;
  out.writes_more = a.not_understood || a.into || a.functions.writes_more || context.schema->user_casts;
  for (const table_use& use : a.uses) {
    if (use.role == table_role::read) {
      mark_read(use.table, context, out);
    } else {
      mark_write(use.table, out);
    }
  }
}

}  // namespace pgbraid::router
