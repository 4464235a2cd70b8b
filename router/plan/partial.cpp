// Aggregates in two steps; see partial.hpp. Source for what the aggregates' final functions compute: numeric.c
// (int8_avg, numeric_avg), timestamp.c (interval_avg), float.c (float8_avg); for what ORDER BY and GROUP BY items mean:
// findTargetlistEntrySQL92() in parse_clause.c.
#include "router/plan/partial.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "router/plan/clauses.hpp"
#include "router/plan/gather_text.hpp"
#include "router/plan/same_expression.hpp"
#include "router/plan/scatter.hpp"
#include "router/plan/words.hpp"

namespace pgbraid::router {
namespace {

using kind = sql::expr_kind;

constexpr std::string_view rows_entry = "\"pgbraid rows\"";

/// Their own result over the results of parts is the result over all.
constexpr std::array<std::string_view, 7> repeatable{"min", "max", "bool_and", "bool_or", "every", "bit_and", "bit_or"};

bool is_repeatable(std::string_view name) {
  return std::find(repeatable.begin(), repeatable.end(), name) != repeatable.end();
}

std::string column_name(std::size_t number) {
  return "c" + std::to_string(number);
}

/// Takes one query apart. Every step may find that it cannot be done beyond doubt.
class splitter {
 public:
  splitter(const gather_query& query, const analysis& a, const plan_context& context)
      : text_(query.text), select_(*query.statement->select), literals_(query.literals), a_(a), context_(context) {
    const auto top = std::find_if(a.levels.begin(), a.levels.end(), [](const query_level& level) { return level.top; });
    level_ = static_cast<std::size_t>(top - a.levels.begin());
  }

  std::shared_ptr<gather_plan> split(const gather_query& query) {
    if (level_ >= a_.levels.size() || !is_plain() || judge_rows(a_, context_)) return nullptr;
    auto clauses = clauses_of(text_, query.begin, query.end);
    if (!clauses) return nullptr;
    clauses_ = std::move(*clauses);
    if (!stand_where_expected() || !read_groups()) return nullptr;
    auto targets = edited_targets();
    auto having = edited_expression(select_.having.get(), clauses_.having);
    auto order = edited_order();
    if (!targets || !having || !order) return nullptr;

    auto out = std::make_shared<gather_plan>();
    out->fragment_sql = fragment();
    if (!names_parameters_once(out->fragment_sql, a_)) return nullptr;
    out->rows_in_text = literals_;
    out->types_in_text = true;
    out->combine_sql = std::string{text_.substr(0, clauses_.begin)};
    add_rows_entry(*out);
    std::string rest = ") SELECT ";
    if (!clauses_.distinct.empty()) rest.append(clauses_.distinct.of(text_)).append(" ");
    rest.append(*targets).append(" FROM ").append(rows_entry);
    for (std::size_t i = 0; i < groups_.size(); ++i) rest += (i == 0 ? " GROUP BY " : ", ") + group_column(i);
    if (!having->empty()) rest += " HAVING " + *having;
    if (!order->empty()) rest += " ORDER BY " + *order;
    if (!clauses_.limit.empty()) rest.append(" ").append(clauses_.limit.of(text_));
    add_marked(*out, rest);
    out->combine_sql += text_.substr(clauses_.end);
    gather_fragment rows{table_names(), {}};
    for (std::size_t i = 0; i < columns_.size(); ++i) rows.json_keys.push_back("\"" + column_name(i) + "\":");
    out->fragments.push_back(std::move(rows));
    return out;
  }

 private:
  struct group {
    const sql::expr* value;
    text_span span;  ///< as it is computed on the shards
  };

