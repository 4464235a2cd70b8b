// From rows to one catalog for all shards: settings, views, and what the shards disagree on.
#include "proxy/cluster/catalog_merge.hpp"
#include "proxy/cluster/catalog_rows.hpp"
#include "proxy/cluster/definition_walk.hpp"
#include "proxy/cluster/view_safety.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

using namespace pgbraid;
using namespace pgbraid::proxy;

namespace {

pg_row row(std::vector<const char*> values) {
  pg_row out;
  for (const char* v : values) out.push_back(v == nullptr ? std::nullopt : std::optional<std::string>(v));
  out.resize(std::max<std::size_t>(out.size(), 15));  // as many as the longest question asks for
  return out;
}

catalog_answers small() {
  catalog_answers a;
  a.schemas = {row({"public"}), row({"pg_catalog"})};
  a.relations = {row({"16400", "public", "orders", "r", "p", "f", "t"}), row({"16410", "public", "scratch", "r", "u", "t", "f"}),
                 row({"1259", "pg_catalog", "pg_class", "r", "p", "f", "f"})};
  a.columns = {row({"16400", "customer_id", "23", "-1", "t", "f", "f", nullptr, "f", "f", "t", "f"}),
               row({"16400", "state", "16500", "-1", "t", "t", "f", nullptr, "t", "f", "t", "f", "lower('NEW')"}),
               row({"16400", "total", "1700", "655366", "t", "f", "t", "1700", "f", "f", "t", "f"}),
               row({"99999", "lost", "23", "-1", "t", "f", "f", nullptr, "f", "f", "t", "f"})};
  a.functions = {row({"lower", "f", "f", "f", "f", "f", "f", "t"}), row({"random", "t", "f", "f", "f", "f", "f", "t"}),
                 row({"count", "f", "f", "f", "t", "f", "f", "t"}), row({"mine", "f", "t", "t", "f", "f", "t", "f"})};
  a.operators = {row({"=~", "t", "t", "t"}), row({"<->", "t", "f", "f"})};
  a.types = {row({"16500", "public", "mood", nullptr}), row({"16501", "public", "_mood", "16500"})};
  a.collations = {row({"german"})};
  a.user_casts = {row({"f"})};
  return a;
}

view_facts view(std::string definition) {
  return {std::move(definition), {}};
}

router::catalog with_views(const view_map& views) {
  router::catalog content = read_catalog(small()).content;
  for (const auto& [name, facts] : views) {
    router::relation& r = content.relations[name];
    r.schema = name.substr(0, name.find('.'));
    r.name = name.substr(name.find('.') + 1);
    r.kind = 'v';
  }
  judge_views(content, views);
  return content;
}

router::relation judged(const std::string& definition) {
  return with_views({{"public.v", view(definition)}}).relations.find("public.v")->second;
}

}  // namespace

