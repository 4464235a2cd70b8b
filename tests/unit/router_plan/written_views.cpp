// Writes through views, which each shard carries out by itself.
#include <catch2/catch.hpp>

#include "fixture.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

/// customers by other names.
struct views : writing_world {
  views() {
    add("members", "SELECT c.id AS member, c.name AS title FROM public.customers c WHERE (c.balance > (0)::numeric)",
        {"public.customers"}, {"member", "title"}, {"id", "name"});
  }

  void add(const std::string& name, const std::string& definition, std::vector<std::string> reads,
           const std::vector<std::string>& columns, const std::vector<std::string>& stored) {
    relation view;
    view.schema = "public";
    view.name = name;
    view.kind = 'v';
    view.view_read_safe = true;
    view.view_relations = std::move(reads);
    view.definition = definition;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      for (const column& c : schema.relations["public.customers"].columns) {
        if (c.name == stored[i]) view.columns.push_back(c);
      }
      view.columns.back().name = columns[i];
    }
    schema.relations["public." + name] = std::move(view);
  }

  relation& view(const std::string& name) { return schema.relations["public." + name]; }
};

const std::string update = "UPDATE members SET title = 'x' WHERE member = 5";

}  // namespace

TEST_CASE("a view goes where its rows' keys say", "[views]") {
  views w;
  const std::string all = "shards s0, s1, s2, s3 (primary)";
  CHECK(w.told(update) == w.told("UPDATE customers SET name = 'x' WHERE id = 5"));
  CHECK(w.told("UPDATE members m SET title = 'x' WHERE m.member = 5") == w.told(update));
  CHECK(w.told("UPDATE members SET title = 'x'") == w.told("UPDATE customers SET name = 'x'"));
  CHECK(w.told("DELETE FROM members WHERE title = 'x'") == w.told("DELETE FROM customers WHERE name = 'x'"));
  CHECK(w.told("INSERT INTO members VALUES (5, 'x')") == w.told("INSERT INTO customers VALUES (5, 'x')"));
  CHECK(w.told("INSERT INTO members (title, member) VALUES ('x', 5), ('y', 6), ('z', 7)") ==
        w.told("INSERT INTO customers (name, id) VALUES ('x', 5), ('y', 6), ('z', 7)"));
  CHECK(w.told("UPDATE members SET title = 'x' FROM orders o WHERE o.customer_id = member") ==
        w.told("UPDATE customers SET name = 'x' FROM orders o WHERE o.customer_id = customers.id"));
  const plan_ptr made = w.make(update).plan;
  CHECK(made->writes == std::vector<std::string>{"public.members", "public.customers"});
  CHECK(made->writes_more);
}

TEST_CASE("a view of a view", "[views]") {
  views w;
  w.add("above", "SELECT m.title, m.member AS id FROM public.members m", {"public.members", "public.customers"},
        {"title", "id"}, {"name", "id"});
  CHECK(w.told("DELETE FROM above WHERE id = 5") == w.told("DELETE FROM customers WHERE id = 5"));
  w.view("members").writes_spread = true;
  CHECK(w.told("DELETE FROM above WHERE id = 5").starts_with("refused:"));
}

TEST_CASE("views of which nothing is proved", "[views]") {
  const auto refused = [](auto&& change) {
    views w;
    change(w);
    return w.told(update).starts_with("refused:");
  };
  const auto defined = [&](const std::string& definition) {
    return refused([&](views& w) { w.view("members").definition = definition; });
  };
  CHECK_FALSE(refused([](views&) {}));
  CHECK(refused([](views& w) { w.view("members").writes_spread = true; }));
  CHECK(refused([](views& w) { w.view("members").view_read_safe = false; }));
  CHECK(refused([](views& w) { w.view("members").columns[1].has_default = true; }));
  CHECK(refused([](views& w) { w.view("members").view_relations.emplace_back("public.countries"); }));
  CHECK(refused([](views& w) { w.map.schemas["public"] = 0; }));
  CHECK(refused([](views& w) { w.schema.relations["public.customers"].user_code = {"audit"}; }));
  CHECK(refused([](views& w) { w.schema.relations["public.customers"].unenforced = {"unique constraint \"x\""}; }));
  for (const std::string definition : {"SELECT DISTINCT c.id, c.name FROM public.customers c",
                                       "SELECT c.id, upper(c.name) AS title FROM public.customers c",
                                       "SELECT c.name, c.id FROM public.customers c",
                                       "SELECT c.id, c.name FROM public.customers c LIMIT 5",
                                       "SELECT c.id, c.name FROM public.customers c WHERE c.created < now()",
                                       "SELECT c.id, c.name FROM ONLY public.customers c",
                                       "SELECT c.id, c.name FROM public.customers c(id, name)",
                                       "SELECT c.id, c.name FROM public.customers c, public.countries d",
                                       "SELECT c.id, c.name FROM public.customers c TABLESAMPLE system (5)",
                                       "SELECT c.id, c.name FROM public.customers c UNION ALL SELECT 1, 'x'"})
    CHECK(defined(definition));
  views w;
  CHECK(w.told("UPDATE members SET member = member + 1").starts_with("refused:"));
  CHECK(w.told("WITH x AS (UPDATE customers SET name = 'x') " + update).starts_with("refused:"));
}

TEST_CASE("columns that a view does not show", "[views]") {
  views w;
  auto& columns = w.schema.relations["public.customers"].columns;
  column& created = columns.back();
  REQUIRE(created.name == "created");
  created.default_varies = created.default_of_moment = true;
  created.default_text = "now()";
  const auto keys = keys_on(w.map, 1, 1);
  const std::string one = "INSERT INTO members VALUES (" + std::to_string(keys[0]) + ", 'x')";
  const std::string other = ", (" + std::to_string(keys_on(w.map, 2, 1)[0]) + ", 'y')";
  CHECK(w.told(one) == "shard s1 (primary)");
  CHECK(w.told(one + other).starts_with("refused:"));
  created.draws = "nextval('s')";
  CHECK(w.told(one).starts_with("refused:"));
  CHECK_FALSE(w.told(update).starts_with("refused:"));
}
