// Values that are claimed, as one execution has them; see claims.hpp.
#include "router/plan/claims.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "router/plan/gather_text.hpp"
#include "router/plan/key_reader.hpp"
#include "router/plan/words.hpp"
#include "router/shard/stored_text.hpp"

namespace pgbraid::router {

using protocol::error_id;

namespace {

/// Of a value that is stored in a column: its own type is the column's, or of a family that is stored as it is.
bool stored_as_it_is(oid column, oid from) {
  if (from == 0 || from == type_oid::unknown || from == column) return true;
  return (integer_family(column) && integer_family(from)) || (text_family(column) && text_family(from));
}

/// What is no value of the column's type, or one in a form that only newer servers take, is for the server to judge;
/// among several rows it might be equal to another's.
std::optional<std::string> stored_or_given(const claimed_values& column, std::string_view value) {
  auto out = stored_text(column.type, column.modifier, value);
  if (!out && column.rows.size() == 1 && column.type != type_oid::varchar) out = std::string{value};
  return out;
}

/// Reads the values of one execution.
class claim_reader {
 public:
  claim_reader(std::string_view text, std::span<const sql::constant_position> constants,
               std::span<const bound_parameter> parameters, const literal_context& literals)
      : text_(text), constants_(constants), parameters_(parameters), literals_(literals) {}

  /// False: it cannot be read. `out` stays empty for NULL.
  bool read(const claimed_values& column, const key_source& source, std::optional<std::string>& out) const {
    switch (source.from) {
      case key_source::origin::pinned:
        if (source.null) return true;
        return take(stored_or_given(column, source.pinned), source.pinned, out);
      case key_source::origin::parameter:
        return read_parameter(column, source, out);
      case key_source::origin::constant:
        break;
    }
    if (source.index >= constants_.size()) return false;
    const sql::constant_position& token = constants_[source.index];
    if (std::size_t{token.offset} + token.length > text_.size()) return false;
    const std::string_view raw = text_.substr(token.offset, token.length);
    if (token.kind == sql::token_constant::integer || token.kind == sql::token_constant::decimal) {
      // Into a text it goes by a cast, whose words are the number's own type's.
      if (token.kind == sql::token_constant::decimal || !integer_family(column.type)) return false;
      const std::string number = (source.negated ? "-" : "") + std::string{raw};
      return take(stored_or_given(column, number), number, out);
    }
    std::string decoded;
    if (token.kind == sql::token_constant::bit_string || !sql::decode_string_constant(raw, token.kind, decoded))
      return false;
    return take(stored_or_given(column, decoded), decoded, out);
  }

 private:
  bool read_parameter(const claimed_values& column, const key_source& source, std::optional<std::string>& out) const {
    if (source.index >= parameters_.size()) return false;
    const bound_parameter& p = parameters_[source.index];
    if (p.null) return true;
    const oid declared = p.type == type_oid::unknown ? 0 : p.type;
    // It stands elsewhere too, and has the type that it is given there, perhaps.
    if (declared == 0 && source.shared && source.literal_type == 0) return false;
    if (!stored_as_it_is(column.type, declared) || !stored_as_it_is(column.type, source.literal_type)) return false;
    if (!p.binary) return take(stored_or_given(column, p.value), p.value, out);
    const oid from = declared != 0 ? declared : source.literal_type;
    return take(stored_text_of_binary(column.type, column.modifier, from, p.value), p.value, out);
  }

  /// Other bytes than ASCII mean the same here and to the server where it has them as they are.
  bool take(std::optional<std::string> value, std::string_view given, std::optional<std::string>& out) const {
    if (!literals_.utf8 && has_high_byte(given)) return false;
    out = std::move(value);
    return out.has_value();
  }

  std::string_view text_;
  std::span<const sql::constant_position> constants_;
  std::span<const bound_parameter> parameters_;
  const literal_context& literals_;
};

/// As quote_identifier() shows it, but for words of the grammar, which stand as they are.
std::string shown_name(const std::string& name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || c == '_' || is_digit(c); };
  const bool bare = !name.empty() && !is_digit(name.front()) && std::all_of(name.begin(), name.end(), plain);
  return bare ? name : quote_identifier(name);
}

shard_index home_of(std::span<const shard_index> homes, std::size_t row) {
  return homes.size() == 1 ? homes.front() : homes[row];
}

/// One constant, however many values it has.
std::string array_of(const std::vector<std::string_view>& values) {
  std::string out = "{";
  for (const std::string_view value : values) {
    out += out.size() > 1 ? ",\"" : "\"";
    for (const char c : value) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return string_literal(out + '}');
}

}  // namespace

std::optional<std::vector<claimed_value>> read_claims(const claim_plan& plan, std::string_view text,
                                                      std::span<const sql::constant_position> constants,
                                                      std::span<const bound_parameter> parameters,
                                                      const literal_context& literals, std::size_t& unread) {
  const claim_reader values{text, constants, parameters, literals};
  std::vector<claimed_value> out;
  for (std::size_t column = 0; column < plan.columns.size(); ++column) {
    const std::vector<key_source>& rows = plan.columns[column].rows;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      std::optional<std::string> value;
      if (!values.read(plan.columns[column], rows[row], value)) {
        unread = column;
        return std::nullopt;
      }
      if (value) out.push_back({column, row, std::move(*value)});
    }
  }
  return out;
}

std::string claim_statement(const claim_plan& plan, std::span<const claimed_value> values,
                            std::span<const shard_index> homes, shard_index asked) {
  const std::string table = string_literal(quote_identifier(plan.schema) + '.' + quote_identifier(plan.table));
  std::string out;
  for (std::size_t column = 0; column < plan.columns.size(); ++column) {
    std::vector<std::string_view> claimed, elsewhere;
    for (const claimed_value& value : values) {
      if (value.column != column) continue;
      claimed.push_back(value.text);
      if (home_of(homes, value.row) != asked) elsewhere.push_back(value.text);
    }
    out += out.empty() ? "SELECT " : ", ";
    if (claimed.empty()) {
      out += "NULL";
      continue;
    }
    out += "pgbraid.claim_values(" + table + ", " + string_literal(plan.columns[column].column) + ", " +
           array_of(claimed) + ", " + array_of(elsewhere) + ")";
  }
  return out;
}

const claimed_value* claimed_twice(std::span<const claimed_value> values, std::span<const shard_index> homes) {
  if (homes.size() < 2) return nullptr;
  std::map<std::pair<std::size_t, std::string_view>, shard_index> first;
  for (const claimed_value& value : values) {
    const shard_index home = home_of(homes, value.row);
    const auto [known, added] = first.try_emplace({value.column, value.text}, home);
    if (!added && known->second != home) return &value;
  }
  return nullptr;
}

protocol::error_report value_is_taken(const claim_plan& plan, std::size_t column, std::string_view value) {
  const claimed_values& of = plan.columns[column];
  auto out = protocol::make_error(error_id::value_taken, of.constraint);
  out.detail = fmt::format("Key ({})=({}) already exists.", shown_name(of.column), value);
  out.violated = {plan.schema, plan.table, of.constraint};
  return out;
}

}  // namespace pgbraid::router