TEST_CASE("SQL functions that read no table are like built-in ones") {
  catalog_answers a = small();
  a.functions = {row({"lower", "f", "f", "f", "f", "f", "f", "t"}), row({"random", "t", "f", "f", "f", "f", "f", "t"})};
  const auto add = [&](const char* name, const char* provable, const char* body) {
    a.functions.push_back(row({name, "t", "f", "t", "f", "f", "f", "f", "t"}));
    const bool standard = std::string_view{body}.starts_with("CREATE");
    a.bodies.push_back(row({name, provable, "sql", body, "", "", standard ? "t" : "f"}));
  };
  add("plain", "t", "SELECT lower($1) || 'x'");
  add("outer", "t", "SELECT inner_one($1)");
  add("inner_one", "t", "SELECT plain($1)");
  add("returns", "t",
      "CREATE OR REPLACE FUNCTION public.returns(a text)\n RETURNS text\n LANGUAGE sql\nRETURN lower(a)\n");
  add("atomic", "t",
      "CREATE OR REPLACE FUNCTION public.atomic()\n RETURNS text\n LANGUAGE sql\nBEGIN ATOMIC\n SELECT "
      "lower('X'::text) AS lower;\nEND\n");
  add("returns_count", "t",
      "CREATE OR REPLACE FUNCTION public.returns_count()\n RETURNS bigint\n LANGUAGE sql\nRETURN (SELECT count(*) FROM "
      "orders)\n");
  add("atomic_twice", "t",
      "CREATE OR REPLACE FUNCTION public.atomic_twice()\n LANGUAGE sql\nBEGIN ATOMIC\n SELECT 1;\n DELETE FROM "
      "orders;\nEND\n");
  add("misleads", "t",
      "CREATE OR REPLACE FUNCTION public.misleads(a text DEFAULT '\nRETURN 1'::text)\n LANGUAGE sql\nRETURN reads()\n");
  a.functions.push_back(row({"total_of", "t", "f", "t", "f", "f", "f", "f", "t"}));
  a.bodies.push_back(row({"total_of", "f", "c_like", "x"}));
  add("attribute", "t", "SELECT ($1).total_of");
  add("qualified_attribute", "t", "SELECT o.total_of FROM (SELECT $1 AS o) s");
  add("number_of_table", "t", "SELECT 'orders'::regclass::oid");
  add("word_of_time", "t", "SELECT timestamp ' Today '");
  add("time_in_dollars", "t", "SELECT $q$NOW$q$::timestamp");
  a.functions.push_back(row({"pretends", "t", "f", "t", "f", "f", "f", "f", "t"}));
  a.bodies.push_back(
      row({"pretends", "t", "sql", "CREATE OR REPLACE FUNCTION g() RETURNS int LANGUAGE sql\nRETURN 1", "", "", "f"}));
  add("reads", "t", "SELECT count(*) FROM orders");
  add("calls_reads", "t", "SELECT reads()");
  add("draws", "t", "SELECT random()");
  add("tells_time", "t", "SELECT CURRENT_DATE - $1");
  add("several", "t", "SELECT 1; SELECT 2");
  add("writes", "t", "WITH x AS (DELETE FROM orders RETURNING 1) SELECT 1");
  add("broken", "t", "SELEC 1");
  add("operator_of_mine", "t", "SELECT 1 =~ 2");
  add("spoken", "f", "SELECT 1");
  add("mixed", "t", "SELECT 1");
  a.bodies.push_back(row({"mixed", "f", "plpgsql", "BEGIN RETURN 1; END", "", "() RETURNS int"}));
  const auto user_code = [&](const std::string& name) { return read_catalog(a).content.functions.find(name)->second.any_user_code; };
  for (const char* name : {"plain", "outer", "inner_one", "returns", "atomic"}) {
    INFO(name);
    CHECK_FALSE(user_code(name));
    CHECK_FALSE(read_catalog(a).content.functions.find(name)->second.any_volatile);
  }
  for (const char* name : {"attribute", "qualified_attribute", "number_of_table", "word_of_time", "time_in_dollars",
                           "pretends", "returns_count", "atomic_twice", "misleads", "reads", "calls_reads", "draws",
                           "tells_time", "several", "writes", "broken", "operator_of_mine", "spoken", "mixed"}) {
    INFO(name);
    CHECK(user_code(name));
  }
  a.user_casts = {row({"t"})};
  CHECK(user_code("plain"));
}

