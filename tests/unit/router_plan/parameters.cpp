// Keys that come as bound parameters, in text and in binary, declared and not.
#include <catch2/catch.hpp>

#include "fixture.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

/// An integer as the binary wire form of `width` bytes.
std::string big_endian(std::int64_t value, int width) {
  std::string out;
  for (int i = width - 1; i >= 0; --i) out.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i)));
  return out;
}

bound_parameter binary(std::string_view bytes, oid type = 0) {
  bound_parameter out;
  out.value = bytes;
  out.binary = true;
  out.type = type;
  return out;
}

bound_parameter null() {
  bound_parameter out;
  out.null = true;
  return out;
}

}  // namespace

TEST_CASE("integers", "[parameters]") {
  const world w(4);
  const std::string sql = "SELECT * FROM orders WHERE customer_id = $1";
  const std::string expected = "shard s" + std::to_string(shard_of(w.map, -5)) + " (replica allowed)";
  CHECK(w.told(sql, {text_parameter("-5")}) == expected);
  CHECK(w.told(sql, {text_parameter("-5", type_oid::int8)}) == expected);
  CHECK(w.told(sql, {text_parameter("-5", type_oid::int4)}) == expected);
  CHECK(w.told(sql, {text_parameter("-5", type_oid::int2)}) == expected);
  CHECK(w.told(sql, {text_parameter("-5", type_oid::unknown)}) == expected);
  CHECK(w.told(sql, {binary(big_endian(-5, 8))}) == expected);
  CHECK(w.told(sql, {binary(big_endian(-5, 8), type_oid::int8)}) == expected);
  CHECK(w.told(sql, {binary(big_endian(-5, 4), type_oid::int4)}) == expected);
  CHECK(w.told(sql, {binary(big_endian(-5, 2), type_oid::int2)}) == expected);
  CHECK(w.told(sql, {null()}) == "shard s0 (replica allowed)");
}

TEST_CASE("a parameter that stands elsewhere may be another type's", "[parameters]") {
  const world w(4);
  const std::string expected = "shard s" + std::to_string(shard_of(w.map, 5)) + " (replica allowed)";
  const std::string sql = "SELECT * FROM orders WHERE amount > $1 AND customer_id = $1";
  // The server takes it for a numeric or a float, whose bytes are others than an integer's.
  CHECK(w.told(sql, {binary(big_endian(5, 8))}).starts_with("shards s0, s1, s2, s3 concatenated"));
  CHECK(w.told(sql, {binary(big_endian(5, 8), type_oid::int8)}) == expected);
  CHECK(w.told(sql, {text_parameter("5")}) == expected);
  CHECK(w.told("SELECT * FROM orders o JOIN customers c ON c.id = $1 AND o.customer_id = $1",
               {binary(big_endian(5, 8))}) == expected);
}

TEST_CASE("what a parameter cannot say", "[parameters]") {
  const world w(4);
  const std::string sql = "SELECT * FROM orders WHERE customer_id = $1";
  CHECK(w.told(sql).starts_with("shards s0, s1, s2, s3 concatenated"));
  CHECK(w.told(sql, {text_parameter("5", type_oid::numeric)}).starts_with("shard "));
  CHECK(w.told(sql, {text_parameter("5", type_oid::float8)}).starts_with("shard "));
  // The servers tell what is wrong with those.
  CHECK(w.told(sql, {text_parameter("five")}).starts_with("shards s0, s1, s2, s3 concatenated"));
  CHECK(w.told(sql, {binary(big_endian(5, 4))}).starts_with("shards s0, s1, s2, s3 concatenated"));
  CHECK(w.told(sql, {binary(big_endian(5, 3), type_oid::int8)}).starts_with("shards s0, s1, s2, s3 concatenated"));
  CHECK(w.told(sql, {binary("")}).starts_with("shards s0, s1, s2, s3 concatenated"));
  const std::string insert = "INSERT INTO orders (customer_id) VALUES ($1)";
  CHECK(w.told(insert, {text_parameter("five")}).starts_with("refused: invalid input syntax for type bigint"));
  CHECK(w.told(insert, {text_parameter(" 9223372036854775808")})
            .starts_with("refused: value \" 9223372036854775808\" is out"));
  CHECK(
      w.told(insert, {binary(big_endian(5, 4))}).starts_with("refused: incorrect binary data format for sharding key"));
  CHECK(w.told(insert, {binary("")}).starts_with("refused: incorrect binary data"));
}