  [[nodiscard]] bool is_plain() const {
    const query_level& level = a_.levels[level_];
    if (level.aggregate.empty() && !level.grouped) return false;
    if (a_.types_differ || select_.grouping_sets || select_.group_distinct || !select_.windows.empty() ||
        !select_.distinct_on.empty())
      return false;
    if (!a_.functions.user_code.empty() || !a_.functions.write.empty() || a_.functions.transaction_dependent ||
        a_.functions.needs_primary)
      return false;
    return std::all_of(a_.uses.begin(), a_.uses.end(), [](const table_use& use) {
      return use.table.where == placement::sharded || use.table.where == placement::reference;
    });
  }

  /// The text was taken apart as the grammar did it.
  [[nodiscard]] bool stand_where_expected() const {
    const auto begins = [&](const std::vector<text_span>& spans, std::size_t i, std::int32_t location) {
      return location >= 0 && spans[i].begin == static_cast<std::size_t>(location);
    };
    if (clauses_.targets.size() != select_.targets.size() || clauses_.group_by.size() != select_.group_by.size())
      return false;
    if (clauses_.order_by.size() != select_.order_by.size() || clauses_.where.empty() != (select_.where == nullptr))
      return false;
    if (clauses_.having.empty() != (select_.having == nullptr) || select_.from.empty() || clauses_.from.empty())
      return false;
    for (std::size_t i = 0; i < select_.targets.size(); ++i) {
      if (select_.targets[i].value == nullptr || !begins(clauses_.targets, i, select_.targets[i].location))
        return false;
    }
    return clauses_.where.empty() || clauses_.from.end <= clauses_.where.begin;
  }

  /// A SELECT item without its AS.
  [[nodiscard]] std::optional<text_span> value_of(std::size_t target) const {
    return without_name(text_, clauses_.targets[target], select_.targets[target].name);
  }

  bool read_groups() {
    for (std::size_t i = 0; i < select_.group_by.size(); ++i) {
      const sql::expr* item = select_.group_by[i].get();
      if (item == nullptr) return false;
      std::optional<text_span> span = clauses_.group_by[i];
      // A column of what is no table comes before a name of the SELECT list too, and is not known here.
      const bool name = item->kind == kind::column && item->name.size() == 1;
      if (name && !column_of(a_, level_, *item) && !tables_alone(select_.from)) return false;
      if (const auto target = named_target(*item, true)) {
        item = select_.targets[*target].value.get();
        span = value_of(*target);
      }
      const bool value = item->kind == kind::column || item->kind == kind::call || item->kind == kind::op ||
                         item->kind == kind::cast || item->kind == kind::case_ || item->kind == kind::coalesce ||
                         item->kind == kind::null_test;
      if (!span || !value || !may_travel(*item)) return false;
      const auto known = [&](const group& g) { return same_expression(a_, level_, *g.value, *item); };
      if (std::any_of(groups_.begin(), groups_.end(), known)) continue;
      groups_.push_back({item, *span});
      columns_.emplace_back(span->of(text_));
    }
    return true;
  }

  [[nodiscard]] bool tables_alone(const std::vector<sql::from_item>& items) const {
    return std::all_of(items.begin(), items.end(), [&](const sql::from_item& item) { return tables_alone(item); });
  }

  [[nodiscard]] bool tables_alone(const sql::from_item& item) const {
    if (item.kind != sql::from_kind::join) return a_.use_of.contains(&item);
    return item.column_aliases.empty() && item.left != nullptr && item.right != nullptr && tables_alone(*item.left) &&
           tables_alone(*item.right);
  }

  /// The SELECT item that an item of GROUP BY or ORDER BY stands for, by its number or its name.
  [[nodiscard]] std::optional<std::size_t> named_target(const sql::expr& item, bool columns_first) const {
    if (item.kind == kind::constant && item.constant == sql::constant_kind::integer) {
      std::size_t number = 0;
      std::from_chars(item.text.data(), item.text.data() + item.text.size(), number);
      if (number == 0 || number > select_.targets.size()) return std::nullopt;
      return number - 1;
    }
    if (item.kind != kind::column || item.star || item.name.size() != 1) return std::nullopt;
    if (columns_first && column_of(a_, level_, item)) return std::nullopt;
    for (std::size_t i = 0; i < select_.targets.size(); ++i) {
      if (shown_name(i) == item.name[0]) return i;
    }
    return std::nullopt;
  }

