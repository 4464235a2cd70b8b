#include "proxy/apply/script.hpp"

#include "router/plan/alone.hpp"
#include "router/plan/statements.hpp"
#include "router/plan/words.hpp"
#include "router/sql/parser.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

namespace pgbraid::proxy::apply {

namespace sql = router::sql;
using kind = sql::statement_kind;

namespace {

constexpr const char* no_data =
    "Take rows out of the file (pg_dump --schema-only) and load them through pgbraid, with psql's \\copy.";

bool copies_from_client(const sql::statement& s) {
  return s.kind == kind::copy && s.copy != nullptr && s.copy->from && !s.copy->program && s.copy->file.empty();
}

/// pg_dump's \restrict and \unrestrict keep psql from running commands of its own in between. They stand for themselves
/// on a line, and where the parser meets them they are no part of a string.
bool take_out_restriction(std::string& text, const sql::parse_failure& failure) {
  if (failure.position <= 0) return false;
  const std::size_t at = byte_of_character(text, static_cast<std::size_t>(failure.position));
  const std::string_view rest = std::string_view{text}.substr(std::min(at, text.size()));
  if (!rest.starts_with("\\restrict ") && !rest.starts_with("\\unrestrict ")) return false;
  if (at > 0 && text[at - 1] != '\n') return false;
  for (std::size_t i = at; i < text.size() && text[i] != '\n'; ++i) text[i] = ' ';
  return true;
}

/// The text was not taken: because of data behind a COPY, of a command of psql's, or because it is wrong.
line_report why_not_parsed(std::string_view text, const sql::parse_failure& failure) {
  const std::size_t at =
      std::min(byte_of_character(text, static_cast<std::size_t>(std::max(failure.position, 0))), text.size());
  line_report report{failure.position > 0 ? line_at(text, at) : 0, failure.message, {}, {}, "42601", {}};
  if (failure.position <= 0) return report;
  const std::size_t end = text.substr(0, at).rfind(';');
  if (end != std::string_view::npos) {
    const sql::parse_result before = sql::parse(text.substr(0, end));
    const auto* statements = std::get_if<std::vector<sql::statement>>(&before);
    if (statements != nullptr && !statements->empty() && copies_from_client(statements->back())) {
      const auto begin = static_cast<std::size_t>(statements->back().location);
      return {line_at(text, router::skip_blanks(text, begin)),
              "COPY FROM STDIN has no place in a schema",
              {},
              no_data,
              "0A000",
              {}};
    }
  }
  if (at < text.size() && text[at] == '\\') {
    const std::size_t word = std::min(text.find_first_of(" \t\r\n", at), text.size());
    return {report.line,
            "\"" + std::string{text.substr(at, word - at)} + "\" is a command of psql's, which only psql knows",
            {},
            "Take the line out of the file.",
            "42601",
            {}};
  }
  return report;
}

/// Takes the statements of a file in their order.
class grouping {
 public:
  explicit grouping(std::string_view text) : text_(text) {}

  void take(sql::statement tree) {
    const auto begin = static_cast<std::size_t>(tree.location);
    const std::string_view own = text_.substr(begin, static_cast<std::size_t>(tree.length));
    script_statement s{statement_class::planned, std::string{own}, line_at(text_, router::skip_blanks(text_, begin)),
                       std::move(tree)};
    switch (s.tree.kind) {
      case kind::empty:
        return;
      case kind::begin:
      case kind::commit:
        return boundary(s);
      case kind::rollback:
      case kind::savepoint:
      case kind::release:
      case kind::rollback_to:
      case kind::prepare_transaction:
      case kind::commit_prepared:
      case kind::rollback_prepared:
      case kind::set_transaction:
      case kind::set_session_characteristics:
        return refuse(s, " is not taken from a file", "Of transactions it may have BEGIN and COMMIT alone.");
      case kind::copy:
        if (copies_from_client(s.tree)) return refuse(s, " FROM STDIN has no place in a schema", no_data);
        return add(std::move(s));
      case kind::set:
      case kind::set_local:
      case kind::reset:
      case kind::set_constraints:
        s.kind = statement_class::setting;
        return add(std::move(s));
      case kind::explain:
      case kind::show:
      case kind::discard:
      case kind::prepare:
      case kind::execute:
      case kind::deallocate:
      case kind::declare_cursor:
      case kind::fetch:
      case kind::close_cursor:
      case kind::listen:
      case kind::unlisten:
      case kind::notify:
      case kind::load:
      case kind::checkpoint:
        return refuse(s, " neither defines nor changes anything", "Take it out of the file.");
      default:
        break;
    }
    if (sets_search_path(s.tree)) s.kind = statement_class::setting;
    if (router::runs_alone(s.tree, own)) s.kind = statement_class::alone;
    add(std::move(s));
  }

