#!/usr/bin/env bash
# tools/deploy/dashboards.sh [--check]: writes Grafana's dashboards from dashboards.txt into the chart
# (deploy/helm/prism/files/grafana), or checks that they are as it says, with no metric of ours left out.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..
out=$root/deploy/helm/prism/files/grafana
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
jq -nR -f "$here/dashboards.jq" "$here/dashboards.txt" >"$made/all"
for name in $(jq -r '.[].uid | ltrimstr("prism-")' "$made/all"); do
    jq --arg uid "prism-$name" '.[] | select(.uid == $uid)' "$made/all" >"$made/$name.json"
done
rm "$made/all"
if [ "${1:-}" = --check ]; then
    diff -ru "$out" "$made" >&2 || {
        echo "dashboards are not as tools/deploy/dashboards.txt says: run tools/deploy/dashboards.sh" >&2
        exit 1
    }
    exit 0
fi
mkdir -p "$out"
rm -f "$out"/*.json
install -m 0644 "$made"/*.json "$out"
