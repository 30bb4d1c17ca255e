# The demo's figures from the answers of the tools.
# What a byte between zones costs. Each figure can be given to jq by its name:
# --argjson gb_per_s 200, or --arg.
def input_or($name; $default): $ARGS.named[$name] // $default | tonumber;
def price: {
    usd_per_gb: input_or("usd_per_gb"; 0.01), # a side
    sides: input_or("sides"; 2),              # that are billed: sender and receiver, or one
    gb_per_s: input_or("gb_per_s"; 1400),     # of the reference workload, within and between zones
    seconds: input_or("seconds"; 2592000)     # a month
};
def usd($gb): price | $gb * .usd_per_gb * .sides;
def month($share): usd($share * (price | .gb_per_s * .seconds));
def of_total($bytes; $m): if $m.bytes.total > 0 then $bytes / $m.bytes.total else 0 end;
def measured($m): {
    root_zone: $m.cross_share_root_zone, random_zone: $m.cross_share_random_zone,
    usd_per_month: month($m.cross_share_root_zone), matrix: $m.matrix, bytes: $m.bytes.total,
    unzoned_bytes: $m.bytes.unzoned, dropped_bytes: $m.bytes.dropped,
    replication_bytes: $m.replication_bytes, replication_cross_bytes: $m.replication_cross_bytes,
    replication_share: of_total($m.replication_bytes; $m),
    replication_cross_share: of_total($m.replication_cross_bytes; $m),
    replication_usd_per_month: month(of_total($m.replication_cross_bytes; $m)),
    ops_per_s: $m.ops_per_s, p99_us: $m.p99_us
};
$load[0] as $load | $before[0] as $before | $during[0] as $during | $after[0] as $after
| $plan[0] as $plan | $routes[0] as $routes
| {
    price: price,
    graph: { vertices: $load.vertices, edges: $load.edges, load_edges_per_s: $load.edges_per_s },
    before: measured($before),
    after: measured($after),
    during: { ops_per_s: $during.ops_per_s, p99_us: $during.p99_us,
              writes_acked: $during.writes_acked, writes_unknown: $during.writes_unknown },
    routes: { bytes: $routes.bytes },
    moves: {
        vertices: $plan.result.moved, seconds: $plan.result.seconds,
        per_s: (if $plan.result.seconds > 0 then $plan.result.moved / $plan.result.seconds else 0 end),
        retries: $plan.result.retries,
        bytes: ([$plan.moves[]?.bytes] | add // 0)
    },
    dr: (if ($dr[0].on // false) | not then { on: false } else {
        on: true, before_bytes: $dr[0].before_bytes, after_bytes: $dr[0].after_bytes,
        shards: ($dr[0].status.shards | length), lag_ms: $dr[0].status.lagMs,
        alarms: ([$dr[0].status.shards[].alarms[], $dr[0].status.groups[].alarms[]] | unique),
        drills: ($dr[0].drills | length), good: ([$dr[0].drills[] | select(.outcome == "good")] | length),
        rto_ms: ([$dr[0].drills[].rtoMs | values] | max), rpo_ms: ([$dr[0].drills[].rpoMs | values] | max)
    } end),
    lost: ([$before.lost, $during.lost, $after.lost, $after2[0].lost // 0, $verify[0].lost] | max),
    second: (if ($grown[0].done // false) | not then null else {
        new_edges: $grown[0].edges_in_file, mode: $report2[0].mode, why: $report2[0].why,
        seconds: $report2[0].seconds.total, moves: $report2[0].moves,
        moved_ratio: $report2[0].movedRatio, moved: ($result2[0].result.moved // 0),
        cross_share_before: $report2[0].before.crossShare,
        cross_share: $report2[0].after.crossShare, after: measured($after2[0])
    } end)
}
| .moves.usd = usd(.moves.bytes / 1e9)
