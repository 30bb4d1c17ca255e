/* What the loader and the workload generator print with --json, one object a
 * line; the last line has "done": true. prismctl and ./dev read it.
 *
 * prism-load --cluster SEEDS --graph FILE --partitions P [--threads N] [--json]
 *   progress {"phase":"load","done_ratio":0.5,"edges":..,"edges_per_s":..}
 *   end      {"done":true,"vertices":..,"edges":..,"seconds":..,"edges_per_s":..,"bytes":..}
 * prism-workload --cluster SEEDS --graph FILE --partitions P --zones "host:port=a,..." --seconds
 * S|0 (0: until SIGTERM) [--zipf 1.2] [--write-ratio 0.2] [--hops 2] [--fanout 8] [--seed N]
 *   [--threads N] [--routes FILE] [--ledger FILE] [--verify] [--json]
 *   end {"done":true,"traversals":..,"reads":..,"writes_acked":..,"writes_unknown":..,"lost":0,
 *        "bytes":{"total":..,"cross":..},"cross_share_root_zone":0.66,"cross_share_random_zone":0.66,
 *        "matrix":{"a":{"a":bytes,..},..},"redirects":..,"ops_per_s":..,"p50_us":..,"p99_us":..,
 *        "replication_bytes":..}
 *   progress
 * {"phase":"run","seconds":..,"traversals":..,"reads":..,"writes_acked":..,"ops_per_s":..,
 *             "cross_share_root_zone":..}, once a second
 *   exit 1 when an acknowledged write, or a vertex, is lost; 2 bad arguments.
 * prism-workload --verify --ledger FILE --cluster SEEDS --partitions P   only reads back what the
 *   ledger says was acknowledged; end {"done":true,"verified":..,"lost":0}
 * A failure prints {"error":"...","code":"unavailable"} and no "done". */
#ifndef PRISM_DP_TOOLS_H
#define PRISM_DP_TOOLS_H
#endif
