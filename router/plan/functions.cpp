// Functions and routing; see functions.hpp. Source for the lists: the manual's chapters "System Information Functions",
// "System Administration Functions", "Date/Time Functions" and pg_proc's provolatile.
#include "router/plan/functions.hpp"

#include <algorithm>
#include <array>

namespace pgbraid::router {
namespace {

template <std::size_t N>
bool listed(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// Answers belong to one running server.
constexpr std::array<std::string_view, 28> server_identity{"inet_server_addr",
                                                           "inet_server_port",
                                                           "inet_client_addr",
                                                           "inet_client_port",
                                                           "pg_is_in_recovery",
                                                           "pg_postmaster_start_time",
                                                           "pg_backend_pid",
                                                           "pg_conf_load_time",
                                                           "pg_current_snapshot",
                                                           "pg_current_xact_id",
                                                           "pg_current_xact_id_if_assigned",
                                                           "pg_current_logfile",
                                                           "pg_my_temp_schema",
                                                           "pg_is_other_temp_schema",
                                                           "pg_listening_channels",
                                                           "pg_blocking_pids",
                                                           "pg_safe_snapshot_blocking_pids",
                                                           "pg_lock_status",
                                                           "pg_cursor",
                                                           "pg_prepared_statement",
                                                           "pg_prepared_xact",
                                                           "pg_show_all_settings",
                                                           "pg_xact_status",
                                                           "pg_export_snapshot",
                                                           "current_setting",
                                                           "pg_jit_available",
                                                           "pg_is_wal_replay_paused",
                                                           "pg_hba_file_rules"};

constexpr std::array<std::string_view, 6> server_identity_prefixes{"pg_current_wal", "pg_last_",     "txid_",
                                                                   "pg_stat_",       "pg_snapshot_", "pg_visible_in_"};

constexpr std::array<std::string_view, 3> transaction_time{"now", "transaction_timestamp", "statement_timestamp"};

constexpr std::array<std::string_view, 4> sequence_functions{"nextval", "setval", "currval", "lastval"};

constexpr std::array<std::string_view, 3> session_functions{"set_config", "setseed", "pg_export_snapshot"};
constexpr std::array<std::string_view, 4> session_prefixes{"pg_advisory_", "pg_try_advisory_", "lo_", "dblink"};

/// Stable only since a time in JSON may be written as "now".
constexpr std::array<std::string_view, 4> record_functions{"json_to_record", "json_to_recordset", "jsonb_to_record",
                                                           "jsonb_to_recordset"};

/// Stable only because of settings, which are the same on every shard of one session.
constexpr std::array<std::string_view, 51> stable_by_settings{"to_char",
                                                              "json_agg",
                                                              "jsonb_agg",
                                                              "json_object_agg",
                                                              "jsonb_object_agg",
                                                              "to_date",
                                                              "to_timestamp",
                                                              "to_number",
                                                              "date_trunc",
                                                              "date_part",
                                                              "extract",
                                                              "age",
                                                              "date",
                                                              "time",
                                                              "timetz",
                                                              "timestamp",
                                                              "timestamptz",
                                                              "timezone",
                                                              "text",
                                                              "interval",
                                                              "format",
                                                              "concat",
                                                              "concat_ws",
                                                              "array_to_string",
                                                              "string_to_array",
                                                              "to_json",
                                                              "to_jsonb",
                                                              "row_to_json",
                                                              "array_to_json",
                                                              "json_build_object",
                                                              "json_build_array",
                                                              "jsonb_build_object",
                                                              "jsonb_build_array",
                                                              "json_object",
                                                              "jsonb_object",
                                                              "quote_literal",
                                                              "quote_nullable",
                                                              "quote_ident",
                                                              "to_tsvector",
                                                              "to_tsquery",
                                                              "plainto_tsquery",
                                                              "phraseto_tsquery",
                                                              "websearch_to_tsquery",
                                                              "ts_headline",
                                                              "make_timestamptz",
                                                              "make_interval",
                                                              "isfinite",
                                                              "date_bin",
                                                              "overlaps",
                                                              "length",
                                                              "generate_series"};

/// Sees the catalog or the name of the database, which clients know from the designated shard.
constexpr std::array<std::string_view, 13> catalog_functions{
    "format_type",        "obj_description", "col_description", "shobj_description",
    "current_database",   "current_schema",  "current_schemas", "version",
    "to_regclass",        "to_regtype",      "to_regproc",      "to_regnamespace",
    "row_security_active"};

/// Run a query, or read a table, that they are told of by text: as code that is not seen.
constexpr std::array<std::string_view, 7> text_query_prefixes{"query_to_xml", "cursor_to_xml", "table_to_xml", "schema_to_xml",
                                                              "database_to_xml", "ts_stat", "ts_rewrite"};

/// Begin with pg_ or read the catalog, and tell nothing of a table's rows.
constexpr std::array<std::string_view, 9> tells_of_no_table{"current_database", "current_schema", "current_schemas",    "version",  "pg_typeof",
                                                            "format_type",      "pg_size_pretty", "pg_client_encoding", "to_regtype"};

/// Tells the text that the server was sent, which is not the client's where it was made for several shards.
constexpr std::string_view text_function = "current_query";

/// What rows that have been fetched are written with, in just this form: see rows_select().
bool reads_one_column(const sql::expr& call) {
  const auto named = [](const sql::expr& e, std::string_view name) {
    return e.name.size() == 2 && e.name[0] == "pg_catalog" && e.name[1] == name;
  };
  if (!named(call, "json_populate_record") || call.children.size() != 2 || call.children[1] == nullptr) return false;
  const sql::expr& object = *call.children[1];
  return object.kind == sql::expr_kind::call && named(object, "json_build_object") && object.children.size() == 2 &&
         object.children[1] != nullptr && object.children[1]->kind == sql::expr_kind::op &&
         named(*object.children[1], "->>");
}

bool reads_catalog(std::string_view name) {
  return name.starts_with("pg_") || name.starts_with("has_") || listed(catalog_functions, name);
}

template <std::size_t N>
bool has_prefix(const std::array<std::string_view, N>& prefixes, std::string_view name) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view p) { return name.starts_with(p); });
}

