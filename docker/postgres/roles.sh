#!/bin/sh
# Makes the product's three roles when the database is made: who owns the tables, whom every part signs in as, and what
# that one may switch to for work across tenants.
set -eu
psql --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname "$POSTGRES_DB" \
  --set database="$POSTGRES_DB" --set owner_password="$OWNER_PASSWORD" --set app_password="$APP_PASSWORD" <<'SQL'
CREATE ROLE obsera_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE obsera_app LOGIN NOINHERIT PASSWORD :'app_password';
CREATE ROLE obsera_system NOLOGIN NOINHERIT;
GRANT obsera_system TO obsera_app;
ALTER DATABASE :"database" OWNER TO obsera_owner;
SQL