TEST_CASE("casts of parameters", "[parameters]") {
  const world w(4);
  const std::string expected = "shard s" + std::to_string(shard_of(w.map, 7)) + " (replica allowed)";
  const std::string sql = "SELECT * FROM orders WHERE customer_id = $1::int";
  CHECK(w.told(sql, {text_parameter("7")}) == expected);
  CHECK(w.told(sql, {binary(big_endian(7, 4))}) == expected);
  CHECK(w.told(sql, {text_parameter("7", type_oid::int8)}) == expected);
  CHECK(w.told(sql, {text_parameter("7", type_oid::text)}) == expected);
  CHECK(w.told(sql, {binary("7", type_oid::varchar)}) == expected);
  CHECK(w.told(sql, {text_parameter("x", type_oid::text)}).starts_with("shards s0, s1, s2, s3 concatenated"));
  CHECK(w.told(sql, {text_parameter("7.5", type_oid::numeric)}).starts_with("shards s0, s1, s2, s3 concatenated"));
  CHECK(w.told("SELECT * FROM orders WHERE customer_id = $1::int::bigint", {text_parameter("7")}) == expected);
  CHECK(w.told("SELECT * FROM orders WHERE customer_id = $1::numeric", {text_parameter("7")}) ==
        "shards s0, s1, s2, s3 concatenated (replica allowed)");
  CHECK(w.told("SELECT * FROM orders WHERE customer_id = $1 + 1", {text_parameter("7")}) ==
        "shards s0, s1, s2, s3 concatenated (replica allowed)");
}

TEST_CASE("parameters that are other numbers than the key", "[parameters]") {
  const world w(4);
  const std::string sql = "SELECT * FROM orders WHERE customer_id = $1";
  const std::string expected = "shard s" + std::to_string(shard_of(w.map, 7)) + " (replica allowed)";
  for (const char* seven : {"7", "7.0", "7.", "7.000"}) {
    CHECK(w.told(sql, {text_parameter(seven, type_oid::numeric)}) == expected);
    CHECK(w.told(sql, {text_parameter(seven, type_oid::float8)}) == expected);
  }
  for (const char* nobody : {"7.5", "-0.25"})
    CHECK(w.told(sql, {text_parameter(nobody, type_oid::numeric)}).starts_with("shard "));
  for (const char* unknown : {"NaN", "1e3", "5.00000000000000000001", "9007199254740993", "-", "", "7.x", "--7"})
    CHECK(w.told(sql, {text_parameter(unknown, type_oid::float8)}).starts_with("shards s0, s1, s2, s3 concatenated"));
  CHECK(w.told("INSERT INTO orders (customer_id) VALUES ($1)", {text_parameter("7.5", type_oid::numeric)})
            .starts_with("refused"));
}

