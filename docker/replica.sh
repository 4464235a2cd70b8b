#!/bin/bash
# Starts a streaming replica of PRIMARY in the official image: copies the primary the first time.
set -euo pipefail
export PGPASSWORD=$POSTGRES_PASSWORD
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  until pg_isready -q -h "$PRIMARY" -U postgres -d shop && psql -X -q -h "$PRIMARY" -U postgres -d shop -c 'TABLE countries LIMIT 1' >/dev/null 2>&1; do
    sleep 0.5
  done
  gosu postgres pg_basebackup -R -c fast -D "$PGDATA" -d "host=$PRIMARY user=postgres password=$POSTGRES_PASSWORD"
  chmod 700 "$PGDATA"
fi
exec docker-entrypoint.sh postgres -c cluster_name="$CLUSTER_NAME" -c max_prepared_transactions=100
