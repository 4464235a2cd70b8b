// Keys of several columns: what ties all of them, what joins them, and whose rows they are.
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/copy/copy_splitter.hpp"
#include "router/plan/planner.hpp"
#include "router/shard/hash.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

column named(const char* name, oid type) {
  column c;
  c.name = name;
  c.type = type;
  return c;
}

// sales by (tenant, region), its lines the other way round in the table; orders by one column as ever.
struct composite_world : world {
  composite_world() : world(4) {
    schema.single_writer.clear();
    add("sales", {named("tenant", type_oid::text), named("region", type_oid::int4), named("amount", type_oid::numeric)});
    add("lines", {named("place", type_oid::int8), named("item", type_oid::text), named("owner", type_oid::text)});
    map.tables["public.sales"] = {{"tenant", "region"}};
    map.tables["public.lines"] = {{"owner", "place"}};
  }
  void add(const char* name, std::vector<column> columns) {
    relation r;
    r.schema = "public";
    r.name = name;
    r.columns = std::move(columns);
    schema.relations["public." + r.name] = r;
  }
  [[nodiscard]] std::string home(const std::string& tenant, const std::string& region) const {
    return "shard s" + std::to_string(owner(tenant, region));
  }
  [[nodiscard]] shard_index owner(const std::string& tenant, const std::string& region) const {
    const std::vector<key_value> key{{tenant, type_oid::text}, {region, type_oid::int4}};
    return owner_of_key(map, key, {}, nullptr).shard;
  }
  // A region of `tenant` on another shard than that of region 1.
  [[nodiscard]] std::string elsewhere(const std::string& tenant) const {
    int region = 2;
    while (owner(tenant, std::to_string(region)) == owner(tenant, "1")) ++region;
    return std::to_string(region);
  }
};

}  // namespace

TEST_CASE("a key of several columns is hashed as PARTITION BY HASH does", "[composite]") {
  // 'ann', 1: hash_combine64 of both columns' hashes, seeded as partbounds.c does.
  const std::uint64_t ann = partition_hash_text(type_oid::text, -1, 0, "ann", "UTC").value();
  const std::uint64_t one = partition_hash_text(type_oid::int4, -1, 0, "1", "UTC").value();
  CHECK(combined_hash(0, ann) == ann);
  CHECK(combined_hash(ann, one) == (ann ^ (one + (ann << 54) + (ann >> 7))));
  CHECK(combined_hash(ann, one) != combined_hash(one, ann));
}

TEST_CASE("all columns of a key must be tied", "[composite]") {
  const composite_world w;
  const std::string one = w.home("ann", "1") + " (replica allowed)";
  const std::string all = "shards s0, s1, s2, s3 concatenated (replica allowed)";
  check(w, {
               {"SELECT * FROM sales WHERE tenant = 'ann' AND region = 1", one},
               {"SELECT * FROM sales WHERE (tenant, region) = ('ann', 1)", one},
               {"SELECT * FROM sales WHERE (region, tenant) IN ((1, 'ann'))", one},
               {"SELECT * FROM sales s (a, b) WHERE b = 1 AND a = 'ann'", one},
               {"SELECT * FROM sales s (region, tenant) WHERE region = 'ann' AND tenant = 1", one},
               {"SELECT * FROM sales WHERE region IN (1) AND tenant = ANY ('{ann}') AND amount > 5", one},
               {"SELECT sum(amount) FROM sales WHERE tenant = 'ann' AND region = 1", one},
               {"SELECT * FROM sales WHERE tenant = 'ann'", all},
               {"SELECT * FROM sales WHERE region = 1", all},
               {"SELECT * FROM sales WHERE tenant = 'ann' OR region = 1", all},
               {"SELECT * FROM sales WHERE (tenant, region) IN (('ann', 1), ('ann'))", all},
               {"DELETE FROM sales WHERE tenant = 'ann' AND region = 1", w.home("ann", "1") + " (primary)"},
               {"UPDATE sales SET amount = 1 WHERE tenant = 'ann' AND region = 1", w.home("ann", "1") + " (primary)"},
           });
  CHECK(w.told("SELECT * FROM sales WHERE tenant = $1 AND region = $2", {text_parameter("ann"), text_parameter("1")}) == one);
}

