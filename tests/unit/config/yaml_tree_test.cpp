// The document layer: places, syntax errors, limits.
#include "config/yaml_tree.hpp"
#include "example.hpp"

#include <catch2/catch.hpp>

using namespace pgbraid::config;
using namespace pgbraid::config::test;

namespace {

using texts = std::vector<std::string>;

texts parse_told(const std::string& text) {
  texts out;
  for (const finding& f : yaml::parse(text).findings) out.push_back(to_string(f, "t"));
  return out;
}

std::string repeated(std::string_view s, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += s;
  return out;
}

}  // namespace

TEST_CASE("places are lines and characters from 1") {
  const yaml::tree t = yaml::parse("a: x\nb:\n  - {c: \"ü\", d: e}\r\nf: ~\n");
  REQUIRE(t.root);
  CHECK(t.findings.empty());
  CHECK(t.root->where == position{1, 1});
  const auto* b = t.root->find("b");
  REQUIRE(b);
  CHECK(b->where == position{2, 1});
  REQUIRE(b->value->items.size() == 1);
  const yaml::node& map = *b->value->items[0];
  CHECK(map.where == position{3, 5});
  CHECK(map.find("c")->value->quoted);
  CHECK_FALSE(map.find("d")->value->quoted);
  CHECK(map.find("d")->where == position{3, 14});
  CHECK(t.root->find("f")->value->what == yaml::node::kind::null);
  CHECK(t.root->find("f")->value->where == position{4, 1});
  CHECK(t.root->find("g") == nullptr);
}

TEST_CASE("a syntax error is one finding with its place") {
  CHECK(parse_told("a: [1, 2\nb: 3\n") == texts{"t:2:2: error: YAML: end of sequence flow not found"});
  CHECK(parse_told("a: \"open\n") == texts{"t:1:9: error: YAML: illegal EOF in scalar"});
  CHECK(parse_told("a: 'open\nb: c\n \n") == texts{"t:2:5: error: YAML: illegal EOF in scalar"});
  CHECK(parse_told("a:\n\t- b\n").size() == 1);
  CHECK(parse_told("a: *nothing\n").size() == 1);
  CHECK(parse_told("{a: {b: [}").size() == 1);
}

TEST_CASE("duplicate keys, merge keys, keys that are no text, tags, second documents") {
  CHECK(parse_told("a: 1\nb: {c: 2, c: 3}\na: 4\n") ==
        texts{"t:2:11: error: duplicate key \"c\": first given on line 2",
              "t:3:1: error: duplicate key \"a\": first given on line 1"});
  CHECK(parse_told("a: &x {b: 1}\nc: {<<: *x}\n") ==
        texts{"t:2:5: error: merge keys (<<) are not supported: write the keys out"});
  CHECK(parse_told("? [a]\n: 1\n") == texts{"t:1:3: error: a key must be a text, found a list"});
  CHECK(parse_told("a: !secret b\n") == texts{"t:1:4: error: the tag !secret has no meaning here"});
  CHECK(parse_told("a: !!str b\n").empty());
  CHECK(parse_told("a: 1\n---\nb: 2\n") == texts{"t:2:1: error: a second document: one topology is one document"});
}

TEST_CASE("depth is limited, alone and through aliases") {
  CHECK(parse_told(repeated("[", yaml::max_depth) + repeated("]", yaml::max_depth)).empty());
  CHECK(parse_told(repeated("[", yaml::max_depth + 1) + repeated("]", yaml::max_depth + 1)) ==
        texts{"t:1:33: error: values are nested more than 32 deep"});
  CHECK(parse_told(repeated("[", 100'000)).size() == 1);
  CHECK(parse_told(repeated("{a: ", 100'000)).size() == 1);
  CHECK(parse_told(repeated("- ", 100'000)).size() == 1);
  const std::string deep = "a: &a " + repeated("[", 20) + repeated("]", 20) + "\nb: ";
  CHECK(parse_told(deep + "*a\n").empty());
  CHECK(parse_told(deep + repeated("[", 15) + "*a" + repeated("]", 15) + "\n") ==
        texts{"t:2:19: error: values are nested more than 32 deep"});
}

TEST_CASE("aliases that multiply are stopped by what they stand for") {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string above = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + above + repeated(", " + above, 8) + "]\n";
  }
  const texts found = parse_told(bomb);
  REQUIRE(found.size() == 1);
  CHECK(found[0].find("error: more than 200000 values, aliases counted as often as they stand") != std::string::npos);
  CHECK(parse_told("a: &a [*a]\n") == texts{"t:1:8: error: an alias stands inside the value that it names"});
}

TEST_CASE("a file larger than the limit is not parsed") {
  CHECK(parse_told(std::string(yaml::max_file_bytes, '#')).empty());
  CHECK(parse_told(std::string(yaml::max_file_bytes + 1, '#')) == texts{"t: error: the file is larger than 4 MB"});
}

TEST_CASE("bytes that are no YAML end as findings, whatever they are") {
  for (int a = 0; a < 256; ++a)
    for (const char* frame : {"", "a: ", "a: [", "\"", "a:\n  - ", "&", "? "}) {
      const load_result r = load_text(std::string(frame) + static_cast<char>(a), "t");
      CHECK_FALSE(r.ok());
    }
}

TEST_CASE("every cut of a good file is told, not crashed upon") {
  const std::string& whole = example();
  const std::size_t databases = whole.find("  shop:");
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const load_result r = load_text(whole.substr(0, n), "t");
    if (n < databases) CHECK_FALSE(r.ok());
  }
}
