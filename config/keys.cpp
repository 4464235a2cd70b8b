#include "config/keys.hpp"

#include "config/units.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>

namespace pgbraid::config {
namespace {

using enum key_kind;
using enum stage;

constexpr std::int64_t second = 1000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;
constexpr std::int64_t kB = 1 << 10, MB = 1 << 20, GB = 1 << 30;

constexpr std::array auth_methods{choice_row{"trust"}, choice_row{"password"}, choice_row{"md5"},
                                  choice_row{"scram-sha-256"}, choice_row{"cert"}};
constexpr std::array rule_methods{choice_row{"trust"},         choice_row{"password"}, choice_row{"md5"},
                                  choice_row{"scram-sha-256"}, choice_row{"cert"},     choice_row{"reject"}};
constexpr std::array functions{choice_row{"postgres_hash"}, choice_row{"consistent_hash"}, choice_row{"range"},
                               choice_row{"list"},          choice_row{"lookup"},          choice_row{"schema"}};
constexpr std::array table_functions{choice_row{"postgres_hash"}, choice_row{"consistent_hash"}, choice_row{"range"},
                                     choice_row{"list"}, choice_row{"lookup"}};
constexpr std::array replica_uses{choice_row{"prefer"}, choice_row{"require"}, choice_row{"off"}};
constexpr std::array replica_choices{choice_row{"least_outstanding"}, choice_row{"round_robin"}, choice_row{"random"}};
constexpr std::array consistencies{choice_row{"session"}, choice_row{"global"}, choice_row{"eventual"}};
constexpr std::array read_snapshots{choice_row{"shard"}, choice_row{"consistent"}};
constexpr std::array commit_answers{choice_row{"finished"}, choice_row{"decided"}};
constexpr std::array pool_modes{choice_row{"transaction"}, choice_row{"session"}, choice_row{"statement"}};
constexpr std::array client_tls_modes{choice_row{"disable"}, choice_row{"allow"}, choice_row{"require"}};
constexpr std::array server_tls_modes{choice_row{"disable"}, choice_row{"allow"},     choice_row{"prefer"},
                                      choice_row{"require"}, choice_row{"verify-ca"}, choice_row{"verify-full"}};
constexpr std::array tls_versions{choice_row{"TLSv1.2"}, choice_row{"TLSv1.3"}};
constexpr std::array log_levels{choice_row{"debug"}, choice_row{"info"}, choice_row{"warning"}, choice_row{"error"}};

// clang-format off
constexpr key_row table[] = {
  {"listen", section, "", "Where clients connect."},
  {"listen.host", text_or_list, "127.0.0.1", "Address to listen on, or a list of them; one that starts with `/` is the directory of a Unix socket."},
  {"listen.port", integer, "6432", "Port of all addresses and sockets.", built, 1, 65535},
  {"listen.backlog", integer, "1024", "Connections that the kernel may hold before they are accepted.", built, 1, 65535},
  {"listen.tls", section, "", "TLS for clients; files are read again at a reload, and when they have changed."},
  {"listen.tls.mode", choice, "allow", "Whether clients may (`allow`) or must (`require`) use TLS over TCP; `disable` offers none. Unix sockets are never encrypted.", built, 0, 0, client_tls_modes},
  {"listen.tls.cert", text, "", "PEM file with the server certificate, followed by those between it and its root; a relative path starts at the topology file's folder."},
  {"listen.tls.key", text, "", "PEM file with the certificate's private key, not protected by a password."},
  {"listen.tls.ca", text, "", "PEM file of those who sign clients' certificates: clients are asked for one, and one that is not signed so is refused."},
  {"listen.tls.min_version", choice, "TLSv1.2", "Oldest version of TLS that clients may use.", built, 0, 0, tls_versions},

  {"admin", section, "", "The console and what watches pgbraid."},
  {"admin.users", text_list, "", "Users who may open the console: the database name `pgbraid`, unless a database of that name is listed."},
  {"admin.http", address, "", "Address of metrics, health and the status page.", ignored},

  {"zone", text, "", "Where this pgbraid stands: reads prefer replicas of the same `zone`, as long as one of them can serve them."},
  {"instances", section, "", "Several pgbraid behind one balancer: a cancel request that reaches the wrong one is passed on."},
  {"instances.own", integer, "", "The number of this one.", built, 1, 63, {}, true},
  {"instances.peers", items, "", "The others."},
  {"instances.peers[]", section, "", "One of them."},
  {"instances.peers[].instance", integer, "", "Its `instances.own`.", built, 1, 63, {}, true},
  {"instances.peers[].address", address, "", "Where it listens.", built, 0, 0, {}, true},
  {"workers", integer_or_auto, "auto", "Threads that relay; `auto` is one for each processor.", built, 1, 256},

  {"auth", section, "", "How clients prove who they are."},
  {"auth.method", choice, "scram-sha-256", "What a client is asked for.", built, 0, 0, auth_methods},
  {"auth.query", text, "", "A query that gives name and stored secret of the user `$1`, run as `monitor.user` for users whose password is not listed."},
  {"auth.query_keep", duration, "1min", "How long what `auth.query` gave is believed; a login that fails has it asked again.", built, 0, day},
  {"auth.rules", items, "", "Who may log in how, in order: the first rule that fits decides, and who fits none is refused. Without rules, `auth.method` holds for all."},
  {"auth.rules[]", section, "", "One rule; a key that is left out fits everybody."},
  {"auth.rules[].database", text_or_list, "", "Names of databases, as clients use them."},
  {"auth.rules[].user", text_or_list, "", "Names of users."},
  {"auth.rules[].address", text_or_list, "", "Addresses or networks of clients as `10.0.0.0/8`; `local` for Unix sockets."},
  {"auth.rules[].tls", boolean, "", "Over TLS only (`true`), or not over TLS only (`false`)."},
  {"auth.rules[].method", choice, "", "What the client is asked for, or `reject`.", built, 0, 0, rule_methods, true},

  {"monitor", section, "", "The control plane's own login, with which it watches every server."},
  {"monitor.user", text, "postgres", "Role that it logs in as."},
  {"monitor.password", text, "", "Its password."},
  {"monitor.password_file", text, "", "File that holds the password; a relative path starts at the topology file's folder."},
  {"monitor.password_env", text, "", "Environment variable that holds the password."},
  {"monitor.dbname", text, "", "Database that it connects to; the watched database's own when left out."},
  {"monitor.interval", duration, "200ms", "Time between two looks at a server's role and WAL position.", built, 10, hour},
  {"monitor.timeout", duration, "2s", "Time after which a server that does not answer counts as down.", built, 10, hour},
  {"monitor.catalog_interval", duration, "5s", "Time between two looks for changed tables and functions.", built, 100, day},
  {"monitor.probe_rate", integer, "50", "Questions a second, to all servers together, up to which WAL positions are also asked for out of turn, when reads would go to a replica if it were known to have caught up; 0: never. More keeps more reads of busy writers on replicas.", built, 0, 100'000},

  {"users", named, "", "Who may log in; a user named `\"*\"` stands for every one not named."},
  {"users.*", section, "", "One user; a text alone is the password.", built, 0, 0, {}, false, true},
  {"users.*.password", text, "", "The password, or a stored secret (`SCRAM-SHA-256$...`, or `md5` and 32 digits)."},
  {"users.*.password_file", text, "", "File that holds it; a relative path starts at the topology file's folder."},
  {"users.*.password_env", text, "", "Environment variable that holds it."},
  {"users.*.max_clients", integer, "", "Clients of this user connected at the same time; when left out or 0, `limits.max_clients_per_user`.", built, 0, 1'000'000},
  {"users.*.max_server_connections", integer, "", "Connections of this user to each server, over all databases; no limit when left out or 0.", built, 0, 100'000},

  {"databases", named, "", "What clients can connect to, by the name they use; one named `\"*\"` stands for every one not named.", built, 0, 0, {}, true},
  {"databases.*", section, "", "One database: `servers`, or `shards` and `sharding`."},
  {"databases.*.servers", items, "", "The servers of an unsharded database: a primary and its replicas, in any order; roles are discovered."},
  {"databases.*.servers[]", section, "", "One server; a text alone is its address: `host:port`, `[::1]:port`, or a Unix-socket directory with or without `:port`.", built, 0, 0, {}, false, true},
  {"databases.*.servers[].host", text, "", "Name, address, or Unix-socket directory.", built, 0, 0, {}, true},
  {"databases.*.servers[].port", integer, "5432", "Port.", built, 1, 65535},
  {"databases.*.servers[].dbname", text, "", "The database's name on this server; when left out, the name that the client uses."},
  {"databases.*.servers[].weight", integer, "1", "Share of the reads, against the other replicas' weights.", built, 1, 1000},
  {"databases.*.servers[].zone", text, "", "Where it stands: reads prefer replicas of pgbraid's own `zone`."},
  {"databases.*.servers[].drain", boolean, "false", "Nothing new is sent to it: transactions that are open end there, then its connections are closed; while a drained primary is the only one, statements that need it are held (`failover.hold`)."},
  {"databases.*.servers[].member", text, "", "Its name in Patroni, for `discovery`, where Patroni knows it by another address than the one here."},
  {"databases.*.servers[].tls", section, "", "TLS to this server, instead of the database's; a text alone is the mode.", built, 0, 0, {}, false, true},
  {"databases.*.servers[].tls.mode", choice, "disable", "As libpq's `sslmode`: `allow` and `prefer` go without where they must, `require` never, `verify-ca` and `verify-full` verify the certificate and the host's name in it. Unix sockets are never encrypted.", built, 0, 0, server_tls_modes},
  {"databases.*.servers[].tls.ca", text, "", "PEM file of those who sign servers' certificates; when given, `require` verifies too."},
  {"databases.*.servers[].tls.cert", text, "", "PEM file with pgbraid's own certificate, for servers that ask for one."},
  {"databases.*.servers[].tls.key", text, "", "PEM file with its private key."},
  {"databases.*.discovery", section, "", "Who else says which server is primary, and is believed before the servers themselves; the text `patroni` alone is Patroni's REST API at every server's host.", built, 0, 0, {}, false, true},
  {"databases.*.discovery.patroni", text_or_list, "", "Addresses of Patroni's REST API on one or several of its members; port 8008 when left out."},
  {"databases.*.discovery.etcd", text_or_list, "", "Addresses of the etcd in which Patroni (`etcd3`) keeps its record; port 2379 when left out."},
  {"databases.*.discovery.scope", text, "", "Patroni's `scope`; needed with `etcd`."},
  {"databases.*.discovery.namespace", text, "service", "Patroni's `namespace`."},
  {"databases.*.shards", items, "", "The shards of a sharded database, in the order in which buckets are split among them."},
  {"databases.*.shards[]", section, "", "One shard."},
  {"databases.*.shards[].name", text, "", "Its name in errors, logs and under `unsharded`.", built, 0, 0, {}, true},
  {"databases.*.shards[].buckets", buckets, "", "Buckets that it owns: on all shards, covering every bucket once, or on none for an even split."},
  {"databases.*.shards[].ranges", items, "", "Values of the key that it owns where the function is `range`."},
  {"databases.*.shards[].ranges[]", section, "", "One range; no value may be in two of them."},
  {"databases.*.shards[].ranges[].from", text, "", "The lowest value, included; when left out, there is none lower."},
  {"databases.*.shards[].ranges[].to", text, "", "The value that ends the range and is not included; when left out, there is no end."},
  {"databases.*.shards[].values", text_list, "", "Values of the key that it owns where the function is `list`."},
  {"databases.*.shards[].schemas", text_list, "", "Schemas all of whose tables live here, such as a tenant's."},
  {"databases.*.shards[].servers", items, "", "The shard's primary and its replicas, in any order; roles are discovered.", built, 0, 0, {}, true},
  {"databases.*.shards[].servers[]", section, "", "One server; a text alone is its address, as above.", built, 0, 0, {}, false, true},
  {"databases.*.shards[].servers[].host", text, "", "Name, address, or Unix-socket directory.", built, 0, 0, {}, true},
  {"databases.*.shards[].servers[].port", integer, "5432", "Port.", built, 1, 65535},
  {"databases.*.shards[].servers[].dbname", text, "", "The database's name on this server; when left out, the name that the client uses."},
  {"databases.*.shards[].servers[].weight", integer, "1", "Share of the reads, against the other replicas' weights.", built, 1, 1000},
  {"databases.*.shards[].servers[].zone", text, "", "Where it stands: reads prefer replicas of pgbraid's own `zone`."},
  {"databases.*.shards[].servers[].drain", boolean, "false", "Nothing new is sent to it: transactions that are open end there, then its connections are closed; while a drained primary is the only one, statements that need it are held (`failover.hold`)."},
  {"databases.*.shards[].servers[].member", text, "", "Its name in Patroni, for `discovery`, where Patroni knows it by another address than the one here."},
  {"databases.*.shards[].servers[].tls", section, "", "TLS to this server, instead of the database's; a text alone is the mode.", built, 0, 0, {}, false, true},
  {"databases.*.shards[].servers[].tls.mode", choice, "disable", "As libpq's `sslmode`: `allow` and `prefer` go without where they must, `require` never, `verify-ca` and `verify-full` verify the certificate and the host's name in it. Unix sockets are never encrypted.", built, 0, 0, server_tls_modes},
  {"databases.*.shards[].servers[].tls.ca", text, "", "PEM file of those who sign servers' certificates; when given, `require` verifies too."},
  {"databases.*.shards[].servers[].tls.cert", text, "", "PEM file with pgbraid's own certificate, for servers that ask for one."},
  {"databases.*.shards[].servers[].tls.key", text, "", "PEM file with its private key."},
  {"databases.*.shards[].discovery", section, "", "Who else says which of the shard's servers is primary, as above.", built, 0, 0, {}, false, true},
  {"databases.*.shards[].discovery.patroni", text_or_list, "", "Addresses of Patroni's REST API on one or several of its members; port 8008 when left out."},
  {"databases.*.shards[].discovery.etcd", text_or_list, "", "Addresses of the etcd in which Patroni (`etcd3`) keeps its record; port 2379 when left out."},
  {"databases.*.shards[].discovery.scope", text, "", "Patroni's `scope`; needed with `etcd`."},
  {"databases.*.shards[].discovery.namespace", text, "service", "Patroni's `namespace`."},

  {"databases.*.sharding", section, "", "Which table's rows live where; needed as soon as there are several shards."},
  {"databases.*.sharding.function", choice, "postgres_hash", "How a key's value finds its shard: by buckets, hashed as PARTITION BY HASH does and split evenly (`postgres_hash`) or laid by a ring, so that one shard more moves few of them (`consistent_hash`); by the shards' `ranges` or `values`; by the rows of a table (`lookup`); by the `schemas` alone.", built, 0, 0, functions},
  {"databases.*.sharding.buckets", power_of_two, "4096", "Number of buckets; never changes once rows are stored.", built, 1, 65536},
  {"databases.*.sharding.default_shard", text, "", "The shard that owns every value which no `ranges`, no `values` and no row of the lookup table list; when left out, such a value is refused."},
  {"databases.*.sharding.tables", named, "", "Tables whose rows are spread over the shards; a name without a schema is in `public`."},
  {"databases.*.sharding.tables.*", section, "", "One sharded table."},
  {"databases.*.sharding.tables.*.key", text_or_list, "", "Column whose value decides where a row lives, or a list of columns whose values decide it together: hashed as `PARTITION BY HASH (a, b)` does.", built, 0, 0, {}, true},
  {"databases.*.sharding.tables.*.function", choice, "", "Its own function, instead of the sharding's. Tables are joined on their keys where their functions are the same.", built, 0, 0, table_functions},
  {"databases.*.sharding.tables.*.unique", text_or_list, "", "Column, or a list of columns, whose values pgbraid keeps apart over all shards, each column by itself; none of them the key. Each needs a unique constraint or index of its own on every shard: see \"Unique values over shards\" in operations.md."},
  {"databases.*.sharding.patterns", items, "", "Tables that are sharded as soon as they are there, whoever creates them: all whose name fits and that have the key's columns. The first pattern that fits decides; tables that are listed go by their list."},
  {"databases.*.sharding.patterns[]", section, "", "One pattern."},
  {"databases.*.sharding.patterns[].tables", text_or_list, "", "Name, or a list of names, in which `*` stands for any characters and `?` for one; a name without a schema is in `public`.", built, 0, 0, {}, true},
  {"databases.*.sharding.patterns[].key", text_or_list, "", "Their key, as for `tables`.", built, 0, 0, {}, true},
  {"databases.*.sharding.patterns[].function", choice, "", "Their own function, as for `tables`.", built, 0, 0, table_functions},
  {"databases.*.sharding.patterns[].unique", text_or_list, "", "Columns whose values are kept apart over all shards, as for `tables`; those that a table lacks are none of its."},
  {"databases.*.sharding.lookup", section, "", "The table whose rows say which shard owns a key, for the function `lookup`."},
  {"databases.*.sharding.lookup.table", text, "", "Its name; one of the `reference_tables`.", built, 0, 0, {}, true},
  {"databases.*.sharding.lookup.key", text, "", "Its column that holds keys; unique, of the keys' type.", built, 0, 0, {}, true},
  {"databases.*.sharding.lookup.shard", text, "", "Its column that names the shard of each key.", built, 0, 0, {}, true},
  {"databases.*.sharding.lookup.cache", integer, "100000", "Keys whose shards each worker keeps in mind.", built, 0, 100'000'000},
  {"databases.*.sharding.lookup.max_age", duration, "", "How long a key is kept in mind; 0: it is looked up for each statement. Changes through this pgbraid are known at once; those by another way only after this time. When left out, 10s, and 0 where `instances.peers` are listed.", built, 0, day},
  {"databases.*.sharding.reference_tables", text_list, "", "Tables of which every shard holds a full copy."},
  {"databases.*.sharding.unsharded", named, "", "Tables that live on one shard: the table, then the shard's name."},
  {"databases.*.sharding.unsharded.*", text, "", "Name of the shard."},
  {"databases.*.sharding.accept_unenforced", text_list, "", "Sharded tables that may be written although a constraint or a sequence of theirs holds for one shard only."},
  {"databases.*.sharding.shard_local", text_list, "", "Functions, tables and views that are right although what runs behind them sees one shard's rows only."},
  {"databases.*.sharding.sequence_blocks", integer, "1", "How many numbers of a sequence a worker draws at once for columns that INSERT leaves to it. With 1 each INSERT draws its own, in order; with more only one in so many asks the first shard, numbers have gaps and are not in order (docs/operations.md, \"Numbers in blocks\").", built, 1, 100'000},
  {"databases.*.sharding.check_placement", boolean, "true", "Whether rows are sampled at start and at reload and held against the bucket map."},

  {"databases.*.reads", section, "", "Which reads may go to replicas."},
  {"databases.*.reads.replicas", choice, "prefer", "Whether reads go to replicas when there are any (`prefer`), only to replicas (`require`), or never (`off`).", built, 0, 0, replica_uses},
  {"databases.*.reads.max_lag", size_or_duration, "none", "How far a replica may be behind, in bytes of WAL or in time, before it gets no reads."},
  {"databases.*.reads.consistency", choice, "session", "What a read must see: all writes of its own session, those of all sessions of this pgbraid to the tables that it reads (`global`), or no promise (`eventual`).", built, 0, 0, consistencies},
  {"databases.*.reads.snapshot", choice, "shard", "What a statement over several shards sees of a commit over several shards that is under way: on each `shard` what is committed there at that moment, or all of it or nothing (`consistent`), at the price that such reads go to primaries and wait for such commits, and the other way round. All instances before the same servers must say the same.", built, 0, 0, read_snapshots},
  {"databases.*.reads.wait_for_replica", duration, "0", "How long a read waits for a replica that does not show enough yet before it goes to the primary.", built, 0, 10 * second},
  {"databases.*.reads.choose", choice, "least_outstanding", "Which of several usable replicas a read goes to: the one with the fewest reads under way for its weight and for how fast it answers, each in turn as often as its weight says, or a random one by weight.", built, 0, 0, replica_choices},
  {"databases.*.reads.treat_as_read", text_list, "", "Functions that are declared volatile and yet only read."},
  {"databases.*.reads.treat_as_write", text_list, "", "Functions that must run on the primary whatever they declare."},

  {"databases.*.commits", section, "", "Transactions that write to several shards."},
  {"databases.*.commits.answer", choice, "finished", "When COMMIT of such a transaction is answered: when every shard has committed (`finished`), or as soon as nothing can undo it any more (`decided`), one round trip sooner. Its own session sees all of it even so; others may find shards without it for a moment.", built, 0, 0, commit_answers},

  {"databases.*.pool", section, "", "Connections to the servers."},
  {"databases.*.pool.mode", choice, "transaction", "For how long a client keeps a server connection: for a `transaction`, and longer where its state cannot be moved; from its first statement to its end (`session`: all its reads go to the primary too); for one `statement`: BEGIN is refused.", built, 0, 0, pool_modes},
  {"databases.*.pool.size", integer, "20", "Connections to each server for each user and database, over all workers.", built, 1, 10'000},
  {"databases.*.pool.max_connections", integer, "0", "Connections to each server for the database, over all users; 0 is no limit.", built, 0, 100'000},
  {"databases.*.pool.reserve", integer, "0", "Connections beyond `size` that may be opened for clients that have waited for `reserve_after`.", built, 0, 10'000},
  {"databases.*.pool.reserve_after", duration, "5s", "Time that a client waits for a server connection before the reserve is touched.", built, 0, hour},
  {"databases.*.pool.prepared_statements", integer, "500", "Prepared statements kept on each server connection.", built, 1, 100'000},
  {"databases.*.pool.idle_timeout", duration, "10min", "Time after which an unused server connection is closed.", built, second, 30 * day},
  {"databases.*.pool.lifetime", duration, "1h", "Age at which a server connection is closed when its client is through, up to a tenth less for each so that not all end at once; 0 is no end.", built, 0, 365 * day},
  {"databases.*.max_clients", integer, "", "Clients of this database connected at the same time; when left out or 0, `limits.max_clients_per_database`.", built, 0, 1'000'000},
  {"databases.*.tls", section, "", "TLS to all servers of the database; a text alone is the mode.", built, 0, 0, {}, false, true},
  {"databases.*.tls.mode", choice, "disable", "As libpq's `sslmode`: `allow` and `prefer` go without where they must, `require` never, `verify-ca` and `verify-full` verify the certificate and the host's name in it. Unix sockets are never encrypted.", built, 0, 0, server_tls_modes},
  {"databases.*.tls.ca", text, "", "PEM file of those who sign servers' certificates; when given, `require` verifies too."},
  {"databases.*.tls.cert", text, "", "PEM file with pgbraid's own certificate, for servers that ask for one."},
  {"databases.*.tls.key", text, "", "PEM file with its private key."},

  {"failover", section, "", "What happens while a shard has no primary."},
  {"failover.hold", duration, "10s", "How long a statement that has not been sent waits for a primary, if its session has written nothing in an open transaction; 0 is not at all.", built, 0, hour},
  {"failover.max_held", integer, "10000", "Statements that may wait at a time, over all clients; more are refused with 53400.", built, 0, 1'000'000},
  {"failover.max_held_bytes", size, "64MB", "Bytes of the statements that wait.", built, 0, GB},
  {"failover.max_loss", size, "", "What a new primary may lack of the WAL that the last one had flushed when it was last asked; one that lacks more is no primary. Any amount when left out.", built, 0, 1024 * GB},

  {"limits", section, "", "What one client, or all of them, may take."},
  {"limits.max_clients", integer, "10000", "Clients connected at the same time.", built, 1, 1'000'000},
  {"limits.max_clients_per_user", integer, "0", "Clients of one user connected at the same time; 0 is no limit.", built, 0, 1'000'000},
  {"limits.max_clients_per_database", integer, "0", "Clients of one database connected at the same time; 0 is no limit.", built, 0, 1'000'000},
  {"limits.max_message", size, "64MB", "Largest message from a client.", built, 8 * kB, GB},
  {"limits.max_parse", size, "1MB", "Longest statement that is parsed for routing.", built, kB, 64 * MB},
  {"limits.max_statements", integer, "10000", "Prepared statements of one client.", built, 1, 10'000'000},
  {"limits.max_gather", size, "64MB", "Bytes that one query may gather from several shards.", built, kB, GB},
  {"limits.max_gather_total", size, "1GB", "Bytes that all queries together may gather.", built, kB, 1024 * GB},
  {"limits.max_notifications", size, "512kB", "Bytes of notifications that may wait for a client which listens, in a long transaction or because it does not read; it is sent away beyond (53400).", built, 8 * kB, GB},

  {"timeouts", section, "", "How long pgbraid waits."},
  {"timeouts.login", duration, "1min", "For a client to finish logging in.", built, 100, hour},
  {"timeouts.connect", duration, "5s", "For a server to accept a connection.", built, 10, hour},
  {"timeouts.checkout", duration, "2min", "For a server connection to become free.", built, 10, day},
  {"timeouts.query", duration, "0", "For a statement, or a batch of them, to be answered before it is cancelled (57014); 0 is for ever.", built, 0, 365 * day},
  {"timeouts.transaction", duration, "0", "For a transaction to end before its client is sent away (25P04); 0 is for ever.", built, 0, 365 * day},
  {"timeouts.idle_in_transaction", duration, "0", "For a client to go on with an open transaction before it is sent away (25P03); 0 is for ever.", built, 0, 365 * day},
  {"timeouts.idle_client", duration, "0", "For a client without a transaction to say something before it is sent away (57P05); 0 is for ever.", built, 0, 365 * day},
  {"timeouts.shutdown", duration, "1min", "For open transactions to end after SIGTERM.", built, 0, day},

  {"log", section, "", "What is logged."},
  {"log.level", choice, "info", "The least important kind that is logged.", built, 0, 0, log_levels},
  {"log.connections", boolean, "false", "Whether logins and disconnections are logged."},
};
// clang-format on

/// The path without its last part; "listen" -> "", "users.*" -> "users", "a.servers[]" -> "a.servers".
std::string_view parent(std::string_view path) {
  if (path.ends_with("[]")) return path.substr(0, path.size() - 2);
  const auto dot = path.rfind('.');
  return dot == path.npos ? std::string_view{} : path.substr(0, dot);
}

std::string join(std::span<const choice_row> choices) {
  std::string out;
  for (std::size_t i = 0; i < choices.size(); ++i)
    out += fmt::format("{}{}", i == 0 ? "" : i + 1 == choices.size() ? " or " : ", ", choices[i].name);
  return out;
}

}  // namespace

std::string_view key_row::name() const noexcept {
  const std::string_view above = parent(path);
  if (path.ends_with("[]")) return "[]";
  return above.empty() ? path : path.substr(above.size() + 1);
}

std::span<const key_row> keys() {
  return table;
}

const key_row* find_key(std::string_view path) {
  for (const key_row& row : table)
    if (row.path == path) return &row;
  return nullptr;
}

std::vector<const key_row*> keys_below(std::string_view path) {
  std::vector<const key_row*> out;
  for (const key_row& row : table)
    if (parent(row.path) == path) out.push_back(&row);
  return out;
}

std::string expectation(const key_row& row) {
  switch (row.what) {
    case section:
      return row.short_form ? "a text or a map" : "a map";
    case named:
      return "a map of names";
    case items:
      return "a list";
    case text:
      return "a text";
    case text_list:
      return "a list of texts";
    case text_or_list:
      return "a text or a list of texts";
    case integer:
      return fmt::format("a whole number from {} to {}", row.minimum, row.maximum);
    case integer_or_auto:
      return fmt::format("auto or a whole number from {} to {}", row.minimum, row.maximum);
    case power_of_two:
      return fmt::format("a power of two from {} to {}", row.minimum, row.maximum);
    case boolean:
      return "true or false";
    case size:
      return fmt::format("a size from {} to {}", format_size(static_cast<std::uint64_t>(row.minimum)),
                         format_size(static_cast<std::uint64_t>(row.maximum)));
    case duration:
      return fmt::format("a time from {} to {}", format_duration(std::chrono::milliseconds(row.minimum)),
                         format_duration(std::chrono::milliseconds(row.maximum)));
    case size_or_duration:
      return "none, a size as 16MB, or a time as 5s";
    case choice:
      return join(row.choices);
    case address:
      return "an address as host:port";
    case buckets:
      return "bucket ranges as 0-2047";
    case anything:
      break;
  }
  return "anything";
}

}  // namespace pgbraid::config
