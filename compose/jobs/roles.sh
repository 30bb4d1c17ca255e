#!/bin/bash
# Makes the services' logins, with the passwords of compose/secrets.sh.
set -euo pipefail
# shellcheck source=tools/stack/common.sh
. /usr/share/prism/tools/stack/common.sh
# shellcheck source=tools/stack/postgres.sh
. /usr/share/prism/tools/stack/postgres.sh

pg_roles_sql /run | PGPASSWORD=$(secret /run postgres) psql -X -q -v ON_ERROR_STOP=1 \
    -h postgres -U postgres -d prism