TEST_CASE("functions in PL/pgSQL that only compute are like built-in ones") {
  catalog_answers a = small();
  a.functions = {row({"lower", "f", "f", "f", "f", "f", "f", "t"}), row({"random", "t", "f", "f", "f", "f", "f", "t"}),
                 row({"count", "f", "f", "f", "t", "f", "f", "t"})};
  const auto add = [&](const char* name, const char* body, const char* signature = "(n int, s int) RETURNS int",
                       const char* defaults = "") {
    a.functions.push_back(row({name, "t", "f", "t", "f", "f", "f", "f", "t"}));
    a.bodies.push_back(row({name, "t", "plpgsql", body, defaults, signature}));
  };
  add("computes", "DECLARE t int := 0; BEGIN FOR i IN 1..n LOOP t := t + i; END LOOP; RETURN t; END");
  add("chooses",
      "BEGIN IF n > 1 THEN RETURN lower(s); ELSIF n = 0 THEN RAISE EXCEPTION 'no % of %', n, s; ELSE RETURN NULL; END "
      "IF; END");
  add("cases",
      "BEGIN CASE n WHEN 1, 2 THEN RETURN 1; ELSE RETURN computes(n, 1); END CASE; EXCEPTION WHEN division_by_zero "
      "THEN RETURN 0; END");
  add("walks",
      "DECLARE e int; BEGIN FOREACH e IN ARRAY n LOOP EXIT WHEN e > 3; CONTINUE; END LOOP; WHILE false LOOP NULL; END "
      "LOOP; RETURN e; END");
  add("sets", "BEGIN RETURN NEXT n; RETURN NEXT s; END", "(n int, s int) RETURNS SETOF int");
  add("gives_out", "BEGIN s := n; END", "(n int, s int) RETURNS void");
  add("with_default", "BEGIN RETURN n; END", "(n int) RETURNS int", "lower('X'), 3");
  add("asks", "BEGIN RETURN (SELECT count(*) FROM orders); END");
  add("asks_without_select", "DECLARE t int; BEGIN t := count(*) FROM orders; RETURN t; END");
  add("asks_below", "BEGIN IF EXISTS (SELECT 1 FROM orders) THEN RETURN 1; END IF; RETURN 0; END");
  add("asks_at_first", "DECLARE t int := (SELECT count(*) FROM orders); BEGIN RETURN t; END");
  add("asks_as_place", "DECLARE t int[]; BEGIN t[(SELECT count(*) FROM orders)] := 1; RETURN 1; END");
  add("selects_into", "DECLARE t int; BEGIN SELECT 1 INTO t; RETURN t; END");
  add("writes", "BEGIN DELETE FROM orders; RETURN 1; END");
  add("performs", "BEGIN PERFORM asks(1, 2); RETURN 1; END");
  add("calls_asks", "BEGIN RETURN asks(1, 2); END");
  add("executes", "BEGIN EXECUTE 'DELETE FROM orders'; RETURN 1; END");
  add("loops_over_rows", "DECLARE r record; BEGIN FOR r IN SELECT * FROM orders LOOP NULL; END LOOP; RETURN 1; END");
  add("has_cursor", "DECLARE c CURSOR FOR SELECT * FROM orders; BEGIN RETURN 1; END");
  add("queries", "BEGIN RETURN QUERY SELECT 1; END", "() RETURNS SETOF int");
  add("draws", "BEGIN RETURN random(); END");
  add("speaks", "BEGIN RAISE NOTICE 'now'; RETURN 1; END");
  add("commits", "BEGIN COMMIT; RETURN 1; END");
  add("tells_time", "BEGIN RETURN CURRENT_DATE; END");
  add("broken", "BEGIN RETURN 1");
  add("no_definition", "BEGIN RETURN 1; END", "garbage");
  add("asks_by_default", "BEGIN RETURN n; END", "(n int) RETURNS int", "asks(1, 2)");
  const router::catalog content = read_catalog(a).content;
  for (const char* name : {"computes", "chooses", "cases", "walks", "sets", "gives_out", "with_default"}) {
    INFO(name);
    CHECK_FALSE(content.functions.find(name)->second.any_user_code);
    CHECK_FALSE(content.functions.find(name)->second.any_volatile);
  }
  for (const char* name : {"asks",
                           "asks_without_select",
                           "asks_below",
                           "asks_at_first",
                           "asks_as_place",
                           "selects_into",
                           "writes",
                           "performs",
                           "calls_asks",
                           "executes",
                           "loops_over_rows",
                           "has_cursor",
                           "queries",
                           "draws",
                           "speaks",
                           "commits",
                           "tells_time",
                           "broken",
                           "no_definition",
                           "asks_by_default"}) {
    INFO(name);
    CHECK(content.functions.find(name)->second.any_user_code);
    CHECK(content.functions.find(name)->second.any_volatile);
  }
}

