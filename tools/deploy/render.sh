#!/usr/bin/env bash
# tools/deploy/render.sh DIR: lints the chart strictly and renders it into DIR, once with what it has by itself and once
# with each file of deploy/helm/prism/values; production also with Deployments in place of Rollouts, which linters know.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
chart=$root/deploy/helm/prism
helm=$("$root/tools/deploy/helm.sh")
export HELM_CACHE_HOME=$1/.helm HELM_CONFIG_HOME=$1/.helm HELM_DATA_HOME=$1/.helm
render() { # NAME [ARGUMENT...]
    local name=$1
    shift
    "$helm" lint --strict --quiet "$chart" "$@"
    "$helm" template prism "$chart" --namespace prism "$@" >"$out/$name.yaml"
}
mkdir -p "$1"
out=$(cd "$1" && pwd)
render default
for values in "$chart"/values/*.yaml; do
    render "$(basename "$values" .yaml)" -f "$values"
done
render production-deployments -f "$chart/values/production.yaml" --set rollouts.enabled=false
