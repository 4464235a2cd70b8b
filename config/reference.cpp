// reference_markdown(): docs/configuration.md, whole.
#include "config/config.hpp"
#include "config/keys.hpp"

#include <fmt/format.h>

namespace pgbraid::config {
namespace {

constexpr std::string_view introduction = R"(# Configuration

<!-- Generated from the table of keys in config/keys.cpp: build/dev/config/pgbraid_config_reference markdown -->

pgbraid reads one YAML file, its topology. `pgbraid check FILE` tells every mistake in it with line and column, and
prints the topology as understood, all defaults written out. `pgbraid.schema.json` beside this page is a JSON Schema of
the file: an editor with a YAML language server completes and checks it after this first line:

```yaml
# yaml-language-server: $schema=pgbraid.schema.json
```

The least that works, for one primary and its replica:

```yaml
auth: {method: trust}
databases:
  shop: {servers: ["127.0.0.1:5432", "127.0.0.1:5433"]}
```

Two shards with a replica each:

```yaml
listen: {host: 127.0.0.1, port: 6432}
monitor: {user: postgres, password_env: PGBRAID_MONITOR_PASSWORD}
users:
  app: {password_file: app.password}
databases:
  shop:
    shards:
      - {name: s0, servers: ["10.0.0.1:5432", "10.0.0.2:5432"]}
      - {name: s1, servers: ["10.0.0.3:5432", "10.0.0.4:5432"]}
    sharding:
      tables:
        customers: {key: id}
        orders: {key: customer_id}
      reference_tables: [countries]
```

## How values are written

- **Sizes** carry a unit: `B`, `kB` (or `KB`, `KiB`), `MB`, `GB`, `TB`, each 1024 of the one before, as in PostgreSQL.
- **Times** carry a unit: `ms`, `s`, `min`, `h`, `d`.
- **Servers** are `host:port`, `host` (port 5432), `[::1]:port`, the directory of a Unix socket with or without `:port`,
  or a map of the keys below. Which one is the primary is found out by asking them.
- **Buckets** of a shard are `0-2047`, several ranges `0-1023,3000-4095`, or a list of them. They are given for all
  shards, and cover every bucket once, or for none: then they are split evenly in the order listed.
- **Tables** are `orders` (in schema `public`) or `sales.orders`.
- A database or user named `"*"` stands for every one that is not named.
- Unknown keys, duplicate keys and values of the wrong kind are errors: nothing in the file is passed over in silence.
)";

std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string default_of(const key_row& row) {
  if (row.required) return "needed";
  return row.fallback.empty() ? std::string("none") : fmt::format("`{}`", row.fallback);
}

std::string meaning_of(const key_row& row) {
  std::string out(row.meaning);
  std::string later;
  for (const choice_row& c : row.choices)
    if (c.status != stage::built) later += fmt::format("{}`{}`", later.empty() ? "" : ", ", c.name);
  if (!later.empty()) out += fmt::format(" Not supported yet: {}.", later);
  if (row.status == stage::refused) out += " **Not supported yet: stops the start.**";
  if (row.status == stage::ignored) out += " **Has no effect yet.**";
  return out;
}

bool is_container(const key_row& row) {
  return row.what == key_kind::section || row.what == key_kind::named || row.what == key_kind::items;
}

std::string kind_of(const key_row& row) {
  return row.what == key_kind::anything ? std::string("a map") : expectation(row);
}

void write_rows(std::string& out, const std::vector<const key_row*>& rows) {
  out += "\n| key | what | default | meaning |\n|---|---|---|---|\n";
  for (const key_row* row : rows)
    out += fmt::format("| `{}` | {} | {} | {} |\n", row->path, cell(kind_of(*row)), default_of(*row),
                       cell(meaning_of(*row)));
}

/// All rows beneath `path`, but for those that only say "one of them".
void collect(std::string_view path, std::vector<const key_row*>& rows) {
  for (const key_row* row : keys_below(path)) {
    const bool unnamed = row->name() == "[]" || (row->name() == "*" && is_container(*row) && !row->short_form);
    if (!unnamed) rows.push_back(row);
    collect(row->path, rows);
  }
}

}  // namespace

std::string reference_markdown() {
  std::string out(introduction);
  out += "\n## Keys of the file itself\n";
  write_rows(out, keys_below(""));
  for (const key_row* section : keys_below("")) {
    if (!is_container(*section)) continue;
    std::vector<const key_row*> rows;
    collect(section->path, rows);
    out += fmt::format("\n## {}\n\n{}\n", section->path, section->meaning);
    write_rows(out, rows);
  }
  return out;
}

}  // namespace pgbraid::config
