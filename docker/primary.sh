#!/bin/bash
# Runs once inside a new primary (docker-entrypoint-initdb.d of the official image): the demonstration's role, schema and
# the rows whose bucket lies between FIRST_BUCKET and LAST_BUCKET; and replication for the replica.
set -euo pipefail
ask() { psql -X -q -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" "$@"; }
ask -f /demo/roles.sql -f /demo/schema.sql -v first_bucket="$FIRST_BUCKET" -v last_bucket="$LAST_BUCKET" -f /demo/data.sql
if [ "$FIRST_BUCKET" = 0 ]; then ask -f /demo/settings.sql; fi
echo "host replication $POSTGRES_USER all scram-sha-256" >>"$PGDATA/pg_hba.conf"