  script finish() {
    if (block_) out_.errors.push_back({*block_, "this BEGIN has no COMMIT", {}, {}, "25P01", {}});
    return std::move(out_);
  }

 private:
  /// SELECT pg_catalog.set_config('search_path', '', false), with which dumps begin.
  static bool sets_search_path(const sql::statement& s) {
    if (s.kind != kind::select || s.select == nullptr || s.select->targets.size() != 1 || !s.select->from.empty())
      return false;
    const sql::expr* call = s.select->targets.front().value.get();
    return call != nullptr && call->kind == sql::expr_kind::call && !call->name.empty() &&
           call->name.back() == "set_config" && call->children.size() == 3 && call->children[0] != nullptr &&
           call->children[0]->text == "search_path" && call->children[1] != nullptr &&
           call->children[1]->kind == sql::expr_kind::constant && call->children[2] != nullptr &&
           call->children[2]->constant == sql::constant_kind::boolean && call->children[2]->text == "false";
  }

  void refuse(const script_statement& s, std::string_view why, const char* hint) {
    out_.errors.push_back({s.line, router::tag_of(s.tree) + std::string{why}, {}, hint, "0A000", {}});
  }

  void boundary(const script_statement& s) {
    const bool begins = s.tree.kind == kind::begin;
    if (!(s.tree.modes == sql::transaction_modes{}))
      return refuse(s, " with options is not taken from a file", "Leave the options out.");
    if (begins == block_.has_value()) {
      out_.errors.push_back({s.line,
                             begins ? "BEGIN within a transaction" : "COMMIT without BEGIN",
                             {},
                             {},
                             begins ? "25001" : "25P01",
                             {}});
      return;
    }
    block_ = begins ? std::optional{s.line} : std::nullopt;
    open_ = false;
  }

  void add(script_statement s) {
    const bool alone = s.kind == statement_class::alone;
    if (alone && block_) {
      out_.errors.push_back({s.line,
                             router::tag_of(s.tree) + " cannot run in a transaction",
                             {},
                             "Put it behind the COMMIT of the BEGIN on line " + std::to_string(*block_) + ".",
                             "25001",
                             {}});
      return;
    }
    if (alone || !open_) out_.groups.push_back({out_.statements.size(), 0, alone});
    ++out_.groups.back().count;
    open_ = !alone;
    out_.statements.push_back(std::move(s));
  }

  std::string_view text_;
  script out_;
  std::optional<std::size_t> block_;  ///< the line of a BEGIN that has not been committed
  bool open_ = false;                 ///< the last group takes more
};

}  // namespace

std::size_t line_at(std::string_view text, std::size_t offset) noexcept {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  return 1 + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
}

std::size_t byte_of_character(std::string_view text, std::size_t position) noexcept {
  std::size_t at = 0;
  for (std::size_t left = position; left > 1 && at < text.size(); --left) {
    for (++at; at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;) ++at;
  }
  return at;
}

std::size_t line_of(const script_statement& s, std::size_t position) noexcept {
  if (position == 0) return s.line;
  // A comment may stand before the first word.
  const std::size_t first = line_at(s.text, router::skip_blanks(s.text, 0));
  return s.line - first + line_at(s.text, byte_of_character(s.text, position));
}

std::string summary_of(std::string_view text) {
  constexpr std::size_t longest = 72;
  std::string out;
  std::size_t at = router::skip_blanks(text, 0);
  for (; at < text.size() && out.size() < longest; ++at) {
    const bool blank = router::is_blank(text[at]);
    if (!blank || out.back() != ' ') out.push_back(blank ? ' ' : text[at]);
  }
  if (at < text.size()) {
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xc0) == 0x80) out.pop_back();
    out.pop_back();
    out += "...";
  }
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

script read_script(std::string_view given) {
  script out;
  std::string text{given};
  if (const std::size_t zero = text.find('\0'); zero != std::string::npos) {
    out.errors.push_back({line_at(text, zero), "a zero byte", {}, {}, "42601", {}});
    return out;
  }
  sql::parse_result parsed = sql::parse(text);
  while (const auto* failure = std::get_if<sql::parse_failure>(&parsed)) {
    if (take_out_restriction(text, *failure)) {
      parsed = sql::parse(text);
      continue;
    }
    out.errors.push_back(why_not_parsed(text, *failure));
    return out;
  }
  grouping groups{text};
  for (sql::statement& s : std::get<std::vector<sql::statement>>(parsed)) groups.take(std::move(s));
  return groups.finish();
}

}  // namespace pgbraid::proxy::apply