TEST_CASE("several parameters", "[parameters]") {
  const world w(2);
  const auto on0 = keys_on(w.map, 0, 2);
  const std::string a = std::to_string(on0[0]), b = std::to_string(on0[1]), c = std::to_string(keys_on(w.map, 1, 1)[0]);
  const std::string in = "SELECT * FROM orders WHERE customer_id IN ($1, $2)";
  CHECK(w.told(in, {text_parameter(a), text_parameter(b)}) == "shard s0 (replica allowed)");
  CHECK(w.told(in, {text_parameter(a), text_parameter(c)}) == "shards s0, s1 concatenated (replica allowed)");
  CHECK(w.told(in, {text_parameter(c), null()}) == "shard s1 (replica allowed)");
  const std::string rows = "INSERT INTO customers (name, id) VALUES ($1, $2), ($3, $4)";
  CHECK(w.told(rows, {text_parameter("x"), text_parameter(a), text_parameter("y"), text_parameter(b)}) ==
        "shard s0 (primary)");
  CHECK(w.told(rows, {text_parameter("x"), text_parameter(a), text_parameter("y"), text_parameter(c)})
            .starts_with("refused: a write to more than one shard"));
  CHECK(w.told(rows, {text_parameter("x"), text_parameter(a), text_parameter("y"), null()})
            .starts_with("refused: null value for the sharding key"));
  const std::string two = "SELECT * FROM orders o, notes n WHERE o.customer_id = $1 AND n.customer_id = $2";
  CHECK(w.told(two, {text_parameter(a), text_parameter(b)}) == "shard s0 (replica allowed)");
  CHECK(w.told(two, {text_parameter(a), text_parameter(c)}) == "shards s0, s1 gathered (replica allowed)");
}

TEST_CASE("uuid, text and other types", "[parameters]") {
  const world w(4);
  const std::string uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
  const std::string bytes = "\xa0\xee\xbc\x99\x9c\x0b\x4e\xf8\xbb\x6d\x6b\xb9\xbd\x38\x0a\x11";
  const std::string sql = "SELECT * FROM documents WHERE tenant = $1";
  CHECK(w.told(sql, {text_parameter(uuid)}) == w.told("SELECT * FROM documents WHERE tenant = '" + uuid + "'"));
  CHECK(w.told(sql, {binary(bytes, type_oid::uuid)}) == w.told(sql, {text_parameter(uuid)}));
  CHECK(w.told(sql, {text_parameter(uuid, type_oid::text)}).starts_with("shards s0, s1, s2, s3 concatenated"));
  const std::string login = "SELECT * FROM people WHERE login = $1";
  CHECK(w.told(login, {text_parameter("ann")}) == w.told("SELECT * FROM people WHERE login = 'ann'"));
  CHECK(w.told(login, {binary("ann", type_oid::varchar)}) == w.told(login, {text_parameter("ann")}));
  CHECK(w.told(login, {text_parameter("ann", type_oid::bpchar)}).starts_with("shards s0, s1, s2, s3 concatenated"));
}

TEST_CASE("an undeclared parameter that also stands elsewhere may be read as another type", "[parameters]") {
  const world w(4);
  const std::string all = "shards s0, s1, s2, s3 concatenated (replica allowed)";
  CHECK(w.told("SELECT * FROM people WHERE login = $1 AND age = 5", {text_parameter("x")}) != all);
  CHECK(w.told("SELECT * FROM people WHERE login = $1 AND lower(login) = $1", {text_parameter("x")}) == all);
  CHECK(w.told("SELECT * FROM orders WHERE customer_id = $1 AND item = $1::text", {text_parameter("5")}) != all);
}

TEST_CASE("a literal in another encoding is not read here", "[parameters]") {
  const world w(4);
  const std::string sql = "SELECT * FROM people WHERE login = 'j\xc3\xb6rg'";
  sql::token_scan scan;
  sql::scan(sql, scan);
  const planned made = w.make(sql);
  literal_context literals;
  CHECK(std::holds_alternative<to_shard>(resolve(*made.plan, w.map, sql, scan.constants, {}, literals).target));
  literals.utf8 = false;
  CHECK(std::holds_alternative<to_many>(resolve(*made.plan, w.map, sql, scan.constants, {}, literals).target));
}

