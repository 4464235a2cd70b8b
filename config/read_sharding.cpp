// databases.*.sharding: the tables' lists, and the buckets of the shards.
#include "config/fields.hpp"
#include "config/nearest.hpp"
#include "config/sections.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>

namespace pgbraid::config {
namespace {

using yaml::node;

/// "orders" and "public.orders" are one table.
std::string canonical(const std::string& table) {
  return table.find('.') == table.npos ? "public." + table : table;
}

class sharding_reader {
 public:
  sharding_reader(const database& d, std::string shown, std::vector<finding>& findings)
      : database_(d), shown_(std::move(shown)), findings_(findings) {}

  sharding read(const fields& section) {
    sharding out;
    section.choice("function", "databases.*.sharding.function", out.function);
    section.integer("buckets", out.buckets);
    section.integer("sequence_blocks", out.sequence_blocks);
    section.boolean("check_placement", out.check_placement);
    section.text("default_shard", out.default_shard);
    if (const node* named = section.at("default_shard"); named != nullptr && named->what == node::kind::scalar) {
      check_shard("default_shard", *named);
    }
    for (const node::entry& e : section.entries("tables")) {
      sharded_table table;
      table.name = e.key;
      table.where = e.where;
      const fields own(e.value.get());
      own.texts("key", table.key);
      own.texts("unique", table.unique);
      check_columns(e.value.get(), fmt::format("tables.{}", e.key), e.where, table.key, table.unique);
      if (own.scalar("function") != nullptr) {
        own.choice("function", "databases.*.sharding.tables.*.function", table.function.emplace());
      }
      claim(e.key, "tables", e.where);
      out.tables.push_back(std::move(table));
    }
    read_patterns(section, out);
    read_lookup(section, out);
    section.texts("reference_tables", out.reference_tables);
    if (const node* list = section.at("reference_tables"))
      for (const auto& item : list->items)
        if (item->what == node::kind::scalar) claim(item->text, "reference_tables", item->where);
    for (const node::entry& e : section.entries("unsharded")) {
      claim(e.key, "unsharded", e.where);
      if (e.value->what == node::kind::scalar) check_shard("unsharded." + e.key, *e.value);
      out.unsharded.push_back({e.key, e.value->text, e.where});
    }
    section.texts("accept_unenforced", out.accept_unenforced);
    if (const node* list = section.at("accept_unenforced"); list != nullptr && out.patterns.empty())
      for (const auto& item : list->items) check_accepted(*item);
    section.texts("shard_local", out.shard_local);
    return out;
  }

 private:
  void report(finding::level severity, position at, std::string text) {
    findings_.push_back({severity, at, fmt::format("{}.{}", shown_, text)});
  }

  void read_lookup(const fields& section, sharding& out) {
    const node* given = section.at("lookup");
    if (given == nullptr || given->what != node::kind::map) return;
    lookup_table& lookup = out.lookup.emplace();
    lookup.where = given->where;
    const fields own(given);
    own.text("table", lookup.table);
    own.text("key", lookup.key);
    own.text("shard", lookup.shard);
    own.integer("cache", lookup.cache);
    if (own.scalar("max_age") != nullptr) own.duration("max_age", lookup.max_age.emplace());
  }

  void read_patterns(const fields& section, sharding& out) {
    const node* list = section.at("patterns");
    if (list == nullptr || list->what != node::kind::list) return;
    for (std::size_t i = 0; i < list->items.size(); ++i) {
      const node& item = *list->items[i];
      if (item.what != node::kind::map) continue;
      const std::string place = fmt::format("patterns[{}]", i);
      table_pattern& pattern = out.patterns.emplace_back();
      pattern.where = item.where;
      const fields own(&item);
      own.texts("tables", pattern.tables);
      if (const node* given = own.at("tables");
          given != nullptr && given->what == node::kind::list && pattern.tables.empty())
        report(finding::level::error, given->where, fmt::format("{}.tables: it has no name", place));
      own.texts("key", pattern.key);
      own.texts("unique", pattern.unique);
      check_columns(&item, place, item.where, pattern.key, pattern.unique);
      if (own.scalar("function") != nullptr)
        own.choice("function", "databases.*.sharding.patterns[].function", pattern.function.emplace());
      for (const std::string& name : pattern.tables)
        if (std::count(name.begin(), name.end(), '.') > 1)
          report(finding::level::error, item.where,
                 fmt::format("{}.tables: \"{}\" is neither a table nor a schema and a table", place, name));
    }
  }

  /// `section` is what has the `key`, and `unique`.
  void check_columns(const node* section, const std::string& place, position at, const std::vector<std::string>& key,
                     const std::vector<std::string>& unique) {
    check_list(section, "key", place, at, key);
    check_list(section, "unique", place, at, unique);
    if (key.size() != 1 || std::find(unique.begin(), unique.end(), key.front()) == unique.end()) return;
    report(
        finding::level::error, at,
        fmt::format("{}.unique: column {} is the key: equal values stand on one shard, where a constraint sees to it",
                    place, key.front()));
  }

