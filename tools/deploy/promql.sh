#!/usr/bin/env bash
# tools/deploy/promql.sh [FILE...]: every PromQL expression in FILE (by default: rules and dashboards, and then also that
# no metric is left out of them) is PromQL and asks for what there is. Exits 77 where the parser cannot be had.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
modules=$("$root/tools/npm.sh" deploy 'PromQL of rules and dashboards' 'its parser comes from npm')
table=$(mktemp)
trap 'rm -f "$table"' EXIT
for file in "$root"/common/io/prism/io/common_metrics.def "$root"/services/*/metrics.def; do
    awk -f "$root/tools/docs/rows.awk" "$file" | cut -f 3-5
done >"$table"
if [ $# -eq 0 ]; then
    export PRISM_ALL_SHOWN=1
    set -- "$root"/deploy/helm/prism/files/*/*
fi
node "$root/tools/deploy/promql.cjs" "$modules" "$table" "$@"