  [[nodiscard]] std::string shown_name(std::size_t target) const {
    const sql::target& t = select_.targets[target];
    return t.name.empty() ? result_name(*t.value).value_or("") : t.name;
  }

  /// Its value comes out of text as it went in, and is compared as it was: not with a collation of its own, not a
  /// parameter, which would not be the same expression to the server.
  [[nodiscard]] bool may_travel(const sql::expr& e) const {
    if (e.query != nullptr || e.kind == kind::collate || e.kind == kind::other || e.kind == kind::parameter ||
        e.kind == kind::row || e.star)
      return false;
    // A domain may have a collation of its own.
    if (e.kind == kind::cast && !e.type.name.empty() && context_.schema->user_types.contains(e.type.name.back()))
      return false;
    if (e.kind == kind::column) {
      const auto found = column_of(a_, level_, e);
      return found && found->described->default_collation;
    }
    const auto child = [&](const sql::expr_ptr& x) { return x == nullptr || may_travel(*x); };
    return std::all_of(e.children.begin(), e.children.end(), child) && !is_aggregate(e) && !e.over;
  }

  [[nodiscard]] const function_traits* traits_of(const sql::expr& e) const {
    if (e.kind != kind::call || e.name.empty()) return nullptr;
    const auto found = context_.schema->functions.find(std::string_view{e.name.back()});
    return found == context_.schema->functions.end() ? nullptr : &found->second;
  }

  [[nodiscard]] bool is_aggregate(const sql::expr& e) const {
    const function_traits* traits = traits_of(e);
    return traits != nullptr && traits->any_aggregate;
  }

  [[nodiscard]] std::string group_column(std::size_t i) const { return std::string{rows_entry} + "." + column_name(i); }

  std::string add_column(std::string computed) {
    // The same aggregate twice is computed once.
    const auto found =
        std::find(columns_.begin() + static_cast<std::ptrdiff_t>(groups_.size()), columns_.end(), computed);
    const auto number = static_cast<std::size_t>(found - columns_.begin());
    if (found == columns_.end()) columns_.push_back(std::move(computed));
    return std::string{rows_entry} + "." + column_name(number);
  }

  /// A sum as avg() has it, whose state begins with 0: of nothing but -0 it is 0. Which type it has is not known here,
  /// and only a float is written as "-0".
  static std::string from_zero(const std::string& sum) {
    return "(CASE " + sum + "::pg_catalog.text WHEN '-0' THEN -" + sum + " ELSE " + sum + " END)";
  }

  /// The aggregate's part on the shards as columns, and what makes one of them.
  std::optional<text_edit> split_aggregate(const sql::expr& e) {
    const function_traits* traits = traits_of(e);
    if (!traits->pg_catalog_only || e.over || e.within_group || e.variadic || !e.order.empty() || !e.window.empty())
      return std::nullopt;
    const std::string& name = e.name.back();
    if (e.distinct && !is_repeatable(name)) return std::nullopt;
    const auto part = [&](const sql::expr_ptr& x) {
      return x == nullptr || may_travel(*x) || x->kind == kind::parameter;
    };
    if (!std::all_of(e.children.begin(), e.children.end(), part)) return std::nullopt;
    std::size_t open = 0;
    auto span = call_at(text_, e.location, clauses_.end, name, open);
    if (!span) return std::nullopt;
    if (e.filter != nullptr) {
      const std::size_t filter = skip_blanks(text_, span->end);
      const std::size_t inside = skip_blanks(text_, end_of_word(text_, filter));
      if (lower_word(text_.substr(filter, end_of_word(text_, filter) - filter)) != "filter" || inside >= clauses_.end ||
          text_[inside] != '(')
        return std::nullopt;
      const auto past = past_parentheses(text_, inside, clauses_.end);
      if (!past) return std::nullopt;
      span->end = *past;
    }
    const std::string whole{span->of(text_)};
    const std::string arguments{text_.substr(open, span->end - open)};
    text_edit edit{span->begin, span->end - span->begin, {}};
    if (name == "count") {
      edit.text = "pg_catalog.sum(" + add_column(whole) + ")::pg_catalog.int8";
    } else if (name == "sum") {
      const std::string column = add_column(whole);
      edit.text = "pg_catalog.sum(" + column + ")::" + type_mark(column);
    } else if (name == "avg") {
      const std::string sum = add_column("pg_catalog.sum" + arguments);
      edit.text = "(" + from_zero("pg_catalog.sum(" + sum + ")") + " / pg_catalog.sum(" +
                  add_column("pg_catalog.count" + arguments) + "))";
    } else if (is_repeatable(name)) {
      edit.text = "pg_catalog." + name + "(" + add_column(whole) + ")";
    } else {
      return std::nullopt;
    }
    return edit;
  }

