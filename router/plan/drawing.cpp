// Drawing from sequences; see drawing.hpp.
#include "router/plan/drawing.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "router/plan/clauses.hpp"
#include "router/plan/constants.hpp"
#include "router/plan/gather_text.hpp"
#include "router/plan/insert_select.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/read_text.hpp"
#include "router/plan/rows.hpp"
#include "router/plan/sequences.hpp"
#include "router/plan/words.hpp"
#include "router/plan/writing_with.hpp"
#include "router/plan/written_type.hpp"

namespace pgbraid::router {
namespace {

/// So many columns may one row have that is asked for.
constexpr std::size_t most_in_one_row = 1000;

std::string mark(std::size_t index) {
  return std::string(1, moment_mark) + std::to_string(index) + std::string(1, moment_mark);
}

/// One value that is drawn: what draws it, and what of the text it takes the place of.
struct draw {
  std::size_t at = 0, length = 0;
  std::string expression;
  std::string type;  ///< "": the column's own
  std::string sample{};  ///< of a key
  bool by_default = false;  ///< of a column that is left to a sequence
};

/// Of a default that is a sequence's next number and nothing more: the argument of nextval(), which pg_get_expr() has
/// written with its schema.
std::string_view sequence_of(std::string_view expression) {
  constexpr std::string_view call = "nextval(", type = "::regclass)";
  if (!expression.starts_with(call) || !expression.ends_with(type)) return {};
  const std::string_view argument = expression.substr(call.size(), expression.size() - call.size() - 1);
  const bool one_name = argument.starts_with('\'') && skip_quoted(argument, 0) + type.size() == argument.size() + 1;
  return one_name ? argument : std::string_view{};
}

/// A constant of a key's type, and the type's name.
struct key_form {
  oid type;
  std::string_view name, sample;
};
constexpr std::array<key_form, 12> key_forms{{
    {type_oid::int2, "int2", "'1'"},
    {type_oid::int4, "int4", "'1'"},
    {type_oid::int8, "int8", "'1'"},
    {type_oid::numeric, "numeric", "'1'"},
    {type_oid::boolean, "bool", "'t'"},
    {type_oid::uuid, "uuid", "'00000000-0000-0000-0000-000000000001'"},
    {type_oid::date, "date", "'2000-01-01'"},
    {type_oid::timestamp, "timestamp", "'2000-01-01 00:00:00'"},
    {type_oid::timestamptz, "timestamptz", "'2000-01-01 00:00:00+00'"},
    // As they are stored, the column's length is applied to them.
    {type_oid::text, "text", "'a'"},
    {type_oid::varchar, "text", "'a'"},
    {type_oid::bpchar, "text", "'a'"},
}};

/// A key that gives the same wherever it is evaluated, by itself and without a trace.
bool stands_alone(std::string_view expression, const plan_context& context) {
  const std::string text = "SELECT " + std::string{expression};
  const read_text read{text, context};
  if (read.select() == nullptr) return false;
  const analysis& found = read.found;
  const function_facts& f = found.functions;
  for (const std::string* trace :
       {&f.user_code, &f.spread_user_code, &f.differs, &f.other_state, &f.session_state, &f.sequence, &f.pins}) {
    if (!trace->empty()) return false;
  }
  return found.uses.empty() && found.moments.empty() && !found.refusal && !found.not_understood && !found.into &&
         !found.locking && !f.notifies && !f.measures_shard && !f.designated && !f.needs_primary && !f.own_setting &&
         !f.listening_channels;
}

/// Whether something in a statement is another value at each call.
bool varies_by_row(const analysis& a) {
  return std::any_of(a.levels.begin(), a.levels.end(), [](const query_level& level) { return !level.by_row.empty(); });
}

/// A value that would be another one in each copy of a reference table.
bool varies_by_row(std::string_view expression, const plan_context& context) {
  const std::string text = "SELECT " + std::string{expression};
  const read_text read{text, context};
  return read.select() != nullptr && varies_by_row(read.found);
}

/// What stands between the commas of a row, without blanks around it.
std::vector<text_span> values_of(std::string_view text, const row_extent& row) {
  std::vector<text_span> out;
  std::size_t begin = row.begin + 1;
  int depth = 0;
  const auto end_value = [&](std::size_t end) {
    begin = skip_blanks(text, begin);
    while (end > begin && is_blank(text[end - 1])) --end;
    out.push_back({begin, end});
  };
  for (std::size_t at = begin; at + 1 < row.end;) {
    if (const std::size_t past = skip_quoted(text, at); past != at) {
      at = past;
      continue;
    }
    depth += text[at] == '(' || text[at] == '[' ? 1 : text[at] == ')' || text[at] == ']' ? -1 : 0;
    if (depth == 0 && text[at] == ',') {
      end_value(at);
      begin = at + 1;
    }
    ++at;
  }
  end_value(row.end - 1);
  return out;
}

/// DEFAULT VALUES outside of parentheses; nothing without them.
std::optional<text_span> default_values(std::string_view text) {
  std::size_t begin = std::string_view::npos;
  int depth = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (const std::size_t past = skip_quoted(text, at); past != at) {
      at = past;
    } else if (is_word_start(text[at])) {
      const std::size_t end = end_of_word(text, at);
      const std::string word = lower_word(text.substr(at, end - at));
      if (depth == 0 && word == "values" && begin != std::string_view::npos) return text_span{begin, end};
      begin = depth == 0 && word == "default" ? at : std::string_view::npos;
      at = end;
    } else {
      depth += text[at] == '(' ? 1 : text[at] == ')' ? -1 : 0;
      if (!is_blank(text[at])) begin = std::string_view::npos;
      ++at;
    }
  }
  return std::nullopt;
}

class draw_writer {
 public:
  draw_writer(const sql::insert_query& q, std::string_view text, const analysis& a, const table_use& use,
              const plan_context& context)
      : q_(q), text_(text), a_(a), use_(use), context_(context) {
    for (const column& c : use.table.described->columns) {
      if (std::find(a.drawn.begin(), a.drawn.end(), c.name) != a.drawn.end()) left_.push_back(&c);
    }
  }