TEST_CASE("combinations of several values", "[composite]") {
  const composite_world w;
  const std::string other = w.elsewhere("ann");
  const auto both = [&] {
    std::vector<shard_index> shards{w.owner("ann", "1"), w.owner("ann", other)};
    std::sort(shards.begin(), shards.end());
    return "shards s" + std::to_string(shards[0]) + ", s" + std::to_string(shards[1]) + " concatenated (replica allowed)";
  }();
  check(w, {
               {"SELECT * FROM sales WHERE tenant = 'ann' AND region IN (1, " + other + ")", both},
               {"SELECT * FROM sales WHERE tenant = 'ann' AND region = ANY ('{1," + other + ",NULL}')", both},
               {"SELECT * FROM sales WHERE tenant = 'ann' AND region IN (1, NULL)", w.home("ann", "1") + " (replica allowed)"},
               {"SELECT * FROM sales WHERE tenant = 'ann' AND region = NULL", "shard s0 (replica allowed)"},
               {"SELECT * FROM sales WHERE tenant = 'ann' AND region = 'x'", "shards s0, s1, s2, s3 concatenated (replica allowed)"},
           });
  // More than can be looked at: as if there was no condition.
  std::string many = "'{0";
  for (int i = 1; i < 5000; ++i) many += "," + std::to_string(i);
  CHECK(w.told("SELECT * FROM sales WHERE tenant = 'ann' AND region = ANY (" + many + "}')") ==
        "shards s0, s1, s2, s3 concatenated (replica allowed)");
}

TEST_CASE("tables are joined on all columns of their keys", "[composite]") {
  const composite_world w;
  const std::string one = w.home("ann", "1") + " (replica allowed)";
  const std::string all = "shards s0, s1, s2, s3 concatenated (replica allowed)";
  const std::string gathered = "shards s0, s1, s2, s3 gathered (replica allowed)";
  check(w, {
               {"SELECT * FROM sales s JOIN lines l ON l.owner = s.tenant AND l.place = s.region", all},
               {"SELECT * FROM sales s JOIN lines l ON (l.owner, l.place) = (s.tenant, s.region)", all},
               {"SELECT * FROM sales s LEFT JOIN lines l ON l.owner = s.tenant AND l.place = s.region", all},
               {"SELECT * FROM sales s JOIN sales t USING (tenant, region)", all},
               {"SELECT * FROM sales s NATURAL JOIN sales t", all},
               {"SELECT * FROM sales s JOIN sales t USING (tenant)", gathered},
               {"SELECT * FROM sales s JOIN lines l ON l.owner = s.tenant", gathered},
               // Each column by another table: all the same.
               {"SELECT * FROM sales s JOIN lines l ON l.owner = s.tenant JOIN sales t ON t.region = l.place AND t.tenant = s.tenant AND s.region = l.place", all},
               {"SELECT * FROM sales s JOIN lines l ON l.owner = s.tenant AND l.place = s.region WHERE s.tenant = 'ann' AND s.region = 1", one},
               // What ties one table's column ties its equal.
               {"SELECT * FROM sales s JOIN lines l ON l.owner = s.tenant WHERE s.tenant = 'ann' AND s.region = 1 AND l.place = 1", one},
               {"SELECT * FROM sales s JOIN lines l ON l.owner = s.tenant AND l.place = s.region WHERE s.tenant = 'ann' AND l.place = 1", one},
               {"SELECT * FROM sales s LEFT JOIN lines l ON l.owner = s.tenant AND l.place = 1 WHERE s.tenant = 'ann' AND s.region = 1", one},
               {"SELECT * FROM sales s LEFT JOIN lines l ON l.owner = s.tenant AND l.place = s.region WHERE l.owner = 'ann' AND s.region = 1", all},
               {"SELECT (SELECT item FROM lines l WHERE l.owner = s.tenant AND l.place = s.region) FROM sales s", gathered},
               {"SELECT * FROM sales s WHERE EXISTS (SELECT FROM lines l WHERE l.owner = s.tenant)", gathered},
               // One column's equal is no key of two.
               {"SELECT * FROM orders o JOIN lines l ON l.place = o.customer_id", gathered},
           });
}