bool identity(std::string_view name) {
  return listed(server_identity, name) || has_prefix(server_identity_prefixes, name);
}

/// A call of set_config() whose effect ends with the transaction, or can be read from pg_settings: custom settings (with a
/// dot in their name) are not listed there.
bool shows_in_settings(const sql::expr& call) {
  if (call.children.size() != 3 || call.children[0] == nullptr || call.children[2] == nullptr) return false;
  const sql::expr& name = *call.children[0];
  const sql::expr& local = *call.children[2];
  if (local.kind == sql::expr_kind::constant && local.constant == sql::constant_kind::boolean && local.text == "true") return true;
  return name.kind == sql::expr_kind::constant && name.constant == sql::constant_kind::string && name.text.find('.') == std::string::npos;
}

std::string quoted(std::string_view name) {
  std::string out;
  out.append("function \"").append(name).append("\"");
  return out;
}

void set_once(std::string& slot, std::string value) {
  if (slot.empty()) slot = std::move(value);
}

bool shard_local(const topology& map, const sql::qualified_name& name) {
  if (map.shard_local.contains(name.back())) return true;
  return name.size() > 1 && map.shard_local.contains(name[name.size() - 2] + '.' + name.back());
}

}  // namespace

const function_traits* function_reader::traits_of(const sql::qualified_name& name) const {
  // Others may be called id too.
  if (name.empty() || is_shard_id(name)) return nullptr;
  const auto found = context_.schema->functions.find(std::string_view{name.back()});
  return found == context_.schema->functions.end() ? nullptr : &found->second;
}

void function_reader::not_a_read(std::string why) {
  set_once(facts_.write, std::move(why));
}

void function_reader::differs(std::string what) {
  set_once(facts_.not_replicable, what);
  set_once(facts_.differs, std::move(what));
}

// What may be written over several shards although another call gives another value.
varies function_reader::how_it_varies(const sql::expr& call, const function_traits* traits) const {
  if (traits == nullptr || traits->any_aggregate || traits->any_window || traits->any_set_returning) return varies::no;
  const std::string& name = call.name.back();
  const bool built_in = call.name.size() == 1 || call.name[call.name.size() - 2] == "pg_catalog";
  if (listed(transaction_time, name)) {
    return built_in && traits->pg_catalog_only && call.children.empty() ? varies::by_moment : varies::no;
  }
  const bool of_server = identity(name) || reads_catalog(name) || name == text_function ||
                         listed(sequence_functions, name) || listed(session_functions, name) ||
                         has_prefix(session_prefixes, name);
  return traits->any_volatile && !of_server ? varies::by_row : varies::no;
}