  /// What must change in an expression over groups and aggregates; false where it holds anything else.
  bool edit(const sql::expr& e, std::vector<text_edit>& edits) {
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      if (!same_expression(a_, level_, *groups_[i].value, e)) continue;
      std::size_t open = 0;
      std::optional<text_span> span;
      if (e.kind == kind::call) span = call_at(text_, e.location, clauses_.end, e.name.back(), open);
      if (e.kind == kind::column) span = column_span(e);
      if (!span) return false;
      edits.push_back({span->begin, span->end - span->begin, group_column(i)});
      return true;
    }
    if (is_aggregate(e)) {
      auto found = split_aggregate(e);
      if (!found) return false;
      edits.push_back(std::move(*found));
      return true;
    }
    switch (e.kind) {
      case kind::constant:
      case kind::parameter:
        return true;
      case kind::call:
      case kind::op:
      case kind::in_list:
      case kind::like:
      case kind::between:
      case kind::nullif:
      case kind::distinct_from:
      case kind::and_:
      case kind::or_:
      case kind::not_:
      case kind::null_test:
      case kind::boolean_test:
      case kind::cast:
      case kind::case_:
      case kind::coalesce:
      case kind::greatest_least:
        break;
      default:
        return false;
    }
    if (e.over || e.query != nullptr || e.filter != nullptr) return false;
    return std::all_of(e.children.begin(), e.children.end(),
                       [&](const sql::expr_ptr& x) { return x == nullptr || edit(*x, edits); });
  }

  [[nodiscard]] std::optional<text_span> column_span(const sql::expr& e) const {
    if (e.location < 0) return std::nullopt;
    const auto begin = static_cast<std::size_t>(e.location);
    const std::size_t end = end_of_name(text_, begin, e.name);
    if (end == begin) return std::nullopt;
    return text_span{begin, end};
  }

  /// The text of an expression over what came from the shards; "" without one.
  std::optional<std::string> edited_expression(const sql::expr* e, text_span span) {
    if (e == nullptr) return std::string{};
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      if (same_expression(a_, level_, *groups_[i].value, *e)) return group_column(i);
    }
    std::vector<text_edit> edits;
    if (!edit(*e, edits)) return std::nullopt;
    return edited(text_, span.begin, span.end, std::move(edits));
  }

  std::optional<std::string> edited_targets() {
    std::string out;
    for (std::size_t i = 0; i < select_.targets.size(); ++i) {
      const sql::target& t = select_.targets[i];
      const auto span = value_of(i);
      const auto name = t.name.empty() ? result_name(*t.value) : t.name;
      const auto value = span && name ? edited_expression(t.value.get(), *span) : std::nullopt;
      if (!value) return std::nullopt;
      out += (i > 0 ? ", " : "") + *value + " AS " + quote_identifier(*name);
    }
    return out;
  }