TEST_CASE("triggers that look at nothing but their row are known for what they do to it") {
  catalog_answers a = small();
  a.functions = {
      row({"now", "f", "t", "f", "f", "f", "f", "t"}),     row({"current_database", "f", "t", "f", "f", "f", "f", "t"}),
      row({"lower", "f", "f", "f", "f", "f", "f", "t"}),   row({"random", "t", "f", "f", "f", "f", "f", "t"}),
      row({"nextval", "t", "f", "f", "f", "f", "f", "t"}), row({"count", "f", "f", "f", "t", "f", "f", "t"})};
  const auto judged = [&](const char* body) {
    a.row_triggers = {row({"public.t", body, "plpgsql"})};
    const auto& found = read_catalog(a).row_triggers;
    return found.empty() ? std::optional<row_trigger>{} : found.begin()->second;
  };
  const auto touched = judged("BEGIN NEW.updated_at = now(); NEW.words := lower(NEW.title); RETURN NEW; END");
  REQUIRE(touched);
  CHECK(touched->assigned == std::set<std::string, std::less<>>{"updated_at", "words"});
  CHECK(touched->told_time);
  CHECK_FALSE(touched->whole_row);
  CHECK_FALSE(touched->by_chance);
  const auto chance =
      judged("BEGIN IF TG_OP = 'INSERT' AND NEW.token IS NULL THEN NEW.token := random(); END IF; RETURN NEW; END");
  REQUIRE(chance);
  CHECK(chance->by_chance);
  CHECK_FALSE(chance->told_time);
  const auto refuses =
      judged("BEGIN IF NEW.a IS DISTINCT FROM OLD.a THEN RAISE EXCEPTION 'no'; END IF; RETURN NULL; END");
  REQUIRE(refuses);
  CHECK(refuses->assigned.empty());
  const auto by_old = judged("BEGIN OLD.customer_id := OLD.customer_id + 1; RETURN OLD; END");
  REQUIRE(by_old);
  CHECK(by_old->assigned.contains("customer_id"));
  const auto other = judged("BEGIN NEW := OLD; RETURN NEW; END");
  REQUIRE(other);
  CHECK(other->whole_row);
  a.row_triggers = {row({"public.moddatetime", "moddatetime", "c"}), row({"public.autoinc", "autoinc", "c"}),
                    row({"gis.moves", "moves", "c"})};
  const auto in_c = read_catalog(a).row_triggers;
  CHECK(in_c.size() == 2);
  CHECK(in_c.at("public.moddatetime").told_time);
  CHECK(in_c.at("public.autoinc").whole_row);
  for (const char* body :
       {"BEGIN INSERT INTO log VALUES (NEW.id); RETURN NEW; END", "BEGIN NEW.n := nextval('s'); RETURN NEW; END",
        "DECLARE r record; BEGIN r := NEW; RETURN r; END", "BEGIN RETURN ROW(1, 2); END",
        "BEGIN NEW.n := (SELECT count(*) FROM orders); RETURN NEW; END", "BEGIN PERFORM now(); RETURN NEW; END",
        "DECLARE new orders := OLD; BEGIN RETURN new; END", "BEGIN NEW.rel := TG_RELID; RETURN NEW; END",
        "BEGIN NEW.base := current_database(); RETURN NEW; END", "BEGIN NEW.at := 'NOW'; RETURN NEW; END",
        "BEGIN NEW.at := $q$ today $q$; RETURN NEW; END"}) {
    INFO(body);
    CHECK_FALSE(judged(body));
  }
}

