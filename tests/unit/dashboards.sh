#!/usr/bin/env bash
# dashboards.sh ROOT: the dashboards are as their table says, and every metric of ours is on one, or watched by a rule.
set -euo pipefail
cd "$1"
tools/deploy/dashboards.sh --check
bad=0
for name in $(for table in common/io/prism/io/common_metrics.def services/*/metrics.def; do
    awk -f tools/docs/rows.awk "$table" | cut -f 4
done); do
    grep -qE "\b$name(_bucket|_sum|_count)?\b" deploy/helm/prism/files/*/* || {
        echo "no dashboard and no rule has $name"
        bad=1
    }
done
exit "$bad"