  std::optional<drawing> write() {
    const bool moving = std::any_of(left_.begin(), left_.end(), [](const column* c) { return c->default_of_moment; });
    if (moving || q_.overriding_user) return std::nullopt;
    if (q_.source == nullptr ? !write_row_of_defaults() : !write_rows()) return std::nullopt;
    drawing out;
    if (!ask(out)) return std::nullopt;
    out.count = values_;
    out.text = edited(text_, 0, text_.size(), std::move(edits_));
    out.remembers = remembers_;
    out.keys = keys_;
    out.samples = std::move(samples_);
    return out;
  }

 private:
  std::string overriding() const {
    const bool always = std::any_of(left_.begin(), left_.end(), [](const column* c) { return c->identity && c->generated; });
    return always && !q_.overriding ? "OVERRIDING SYSTEM VALUE " : "";
  }

  bool write_row_of_defaults() {
    const auto place = default_values(text_);
    if (!place || left_.empty()) return false;
    std::string names, values;
    rows_.emplace_back();
    for (const column* c : left_) {
      names += (names.empty() ? "" : ", ") + quote_identifier(c->name);
      values += (values.empty() ? "" : ", ") + put(default_of(*c));
    }
    edits_.push_back({place->begin, place->end - place->begin, "(" + names + ") " + overriding() + "VALUES (" + values + ")"});
    return true;
  }

  bool write_rows() {
    const sql::select_query& source = *q_.source;
    const bool plain = !source.values.empty() && source.set_op == sql::set_operation::none && source.limit == nullptr &&
                       source.offset == nullptr && source.order_by.empty() && source.with.tables.empty();
    const std::vector<row_extent> rows = rows_of(text_);
    const std::size_t keyword = values_keyword(text_);
    if (!plain || rows.size() != source.values.size() || keyword == std::string_view::npos) return false;
    std::vector<std::string> named;
    if (!name_columns(source.values.front().size(), named)) return false;
    std::vector<const column*> more;
    for (const column* c : left_) {
      if (std::find(named.begin(), named.end(), c->name) == named.end()) more.push_back(c);
    }
    for (std::size_t r = 0; r < rows.size(); ++r) {
      if (!write_row(source.values[r], rows[r], named, more)) return false;
    }
    return write_names(keyword, named, more);
  }