TEST_CASE("rows become a catalog") {
  const shard_catalog shard = read_catalog(small());
  const router::catalog& c = shard.content;
  const router::relation* orders = c.find_relation("public", "orders");
  REQUIRE(orders != nullptr);
  CHECK(orders->id == 16400);
  REQUIRE(orders->columns.size() == 3);
  CHECK(orders->columns[1].has_default);
  CHECK(orders->columns[1].default_text == "lower('NEW')");
  CHECK(orders->columns[0].default_text.empty());
  CHECK(orders->columns[2].modifier == 655366);
  CHECK(orders->columns[2].generated);
  CHECK_FALSE(orders->columns[2].identity);
  CHECK(orders->columns[0].draws.empty());
  CHECK(c.find_relation("public", "scratch")->persistence == 'u');
  CHECK(c.find_relation("public", "scratch")->row_security);
  CHECK_FALSE(orders->row_security);
  CHECK(orders->columns[0].default_collation);
  CHECK(orders->columns[1].base_type == 0);
  CHECK(orders->columns[2].base_type == 1700);
  CHECK(c.functions.find("random")->second.any_volatile);
  CHECK(c.functions.find("mine")->second.any_user_code);
  CHECK(c.functions.find("mine")->second.any_set_returning);
  CHECK(c.functions.find("count")->second.any_aggregate);
  CHECK(c.user_operators.contains("<->"));
  CHECK_FALSE(c.volatile_operators.contains("<->"));
  CHECK(c.volatile_operators.contains("=~"));
  CHECK(c.user_types.contains("mood"));
  CHECK(c.user_collations.contains("german"));
  CHECK_FALSE(c.user_casts);
  CHECK(shard.types.at(16501).parts == std::vector<router::oid>{16500});
}

TEST_CASE("what is drawn from a sequence says from which") {
  catalog_answers a = small();
  a.columns.push_back(row({"16400", "id", "20", "-1", "t", "t", "t", nullptr, "t", "f", "t", "f", nullptr, "t", "nextval('public.s'::regclass)"}));
  const shard_catalog shard = read_catalog(a);
  const router::column& id = shard.content.find_relation("public", "orders")->columns.back();
  CHECK(id.identity);
  CHECK(id.draws == "nextval('public.s'::regclass)");
  CHECK(id.default_text.empty());
}

TEST_CASE("constraints come a column to a row") {
  catalog_answers a = small();
  a.constraints = {row({"public.orders", "p", "pk", "customer_id", nullptr, nullptr, nullptr, "1", ""}),
                   row({"public.orders", "p", "pk", "id", nullptr, nullptr, nullptr, "2", ""}),
                   // Two partitions of one table, each with a constraint of that name.
                   row({"public.orders", "u", "u", "a", nullptr, nullptr, nullptr, "1", ""}),
                   row({"public.orders", "u", "u", "b", nullptr, nullptr, nullptr, "1", ""}),
                   row({"public.orders", "i", "x", nullptr, nullptr, nullptr, nullptr, "1", ""})};
  const auto found = read_catalog(a).constraints;
  REQUIRE(found.size() == 4);
  CHECK(found[0].parts.size() == 2);
  CHECK(found[1].parts[0].column == "a");
  CHECK(found[2].parts[0].column == "b");
  CHECK_FALSE(found[3].parts[0].column);
  CHECK(found[3].peculiar.empty());
  a.constraints.back()[8] = "is partial";
  CHECK(read_catalog(a).constraints[3].peculiar == "is partial");
}

