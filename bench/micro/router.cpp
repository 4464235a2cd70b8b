// What routing adds to a statement: its key (one scan), a cached plan turned into a route, and a plan made anew.
#include "bench/micro/pgbench_world.hpp"
#include "router/plan/plan_cache.hpp"

#include <benchmark/benchmark.h>

#include <array>
#include <variant>

namespace pgbraid::router::bench {
namespace {

constexpr unsigned texts = 1024;  ///< different constants, so that no branch predictor learns one of them

using make_texts = std::vector<std::string> (*)(unsigned);

/// The route must be the one wanted: a benchmark of a refusal would flatter.
void require(benchmark::State& state, const route& r) {
  if (!std::holds_alternative<to_shard>(r.target)) state.SkipWithError("the statement is not routed to one shard");
}

void key(benchmark::State& state, make_texts make) {
  const auto statements = make(texts);
  sql::token_scan scan;
  std::size_t i = 0;
  for (auto _ : state) {
    sql::scan(statements[i++ % texts], scan);
    benchmark::DoNotOptimize(scan.key);
  }
}

void cached(benchmark::State& state, make_texts make) {
  const world w(static_cast<shard_index>(state.range(0)));
  const auto statements = make(texts);
  plan_cache cache;
  sql::token_scan scan;
  const literal_context literals;
  const auto routed = [&](const std::string& text) {
    const plan_ptr plan = cache.get(text, scan, w.context);
    return resolve(*plan, w.map, text, scan.constants, {}, literals);
  };
  require(state, routed(statements.front()));
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(routed(statements[i++ % texts]));
  if (cache.misses() > 2) state.SkipWithError("the plan is not shared between constants");
}

/// What a prepared statement costs at each Bind: its plan is at hand, the key is a parameter.
void bound(benchmark::State& state) {
  const world w(static_cast<shard_index>(state.range(0)));
  const std::string text = point_select_with_parameter();
  sql::token_scan scan;
  sql::scan(text, scan);
  const planned made = make_plan(text, scan, w.context);
  const literal_context literals;
  std::vector<std::string> values;
  for (unsigned i = 0; i < texts; ++i) values.push_back(std::to_string(i * 977 + 1));
  const auto routed = [&](const std::string& value) {
    const std::array<bound_parameter, 1> parameters{bound_parameter{value, false, false, type_oid::int4}};
    return resolve(*made.plan, w.map, text, scan.constants, parameters, literals);
  };
  require(state, routed(values.front()));
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(routed(values[i++ % texts]));
}

void miss(benchmark::State& state, make_texts make) {
  const world w(static_cast<shard_index>(state.range(0)));
  const auto statements = make(texts);
  sql::token_scan scan;
  std::size_t i = 0;
  for (auto _ : state) {
    const std::string& text = statements[i++ % texts];
    sql::scan(text, scan);
    benchmark::DoNotOptimize(make_plan(text, scan, w.context));
  }
}

// The argument is the number of shards.
BENCHMARK_CAPTURE(key, select, &point_selects);
BENCHMARK_CAPTURE(key, insert, &inserts);
BENCHMARK_CAPTURE(cached, select, &point_selects)->Arg(1)->Arg(2);
BENCHMARK_CAPTURE(cached, insert, &inserts)->Arg(1)->Arg(2);
BENCHMARK(bound)->Arg(1)->Arg(2);
BENCHMARK_CAPTURE(miss, select, &point_selects)->Arg(1)->Arg(2);
BENCHMARK_CAPTURE(miss, insert, &inserts)->Arg(1)->Arg(2);

}  // namespace
}  // namespace pgbraid::router::bench

BENCHMARK_MAIN();