TEST_CASE("rows go where all columns of their key say", "[composite]") {
  const composite_world w;
  const std::string other = w.elsewhere("ann");
  const auto both = [&] {
    std::vector<shard_index> shards{w.owner("ann", "1"), w.owner("ann", other)};
    std::sort(shards.begin(), shards.end());
    return "shards s" + std::to_string(shards[0]) + ", s" + std::to_string(shards[1]) + ", each with its own rows (primary)";
  }();
  check(w, {
               {"INSERT INTO sales VALUES ('ann', 1, 5)", w.home("ann", "1") + " (primary)"},
               {"INSERT INTO sales (amount, region, tenant) VALUES (5, 1, 'ann')", w.home("ann", "1") + " (primary)"},
               {"INSERT INTO lines VALUES (1, 'pen', 'ann')", w.home("ann", "1") + " (primary)"},
               {"INSERT INTO sales VALUES ('ann', 1, 5), ('ann', " + other + ", 6)", both},
               {"INSERT INTO sales VALUES ('ann', NULL, 5)", "refused: null value for the sharding key \"region\"..."},
               {"INSERT INTO sales (tenant, amount) VALUES ('ann', 5)", "refused: null value for the sharding key \"region\"..."},
               {"INSERT INTO sales DEFAULT VALUES", "refused: null value for the sharding key \"tenant\"..."},
               {"INSERT INTO sales SELECT 'ann', 1, 5", w.home("ann", "1") + " (primary)"},
               {"INSERT INTO sales SELECT tenant, region, amount + 1 FROM sales", "shards s0, s1, s2, s3 together (primary)"},
               {"INSERT INTO sales SELECT owner, place, 1 FROM lines", "shards s0, s1, s2, s3 together (primary)"},
               {"INSERT INTO sales SELECT tenant, 7, amount FROM sales", "shards s0, s1, s2, s3 together (primary)"},
               {"UPDATE sales SET region = 2 WHERE tenant = 'ann' AND region = 1", "shards s0, s1, s2, s3 together (primary)"},
               {"UPDATE sales SET region = region", "shards s0, s1, s2, s3 together (primary)"},
               {"INSERT INTO sales VALUES ('ann', 1, 5) ON CONFLICT (tenant, region) DO UPDATE SET region = excluded.region", w.home("ann", "1") + " (primary)"},
               {"INSERT INTO sales VALUES ('ann', 1, 5) ON CONFLICT (tenant, region) DO UPDATE SET region = 3", "refused: ..."},
               {"/* pgbraid: key=ann */ SELECT * FROM sales", "refused: ..."},
               {"/* pgbraid: shard=s1 */ UPDATE sales SET tenant = 'x'", "refused: ..."},
           });
  CHECK(w.make("INSERT INTO sales SELECT tenant, region, amount + 1 FROM sales").plan->staged == false);
  CHECK(w.make("INSERT INTO sales SELECT tenant, 7, amount FROM sales").plan->staged);
  CHECK(w.make("INSERT INTO sales SELECT region::text, region, amount FROM sales").plan->staged);
  CHECK(w.make("UPDATE sales SET region = 2").plan->staged);
}

TEST_CASE("a parameter is read as its first place reads it", "[composite]") {
  composite_world w;
  w.add("coded", {named("code", type_oid::bpchar), named("name", type_oid::text)});
  w.add("ranged", {named("id", type_oid::int8), named("what", type_oid::text)});
  w.map.tables["public.coded"] = {{"code", "name"}};
  w.map.tables["public.ranged"] = {{"id"}, shard_function::range};
  w.map.ranges.parts = {{0, std::nullopt, "100"}, {1, "100", std::nullopt}};
  const std::string all = "shards s0, s1, s2, s3 concatenated (replica allowed)";
  // As char(n) its trailing blanks mean nothing, as text they do.
  CHECK(w.told("SELECT * FROM coded WHERE code = $1 AND name = $1", {text_parameter("ab  ")}) == all);
  CHECK(w.told("INSERT INTO coded VALUES ($1, 'x'), ('y', $1)", {text_parameter("ab  ")}).substr(0, 8) == "refused:");
  CHECK(w.told("SELECT * FROM sales WHERE tenant = $1 AND region = $2", {text_parameter("ann"), text_parameter("1")}) ==
        w.home("ann", "1") + " (replica allowed)");
  // Eight bytes are those of the column that the parameter is compared with, whichever table's group it makes.
  const std::string joined =
      "SELECT * FROM sales s JOIN lines l ON l.owner = s.tenant AND l.place = s.region WHERE s.tenant = $1 AND ";
  const bound_parameter wide{std::string_view{"\0\0\0\0\0\0\0\1", 8}, false, true, 0},
      narrow{std::string_view{"\0\0\0\1", 4}, false, true, 0};
  CHECK(w.told(joined + "l.place = $2", {text_parameter("ann"), wide}) == w.home("ann", "1") + " (replica allowed)");
  CHECK(w.told(joined + "s.region = $2", {text_parameter("ann"), narrow}) == w.home("ann", "1") + " (replica allowed)");
  CHECK(w.told("SELECT * FROM sales s JOIN lines l ON l.owner = s.tenant AND l.place = s.region WHERE s.tenant = 'ann' "
               "AND l.place = '5000000000'")
            .substr(0, 8) != "refused:");
  CHECK(w.told("SELECT * FROM notes n JOIN ranged r ON r.id = n.customer_id WHERE n.customer_id = $1", {narrow})
            .substr(0, 8) != "refused:");
}

