# The demonstration's PostgreSQL servers: two shards, each a primary with one streaming replica, on 127.0.0.1.
# Sourced by ./run after scripts/common.sh; `data` names the folder that holds them.
# shellcheck shell=bash

readonly demo_shards=(s0 s1)
readonly demo_servers=(s0-primary s1-primary s0-replica s1-replica)
declare -rA demo_port=([s0-primary]=6100 [s1-primary]=6101 [s0-replica]=6110 [s1-replica]=6111)

# as_postgres <command...>: PostgreSQL refuses to run as root; then it runs as user postgres.
as_postgres() {
  if [ "$(id -u)" -eq 0 ]; then
    (cd / && exec setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/var/lib/postgresql "$@")
  else
    (cd / && exec "$@")
  fi
}

# demo_folder <wanted>: prints a folder that the servers can use: the wanted one, or one under /var/tmp when user postgres
# cannot reach it (a checkout under /root).
demo_folder() {
  local wanted=$1 parent
  parent=$(dirname "$wanted")
  mkdir -p "$parent"
  if [ "$(id -u)" -ne 0 ] || as_postgres test -x "$parent"; then
    echo "$wanted"
  else
    echo "/var/tmp/pgbraid-demo-$(printf '%s' "$wanted" | cksum | cut -d' ' -f1)"
  fi
}

# demo_prepare_folder: makes `data`, owned by whom the servers run as, and the monitor's password in it.
demo_prepare_folder() {
  mkdir -p "$data"
  [ ! -L "$data" ] && [ -O "$data" ] || [ "$(stat -c %U "$data")" = postgres ] || fail "$data belongs to somebody else"
  if [ "$(id -u)" -eq 0 ]; then chown postgres:postgres "$data"; fi
  chmod 755 "$data"
  if [ ! -s "$data/monitor.password" ]; then
    (umask 077 && head -c 18 /dev/urandom | base64 | tr '+/' '-_' >"$data/monitor.password")
    if [ "$(id -u)" -eq 0 ]; then chown postgres:postgres "$data/monitor.password"; fi
  fi
}

# What the data was made from: when this changes it is made anew.
demo_fingerprint() { cat "$top"/demo/*.sql "$top/demo/servers.sh" | cksum; }

demo_psql() {
  local server=$1 database=$2
  shift 2
  PGPASSWORD=$(cat "$data/monitor.password") PGOPTIONS='-c client_min_messages=warning' psql -X -q -v ON_ERROR_STOP=1 \
    -h 127.0.0.1 -p "${demo_port[$server]}" -U postgres -d "$database" "$@"
}

demo_create_primary() {
  local shard=$1 first=$2 last=$3 server=$1-primary
  as_postgres "$pg_bin/initdb" -D "$data/$server" -U postgres -E UTF8 --locale=C.UTF-8 --no-sync --no-instructions \
    --auth=scram-sha-256 --pwfile="$data/monitor.password" >"$data/$server.initdb.log" 2>&1 || return 1
  as_postgres tee -a "$data/$server/postgresql.conf" >/dev/null <<TXT
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
port = ${demo_port[$server]}
cluster_name = '$server'
shared_buffers = 32MB
max_connections = 100
max_prepared_transactions = 100
wal_keep_size = 256MB
wal_retrieve_retry_interval = 500ms
TXT
  as_postgres tee "$data/$server/pg_hba.conf" >/dev/null <<TXT
host all all 127.0.0.1/32 scram-sha-256
host replication postgres 127.0.0.1/32 scram-sha-256
TXT
  demo_start_server "$server" || return 1
  {
    demo_psql "$server" postgres -f "$top/demo/roles.sql" -c 'CREATE DATABASE shop' &&
      demo_psql "$server" shop -f "$top/demo/schema.sql" -v first_bucket="$first" -v last_bucket="$last" -f "$top/demo/data.sql"
    if [ "$shard" = "${demo_shards[0]}" ]; then demo_psql "$server" shop -f "$top/demo/settings.sql"; fi
  } >"$data/$server.load.log" 2>&1
}

demo_create_replica() {
  local server=$1-replica primary=$1-primary
  PGPASSWORD=$(cat "$data/monitor.password") as_postgres "$pg_bin/pg_basebackup" -D "$data/$server" -R -c fast --no-sync \
    -d "host=127.0.0.1 port=${demo_port[$primary]} user=postgres application_name=$server" >"$data/$server.basebackup.log" 2>&1 ||
    return 1
  as_postgres tee -a "$data/$server/postgresql.conf" >/dev/null <<TXT
port = ${demo_port[$server]}
cluster_name = '$server'
TXT
}

# demo_start_server <name>: starts it and waits until it answers.
demo_start_server() {
  as_postgres "$pg_bin/pg_ctl" -D "$data/$1" -l "$data/$1.log" -w -t 60 -s start 9>&- >/dev/null
}

# demo_stop_servers: stops what runs in the data folder, and nothing else.
demo_stop_servers() {
  local server stopping=()
  for server in "${demo_servers[@]}"; do
    if [ -e "$data/$server/postmaster.pid" ]; then
      as_postgres "$pg_bin/pg_ctl" -D "$data/$server" -m fast -w -t 30 -s stop >/dev/null 2>&1 &
      stopping+=($!)
    fi
  done
  for server in "${stopping[@]}"; do wait "$server" || true; done
}

# demo_wait_all <pid...>: waits for background jobs; fails when one did.
demo_wait_all() {
  local one status=0
  for one in "$@"; do wait "$one" || status=1; done
  return "$status"
}

# demo_create: servers, schema and data from nothing, in `data`.
demo_create() {
  local server jobs=()
  for server in "${demo_servers[@]}"; do rm -rf "${data:?}/$server"; done
  rm -f "$data/complete"
  demo_create_primary s0 0 2047 & jobs+=($!)
  demo_create_primary s1 2048 4095 & jobs+=($!)
  demo_wait_all "${jobs[@]}" || fail "the demonstration's primaries could not be made: see the logs in $data"
  jobs=()
  demo_create_replica s0 & jobs+=($!)
  demo_create_replica s1 & jobs+=($!)
  demo_wait_all "${jobs[@]}" || fail "the demonstration's replicas could not be made: see the logs in $data"
  demo_fingerprint >"$data/complete"
}

# demo_start: all four servers; those that run already are left as they are.
demo_start() {
  local server jobs=()
  for server in "${demo_servers[@]}"; do
    if ! as_postgres "$pg_bin/pg_ctl" -D "$data/$server" status >/dev/null 2>&1; then
      demo_start_server "$server" & jobs+=($!)
    fi
  done
  demo_wait_all "${jobs[@]}" || fail "a server of the demonstration did not start: see the logs in $data"
}