  /// The columns that the values are for; without a list these are the first ones.
  bool name_columns(std::size_t given, std::vector<std::string>& named) const {
    for (const sql::target& t : q_.columns) {
      if (t.indirection) return false;
      named.push_back(t.name);
    }
    const std::vector<column>& columns = use_.table.described->columns;
    if (!q_.columns.empty()) return true;
    if (given > columns.size()) return false;
    for (std::size_t i = 0; i < given; ++i) named.push_back(columns[i].name);
    return true;
  }

  bool write_row(const std::vector<sql::expr_ptr>& values, const row_extent& row, const std::vector<std::string>& named,
                 const std::vector<const column*>& more) {
    std::vector<draw> draws;
    for (const column* c : left_) {
      const auto place = std::find(named.begin(), named.end(), c->name);
      if (place == named.end()) continue;
      const auto at = static_cast<std::size_t>(place - named.begin());
      if (at >= values.size() || values[at] == nullptr || values[at]->location < 0) return false;
      if (values[at]->kind == sql::expr_kind::default_) {
        draw value = default_of(*c);
        value.at = static_cast<std::size_t>(values[at]->location);
        value.length = std::string_view{"DEFAULT"}.size();
        draws.push_back(std::move(value));
      } else if (c->identity && c->generated && !q_.overriding) {
        return false;  // a server's own error
      }
    }
    for (const sql::expr* call : a_.draws) {
      if (call->location < static_cast<std::int32_t>(row.begin) || call->location >= static_cast<std::int32_t>(row.end)) continue;
      if (!add_call(*call, row.end, draws)) return false;
    }
    if (a_.key_unknown) add_keys(values, row, named, draws);
    if (a_.mirrored && varies_by_row(a_)) add_varying(values, row, named, draws);
    std::sort(draws.begin(), draws.end(), [](const draw& x, const draw& y) { return x.at < y.at; });
    rows_.emplace_back();
    for (const draw& d : draws) edits_.push_back({d.at, d.length, put(d)});
    std::string behind;
    for (const column* c : more) behind += ", " + put(default_of(*c));
    if (!behind.empty()) edits_.push_back({row.end - 1, 0, behind});
    return true;
  }

  /// Of the row that is being written; the text that takes its value.
  std::string put(const draw& d) {
    const std::string quote = d.sample.empty() ? "'" : "";
    rows_.back().push_back(d.expression);
    by_default_ = by_default_ && d.by_default;
    samples_.push_back(d.sample.empty() ? "1" : d.sample);
    return quote + mark(values_++) + quote + d.type;
  }

  /// A number of a sequence, or what else is another value each time.
  draw default_of(const column& c) const {
    if (!c.draws.empty()) return {0, 0, c.draws, "", {}, true};
    // As its column's type, without its length, to which a cast would cut it.
    const auto type = written_type(c.type, -1);
    const std::string value = type ? "((" + c.default_text + ")::" + *type + ")" : "(" + c.default_text + ")";
    const bool key =
        std::any_of(use_.keys.begin(), use_.keys.end(), [&](const key_column& k) { return k.stored == &c; });
    const auto form =
        std::find_if(key_forms.begin(), key_forms.end(), [&](const key_form& f) { return key && f.type == c.type; });
    return {0, 0, "pg_catalog.quote_nullable(" + as_text(value, c.type) + ")", "",
            form == key_forms.end() ? "'1'" : std::string{form->sample}};
  }

  /// Keys of a row whose values must be evaluated. What cannot be asked for by itself is left as it is.
  void add_keys(const std::vector<sql::expr_ptr>& values, const row_extent& row, const std::vector<std::string>& named,
                std::vector<draw>& draws) {
    const std::vector<text_span> texts = values_of(text_, row);
    for (const key_column& part : use_.keys) {
      const column& key = *part.stored;
      const auto place = std::find(named.begin(), named.end(), key.name);
      if (place == named.end()) continue;
      const auto at = static_cast<std::size_t>(place - named.begin());
      const sql::token_scan none;
      constant_marks unused{{}, none};
      const bool known = at >= values.size() || values[at] == nullptr ||
                         read_key_value(*values[at], key.type, *context_.schema, unused).has_value();
      if (!known) add_value(values, texts, at, key, draws);
    }
  }

  /// Values that every copy of a reference table would have to itself.
  void add_varying(const std::vector<sql::expr_ptr>& values, const row_extent& row,
                   const std::vector<std::string>& named, std::vector<draw>& draws) {
    const std::vector<text_span> texts = values_of(text_, row);
    for (const column& c : use_.table.described->columns) {
      const auto place = std::find(named.begin(), named.end(), c.name);
      const auto at = static_cast<std::size_t>(place - named.begin());
      if (at < texts.size() && varies_by_row(texts[at].of(text_), context_)) add_value(values, texts, at, c, draws);
    }
  }

