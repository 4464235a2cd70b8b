#include "protocol/errors.hpp"

#include <array>

#include "protocol/wire.hpp"

namespace pgbraid::protocol {
namespace {

constexpr std::array table{
#define PGBRAID_ROW(id, state, level, text, hint) error_row{error_id::id, #id, state, severity::level, text, hint},
    PGBRAID_ERROR_TABLE(PGBRAID_ROW)
#undef PGBRAID_ROW
};

void append_field(std::string& out, char code, std::string_view value) {
  out.push_back(code);
  append_cstring(out, value);
}

}  // namespace

const error_row& row_of(error_id id) noexcept {
  return table[static_cast<std::size_t>(id)];
}

std::size_t error_count() noexcept {
  return table.size();
}

error_report with_detail(error_report report, std::string detail) {
  report.detail = std::move(detail);
  return report;
}

error_report with_hint(error_report report, std::string hint) {
  report.hint = std::move(hint);
  return report;
}

void encode_error(std::string& out, const error_report& report) {
  const error_row& row = row_of(report.id);
  const std::string_view level = row.level == severity::fatal ? "FATAL" : "ERROR";
  const frame_builder frame{out, 'E'};
  append_field(out, 'S', level);
  append_field(out, 'V', level);
  append_field(out, 'C', row.sqlstate);
  append_field(out, 'M', report.message);
  if (!report.detail.empty()) append_field(out, 'D', report.detail);
  if (!report.hint.empty()) append_field(out, 'H', report.hint);
  if (report.violated) {
    append_field(out, 's', report.violated->schema);
    append_field(out, 't', report.violated->table);
    append_field(out, 'n', report.violated->name);
  }
  out.push_back('\0');
}

}  // namespace pgbraid::protocol
