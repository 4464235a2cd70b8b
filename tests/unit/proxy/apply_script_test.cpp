// A file's statements, their lines and groups, and what is refused of it before anything is planned.
#include "proxy/apply/script.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace pgbraid::proxy::apply {
namespace {

/// "3:6+2" for a transaction of two statements on lines 3 and 6, "9!" for one that runs alone.
std::vector<std::string> groups_of(std::string_view text) {
  const script file = read_script(text);
  REQUIRE(file.errors.empty());
  std::vector<std::string> out;
  for (const statement_group& group : file.groups) {
    std::string shown;
    for (std::size_t i = group.first; i < group.first + group.count; ++i) {
      shown += (shown.empty() ? "" : " ") + std::to_string(file.statements[i].line);
    }
    out.push_back(shown + (group.alone ? "!" : ""));
  }
  return out;
}

line_report error_of(std::string_view text) {
  const script file = read_script(text);
  REQUIRE(file.errors.size() == 1);
  return file.errors.front();
}

using lines = std::vector<std::string>;

TEST_CASE("statements of one transaction, by the lines of their first words") {
  CHECK(groups_of("").empty());
  CHECK(groups_of("-- nothing\n;;\n").empty());
  CHECK(groups_of("CREATE TABLE a (x int); CREATE TABLE b (x int)\n;\n") == lines{"1 1"});
  CHECK(groups_of("-- dump\n\nSET x.y = 1;\n-- a\n/* b\n */ CREATE TABLE a\n (x int);\r\nDROP TABLE\nb") ==
        lines{"3 6 8"});
}

TEST_CASE("semicolons that end no statement") {
  CHECK(groups_of("CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;\n"
                  "CREATE FUNCTION g() RETURNS int LANGUAGE plpgsql AS $$ BEGIN\n RETURN 1; END $$;\n"
                  "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM u; DELETE FROM v);\n"
                  "COMMENT ON TABLE t IS 'a;\nb';DROP TABLE \"x;y\"") == lines{"1 2 4 5 6"});
}

TEST_CASE("what cannot run in a transaction is a group of its own") {
  CHECK(groups_of(
            "CREATE TABLE a (x int);\nCREATE INDEX CONCURRENTLY i ON a (x);\nVACUUM a;\nDROP TABLE b;\nDROP TABLE c;\n"
            "DROP INDEX CONCURRENTLY i;\nREINDEX TABLE a;\nANALYZE;\nCREATE INDEX j ON a (x);") ==
        lines{"1", "2!", "3!", "4 5", "6!", "7!", "8!", "9"});
}

TEST_CASE("the file's own transactions") {
  CHECK(groups_of("DROP TABLE a;\nBEGIN;\nDROP TABLE b;\nDROP TABLE c;\nCOMMIT;\nDROP TABLE d;\nSTART "
                  "TRANSACTION;\nDROP TABLE e;\nEND;") == lines{"1", "3 4", "6", "8"});
  CHECK(groups_of("BEGIN; COMMIT;").empty());
  CHECK(error_of("BEGIN;\nDROP TABLE a;").line == 1);
  CHECK(error_of("DROP TABLE a;\nCOMMIT;").sqlstate == "25P01");
  CHECK(error_of("BEGIN;\nBEGIN;\nCOMMIT;").sqlstate == "25001");
  CHECK(error_of("BEGIN ISOLATION LEVEL SERIALIZABLE;\nDROP TABLE a;").line == 1);
  CHECK(error_of("DROP TABLE a;\nROLLBACK;").line == 2);
  CHECK(error_of("DROP TABLE a;\nSAVEPOINT s;").line == 2);
  const line_report inside = error_of("BEGIN;\nVACUUM;\nCOMMIT;");
  CHECK(inside.line == 2);
  CHECK(inside.sqlstate == "25001");
}

TEST_CASE("what only psql knows") {
  const line_report command = error_of("DROP TABLE a;\n\\connect shop\nDROP TABLE b;");
  CHECK(command.line == 2);
  CHECK(command.message.find("\"\\connect\"") != std::string::npos);
  for (const char* data : {"1\tO'Brien", "\\.", "foo;bar", "\"quoted"}) {
    INFO(data);
    const line_report copy =
        error_of(std::string{"DROP TABLE a;\n-- rows\nCOPY a (x, y) FROM stdin;\n"} + data + "\n\\.\n");
    CHECK(copy.line == 3);
    CHECK(copy.hint.find("\\copy") != std::string::npos);
  }
  CHECK(error_of("COPY a FROM STDIN").line == 1);
}

TEST_CASE("the restriction of dumps") {
  CHECK(groups_of("\\restrict abc\n\nDROP TABLE a;\nCOMMENT ON TABLE b IS '\n\\restrict x';\n\\unrestrict abc\n") ==
        lines{"3 4"});
  CHECK(error_of("\\restrict abc\nDROP TABLE a;\n\\unrestrict abc\n\\connect b\n").line == 4);
  CHECK(error_of("DROP TABLE a; \\restrict abc\n").line == 1);
}

TEST_CASE("mistakes and what has no place in a schema") {
  const line_report syntax = error_of("DROP TABLE a;\n\nCREATE TABEL x;\n");
  CHECK(syntax.line == 3);
  CHECK(syntax.sqlstate == "42601");
  CHECK(error_of("-- \xc3\xa4\xc3\xb6\xc3\xbc\n-- \xc3\xa4\nDROP;").line == 3);
  CHECK(error_of("SELECT 1;\nSELECT 'a").line == 2);
  CHECK(error_of(std::string_view{"SELECT 1;\n\0", 11}).line == 2);
  CHECK(error_of("LISTEN a").sqlstate == "0A000");
  CHECK(read_script("SHOW a;\nFETCH b;\nPREPARE c AS SELECT 1;").errors.size() == 3);
}

TEST_CASE("settings") {
  const script file = read_script(
      "SET a.b = 1; SELECT pg_catalog.set_config('search_path', '', false); SELECT set_config('a.b', '', false); RESET "
      "ALL; SELECT set_config('search_path', '', true)");
  REQUIRE(file.statements.size() == 5);
  CHECK(file.statements[4].kind == statement_class::planned);
  CHECK(file.statements[0].kind == statement_class::setting);
  CHECK(file.statements[1].kind == statement_class::setting);
  CHECK(file.statements[2].kind == statement_class::planned);
  CHECK(file.statements[3].kind == statement_class::setting);
}

TEST_CASE("a server's position is a line of the file") {
  const script file = read_script("\n-- \xc3\xa4\n/* two\n lines */ CREATE TABLE a (\n  x int,\n  y strange)");
  const script_statement& s = file.statements.front();
  CHECK(s.line == 4);
  CHECK(line_of(s, 0) == 4);
  const std::size_t characters = s.text.find("strange") - 1;  // one character of two bytes stands before
  CHECK(line_of(s, characters + 1) == 6);
}

TEST_CASE("a statement in short") {
  CHECK(summary_of(" -- comment\n CREATE  TABLE\n\ta (x int)") == "CREATE TABLE a (x int)");
  const std::string shortened = summary_of("CREATE TABLE " + std::string(100, 'a'));
  CHECK(shortened.size() < 80);
  CHECK(shortened.ends_with("..."));
  CHECK(summary_of("") == "");
}

}  // namespace
}  // namespace pgbraid::proxy::apply
