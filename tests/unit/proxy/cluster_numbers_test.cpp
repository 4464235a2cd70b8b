// Which number a shard's ids carry, and who must have another one.
#include <catch2/catch.hpp>

#include "proxy/cluster/shard_numbers.hpp"

using namespace pgbraid::proxy;

namespace {

using wanted = std::vector<std::optional<shard_number>>;

/// A shard of this identity whose function says that it has `number`, made for the shard `of`.
numbered_shard shard(const std::string& identity, int number = -1, const std::string& of = "", unsigned given = 0) {
  numbered_shard out;
  out.identity = identity;
  out.system_identifier = "7";
  out.database = "shop";
  out.primary = out.schema = true;
  if (number < 0) return out;
  out.found = shard_number{static_cast<unsigned>(number), given, of.empty() ? identity : of};
  out.current = true;
  return out;
}

std::vector<int> numbers(const wanted& all) {
  std::vector<int> out;
  for (const auto& each : all) out.push_back(each ? static_cast<int>(each->number) : -1);
  return out;
}

}  // namespace

TEST_CASE("a number goes to whoever has none", "[numbers]") {
  CHECK(numbers(give_numbers({shard("a")})) == std::vector<int>{0});
  CHECK(numbers(give_numbers({shard("a"), shard("b"), shard("c")})) == std::vector<int>{0, 1, 2});
  CHECK(numbers(give_numbers({shard("a"), shard("b", 0), shard("c", 1)})) == std::vector<int>{2, 0, 1});
  const wanted made = give_numbers({shard("a"), shard("b")});
  CHECK(made[0] == shard_number{0, 1, "a"});
  CHECK(made[1] == shard_number{1, 1, "b"});
}

TEST_CASE("numbers of shards that are gone are not given again before all have been", "[numbers]") {
  CHECK(numbers(give_numbers({shard("a", 0, "", 5), shard("b")})) == std::vector<int>{0, 6});
  CHECK(numbers(give_numbers({shard("a", 3), shard("b", 511), shard("c"), shard("d")})) ==
        std::vector<int>{3, 511, 0, 1});
  std::vector<numbered_shard> many;
  for (int i = 0; i < 514; ++i) many.push_back(shard("s" + std::to_string(i)));
  const auto given = numbers(give_numbers(many));
  CHECK(given[511] == 511);
  CHECK(given[512] == -1);
  CHECK(given[513] == -1);
}

TEST_CASE("of two with one number one gets another", "[numbers]") {
  // Physical copies, or shards of two topologies: the first keeps it.
  CHECK(numbers(give_numbers({shard("a", 0), shard("a", 0)})) == std::vector<int>{0, 1});
  CHECK(numbers(give_numbers({shard("a", 1), shard("b", 1), shard("c", 0)})) == std::vector<int>{1, 2, 0});
  // A restored dump: the original keeps it, wherever it stands.
  CHECK(numbers(give_numbers({shard("b", 0, "a"), shard("a", 0)})) == std::vector<int>{1, 0});
  // A shard that has moved to another server takes its number along.
  const wanted moved = give_numbers({shard("b", 4, "a"), shard("c", 2)});
  CHECK(numbers(moved) == std::vector<int>{4, 2});
  CHECK(needs_number(shard("b", 4, "a"), moved[0]));
}

TEST_CASE("nothing is written where all is as it should be", "[numbers]") {
  const std::vector<numbered_shard> shards{shard("a", 0, "", 1), shard("b", 1, "", 1)};
  const wanted made = give_numbers(shards);
  CHECK_FALSE(needs_number(shards[0], made[0]));
  CHECK_FALSE(needs_number(shards[1], made[1]));
  numbered_shard old = shards[0];
  old.current = false;
  CHECK(needs_number(old, made[0]));
  CHECK(needs_number(shard("c"), shard_number{2, 2, "c"}));
}

TEST_CASE("the function says whose it is", "[numbers]") {
  const shard_number number{300, 400, "6f_73686f70"};
  const std::string body = id_function_body(number, "111", "sh'o\\p @number@");
  CHECK(parse_id_function(body) == number);
  CHECK(body.find(" E'sh''o\\\\p @number@'::pg_catalog.name") != std::string::npos);
  CHECK(body.find("300::pg_catalog.int8") != std::string::npos);
  CHECK(body.find("111::pg_catalog.int8") != std::string::npos);
  CHECK_FALSE(parse_id_function("BEGIN RETURN 1; END"));
  CHECK_FALSE(parse_id_function(""));
  for (std::size_t cut = 0; cut < body.find("\nDECLARE"); ++cut) CHECK_FALSE(parse_id_function(body.substr(0, cut)));
  CHECK_FALSE(parse_id_function("\n-- pgbraid ids, version 1: number 512, given 1, shard a\n"));
}
