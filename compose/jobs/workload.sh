#!/bin/bash
# prism-workload with the zones of this stack; the other arguments are its own.
set -euo pipefail
# shellcheck source=compose/jobs/nodes.sh
. /usr/share/prism/jobs/nodes.sh
exec prism-workload --partitions "$PRISM_PARTITIONS" --zones "$(nodes_zoned)" --json "$@"
