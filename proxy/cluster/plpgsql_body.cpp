#include "proxy/cluster/plpgsql_body.hpp"

#include "router/sql/plpgsql.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace pgbraid::proxy {

namespace json = boost::json;

namespace {

/// All that only compute; what holds an expression is looked into.
constexpr std::array<std::string_view, 22> harmless{"PLpgSQL_function",    "PLpgSQL_var",
                                                    "PLpgSQL_type",        "PLpgSQL_rec",
                                                    "PLpgSQL_recfield",    "PLpgSQL_stmt_block",
                                                    "PLpgSQL_exception",   "PLpgSQL_condition",
                                                    "PLpgSQL_stmt_assign", "PLpgSQL_exception_block",
                                                    "PLpgSQL_stmt_if",     "PLpgSQL_if_elsif",
                                                    "PLpgSQL_stmt_case",   "PLpgSQL_case_when",
                                                    "PLpgSQL_stmt_loop",   "PLpgSQL_stmt_while",
                                                    "PLpgSQL_stmt_fori",   "PLpgSQL_stmt_exit",
                                                    "PLpgSQL_stmt_raise",  "PLpgSQL_raise_option",
                                                    "PLpgSQL_stmt_return", "PLpgSQL_stmt_return_next"};

constexpr std::int64_t level_of_errors = 21;  // elog.h: ERROR

bool word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

std::string lower(std::string_view text) {
  std::string out{text};
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

// The tree does not tell which record RETURN names; the text does. What stands in quotes and comments counts too.
bool returns_the_row(std::string_view text) {
  const std::string body = lower(text);
  for (std::size_t at = body.find("return"); at != body.npos; at = body.find("return", at + 1)) {
    std::size_t end = body.find_first_not_of(" \t\r\n", at + 6);
    const std::size_t begin = end;
    if (end == body.npos || end == at + 6) return false;
    while (end < body.size() && word_character(body[end])) ++end;
    const std::string_view word = std::string_view{body}.substr(begin, end - begin);
    end = body.find_first_not_of(" \t\r\n", end);
    const bool whole = end != body.npos && body[end] == ';';
    if (!whole || (word != "new" && word != "old" && word != "null")) return false;
  }
  return true;
}

// What is another number on each server.
bool tells_of_server(std::string_view text) {
  constexpr std::array<std::string_view, 7> words{"tg_relid", "tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"};
  const std::string body = lower(text);
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return body.find(word) != body.npos; });
}

class body_reader {
 public:
  explicit body_reader(bool trigger) : trigger_(trigger) {}

  std::optional<plpgsql_body> read(const json::value& tree) {
    if (!tree.is_array() || tree.get_array().size() != 1 || !tree.get_array()[0].is_object()) return std::nullopt;
    const json::value* const function = tree.get_array()[0].get_object().if_contains("PLpgSQL_function");
    if (function == nullptr || !function->is_object()) return std::nullopt;
    const json::value* const datums = function->get_object().if_contains("datums");
    if (datums != nullptr && datums->is_array()) datums_ = &datums->get_array();
    new_row_ = number(function->get_object(), "new_varno");
    old_row_ = number(function->get_object(), "old_varno");
    if (trigger_ && hides_the_row()) return std::nullopt;
    visit(tree);
    if (!plain_) return std::nullopt;
    return std::move(out_);
  }

 private:
  /// Whether something else is called as the row is.
  bool hides_the_row() const {
    if (datums_ == nullptr) return true;
    for (std::size_t i = 0; i < datums_->size(); ++i) {
      const auto place = static_cast<std::int64_t>(i);
      if (place == new_row_ || place == old_row_ || !(*datums_)[i].is_object()) continue;
      for (const auto& [kind, datum] : (*datums_)[i].get_object()) {
        const std::string name = datum.is_object() ? lower(text(datum.get_object(), "refname")) : std::string{};
        if (name == "new" || name == "old") return true;
      }
    }
    return false;
  }

  static std::int64_t number(const json::object& object, std::string_view name) {
    const json::value* const found = object.if_contains(name);
    return found != nullptr && found->is_int64() ? found->get_int64() : 0;
  }