  void check_list(const node* section, std::string_view name, const std::string& place, position at,
                  const std::vector<std::string>& columns) {
    const node* given = fields(section).at(name);
    if (given != nullptr && given->what == node::kind::list && columns.empty())
      report(finding::level::error, given->where, fmt::format("{}.{}: it has no column", place, name));
    for (auto column = columns.begin(); column != columns.end(); ++column) {
      if (std::find(columns.begin(), column, *column) == column) continue;
      report(finding::level::error, at, fmt::format("{}.{}: column {} stands twice", place, name, *column));
    }
  }

  void claim(const std::string& table, std::string_view list, position at) {
    if (table.empty()) return;
    const auto [first, fresh] = lists_.emplace(canonical(table), std::pair(list, at));
    if (!fresh)
      report(finding::level::error, at,
             fmt::format("{}: table {} stands under {} on line {} already", list, table, first->second.first,
                         first->second.second.line));
  }

  void check_shard(const std::string& key, const node& value) {
    std::vector<std::string_view> names;
    for (const shard& s : database_.shards) {
      if (s.name == value.text) return;
      names.push_back(s.name);
    }
    const auto meant = nearest(value.text, names);
    report(finding::level::error, value.where,
           fmt::format("{}: there is no shard \"{}\"{}", key, value.text,
                       meant ? fmt::format("; did you mean \"{}\"?", *meant) : std::string()));
  }

  void check_accepted(const node& item) {
    if (item.what != node::kind::scalar || lists_.contains(canonical(item.text))) return;
    report(finding::level::warning, item.where,
           fmt::format("accept_unenforced: {} is no table of this sharding", item.text));
  }

  const database& database_;
  std::string shown_;
  std::vector<finding>& findings_;
  std::map<std::string, std::pair<std::string_view, position>> lists_;
};

}  // namespace

void check_buckets(const database& d, std::uint32_t count, const std::vector<position>& where, const std::string& shown,
                   std::vector<finding>& findings) {
  struct owned {
    bucket_range range;
    std::size_t shard;
  };
  const auto error = [&](std::size_t shard, const std::string& text) {
    findings.push_back(
        {finding::level::error, where[shard], fmt::format("{}.shards[{}].buckets: {}", shown, shard, text)});
  };
  std::vector<owned> all;
  for (std::size_t i = 0; i < d.shards.size(); ++i)
    for (const bucket_range& r : d.shards[i].buckets) {
      if (r.last >= count)
        return error(i, fmt::format("{}-{} goes past the last bucket, {}", r.first, r.last, count - 1));
      all.push_back({r, i});
    }
  std::stable_sort(all.begin(), all.end(),
                   [](const owned& a, const owned& b) { return a.range.first < b.range.first; });
  const auto nobody = [](std::uint32_t first, std::uint32_t last) {
    return first == last ? fmt::format("bucket {} belongs to no shard", first)
                         : fmt::format("buckets {}-{} belong to no shard", first, last);
  };
  std::uint32_t next = 0;
  std::size_t last_owner = 0;
  for (const owned& o : all) {
    const std::size_t later = std::max(o.shard, last_owner), earlier = std::min(o.shard, last_owner);
    if (o.range.first < next && later == earlier)
      return error(later, fmt::format("bucket {} stands here twice", o.range.first));
    if (o.range.first < next)
      return error(later,
                   fmt::format("bucket {} belongs to shard \"{}\" already", o.range.first, d.shards[earlier].name));
    if (o.range.first > next) return error(o.shard, nobody(next, o.range.first - 1));
    next = o.range.last + 1;
    last_owner = o.shard;
  }
  if (next != count) error(last_owner, nobody(next, count - 1));
}

void read_sharding(const node& value, const std::string& shown, database& out, std::vector<finding>& findings) {
  const auto error = [&](position at, const std::string& text) {
    findings.push_back({finding::level::error, at, fmt::format("{}{}", shown, text)});
  };
  const node::entry* section = value.find("sharding");
  if (section != nullptr) {
    const node* map = section->value->what == node::kind::map ? section->value.get() : nullptr;
    out.sharding = sharding_reader(out, shown + ".sharding", findings).read(fields(map));
  } else if (out.shards.size() > 1) {
    error(value.find("shards")->where, ": several shards need sharding: say which tables are spread by which key");
  }

  const node* shards = fields(&value).at("shards");
  if (shards == nullptr) return;
  std::vector<position> with;
  const node* without = nullptr;
  for (const auto& item : shards->items) {
    if (item->what != node::kind::map) return;
    if (const node* ranges = fields(item.get()).at("buckets"))
      with.push_back(ranges->where);
    else
      without = without == nullptr ? item.get() : without;
  }
  const std::uint32_t count = out.sharding ? out.sharding->buckets : 0;
  if (out.sharding && std::has_single_bit(count) && out.shards.size() > count)
    error(section->value->where, fmt::format(".sharding.buckets: {} buckets for {} shards", count, out.shards.size()));
  if (with.empty()) return;
  if (without != nullptr)
    return error(without->where, ".shards: buckets are given for some shards but not for this one");
  if (!out.sharding) {
    if (out.shards.size() == 1) error(with.front(), ".shards[0].buckets: buckets have no meaning without sharding");
    return;
  }
  const bool readable =
      std::none_of(out.shards.begin(), out.shards.end(), [](const shard& s) { return s.buckets.empty(); });
  if (readable && std::has_single_bit(count)) check_buckets(out, count, with, shown, findings);
}

}  // namespace pgbraid::config