TEST_CASE("defaults follow PostgreSQL's precedence") {
  catalog_answers a = small();
  a.server_settings = {row({"default_transaction_isolation", "serializable", "read committed"}),
                       row({"default_transaction_read_only", "on", "off"}),
                       row({"search_path", "app, public", "\"$user\", public"})};
  SECTION("the server's own") {
    const auto c = read_catalog(a).content;
    CHECK(c.default_isolation.at("") == "serializable");
    CHECK(c.default_read_only.at(""));
    CHECK(c.default_search_path.at("") == "app, public");
  }
  SECTION("database before server, role in database before role") {
    a.role_settings = {row({"", "t", "default_transaction_isolation=repeatable read", "f"}),
                       row({"app", "t", "search_path=in_db", "f"}), row({"app", "f", "search_path=anywhere", "f"}),
                       row({"ro", "f", "default_transaction_read_only=yes", "f"}),
                       row({"rw", "f", "default_transaction_read_only=0", "f"})};
    const auto c = read_catalog(a).content;
    CHECK(c.default_isolation.at("") == "repeatable read");
    CHECK(c.default_search_path.at("app") == "in_db");
    CHECK(c.default_read_only.at("ro"));
    CHECK_FALSE(c.default_read_only.at("rw"));
  }
  SECTION("what is set for the monitor's role alone is nobody else's default") {
    a.role_settings = {row({"postgres", "f", "default_transaction_isolation=serializable", "t"})};
    const auto c = read_catalog(a).content;
    CHECK(c.default_isolation.at("") == "read committed");
    CHECK(c.default_isolation.at("postgres") == "serializable");
    CHECK(c.default_read_only.at(""));
  }
}

TEST_CASE("array literals survive any name") {
  CHECK(array_literal({}) == "{}");
  CHECK(array_literal({"public.a", "odd.\"x\\y\""}) == R"({"public.a","odd.\"x\\y\""})");
}

TEST_CASE("views that only read") {
  using list = std::vector<std::string>;
  CHECK(judged("SELECT o.state FROM public.orders o WHERE lower(o.state::text) = 'x'").view_read_safe);
  CHECK(judged("SELECT 1 AS one").view_relations.empty());
  CHECK(judged("SELECT c.relname FROM pg_class c").view_relations == list{"pg_catalog.pg_class"});
  CHECK(judged("SELECT a.x FROM (SELECT o.state AS x FROM public.orders o) a JOIN app.items i ON (i.x = a.x)")
            .view_relations == list{"app.items", "public.orders"});
  CHECK(judged("WITH w AS (SELECT o.state FROM public.orders o) SELECT w.state FROM w").view_relations ==
        list{"public.orders"});
  CHECK(judged("WITH RECURSIVE w AS (SELECT 1 AS n UNION ALL SELECT w.n + 1 FROM w) SELECT w.n FROM w")
            .view_relations.empty());
  CHECK(judged("SELECT 1 AS a UNION ALL SELECT count(*) FROM public.orders").view_relations == list{"public.orders"});
  CHECK(judged("SELECT EXISTS (SELECT 1 FROM public.orders) AS e").view_relations == list{"public.orders"});
  // A common table of an outer query is no relation; one of an inner query is not known outside.
  CHECK(judged(
            "SELECT (WITH pg_class AS (SELECT 1 AS x) SELECT pg_class.x FROM pg_class) AS a, c.relname FROM pg_class c")
            .view_relations == list{"pg_catalog.pg_class"});
}

TEST_CASE("views that do more than read") {
  CHECK_FALSE(judged("SELECT random() AS r").view_read_safe);
  CHECK_FALSE(judged("SELECT o.state FROM public.orders o FOR UPDATE").view_read_safe);
  CHECK_FALSE(judged("SELECT unheard_of(1) AS r").view_read_safe);
  CHECK_FALSE(judged("SELECT 1 AS a ORDER BY (random())").view_read_safe);
  CHECK_FALSE(judged("SELECT count(*) FILTER (WHERE (random() > 0.5)) AS n FROM public.orders").view_read_safe);
  CHECK_FALSE(judged("SELECT r.r FROM LATERAL random() r(r)").view_read_safe);
  CHECK_FALSE(judged("SELECT (1 OPERATOR(public.=~) 2) AS x").view_read_safe);
  const router::relation broken = judged("SELECT FROM WHERE");
  CHECK_FALSE(broken.view_read_safe);
  CHECK(broken.view_relations == std::vector<std::string>{not_understood});
}

