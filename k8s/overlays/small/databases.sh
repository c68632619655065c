#!/bin/sh
# Run by PostgreSQL's image at its first start: the two databases, each with a user who may enter no other.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --set yimu="$YIMU_PASSWORD" --set vault="$VAULT_PASSWORD" <<'SQL'
CREATE ROLE yimu LOGIN PASSWORD :'yimu';
CREATE ROLE vault LOGIN PASSWORD :'vault';
CREATE DATABASE yimu OWNER yimu;
CREATE DATABASE vault OWNER vault;
REVOKE CONNECT, TEMPORARY ON DATABASE yimu, vault, postgres FROM PUBLIC;
SQL
