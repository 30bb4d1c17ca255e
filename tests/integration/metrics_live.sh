#!/usr/bin/env bash
# metrics_live.sh BIN_DIR ROOT: what the running services say at /metrics is as Prometheus wants it (promtool), is all that
# the tables metrics.def promise, and is all that rules and dashboards ask for. The services need nothing for that: with
# PostgreSQL and NATS away they say that, too.
set -euo pipefail
bin=$1 root=$2
SERVICES=(placement rebalance autoscale dr metadata-api)
command -v promtool >/dev/null || {
    echo "NOT CHECKED: /metrics of the services, because promtool is not installed (Debian's prometheus)"
    exit 77
}
dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; rm -rf "$dir"' EXIT
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}
for service in "${SERVICES[@]}"; do
    # Port 1: nobody listens there.
    env -i PRISM_HTTP_PORT=0 PRISM_DB_URI=postgresql://127.0.0.1:1/none PRISM_NATS_URL=nats://127.0.0.1:1 \
        PRISM_DR_S3_ENDPOINT=http://127.0.0.1:1 PRISM_DR_S3_BUCKET=none PRISM_DR_S3_ACCESS_KEY_ID=none \
        PRISM_DR_S3_SECRET_ACCESS_KEY=none "$bin/prism-$service" >"$dir/$service.log" 2>&1 &
    pids+=($!)
done
port_of() { sed -n 's/.*"event":"service.starting".*"port":\([0-9]*\).*/\1/p' "$dir/$1.log" | head -n 1; }
for service in "${SERVICES[@]}"; do
    deadline=$((SECONDS + 60))
    until port=$(port_of "$service") && [ -n "$port" ] &&
        curl -fsS -m 10 "http://127.0.0.1:$port/metrics" >"$dir/$service.metrics" 2>/dev/null; do
        [ "$SECONDS" -lt "$deadline" ] || fail "$service does not answer: $(tail -n 3 "$dir/$service.log")"
        sleep 0.1
    done
    promtool check metrics <"$dir/$service.metrics" || fail "promtool is not content with $service"
    awk '$1 == "#" && $2 == "TYPE" { print $3, $4 }' "$dir/$service.metrics" | sort >"$dir/$service.live"
    for table in "$root/common/io/prism/io/common_metrics.def" "$root/services/$service/metrics.def"; do
        awk -f "$root/tools/docs/rows.awk" "$table" | cut -f 3,4
    done | awk '{ print $2, tolower($1) }' | sort >"$dir/$service.said"
    diff "$dir/$service.said" "$dir/$service.live" || fail "$service has other metrics than its table"
done
sort -u "$dir"/*.live | cut -d' ' -f1 >"$dir/live"
grep -ohE '\bprism_[a-z0-9_]+' "$root"/deploy/helm/prism/files/*/* | sort -u >"$dir/asked"
[ "$(wc -l <"$dir/asked")" -gt 50 ] || fail "rules and dashboards ask for nothing"
while read -r name; do
    grep -qx "$name" "$dir/live" || grep -qx "$(sed -E 's/_(bucket|sum|count)$//' <<<"$name")" "$dir/live" ||
        fail "rules or dashboards ask for $name, and no service has it"
done <"$dir/asked"
for pid in "${pids[@]}"; do
    kill -0 "$pid" || fail "a service has ended meanwhile"
done
printf '%d metrics of %d services; %d are asked for\n' "$(wc -l <"$dir/live")" "${#SERVICES[@]}" "$(wc -l <"$dir/asked")"
