#!/bin/bash
# Tells Prism the zones and where each node of PRISM_NODES stands.
set -euo pipefail
# shellcheck source=tools/stack/common.sh
. /usr/share/prism/tools/stack/common.sh
# shellcheck source=tools/stack/register.sh
. /usr/share/prism/tools/stack/register.sh
# shellcheck source=compose/jobs/nodes.sh
. /usr/share/prism/jobs/nodes.sh

nodes_lines | nodes_register "$(nodes_lines | awk '{ print $4 }' | sort -u | tr '\n' ' ')"
