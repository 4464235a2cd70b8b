#include "key_server.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <string_view>

namespace pgbraid::tests {
namespace {

// hash_record_extended over one column is that column's hash by its type's default hash operator class; what is added
// is the constant of hash_combine64. The bucket is held against satisfies_hash_partition, which takes the hash and the
// combination from the server's own partitioning code.
constexpr const char* create_functions = R"(
create function pg_temp.combined(hash bigint) returns numeric language sql immutable as
$$ select mod(hash::numeric + 18446744073709551616 + 5305509591434766563, 18446744073709551616) $$;

create function pg_temp.store(target text, bytes_of text, input text, as_type text) returns text language plpgsql as
$$
declare
  hash numeric; bytes text; right_bucket bool;
begin
  execute format('insert into %1$s values (%2$L%3$s) returning pg_temp.combined(hash_record_extended(row(v), 8816678312871386365)),
                    encode(%4$s(v), ''hex''), satisfies_hash_partition(%1$L::regclass, 4096, mod(
                      pg_temp.combined(hash_record_extended(row(v), 8816678312871386365)), 4096)::int, v)',
                 target, input, as_type, bytes_of) into hash, bytes, right_bucket;
  if right_bucket is distinct from true then
    raise exception using errcode = 'XX000', message = format('%s %L: wrong bucket', target, input);
  end if;
  return hash || ' ' || bytes;
exception when data_exception then
  return null;
end
$$;
)";

/// SQLSTATE class of values that do not fit their type, and what a message too short for its type gives.
constexpr std::string_view data_exception = "22", protocol_violation = "08P01";

std::string array_literal(const std::vector<std::string>& texts) {
  std::string literal = "{";
  for (const auto& text : texts) {
    if (literal.size() > 1) literal += ',';
    literal += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') literal += '\\';
      literal += c;
    }
    literal += '"';
  }
  return literal + "}";
}

std::string bytes_of_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return bytes;
}

/// "hash hex" as pg_temp.store gives it.
stored_key stored_key_of(std::string_view text) {
  const std::size_t blank = text.find(' ');
  return {std::stoull(std::string(text.substr(0, blank))), bytes_of_hex(text.substr(blank + 1))};
}

/// The type's send function, by pg_type's name of it.
constexpr const char* send_function =
    "(select typsend::text from pg_attribute a join pg_type t on t.oid = a.atttypid "
    "where attrelid = $1::text::regclass and attname = 'v')";

}  // namespace

key_server::key_server() : connection_(PQconnectdb("")) {
  if (PQstatus(connection_.get()) != CONNECTION_OK)
    throw std::runtime_error(fmt::format("no server to test against: {}", PQerrorMessage(connection_.get())));
  execute("set client_min_messages = warning");
  execute("set client_encoding = 'UTF8'");
  execute("set timezone = 'UTC'");
  if (const auto encoding = query("show server_encoding"); PQgetvalue(encoding.get(), 0, 0) != std::string("UTF8"))
    throw std::runtime_error("the database's encoding is not UTF8");
  execute(create_functions);
}

key_table key_server::create_table(const std::string& type_name) {
  key_table table;
  table.name = fmt::format("pg_temp.keys_{}", ++tables_);
  execute(fmt::format("create temp table keys_{} (v {}) partition by hash (v)", tables_, type_name));
  execute(fmt::format("create temp table keys_{0}_all partition of keys_{0} for values with (modulus 1, remainder 0)",
                      tables_));
  const auto column =
      query("select atttypid, atttypmod from pg_attribute where attrelid = $1::regclass and attname = 'v'",
            {table.name.c_str()});
  table.type = static_cast<router::oid>(std::stoul(PQgetvalue(column.get(), 0, 0)));
  table.modifier = std::stoi(PQgetvalue(column.get(), 0, 1));
  return table;
}

std::vector<std::optional<stored_key>> key_server::store_texts(const key_table& table,
                                                               const std::vector<std::string>& texts,
                                                               const std::string& as_type) {
  const std::string cast = as_type.empty() ? "" : "::" + as_type;
  const std::string inputs = array_literal(texts);
  const auto answer = query(fmt::format("select pg_temp.store($1, {}, t, $3) from unnest($2::text[]) with ordinality "
                                        "as inputs(t, place) order by place",
                                        send_function),
                            {table.name.c_str(), inputs.c_str(), cast.c_str()});
  std::vector<std::optional<stored_key>> stored;
  for (int row = 0; row < PQntuples(answer.get()); ++row)
    stored.push_back(PQgetisnull(answer.get(), row, 0)
                         ? std::nullopt
                         : std::optional(stored_key_of(PQgetvalue(answer.get(), row, 0))));
  return stored;
}

std::optional<stored_key> key_server::store_bytes(const key_table& table, router::oid from, const std::string& bytes) {
  const std::string sql = fmt::format(
      "insert into {} values ($1) returning pg_temp.combined(hash_record_extended(row(v), 8816678312871386365)), v",
      table.name);
  const Oid type = from;
  const char* value = bytes.data();
  const int length = static_cast<int>(bytes.size()), binary = 1;
  const result answer(PQexecParams(connection_.get(), sql.c_str(), 1, &type, &value, &length, &binary, 0));
  if (PQresultStatus(answer.get()) != PGRES_TUPLES_OK) {
    const char* state = PQresultErrorField(answer.get(), PG_DIAG_SQLSTATE);
    if (state != nullptr && (std::string_view(state).substr(0, 2) == data_exception || state == protocol_violation))
      return std::nullopt;
    fail(sql, answer.get());
  }
  return stored_key{std::stoull(PQgetvalue(answer.get(), 0, 0)), bytes};
}

std::optional<int> key_server::partitions_read(const std::string& key_type, const std::string& literal) {
  execute(fmt::format("create temp table tied (v {}) partition by hash (v)", key_type));
  constexpr int partitions = 4;
  for (int remainder = 0; remainder < partitions; ++remainder)
    execute(fmt::format("create temp table tied_{0} partition of tied for values with (modulus {1}, remainder {0})",
                        remainder, partitions));
  const std::string sql = fmt::format("explain (costs off) select v from tied where v = {}", literal);
  const result plan(PQexec(connection_.get(), sql.c_str()));
  std::optional<int> scans;
  if (PQresultStatus(plan.get()) == PGRES_TUPLES_OK) {
    scans = 0;
    for (int row = 0; row < PQntuples(plan.get()); ++row)
      if (std::string_view(PQgetvalue(plan.get(), row, 0)).find("Scan on tied_") != std::string_view::npos) ++*scans;
  } else {
    constexpr std::string_view undefined_function = "42883";
    const char* state = PQresultErrorField(plan.get(), PG_DIAG_SQLSTATE);
    if (state == nullptr || state != undefined_function) fail(sql, plan.get());
  }
  execute("drop table tied");
  return scans;
}

void key_server::execute(const std::string& sql) {
  query(sql);
}

key_server::result key_server::query(const std::string& sql, const std::vector<const char*>& parameters) {
  result answer(parameters.empty() ? PQexec(connection_.get(), sql.c_str())
                                   : PQexecParams(connection_.get(), sql.c_str(), static_cast<int>(parameters.size()),
                                                  nullptr, parameters.data(), nullptr, nullptr, 0));
  const auto status = PQresultStatus(answer.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) fail(sql, answer.get());
  return answer;
}

void key_server::fail(const std::string& what, const PGresult* of) {
  throw std::runtime_error(fmt::format("{}: {}", what, PQresultErrorMessage(of)));
}

}  // namespace pgbraid::tests
