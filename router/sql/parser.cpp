// parse(): runs PostgreSQL's raw parser in a memory context of its own and reads what it built.
#include "router/sql/parser.hpp"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "router/sql/raw_tree.hpp"

namespace pgbraid::router::sql {
namespace {

/// All that the parser allocates lives in here, so that it goes in one step whatever happens.
class parser_memory {
 public:
  parser_memory() : context_(pg_query_enter_memory_context()) {}
  ~parser_memory() { pg_query_exit_memory_context(context_); }
  parser_memory(const parser_memory&) = delete;
  parser_memory& operator=(const parser_memory&) = delete;

 private:
  MemoryContext context_;
};

/// The raw parser's answer; its error and message buffer are malloc'ed and are ours to free.
class raw_parse {
 public:
  explicit raw_parse(const std::string& text) : result_(pg_query_raw_parse(text.c_str())) {}
  ~raw_parse() {
    if (result_.error != nullptr) pg_query_free_error(result_.error);
    free(result_.stderr_buffer);
  }
  raw_parse(const raw_parse&) = delete;
  raw_parse& operator=(const raw_parse&) = delete;

  [[nodiscard]] const PgQueryError* error() const { return result_.error; }
  [[nodiscard]] const List* statements() const { return result_.tree; }

 private:
  PgQueryInternalParsetreeAndError result_;
};

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/// PostgreSQL counts what stands between two semicolons as the later statement's; a client means the text that begins
/// after the blanks.
void place(const RawStmt& node, std::string_view text, statement& out) {
  std::size_t begin = node.stmt_location > 0 ? static_cast<std::size_t>(node.stmt_location) : 0;
  const std::size_t end = node.stmt_len > 0 ? begin + static_cast<std::size_t>(node.stmt_len) : text.size();
  while (begin < end && is_blank(text[begin])) ++begin;
  out.location = static_cast<std::int32_t>(begin);
  out.length = static_cast<std::int32_t>(end - begin);
}

parse_failure failure_of(const PgQueryError& error) {
  parse_failure failure;
  failure.message = raw::text_of(error.message);
  failure.position = error.cursorpos > 0 ? error.cursorpos : 0;
  // The grammar's own stack has a fixed limit (bison's "memory exhausted"): nothing is wrong with the text.
  failure.too_complex = failure.message.starts_with("memory exhausted") ||
                        failure.message.starts_with("stack depth limit exceeded") ||
                        failure.message.starts_with("out of memory");
  return failure;
}

}  // namespace

parse_result parse(std::string_view text) {
  // Offsets are 32-bit in the tree; PostgreSQL itself takes no more than 1 GB.
  if (text.size() >= 0x3fffffff) return parse_failure{"statement is too long to parse", 0, true};
  const std::string terminated(text);
  const parser_memory memory;
  const raw_parse parsed(terminated);
  if (parsed.error() != nullptr) return failure_of(*parsed.error());

  std::vector<statement> statements;
  raw::reader reader;
  const raw::list_view<RawStmt> nodes(parsed.statements());
  statements.reserve(nodes.size());
  for (const RawStmt* node : nodes) {
    statements.push_back(reader.read_statement(node->stmt));
    if (reader.too_deep()) return parse_failure{"statement is nested too deeply", 0, true};
    place(*node, text, statements.back());
  }
  return statements;
}

void release_parser_of_this_thread() noexcept {
  // libpg_query frees the thread's context in a hook of its own when the thread ends, and does not notice when
  // pg_query_exit() did so before: the hook would free it again, and a later parse would use what is gone.
}

}  // namespace pgbraid::router::sql