  static std::string text(const json::object& object, std::string_view name) {
    const json::value* const found = object.if_contains(name);
    return found != nullptr && found->is_string() ? std::string{found->get_string()} : std::string{};
  }

  void visit(const json::value& value) {
    if (value.is_array()) {
      for (const json::value& each : value.get_array()) visit(each);
    } else if (value.is_object()) {
      for (const auto& member : value.get_object()) visit_member(member.key(), member.value());
    }
  }

  void visit_member(std::string_view name, const json::value& value) {
    if (name == "cursor_explicit_expr") plain_ = false;
    if (name.starts_with("PLpgSQL_")) {
      if (!value.is_object()) return refuse();
      if (name == "PLpgSQL_expr") return expression(text(value.get_object(), "query"));
      if (name == "PLpgSQL_stmt_assign") return assignment(value.get_object());
      if (name == "PLpgSQL_stmt_foreach_a") return each(value.get_object());
      if (std::find(harmless.begin(), harmless.end(), name) == harmless.end()) return refuse();
      if (name == "PLpgSQL_stmt_raise")
        out_.speaks = out_.speaks || number(value.get_object(), "elog_level") < level_of_errors;
    }
    visit(value);
  }

  void refuse() { plain_ = false; }

  void expression(const std::string& query) {
    if (query.empty()) return refuse();
    out_.expressions.push_back("SELECT " + query);
  }

  void assign_to(std::int64_t place) {
    if (!trigger_) return;
    if (datums_ == nullptr || place < 0 || static_cast<std::size_t>(place) >= datums_->size()) return refuse();
    // OLD may be given back.
    if (place == new_row_ || place == old_row_) out_.whole_row = true;
    const json::value& datum = (*datums_)[static_cast<std::size_t>(place)];
    const json::value* const field = datum.is_object() ? datum.get_object().if_contains("PLpgSQL_recfield") : nullptr;
    if (field == nullptr || !field->is_object()) return;
    const std::int64_t row = number(field->get_object(), "recparentno");
    if (row != new_row_ && row != old_row_) return;
    out_.assigned.insert(text(field->get_object(), "fieldname"));
  }

  // Its text is "target := value" or "target = value"; a subscript of the target may hold anything.
  void assignment(const json::object& statement) {
    const json::value* const value = statement.if_contains("expr");
    const json::value* const inner =
        value != nullptr && value->is_object() ? value->get_object().if_contains("PLpgSQL_expr") : nullptr;
    if (inner == nullptr || !inner->is_object()) return refuse();
    const std::string query = text(inner->get_object(), "query");
    const std::size_t end = query.find('=');
    if (end == query.npos || end == 0) return refuse();
    const std::string_view target = std::string_view{query}.substr(0, query[end - 1] == ':' ? end - 1 : end);
    if (target.find_first_of("('\"$/-*<>!") != target.npos) return refuse();
    assign_to(number(statement, "varno"));
    expression(std::string{target});  // its subscripts
    expression(query.substr(end + 1));
  }

  void each(const json::object& statement) {
    assign_to(number(statement, "varno"));
    for (const char* part : {"expr", "body"}) {
      if (const json::value* const found = statement.if_contains(part)) visit(*found);
    }
  }

  bool trigger_, plain_ = true;
  const json::array* datums_ = nullptr;
  std::int64_t new_row_ = 0, old_row_ = 0;
  plpgsql_body out_;
};

}  // namespace

std::optional<plpgsql_body> read_plpgsql(std::string_view signature, std::string_view body, bool trigger) {
  if (trigger && (!returns_the_row(body) || tells_of_server(body))) return std::nullopt;
  const std::optional<std::string> statements = router::sql::plpgsql_statements(signature, body);
  if (!statements) return std::nullopt;
  json::error_code failed;
  const json::value tree = json::parse(*statements, failed);
  if (failed) return std::nullopt;
  return body_reader(trigger).read(tree);
}

}  // namespace pgbraid::proxy
