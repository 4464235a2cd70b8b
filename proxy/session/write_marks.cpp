#include "proxy/session/write_marks.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace {

// Beyond the marks of tables, which have 32 bits.
constexpr std::uint64_t anything = 1ULL << 32, any_of_all = 2ULL << 32, definitions = 3ULL << 32;

// The finaliser of SplitMix64: https://prng.di.unimi.it/splitmix64.c
std::uint64_t mix(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace

write_marks::write_marks(steady_time began) : places_{std::make_unique<std::array<place, places>>()} {
  for (place& p : *places_) p.store(began.time_since_epoch().count(), std::memory_order_relaxed);
}

std::uint64_t write_marks::seed_of(std::string_view database, std::string_view shard) noexcept {
  std::uint64_t seed = 0;
  const auto add = [&seed](std::string_view text) {
    for (const char c : text) seed = mix(seed + static_cast<unsigned char>(c) + 1);
    seed = mix(seed);
  };
  add(database);
  add(shard);
  return seed;
}

write_marks::place& write_marks::at(std::uint64_t seed, std::uint64_t what) const noexcept {
  return (*places_)[mix(seed + what) & (places - 1)];
}

void write_marks::raise(place& p, steady_time to) noexcept {
  const steady_time::rep wanted = to.time_since_epoch().count();
  steady_time::rep now = p.load(std::memory_order_relaxed);
  while (now < wanted && !p.compare_exchange_weak(now, wanted, std::memory_order_release, std::memory_order_relaxed)) {
  }
}

void write_marks::wrote(std::uint64_t seed, std::uint32_t table, steady_time ended) noexcept {
  raise(at(seed, table), ended);
  raise(at(seed, any_of_all), ended);
}

void write_marks::wrote_anything(std::uint64_t seed, steady_time ended) noexcept {
  raise(at(seed, anything), ended);
  raise(at(seed, any_of_all), ended);
}

steady_time write_marks::last(std::uint64_t seed, std::span<const std::uint32_t> tables) const noexcept {
  steady_time::rep latest = at(seed, anything).load(std::memory_order_acquire);
  for (const std::uint32_t table : tables) latest = std::max(latest, at(seed, table).load(std::memory_order_acquire));
  return steady_time{steady_time::duration{latest}};
}

steady_time write_marks::last_of_all(std::uint64_t seed) const noexcept {
  return steady_time{steady_time::duration{at(seed, any_of_all).load(std::memory_order_acquire)}};
}

void write_marks::defined(std::uint64_t seed, steady_time ended) noexcept {
  raise(at(seed, definitions), ended);
}

steady_time write_marks::last_definition(std::uint64_t seed) const noexcept {
  return steady_time{steady_time::duration{at(seed, definitions).load(std::memory_order_acquire)}};
}

}  // namespace pgbraid::proxy