TEST_CASE("views are judged all the way down") {
  view_map views;
  views["public.inner"] = view("SELECT random() AS r, o.state FROM public.orders o");
  views["public.outer"] = view("SELECT i.r FROM public.inner i");
  views["public.fine"] = view("SELECT o.state FROM public.orders o");
  views["public.over"] = view("SELECT f.state FROM public.fine f");
  views["public.over"].functions = {{"public.helper", false, true}};
  views["public.top"] = view("SELECT o.state FROM public.over o");
  views["public.sly"] = view("SELECT o.state FROM public.orders o");
  views["public.sly"].functions = {{"public.cast_it", true, true}};
  const router::catalog c = with_views(views);
  const auto of = [&](const char* name) { return *c.find_relation("public", name); };
  CHECK_FALSE(of("outer").view_read_safe);
  CHECK(of("outer").view_relations == std::vector<std::string>{"public.inner", "public.orders"});
  CHECK(of("over").view_read_safe);
  CHECK(of("top").view_relations == std::vector<std::string>{"public.fine", "public.orders", "public.over"});
  CHECK(of("top").user_code == std::vector<std::string>{"public.helper"});
  CHECK_FALSE(of("sly").view_read_safe);  // what the text does not show, pg_depend does
}

TEST_CASE("the shards' catalogs become one") {
  router::topology map;
  map.shards = {"s0", "s1"};
  map.tables = {{"public.orders", {{"customer_id"}}}};
  map.reference_tables = {"public.countries"};
  catalog_answers second = small();
  const auto merged = [&] {
    return merge_catalogs(
        {std::make_shared<shard_catalog>(read_catalog(small())), std::make_shared<shard_catalog>(read_catalog(second))},
        map);
  };
  const auto warned = [](const merged_catalog& m, const char* words) {
    return std::any_of(m.warnings.begin(), m.warnings.end(),
                       [&](const auto& w) { return w.find(words) != std::string::npos; });
  };
  SECTION("alike") {
    CHECK(merged().warnings.empty());
    CHECK_FALSE(merged().content.find_relation("public", "orders")->types_differ);
    CHECK(merged().content.types.empty());
  }
  SECTION("functions are as bad as on the worst shard") {
    second.functions[0] = row({"lower", "t", "f", "t", "f", "f", "f", "f"});
    const auto m = merged();
    CHECK(m.content.functions.find("lower")->second.any_volatile);
    CHECK(m.content.functions.find("lower")->second.any_user_code);
    CHECK_FALSE(m.content.functions.find("lower")->second.pg_catalog_only);
  }
  SECTION("a trigger on one shard is a trigger") {
    second.user_code = {row({"public.orders", "trigger \"t\"", "public.f", "f", nullptr, "f"})};
    CHECK(merged().content.find_relation("public", "orders")->user_code == std::vector<std::string>{"public.f"});
  }
  SECTION("a missing table") {
    second.relations.erase(second.relations.begin());
    CHECK(warned(merged(), "public.orders does not exist on shard s1"));
  }
  SECTION("other columns") {
    second.columns[0] = row({"16400", "customer_id", "20", "-1", "t", "f", "f", nullptr, "f", "f", "t", "f"});
    CHECK(warned(merged(), "columns of public.orders"));
  }
  SECTION("types of other OIDs") {
    second.types = {row({"16600", "public", "mood", nullptr}), row({"16501", "public", "_mood", "16600"})};
    second.columns[1] = row({"16400", "state", "16600", "-1", "t", "t", "f", nullptr, "f", "f", "t", "f"});
    const auto m = merged();
    CHECK(m.warnings.empty());  // the column's type has the same name
    CHECK_FALSE(m.content.find_relation("public", "orders")->types_differ);
    CHECK(m.content.find_relation("public", "orders")->types_renumbered);
    REQUIRE(m.content.types.size() == 2);
    CHECK(m.content.types[0] == router::type_numbers{});
    CHECK(m.content.types[1] == router::type_numbers{{{16600, 16500}}, {{16500, 16600}}});
  }
  SECTION("a type inside a type") {
    catalog_answers first = small();
    first.columns[1] = second.columns[1] = row({"16400", "state", "16501", "-1", "t", "t", "f", nullptr, "f", "f", "t", "f"});
    second.types = {row({"16600", "public", "mood", nullptr}), row({"16501", "public", "_mood", "16600"})};
    const auto m = merge_catalogs(
        {std::make_shared<shard_catalog>(read_catalog(first)), std::make_shared<shard_catalog>(read_catalog(second))},
        map);
    CHECK(m.content.find_relation("public", "orders")->types_differ);
    CHECK(m.content.find_relation("public", "orders")->types_differ_detail.find("16600") != std::string::npos);
  }
  SECTION("a domain is described as its base type") {
    catalog_answers first = small();
    first.columns[1] = second.columns[1] = row({"16400", "state", "16500", "-1", "t", "t", "f", "1700", "f", "f", "t", "f"});
    second.types = {row({"16600", "public", "mood", nullptr})};
    const auto m = merge_catalogs(
        {std::make_shared<shard_catalog>(read_catalog(first)), std::make_shared<shard_catalog>(read_catalog(second))},
        map);
    CHECK_FALSE(m.content.find_relation("public", "orders")->types_differ);
  }
  SECTION("the primary key of a sharded table") {
    catalog_answers first = small();
    first.constraints = {row({"public.orders", "p", "orders_pkey", "customer_id", nullptr, nullptr, nullptr, "1", ""}),
                         row({"public.orders", "p", "orders_pkey", "total", nullptr, nullptr, nullptr, "2", ""}),
                         row({"public.orders", "u", "other", "state", nullptr, nullptr, nullptr, "1", ""})};
    const auto m = merge_catalogs({std::make_shared<shard_catalog>(read_catalog(first)), nullptr}, map);
    CHECK(m.content.find_relation("public", "orders")->primary_key == std::vector<std::string>{"customer_id", "total"});
    CHECK(m.content.find_relation("public", "orders")->unique_keys == std::vector<std::vector<std::string>>{{"customer_id", "total"}, {"state"}});
  }
  SECTION("the primary key of a reference table, and no other") {
    map.tables.erase("public.orders");
    map.reference_tables.insert("public.orders");
    catalog_answers first = small();
    first.constraints = {row({"public.orders", "p", "orders_pkey", "customer_id", nullptr, nullptr, nullptr, "1", ""}),
                         row({"public.orders", "u", "other", "state", nullptr, nullptr, nullptr, "1", ""})};
    const auto m = merge_catalogs({std::make_shared<shard_catalog>(read_catalog(first)), nullptr}, map);
    CHECK(m.content.find_relation("public", "orders")->primary_key == std::vector<std::string>{"customer_id"});
    CHECK(m.content.find_relation("public", "orders")->unique_keys.empty());
  }
  SECTION("a shard that was not read yet says nothing") {
    const auto m = merge_catalogs({std::make_shared<shard_catalog>(read_catalog(small())), nullptr}, map);
    CHECK(m.warnings.empty());
  }
  SECTION("an unsharded table is described by the shard where it lives") {
    map.unsharded = {{"public.flags", 1}};
    second.relations.push_back(row({"17000", "public", "flags", "r", "p", "f", "f"}));
    second.columns.push_back(row({"17000", "on_", "16", "-1", "t", "f", "f", nullptr, "f", "f", "t", "f"}));
    CHECK(merged().content.find_relation("public", "flags")->columns.size() == 1);
  }
}
