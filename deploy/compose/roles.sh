#!/bin/sh
# Run by PostgreSQL's image once, when it makes the database: the owner of the tables, and the program's own role.
set -eu
psql --username "${POSTGRES_USER:-postgres}" --dbname "$POSTGRES_DB" --set ON_ERROR_STOP=1 \
  --set owner="$DATABASE_OWNER_PASSWORD" --set app="$DATABASE_PASSWORD" <<'END'
CREATE ROLE orderflow LOGIN PASSWORD :'owner';
CREATE ROLE orderflow_app LOGIN PASSWORD :'app';
ALTER DATABASE :"DBNAME" OWNER TO orderflow;
END