// "now" is a time only where a time is read.
void function_reader::expect_columns(std::span<const sql::type_name> types) {
  constexpr std::array<std::string_view, 17> plain{"bool",    "int2",  "int4",    "int8",   "float4",  "float8",
                                                   "numeric", "text",  "varchar", "bpchar", "uuid",    "json",
                                                   "jsonb",   "bytea", "inet",    "cidr",   "interval"};
  plain_columns_ = !types.empty() && std::all_of(types.begin(), types.end(), [&](const sql::type_name& type) {
    const bool written = type.name.size() == 1 && !context_.schema->user_types.contains(type.name.back());
    const bool built_in = type.name.size() == 2 && type.name.front() == "pg_catalog";
    return (written || built_in) && listed(plain, type.name.back());
  });
}

bool told_by_settings(std::string_view name) {
  return name != "age" && listed(stable_by_settings, name);
}

varies function_reader::note_call(const sql::expr& call) {
  if (call.name.empty()) {
    not_a_read("a function without a name");
    differs("a function without a name");
    return varies::no;
  }
  const std::string& name = call.name.back();
  if (is_shard_id(call.name) && call.children.empty()) {
    not_a_read("function \"pgbraid.id\" is volatile");
    set_once(facts_.not_replicable, "function \"pgbraid.id\"");
    return varies::by_row;
  }
  const function_traits* traits = traits_of(call.name);
  const topology& map = *context_.map;

  if (map.treat_as_write.contains(name)) {
    not_a_read(quoted(name) + " is listed as a write");
  } else if (!map.treat_as_read.contains(name)) {
    if (traits == nullptr) {
      not_a_read(quoted(name) + " is not known to the catalog");
    } else if (traits->any_volatile) {
      not_a_read(quoted(name) + " is volatile");
    }
  }
  const bool of_schema = call.name.size() > 1 && call.name[call.name.size() - 2] != "pg_catalog";
  if (traits != nullptr && (of_schema || !traits->pg_catalog_only)) facts_.calls.push_back(name);
  const bool large_object = name.starts_with("lo_") || name == "lowrite" || name == "loread";
  const bool text_query = has_prefix(text_query_prefixes, name);
  if (traits == nullptr || traits->any_user_code || text_query || large_object) facts_.reads_more = true;
  if (traits == nullptr || text_query || large_object || (traits->any_volatile && !traits->pg_catalog_only)) facts_.writes_more = true;
  if (text_query) {
    set_once(facts_.user_code, quoted(name));
    set_once(facts_.spread_user_code, quoted(name));
  }
  if (traits == nullptr || traits->any_user_code) {
    set_once(facts_.user_code, quoted(name));
    if (!shard_local(map, call.name)) set_once(facts_.spread_user_code, quoted(name));
  }
  facts_.gives_sets = facts_.gives_sets || traits == nullptr || traits->any_set_returning;
  varies when = how_it_varies(call, traits);
  // By the search_path it may be pgbraid.id() as well as another one.
  if (call.name.size() == 1 && name == "id" && call.children.empty()) {
    not_a_read(quoted(name) + " may be pgbraid.id()");
    set_once(facts_.not_replicable, quoted(name));
    if (traits != nullptr && when == varies::no) when = varies::by_row;
  }
  // age(x) is reckoned from today.
  const bool by_settings = (listed(stable_by_settings, name) && (name != "age" || call.children.size() > 1)) ||
                           reads_one_column(call) || (plain_columns_ && listed(record_functions, name));
  if (traits == nullptr || traits->any_volatile || (traits->any_stable && !by_settings)) {
    set_once(facts_.not_replicable, quoted(name));
    if (when == varies::no) differs(quoted(name));
  }
  if (identity(name) && !map.treat_as_read.contains(name)) facts_.needs_primary = facts_.transaction_dependent = true;
  if (listed(transaction_time, name)) facts_.transaction_dependent = true;
  if (listed(sequence_functions, name)) set_once(facts_.sequence, quoted(name));
  if (listed(sequence_functions, name) || listed(session_functions, name) || has_prefix(session_prefixes, name)) {
    set_once(facts_.session_state, quoted(name));
    if (!listed(sequence_functions, name)) set_once(facts_.other_state, quoted(name));
  }
  if (reads_catalog(name)) {
    facts_.designated = true;
    facts_.measures_shard = facts_.measures_shard || !listed(tells_of_no_table, name);
  }
  if (name == text_function) facts_.measures_shard = true;
  if (name == "currval" || name == "lastval") facts_.sequence_memory = true;
  if (name == "lastval") facts_.last_drawn = true;
  if (name == "setval") facts_.sets_sequence = true;
  if (name == "pg_notify") facts_.notifies = true;
  if (name == "pg_listening_channels") facts_.listening_channels = true;
  if (name == "setseed") set_once(facts_.pins, "setseed()");
  if (name == "set_config" && !call.children.empty() && call.children[0] != nullptr && call.children[0]->text.starts_with("pgbraid.")) facts_.own_setting = true;
  if (name == "set_config" && !shows_in_settings(call)) set_once(facts_.pins, "set_config() of a custom setting");
  return when;
}

