// The topology file as plain structs: what `pgbraid.yaml` says, with units in the types. Filled by load() alone.
#pragma once

#include "config/network.hpp"

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pgbraid::config {

/// Where something stands in the file; 1-based, 0 for "nowhere" (a default).
struct position {
  int line = 0;
  int column = 0;
  friend bool operator==(const position&, const position&) = default;
};

enum class auth_method : std::uint8_t { trust, password, md5, scram_sha_256, cert, reject };
enum class replica_policy : std::uint8_t { prefer, require, off };
enum class consistency : std::uint8_t { session, global, eventual };
enum class read_snapshot : std::uint8_t { shard, consistent };
enum class commit_answer : std::uint8_t { finished, decided };
enum class replica_choice : std::uint8_t { least_outstanding, round_robin, random };
enum class pool_mode : std::uint8_t { transaction, session, statement };
enum class shard_function : std::uint8_t { postgres_hash, consistent_hash, range, list, lookup, schema };
enum class log_level : std::uint8_t { debug, info, warning, error };
enum class client_tls_mode : std::uint8_t { disable, allow, require };
enum class server_tls_mode : std::uint8_t { disable, allow, prefer, require, verify_ca, verify_full };
enum class tls_version : std::uint8_t { tls_1_2, tls_1_3 };

struct host_port {
  std::string host;  ///< name, address, or a Unix-socket directory starting with '/'
  std::uint16_t port = 5432;
  friend auto operator<=>(const host_port&, const host_port&) = default;
};

/// TLS for clients. Paths are relative to the working directory: the file's own folder has been put before them.
struct client_tls {
  client_tls_mode mode = client_tls_mode::allow;
  std::string cert, key;  ///< PEM files; "": no TLS is offered
  std::string ca;         ///< PEM file of those who sign clients' certificates; "": none is asked for
  tls_version min_version = tls_version::tls_1_2;
  [[nodiscard]] bool offered() const noexcept { return mode != client_tls_mode::disable && !cert.empty(); }
};

struct listen_options {
  std::vector<std::string> hosts{"127.0.0.1"};
  std::uint16_t port = 6432;
  unsigned backlog = 1024;
  client_tls tls;
};

struct admin_options {
  std::vector<std::string> users;
  std::optional<host_port> http;
};

/// A password that was written out, or the stored SCRAM secret, already read from its file or environment variable.
struct user {
  std::string name;                     ///< "*": every user not named
  std::optional<std::string> password;  ///< plain text or "SCRAM-SHA-256$..." or "md5..."
  unsigned max_clients = 0;             ///< 0: limits.max_clients_per_user
  unsigned max_server_connections = 0;  ///< to each server, over all databases and workers; 0: no limit
  position where;
};

struct monitor_options {
  std::string user = "postgres";
  std::optional<std::string> password;
  std::string dbname;  ///< "": the database being watched
  std::chrono::milliseconds interval{200};
  std::chrono::milliseconds timeout{2000};
  std::chrono::milliseconds catalog_interval{5000};
  unsigned probe_rate = 50;  ///< questions a second up to which positions are asked for out of turn; 0: never
};

/// TLS to a server, with libpq's modes. Paths as in client_tls.
struct server_tls {
  server_tls_mode mode = server_tls_mode::disable;
  std::string ca;         ///< PEM file of those who sign servers' certificates; "": none is verified
  std::string cert, key;  ///< PEM files of our own, for servers that ask for it; "": none
  friend auto operator<=>(const server_tls&, const server_tls&) = default;
};

struct server {
  std::string host;
  std::uint16_t port = 5432;
  std::string dbname;  ///< "": the database's own name
  unsigned weight = 1;
  std::string zone;    ///< where it stands; "": nowhere in particular
  bool drain = false;  ///< nothing new is sent to it
  std::string member;  ///< its name in Patroni; "": the member with its address
  server_tls tls;
  position where;
};

/// Where Patroni says who leads a shard: its REST API, its record in etcd, or both.
struct discovery {
  std::vector<host_port> patroni;      ///< REST APIs of one cluster's members
  std::vector<host_port> etcd;         ///< clients' ports of one etcd
  std::string scope;                   ///< with etcd never ""
  std::string name_space = "service";  ///< without slashes around it; may be ""
  friend auto operator<=>(const discovery&, const discovery&) = default;
};

struct bucket_range {
  std::uint32_t first = 0, last = 0;  ///< inclusive
  friend bool operator==(const bucket_range&, const bucket_range&) = default;
};

/// From `from` up to before `to`, as the key's type is written; none: no bound.
struct value_range {
  std::optional<std::string> from, to;
  friend bool operator==(const value_range&, const value_range&) = default;
};

struct shard {
  std::string name;
  std::vector<bucket_range> buckets;  ///< empty on all shards: an even split in the order listed
  std::vector<value_range> ranges;    ///< function range
  std::vector<std::string> values;    ///< function list
  std::vector<std::string> schemas;   ///< all of whose tables live here
  std::vector<server> servers;
  std::optional<config::discovery> discovery;  ///< none: the servers' own answers alone say who is primary
  position where;
};

struct sharded_table {
  std::string name;  ///< as written: "orders" or "sales.orders"
  std::vector<std::string> key;  ///< its columns
  std::optional<shard_function> function;  ///< none: the sharding's
  std::vector<std::string> unique{};       ///< columns whose values are kept apart over all shards, each by itself
  position where;
};

/// Tables that are sharded as soon as they are there.
struct table_pattern {
  std::vector<std::string> tables;         ///< names with * and ?, as written
  std::vector<std::string> key;            ///< columns: tables that lack one of them are not meant
  std::optional<shard_function> function;  ///< none: the sharding's
  std::vector<std::string> unique{};       ///< as a table's
  position where;
};

struct unsharded_table {
  std::string name;
  std::string shard;
  position where;
};

/// The table in which keys are looked up (function lookup).
struct lookup_table {
  std::string table;                                 ///< as written
  std::string key, shard;                            ///< its columns
  std::uint32_t cache = 100'000;                     ///< keys kept by each worker
  std::optional<std::chrono::milliseconds> max_age;  ///< none: 10 s for the only instance, 0 where there are others
  position where;
};

struct sharding {
  shard_function function = shard_function::postgres_hash;
  std::uint32_t buckets = 4096;
  std::string default_shard;  ///< owns every value that no range and no list has; "": nobody does
  std::vector<sharded_table> tables;
  std::vector<table_pattern> patterns;  ///< in order: the first that fits decides
  std::optional<lookup_table> lookup;
  std::vector<std::string> reference_tables;
  std::vector<unsharded_table> unsharded;
  std::vector<std::string> accept_unenforced;
  std::vector<std::string> shard_local;
  std::uint32_t sequence_blocks = 1;  ///< numbers of a sequence that a worker draws at once
  bool check_placement = true;  ///< sample rows at start and reload and hold them against the bucket map
};

/// max_lag: either bytes or a time, or neither.
struct lag_limit {
  std::optional<std::uint64_t> bytes;
  std::optional<std::chrono::milliseconds> time;
};

struct read_options {
  replica_policy replicas = replica_policy::prefer;
  lag_limit max_lag;
  config::consistency consistency = config::consistency::session;
  read_snapshot snapshot = read_snapshot::shard;
  std::chrono::milliseconds wait_for_replica{0};  ///< before a read goes to the primary
  replica_choice choose = replica_choice::least_outstanding;
  std::vector<std::string> treat_as_read, treat_as_write;  ///< function names
};

/// Transactions that write to several shards.
struct commit_options {
  commit_answer answer = commit_answer::finished;  ///< when the client is told
};

struct pool_options {
  pool_mode mode = pool_mode::transaction;
  unsigned size = 20;                  ///< server connections for each server, user and database, over all workers
  unsigned prepared_statements = 500;  ///< kept on each server connection
  unsigned max_connections = 0;        ///< to each server for the database, over all users and workers; 0: no limit
  unsigned reserve = 0;                ///< connections beyond size for clients that have waited for reserve_after
  std::chrono::milliseconds reserve_after{5'000};
  std::chrono::milliseconds idle_timeout{600'000};
  std::chrono::milliseconds lifetime{3'600'000};  ///< of a server connection, up to a tenth less; 0: no end
};

struct database {
  std::string name;                   ///< "*": every database not named
  std::vector<config::shard> shards;  ///< one, named "default", for the `servers:` short form
  std::optional<config::sharding> sharding;
  read_options reads;
  commit_options commits;
  pool_options pool;
  unsigned max_clients = 0;  ///< 0: limits.max_clients_per_database
  position where;
};

/// What happens while a shard has no primary.
struct failover_options {
  std::chrono::milliseconds hold{10'000};     ///< how long a statement waits for one; 0: not at all
  unsigned max_held = 10'000;                 ///< statements that wait, over all clients
  std::uint64_t max_held_bytes = 64ull << 20;  ///< bytes of them
  std::optional<std::uint64_t> max_loss;       ///< bytes of WAL that the next primary may lack; none: any
};

struct limits {
  unsigned max_clients = 10'000;
  unsigned max_clients_per_user = 0, max_clients_per_database = 0;  ///< 0: no limit
  std::uint64_t max_message = 64ull << 20;  ///< bytes of one message from a client
  std::uint64_t max_parse = 1ull << 20;     ///< bytes of one statement that is parsed for routing
  std::uint32_t max_statements = 10'000;    ///< prepared statements of one client
  std::uint64_t max_gather = 64ull << 20;   ///< bytes that one query may gather from several shards
  std::uint64_t max_gather_total = 1ull << 30;  ///< bytes that all queries together may
  std::uint64_t max_notifications = 512ull << 10;  ///< bytes of notifications that wait for one client
};

struct timeouts {
  std::chrono::milliseconds login{60'000};
  std::chrono::milliseconds connect{5'000};
  std::chrono::milliseconds checkout{120'000};
  std::chrono::milliseconds shutdown{60'000};  ///< how long SIGTERM waits for transactions
  // 0: for ever
  std::chrono::milliseconds query{0}, transaction{0}, idle_in_transaction{0}, idle_client{0};
};

struct log_options {
  log_level level = log_level::info;
  bool connections = false;
};

/// One line of who may log in how; what is empty fits all.
struct access_rule {
  std::vector<std::string> databases, users;
  std::vector<network> addresses;
  std::optional<bool> tls;  ///< over TLS only, or not over TLS only
  auth_method method = auth_method::reject;
};

/// Processes that stand behind one balancer.
struct instance_options {
  struct peer {
    unsigned instance = 0;
    host_port at;
  };
  unsigned own = 0;  ///< this process's number; 0: it is the only one
  std::vector<peer> peers;
};

struct topology {
  std::string file;
  listen_options listen;
  admin_options admin;
  std::string zone;      ///< where this pgbraid stands; "": nowhere in particular
  instance_options instances;
  unsigned workers = 0;  ///< 0: auto
  auth_method auth = auth_method::scram_sha_256;
  std::vector<access_rule> access;  ///< in order: the first that fits decides; empty: `auth` for all
  std::string auth_query;           ///< gives name and secret of the user $1; "": none
  std::chrono::milliseconds auth_query_keep{60'000};
  monitor_options monitor;
  std::vector<user> users;
  std::vector<database> databases;
  failover_options failover;
  config::limits limits;
  config::timeouts timeouts;
  log_options log;
};

/// One thing wrong, or worth a warning, in the file.
struct finding {
  enum class level : std::uint8_t { error, warning } severity = level::error;
  position where;
  std::string text;
  friend bool operator==(const finding&, const finding&) = default;
};

/// "file:line:column: error: text".
[[nodiscard]] std::string to_string(const finding& f, std::string_view file);

struct load_result {
  topology value;  ///< meaningful when no finding is an error
  std::vector<finding> findings;
  [[nodiscard]] bool ok() const noexcept;
};

/// Reads and checks a topology. Every mistake is reported, not only the first. Passwords given as password_env and
/// password_file are read here.
[[nodiscard]] load_result load_file(const std::string& path);
[[nodiscard]] load_result load_text(const std::string& yaml, const std::string& name);

/// The buckets of each shard, in the order of `shards`: those written, or the even split, in which shard i of n owns
/// floor(i*B/n) to floor((i+1)*B/n)-1. Without sharding: one empty list for each shard. Precondition: d was loaded ok.
[[nodiscard]] std::vector<std::vector<bucket_range>> bucket_ranges(const database& d);

/// The user of this name, else the one named "*", else null. Lives as long as `t`.
[[nodiscard]] const user* find_user(const topology& t, std::string_view name);

/// The topology as understood, as YAML with every default written out and bucket ranges explicit. Passwords are masked.
[[nodiscard]] std::string describe(const topology& t);

/// The JSON Schema of the file, and the reference of all keys in Markdown: both made from the one table of keys.
[[nodiscard]] std::string json_schema();
[[nodiscard]] std::string reference_markdown();

}  // namespace pgbraid::config