TEST_CASE("arrays", "[parameters]") {
  world w(4);
  constexpr oid int4_array = 1007, int8_array = 1016, text_array = 1009, uuid_array = 2951;
  const std::string sql = "SELECT * FROM orders WHERE customer_id = ANY ($1)";
  const auto key = [&](shard_index shard) { return keys_on(w.map, shard, 1).front(); };
  const std::string one = "shard s2 (replica allowed)", two = "shards s1, s2 concatenated (replica allowed)",
                    all = "shards s0, s1, s2, s3 concatenated (replica allowed)";
  const std::string a = std::to_string(key(2)), b = std::to_string(key(1));
  CHECK(w.told(sql, {text_parameter("{" + a + "}")}) == one);
  CHECK(w.told(sql, {text_parameter(" { " + a + " , \"" + a + "\", null } ", int4_array)}) == one);
  CHECK(w.told(sql, {text_parameter("{" + a + "," + b + "}", int8_array)}) == two);
  CHECK(w.told(sql, {text_parameter("{}", int8_array)}) == "shard s0 (replica allowed)");
  CHECK(w.told(sql, {text_parameter("{NULL}", int8_array)}) == "shard s0 (replica allowed)");
  CHECK(w.told(sql, {null()}) == "shard s0 (replica allowed)");
  CHECK(w.told("SELECT * FROM orders WHERE customer_id = ANY ($1::int[])", {text_parameter("{" + a + "}")}) == one);
  // What cannot be read for sure is asked of all.
  for (const char* odd : {"{x}", "{1,}", "{{1}}", "[0:0]={1}", "{\"1\"2}", "{1", "1", "", "{\\1}", "{\"1}"}) CHECK(w.told(sql, {text_parameter(odd)}) == all);
  CHECK(w.told(sql, {text_parameter("{1}", text_array)}) == all);
  CHECK(w.told("SELECT * FROM orders WHERE customer_id <> ALL ($1)", {text_parameter("{1}")}) == all);
  CHECK(w.told("SELECT * FROM people WHERE login = ANY ($1)", {text_parameter("{1}", uuid_array)}) == all);

  const auto array = [](oid type, const std::vector<std::string>& elements) {
    std::string out = big_endian(elements.empty() ? 0 : 1, 4) + big_endian(0, 4) + big_endian(type, 4);
    if (!elements.empty()) out += big_endian(static_cast<std::int64_t>(elements.size()), 4) + big_endian(1, 4);
    for (const std::string& e : elements) out += e == "NULL" ? big_endian(-1, 4) : big_endian(static_cast<std::int64_t>(e.size()), 4) + e;
    return out;
  };
  const std::string wide = array(type_oid::int8, {big_endian(key(2), 8), "NULL", big_endian(key(1), 8)});
  CHECK(w.told(sql, {binary(wide, int8_array)}) == two);
  CHECK(w.told(sql, {binary(wide)}) == two);
  CHECK(w.told(sql, {binary(array(type_oid::int4, {big_endian(key(2), 4)}), int4_array)}) == one);
  CHECK(w.told(sql, {binary(array(type_oid::int4, {}), int4_array)}) == "shard s0 (replica allowed)");
  CHECK(w.told(sql, {binary(wide, int4_array)}) == all);
  for (std::size_t cut = 0; cut < wide.size(); ++cut) CHECK(w.told(sql, {binary(std::string_view{wide}.substr(0, cut), int8_array)}) == all);
  CHECK(w.told(sql, {binary(wide + "x", int8_array)}) == all);
  // Where rows cannot be put one behind the other, one shard still can be asked alone.
  const std::string sorted = sql + " ORDER BY 1";
  CHECK(w.told(sorted, {text_parameter("{" + a + "}")}) == one);
  CHECK(w.told(sorted, {text_parameter("{" + a + "," + b + "}")}) == "shards s0, s1, s2, s3 merged in their order (replica allowed)");
  CHECK(w.told(sorted, {text_parameter("{x}")}) == "shards s0, s1, s2, s3 merged in their order (replica allowed)");
  w.schema.single_writer.clear();
  CHECK(w.told("DELETE FROM orders WHERE customer_id = ANY ($1)", {text_parameter("{" + a + "," + b + "}")}) == "shards s1, s2 together (primary)");
}
