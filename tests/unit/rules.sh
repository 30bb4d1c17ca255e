#!/usr/bin/env bash
# rules.sh ROOT: Prometheus reads the rules, in Compose too, and each alert fires at its boundary (tests/rules).
# Exits 77 where promtool is not installed.
set -euo pipefail
cd "$1"
command -v promtool >/dev/null || {
    echo "NOT CHECKED: the rules, because promtool is not installed (Debian's prometheus)"
    exit 77
}
promtool check rules deploy/helm/prism/files/prometheus/*.yml
promtool test rules tests/rules/*.yml
# Compose's Prometheus reads the same rules, and calls its jobs as they do.
config=compose/config/prometheus.yml
promtool check config --syntax-only "$config"
grep -q '^rule_files: \[/etc/prometheus/rules/\*\.yml\]$' "$config"
for service in metadata-api placement rebalance autoscale dr; do
    grep -qE "^ *- job_name: $service( |\$)" "$config" || {
        echo "$config has no job $service, which the rules go by"
        exit 1
    }
done