void function_reader::note_operator(const sql::qualified_name& symbol) {
  if (symbol.empty()) return;
  if (context_.schema->code_operators.contains(symbol.back())) {
    facts_.gives_sets = true;
    facts_.reads_more = true;
    facts_.writes_more = facts_.writes_more || context_.schema->volatile_operators.contains(symbol.back());
  }
  if (context_.schema->volatile_operators.contains(symbol.back())) {
    not_a_read("operator " + symbol.back() + " is volatile");
    differs("operator " + symbol.back());
  }
}

varies function_reader::note_sql_value(std::string_view word) {
  const bool time = word.starts_with("current_time") || word == "current_date" || word.starts_with("localtime");
  if (time) {
    facts_.transaction_dependent = true;
    set_once(facts_.not_replicable, std::string{word});
  }
  if (word == "current_catalog" || word == "current_schema") {
    facts_.designated = true;
    differs(std::string{word});
  }
  return time ? varies::by_moment : varies::no;
}

void function_reader::note_cast(const sql::type_name& type) {
  if (type.name.empty()) return;
  const std::string& bare = type.name.back();
  const bool builtin = type.name.size() > 1 && type.name[type.name.size() - 2] == "pg_catalog";
  if (!builtin && context_.schema->user_casts && context_.schema->user_types.contains(bare)) {
    not_a_read("a cast to type \"" + bare + "\" may call user code");
    differs("a cast to type \"" + bare + "\"");
  }
  if (!builtin && context_.schema->code_types.contains(bare)) {
    const std::string what = "a check of domain \"" + bare + "\"";
    not_a_read(what + " calls user code");
    facts_.reads_more = facts_.writes_more = true;
    set_once(facts_.user_code, what);
    set_once(facts_.spread_user_code, what);
    set_once(facts_.not_replicable, what);
    differs(what);
  }
  // regclass and its kin turn names into OIDs, which differ between shards.
  if (bare.starts_with("reg") && bare.size() > 3) {
    facts_.designated = true;
    differs("a cast to " + bare);
  }
}

namespace {

bool gives_sets(const sql::expr& e, const catalog& schema) {
  if (e.kind == sql::expr_kind::call && !e.name.empty()) {
    const auto known = schema.functions.find(std::string_view{e.name.back()});
    if (known != schema.functions.end() && known->second.any_set_returning) return true;
  }
  return std::any_of(e.children.begin(), e.children.end(),
                     [&](const sql::expr_ptr& child) { return child != nullptr && gives_sets(*child, schema); });
}

}  // namespace

bool gives_sets(const std::vector<std::vector<sql::expr_ptr>>& rows, const catalog& schema) {
  const auto in_row = [&](const std::vector<sql::expr_ptr>& row) {
    return std::any_of(row.begin(), row.end(), [&](const auto& e) { return e != nullptr && gives_sets(*e, schema); });
  };
  return std::any_of(rows.begin(), rows.end(), in_row);
}

bool is_shard_id(const sql::qualified_name& name) {
  return name.size() > 1 && name[name.size() - 2] == "pgbraid" && name.back() == "id";
}

bool is_sequence_function(const sql::qualified_name& name) {
  return !name.empty() && listed(sequence_functions, name.back());
}

bool arguments_may_vary(const sql::qualified_name& name) {
  if (name.empty()) return false;
  return name.back() != "set_config" && name.back() != "current_setting" && name.back() != "pg_get_serial_sequence" &&
         !listed(sequence_functions, name.back());
}

}  // namespace pgbraid::router