  void add_value(const std::vector<sql::expr_ptr>& values, const std::vector<text_span>& texts, std::size_t at,
                 const column& stored, std::vector<draw>& draws) {
    const auto form =
        std::find_if(key_forms.begin(), key_forms.end(), [&](const key_form& f) { return f.type == stored.type; });
    // A subquery may name an entry of WITH.
    if (texts.size() != values.size() || a_.uses.size() != 1 || !q_.with.tables.empty() || form == key_forms.end() ||
        at >= values.size() || values[at] == nullptr || values[at]->kind == sql::expr_kind::default_)
      return;
    const text_span& span = texts[at];
    const bool draws_itself =
        std::any_of(draws.begin(), draws.end(), [&](const draw& d) { return d.at >= span.begin && d.at < span.end; });
    if (draws_itself || !parameters_in(span.of(text_)).empty() || !stands_alone(span.of(text_), context_)) return;
    keys_ = true;
    draws.push_back(
        {span.begin, span.end - span.begin,
         "pg_catalog.quote_nullable(" +
             as_text("((" + std::string{span.of(text_)} + "\n)::pg_catalog." + std::string{form->name} + ")",
                     stored.type) +
             ")",
         "", std::string{form->sample}});
  }

  /// A call in a row, of a sequence that is named by a constant.
  bool add_call(const sql::expr& call, std::size_t end, std::vector<draw>& draws) {
    const std::string& name = call.name.back();
    const bool plain = std::all_of(call.children.begin(), call.children.end(), [](const sql::expr_ptr& e) {
      const sql::expr* inner = e.get();
      if (inner != nullptr && inner->kind == sql::expr_kind::cast && inner->children.size() == 1) inner = inner->children[0].get();
      return inner != nullptr && inner->kind == sql::expr_kind::constant;
    });
    if (name == "setval" || !plain || call.filter != nullptr || call.over) return false;
    std::size_t open = 0;
    const auto place = call_at(text_, call.location, end, name, open);
    if (!place) return false;
    remembers_ = remembers_ || name != "nextval";
    ++calls_;
    draws.push_back({place->begin, place->end - place->begin, std::string{place->of(text_)}, "::pg_catalog.int8"});
    return true;
  }

  bool write_names(std::size_t keyword, const std::vector<std::string>& named, const std::vector<const column*>& more) {
    if (calls_ != a_.draws.size()) return false;  // one stands elsewhere
    std::string names;
    for (const column* c : more) names += ", " + quote_identifier(c->name);
    const std::string override = overriding();
    if (!q_.columns.empty()) {
      const auto end = end_of_columns(q_, text_);
      if (!end) return false;
      edits_.push_back({*end, 0, names});
    } else if (!more.empty()) {
      if (q_.overriding) return false;
      std::string list;
      for (const std::string& name : named) list += (list.empty() ? "" : ", ") + quote_identifier(name);
      edits_.push_back({keyword, 0, "(" + list + names + ") " + override});
      return true;
    }
    if (!override.empty()) edits_.push_back({keyword, 0, override});
    return true;
  }

  /// The question: one row for each of the statement's if all draw alike, else one row.
  bool ask(drawing& out) const {
    // A subquery in a key is one for each row.
    const bool alike =
        !keys_ && std::all_of(rows_.begin(), rows_.end(), [&](const auto& row) { return row == rows_.front(); });
    std::vector<std::string> asked;
    if (alike) {
      asked = rows_.front();
    } else {
      for (const auto& row : rows_) asked.insert(asked.end(), row.begin(), row.end());
    }
    if (asked.empty() || asked.size() > most_in_one_row) return false;
    for (const std::string& e : asked)
      out.sql += (out.sql.empty() ? "SELECT (" : ", (") + e + ")::pg_catalog.text";
    if (alike && by_default_ && asked.size() == 1) out.sequence = sequence_of(asked.front());
    if (alike && rows_.size() > 1)
      out.sql += " FROM pg_catalog.generate_series(1, " + std::to_string(rows_.size()) + ")";
    return true;
  }

