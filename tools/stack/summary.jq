# The demo's figures from the answers of the tools.
# $/month at the reference traffic: share x 1400 GB/s x 2,592,000 s x $0.01/GB.
def month($share): $share * 1400 * 2592000 * 0.01;
def measured($m): {
    root_zone: $m.cross_share_root_zone, random_zone: $m.cross_share_random_zone,
    usd_per_month: month($m.cross_share_root_zone), matrix: $m.matrix, bytes: $m.bytes.total,
    replication_bytes: $m.replication_bytes,
    replication_share: ($m.replication_bytes / $m.bytes.total),
    replication_usd_per_month: month($m.replication_bytes / $m.bytes.total),
    ops_per_s: $m.ops_per_s, p99_us: $m.p99_us
};
$load[0] as $load | $before[0] as $before | $during[0] as $during | $after[0] as $after
| $plan[0] as $plan | $routes[0] as $routes
| {
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
    lost: ([$before.lost, $during.lost, $after.lost, $verify[0].lost] | max)
}
| .moves.usd = .moves.bytes / 1e9 * 0.01