TEST_CASE("a key made of two rows' columns is refused", "[composite]") {
  composite_world w;
  const std::string sql = "INSERT INTO sales VALUES ('ann', 2, 7) ON CONFLICT (amount) DO UPDATE SET ";
  w.schema.relations["public.sales"].unenforced = {"unique constraint \"x\" does not contain the sharding key"};
  w.map.accept_unenforced = {"public.sales"};
  const std::string home = w.home("ann", "2") + " (primary)";
  check(w, {
               {sql + "region = excluded.region", "refused: ..."},
               {sql + "region = excluded.region, tenant = excluded.tenant", home},
               {sql + "region = sales.region", home},
           });
}

TEST_CASE("tables tied themselves come before those that are equal to them", "[composite]") {
  const composite_world w;
  const auto told = [&](const std::string& sql) { return w.told(sql); };
  CHECK(told("INSERT INTO sales SELECT owner, place, 1 FROM lines WHERE owner = 'a' AND place IN (1, 2, 3, 4, 5, 6)")
            .find(" together") != std::string::npos);
  CHECK_FALSE(
      w.make("INSERT INTO sales SELECT owner, place, 1 FROM lines WHERE owner = 'a' AND place IN (1, 2, 3, 4, 5, 6)")
          .plan->staged);
  CHECK(told("SELECT * FROM lines l RIGHT JOIN sales s ON l.owner = s.tenant AND l.place = s.region WHERE s.tenant = "
             "'ann' AND s.region IN (1, 2, 3, 4, 5, 6)")
            .find("concatenated") != std::string::npos);
}

TEST_CASE("copied rows have keys of several columns", "[composite]") {
  const composite_world w;
  const literal_context literals;
  const auto split = [&](std::string_view copy, std::string_view data) {
    const auto layout = w.make(copy).plan->copy;
    REQUIRE(layout != nullptr);
    copy_splitter splitter{layout, std::make_shared<topology>(w.map), literals, {0, 1, 2, 3}, 1000};
    // In pieces of one byte: a key is known whatever it is cut into.
    for (const char c : data) splitter.take({&c, 1});
    splitter.finish();
    if (splitter.stopped()) return splitter.stopped()->error.message;
    std::string out;
    for (const auto& part : splitter.parts()) {
      if (!part.bytes.empty()) out += "s" + std::to_string(part.shard) + ": " + part.bytes;
    }
    return out;
  };
  const std::string home = "s" + std::to_string(w.owner("ann", "1")) + ": ";
  CHECK(split("COPY sales FROM STDIN", "ann\t1\t5\n") == home + "ann\t1\t5\n");
  CHECK(split("COPY lines FROM STDIN", "1\tpen\tann\n") == home + "1\tpen\tann\n");
  CHECK(split("COPY lines (owner, place) FROM STDIN CSV", "\"ann\",1\n") == home + "\"ann\",1\n");
  CHECK(split("COPY sales FROM STDIN", "ann\t\\N\t5\n").find("\"region\"") != std::string::npos);
  CHECK(split("COPY lines FROM STDIN", "x\tpen\tann\n").find("\"place\"") != std::string::npos);
  CHECK(split("COPY lines FROM STDIN", "1\tpen\n").find("line 1") != std::string::npos);
}

TEST_CASE("MERGE compares and inserts all columns of a key", "[composite][merge_into]") {
  const composite_world w;
  const std::string one = w.home("ann", "1") + " (primary)";
  const std::string all = "shards s0, s1, s2, s3 together (primary)";
  const auto merge = [](const std::string& source, const std::string& on, const std::string& values) {
    return "MERGE INTO sales t USING " + source + " ON " + on +
           " WHEN NOT MATCHED THEN INSERT (region, tenant) VALUES (" + values + ")";
  };
  const std::string both = "t.tenant = v.a AND v.b = t.region";
  check(w, {
               {merge("(VALUES ('ann', 1)) v(a, b)", both, "v.b, v.a"), one},
               {merge("(VALUES ('ann', 1), ('ann', 1)) v(a, b)", both, "v.b, v.a"), one},
               {merge("(VALUES ('ann', 1)) v(a, b)", "(t.tenant, region) = (v.a, 1)", "1, v.a"), one},
               {merge("(VALUES ('ann', 1), ('ann', " + w.elsewhere("ann") + ")) v(a, b)", both, "v.b, v.a"), all},
               {merge("lines", "owner = tenant AND place = region", "place, owner"), all},
               {merge("(VALUES ('ann', 1)) v(a, b)", "t.tenant = v.a", "v.b, v.a"), "refused: ..."},
               {merge("lines l", "owner = tenant", "place, owner"), "refused: ..."},
               {merge("lines l", "owner = tenant AND place = region", "place, 'x'"), "refused: ..."},
           });
  CHECK_FALSE(w.make(merge("lines", "owner = tenant AND place = region", "place, owner")).plan->staged);
}