  const sql::insert_query& q_;
  std::string_view text_;
  const analysis& a_;
  const table_use& use_;
  const plan_context& context_;
  std::vector<const column*> left_;  ///< columns that are left to sequences, in some row at least
  std::vector<text_edit> edits_;
  std::vector<std::vector<std::string>> rows_;  ///< of each row, what is drawn for it
  std::size_t values_ = 0, calls_ = 0;
  std::vector<std::string> samples_;
  bool remembers_ = false, keys_ = false, by_default_ = true;
};

/// Of the INSERT that is all of a text.
std::optional<drawing> draw_for(const sql::insert_query& q, std::string_view text, const analysis& a,
                                const plan_context& context) {
  // Numbers are drawn on the designated shard.
  if (!a.draws.empty()) {
    const bool here = home_of_sequences(a, context) == designated_shard;
    if (!here || (a.functions.last_drawn && sequences_elsewhere(context))) return std::nullopt;
  }
  const auto written =
      std::find_if(a.uses.begin(), a.uses.end(), [](const table_use& use) { return use.role == table_role::insert; });
  const auto writes =
      std::count_if(a.uses.begin(), a.uses.end(), [](const table_use& use) { return use.role != table_role::read; });
  if (context.map->one_shard() || writes != 1 || written == a.uses.end() || written->table.described == nullptr ||
      a.insert_source != nullptr || a.refusal || a.not_understood || text.find(moment_mark) != std::string_view::npos)
    return std::nullopt;
  const bool many = written->table.where == placement::sharded || written->table.where == placement::reference;
  const bool varies = a.mirrored && varies_by_row(a);
  // Each of its rows would need values of its own.
  if (q.source != nullptr && gives_sets(q.source->values, *context.schema)) return std::nullopt;
  if (!many || (a.drawn.empty() && a.draws.empty() && !a.key_unknown && !varies)) return std::nullopt;
  return draw_writer{q, text, a, *written, context}.write();
}

/// Of the one INSERT in a statement's WITH that must have something drawn.
std::optional<drawing> draw_in_with(const sql::statement& s, std::string_view text, const plan_context& context) {
  const sql::with_clause& with = *own_with(s);
  const auto bodies = with.recursive ? std::nullopt : bodies_of_with(text, with.tables.size());
  std::optional<drawing> out;
  for (std::size_t i = 0; bodies && i < bodies->size(); ++i) {
    if (with.tables[i].query == nullptr || with.tables[i].query->kind != sql::statement_kind::insert) continue;
    const std::string_view body = (*bodies)[i].of(text);
    const read_text read{body, context};
    if (read.statement() == nullptr || read.statement()->insert == nullptr) return std::nullopt;
    if (read.found.drawn.empty() && read.found.draws.empty()) continue;
    if (out) return std::nullopt;
    out = draw_for(*read.statement()->insert, body, read.found, context);
    if (!out) return std::nullopt;
    out->text.insert(0, text.substr(0, (*bodies)[i].begin)).append(text.substr((*bodies)[i].end));
  }
  return out;
}

}  // namespace

std::optional<drawing> make_drawing(const sql::statement& s, std::string_view text, const analysis& a,
                                    const plan_context& context) {
  if (text.find(moment_mark) != std::string_view::npos) return std::nullopt;
  if (writes_in_with(s)) return draw_in_with(s, text, context);
  return s.insert == nullptr ? std::nullopt : draw_for(*s.insert, text, a, context);
}

std::optional<drawing> plan_drawing(std::string_view text, const plan_context& context) {
  if (context.schema == nullptr) return std::nullopt;
  const read_text read{text, context};
  if (read.statement() == nullptr) return std::nullopt;
  return make_drawing(*read.statement(), text, read.found, context);
}

std::string with_any_values(const drawing& d) {
  return with_moments(d.text, d.samples);
}

drawing_query draw_beside(const std::vector<const column*>& columns) {
  drawing_query out{"SELECT pgbraid_rows.*", "\n) AS pgbraid_rows"};
  for (const column* c : columns) {
    const auto type = written_type(c->type, -1);
    const std::string value = type ? "((" + c->default_text + ")::" + *type + ")" : "(" + c->default_text + ")";
    out.prefix += ", " + (c->draws.empty() ? value : c->draws);
  }
  out.prefix += " FROM (";
  return out;
}

}  // namespace pgbraid::router