  std::optional<std::string> edited_order() {
    std::string out;
    for (std::size_t i = 0; i < select_.order_by.size(); ++i) {
      const sql::sort_key& key = select_.order_by[i];
      const text_span span = clauses_.order_by[i];
      if (key.value == nullptr || key.using_operator) return std::nullopt;
      if (i > 0) out += ", ";
      if (named_target(*key.value, false)) {
        out.append(span.of(text_));
        continue;
      }
      // The item's own words (DESC, NULLS FIRST) stay behind it.
      std::vector<text_edit> edits;
      if (!edit_whole(*key.value, span, edits) && !edit(*key.value, edits)) return std::nullopt;
      out += edited(text_, span.begin, span.end, std::move(edits));
    }
    return out;
  }

  /// A sort key that is a group written out, with nothing behind it.
  bool edit_whole(const sql::expr& e, text_span span, std::vector<text_edit>& edits) const {
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      if (groups_[i].span.of(text_) != span.of(text_) || !same_expression(a_, level_, *groups_[i].value, e)) continue;
      edits.push_back({span.begin, span.end - span.begin, group_column(i)});
      return true;
    }
    return false;
  }

  [[nodiscard]] std::string fragment() const {
    std::string out = "SELECT 0";
    for (const std::string& column : columns_) out += ", " + column;
    out.append(" FROM ").append(clauses_.from.of(text_));
    if (!clauses_.where.empty()) out.append(" WHERE ").append(clauses_.where.of(text_));
    for (std::size_t i = 0; i < groups_.size(); ++i) out += (i == 0 ? " GROUP BY " : ", ") + std::to_string(i + 2);
    return out;
  }

  [[nodiscard]] std::string table_names() const {
    for (const table_use& use : a_.uses) {
      if (use.table.where == placement::sharded) return use.table.full_name;
    }
    return {};
  }

  /// Stands for a column's type until its place in the whole text is known: no statement contains a zero byte.
  static std::string type_mark(std::string_view column) {
    return std::string(1, '\0') + std::string{column.substr(column.rfind('c') + 1)} + std::string(1, '\0');
  }

  /// Adds a text to the combining statement, with gaps where its marks are.
  static void add_marked(gather_plan& plan, std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t mark = text.find('\0', at);
      plan.combine_sql += text.substr(at, mark - at);
      if (mark == std::string_view::npos) break;
      const std::size_t end = text.find('\0', mark + 1);
      plan.gaps.push_back({plan.combine_sql.size(), gap_kind::type, std::stoul(std::string{text.substr(mark + 1, end - mark - 1)})});
      at = end + 1;
    }
  }

  /// The WITH entry of what comes from the shards, but for its closing parenthesis.
  void add_rows_entry(gather_plan& plan) const {
    std::string& sql = plan.combine_sql;
    sql.append("WITH ").append(rows_entry).append(" AS MATERIALIZED (SELECT * FROM pg_catalog.json_to_recordset(");
    if (literals_) plan.gaps.push_back({sql.size(), gap_kind::rows, 0});
    if (!literals_) sql += "$" + std::to_string(a_.parameter_uses.size() + 1);
    sql += "::pg_catalog.json) AS f(";
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      sql += (i > 0 ? ", " : "") + column_name(i) + " ";
      plan.gaps.push_back({sql.size(), gap_kind::type, i});
    }
    sql += ")";
  }

  std::string_view text_;
  const sql::select_query& select_;
  bool literals_;
  const analysis& a_;
  const plan_context& context_;
  std::size_t level_ = 0;
  select_clauses clauses_;
  std::vector<group> groups_;
  std::vector<std::string> columns_;  ///< what each shard computes: the groups, then parts of aggregates
};

}  // namespace

std::shared_ptr<gather_plan> make_partial(const gather_query& query, const analysis& found,
                                          const plan_context& context) {
  return splitter{query, found, context}.split(query);
}

}  // namespace pgbraid::router
