-- A fleet of 1,000 nodes and 64,000 partitions, and of everything that a view may show some rows: made
-- up, but of the shapes that the services write. Names that would be markup are among them.
INSERT INTO store (partitions) VALUES (64000);
INSERT INTO zones (id, subnet) VALUES ('a', '10.0.1.0/24'), ('b', '10.0.2.0/24'), ('c', '10.0.3.0/24');
INSERT INTO nodes (id, host, port, zone_id, role, state, shard_id, slots, seen_at)
SELECT 'n' || to_char(i, 'FM0000'), '10.0.' || i % 3 + 1 || '.' || i / 4, 7000 + i, substr('abc', i % 3 + 1, 1),
    CASE WHEN i <= 500 THEN 'primary' ELSE 'replica' END, CASE WHEN i = 777 THEN 'failed' ELSE 'up' END,
    'n' || to_char((i - 1) % 500 + 1, 'FM0000'),
    CASE WHEN i <= 500 THEN i * 16384 / 500 - (i - 1) * 16384 / 500 ELSE 0 END, now()
FROM generate_series(1, 1000) i;
INSERT INTO shards (id, primary_id, replicas, slots)
SELECT 'n' || to_char(i, 'FM0000'), 'n' || to_char(i, 'FM0000'), ARRAY['n' || to_char(i + 500, 'FM0000')],
    i * 16384 / 500 - (i - 1) * 16384 / 500 FROM generate_series(1, 500) i;
INSERT INTO slots SELECT s, n, n, (SELECT zone_id FROM nodes WHERE id = n) FROM (
    SELECT s, 'n' || to_char(s * 500 / 16384 + 1, 'FM0000') AS n FROM generate_series(0, 16383) s) x;
INSERT INTO partitions (id, slot, vertices, bytes, accessed_at, temperature)
SELECT p, p % 16384, 1000 + p % 77, 300000 + p % 4096, now() - p * interval '1 s',
    (ARRAY['hot', 'warm', 'cold'])[1 + p % 3] FROM generate_series(0, 63999) p;
INSERT INTO zone_states (zone_id, state, nodes, failed, primaries, all_primaries, uncovered, alarms) VALUES
    ('a', 'hurt', 333, 1, 166, 500, 0, '{}'), ('b', 'up', 334, 0, 167, 500, 0, '{}'), ('c', 'up', 333, 0, 167, 500, 0, '{}');
INSERT INTO zone_incidents (zone_id, whole, quorum, nodes, failed, primaries, all_primaries, uncovered, seen_at,
    failed_at, covered_at, ended_at)
SELECT 'b', true, true, 334, 334, 167, 500, 5462, now() - interval '5 h', now() - interval '5 h',
    now() - interval '5 h' + interval '8250 ms', now() - interval '4 h';
INSERT INTO failovers (shard_id, zone_id, from_node, to_node, outcome, incident_id, seen_at, failed_at, ended_at)
SELECT 'n' || to_char(i, 'FM0000'), 'b', 'n' || to_char(i, 'FM0000'), 'n' || to_char(i + 500, 'FM0000'), 'promoted', 1,
    now() - interval '5 h', now() - interval '5 h', now() - interval '5 h' + interval '7100 ms' FROM generate_series(1, 40) i;

-- Placement runs, one a day. The matrix: what lies within a zone, and, stated both ways, what lies between two.
CREATE FUNCTION pg_temp.matrix(share float8) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_object_agg(x, (SELECT jsonb_object_agg(y, CASE WHEN x = y THEN w * (1 - share) * ('{"a":0.33,"b":0.34,"c":0.33}'::jsonb->>x)::float8
        ELSE w * share * ('{"ab":0.4,"ac":0.35,"bc":0.25}'::jsonb->>(least(x, y) || greatest(x, y)))::float8 END::bigint) FROM unnest('{a,b,c}'::text[]) y))
    FROM unnest('{a,b,c}'::text[]) x, (VALUES (2420766::float8)) AS v (w)
$$;
INSERT INTO placement_runs (operation_id, state, source, params, report, created_by, created_at, started_at, finished_at)
SELECT gen_random_uuid(), 'done', '{"file": "/data/social.bin64", "format": "bin64"}', '{"seed": 7}',
    jsonb_build_object('kind', 'placement', 'mode', CASE WHEN d = 30 THEN 'full' ELSE 'warm' END, 'engine', 'prism',
        'why', 'most of the graph is where it was', 'verdict', 'little of the edge weight is between zones',
        'zones', '["a","b","c"]'::jsonb, 'vertices', 81306, 'edges', 1768135, 'edge_weight', 2420766,
        'imbalance_limit', 0.05, 'modularity', 0.61, 'times_less_than_random', 12.7, 'moves', 4000 - 90 * d,
        'moved_ratio', 0.02, 'partitions', 64000, 'threads', 2, 'peak_memory_bytes', 214565376, 'seed', 7, 'seeds', 3,
        'capacity', '{"a":28457,"b":28457,"c":28457}'::jsonb,
        'seconds', '{"read": 0.6, "build": 0.4, "cut": 1.9, "assign": 0.1, "report": 0.1, "total": 3.1}'::jsonb,
        'before', f.b, 'after', f.a, 'price', '{"formula": "traffic x share x time x price", "usd_per_gb": 0.01,
        "billed_sides": 2, "traffic_bytes_per_s": 1.4e12}'::jsonb),
    'nightly', now() - d * interval '1 day', now() - d * interval '1 day', now() - d * interval '1 day' + interval '3 s'
FROM generate_series(30, 1, -1) d, LATERAL (SELECT
    jsonb_build_object('cross_share', s + 0.02, 'usd_per_month', 72576000 * (s + 0.02), 'imbalance', 0.03, 'cut_weight',
        (2420766 * (s + 0.02))::int, 'vertices', '{"a":27000,"b":27200,"c":27106}'::jsonb, 'matrix', pg_temp.matrix(s + 0.02)) AS b,
    jsonb_build_object('cross_share', s, 'usd_per_month', 72576000 * s, 'imbalance', 0.03, 'cut_weight', (2420766 * s)::int,
        'vertices', '{"a":27000,"b":27200,"c":27106}'::jsonb, 'matrix', pg_temp.matrix(s)) AS a
    FROM (SELECT 0.042 + 0.03 * d / 30.0 + 0.004 * (d % 5) / 5.0 AS s) x) f;

-- A plan for the fleet at work, one that is stuck, and some that wait.
INSERT INTO operations (id, kind, resource, state, phase, progress_ratio, eta_s, progress, created_by) VALUES
    ('11111111-1111-1111-1111-111111111111', 'rebalance.plan', 'rebalance/plans/1', 'done', 'done', 1, NULL, NULL, 'it'),
    ('22222222-2222-2222-2222-222222222222', 'rebalance.execute', 'rebalance/plans/1', 'running', 'wave 3', 0.4, 1260,
     '{"ratio": 0.4, "eta_s": 1260, "wave": 3, "waves": 8, "steps": 16000, "steps_done": 6400, "steps_running": 8,
       "steps_stuck": 1, "slots": 5000, "slots_done": 2000, "bytes": 9.6e12, "bytes_done": 3.8e12, "bytes_per_s": 1.2e8,
       "reason": "the slowest node is given time"}', 'it');
INSERT INTO plans (operation_id, execute_operation_id, kind, goal, fingerprint, state, params, summary, created_by,
    approved_by, started_at)
VALUES ('11111111-1111-1111-1111-111111111111', '22222222-2222-2222-2222-222222222222', 'fleet',
    '{"kind": "join", "nodes": ["n0999", "n1000"], "role": "auto"}', 'f', 'running', '{}',
    '{"goal": "join n0999, n1000", "steps": 16000, "waves": 8, "slots": 5000, "bytes": 9.6e12, "bound_bytes": 9.5e12,
      "copied_bytes": 1.9e13, "cross_zone_bytes": 0, "duration_s": 3100, "uneven_before": 0.31, "uneven_after": 0.02,
      "hot_before": 0.4, "hot_after": 0.1, "open_slots": 0, "gain": {"cross_share_before": 0.05, "cross_share_after": 0.05,
      "usd_per_month_before": 3628800, "usd_per_month_after": 3628800, "saved_usd_per_month": 0, "saved_usd": 0,
      "rezoned_slots": 0, "run_id": 30, "unknown": null}, "verdict": {"worth_it": true, "why": "joins come without asking",
      "move_usd": 192, "horizon_days": 30}, "zones": {"a": {"before": {"primaries": 166, "mean_bytes": 1.9e10, "min_bytes": 1.7e10,
      "max_bytes": 2.4e10}, "after": {"primaries": 167, "mean_bytes": 1.89e10, "min_bytes": 1.8e10, "max_bytes": 1.95e10}},
      "b": {"before": {"primaries": 167, "mean_bytes": 1.9e10, "min_bytes": 1.7e10, "max_bytes": 2.5e10}, "after":
      {"primaries": 168, "mean_bytes": 1.89e10, "min_bytes": 1.8e10, "max_bytes": 1.95e10}}}, "notes": [{"text": "<b>slot 5</b> stays: it is pinned"}], "more_notes": 41}',
    'operator', 'admin', now() - interval '10 min');
INSERT INTO steps (plan_id, step, wave, kind, slot, shard, src_node, dst_node, bytes, keys, why, state, moved_keys,
    moved_bytes, error)
SELECT 1, i, 1 + i / 2000, 'slot', i % 16384, '', 'n0001', 'n0999', 600000000, 9000, 'n0999 has less than its share',
    CASE WHEN i = 6401 THEN 'stuck' WHEN i <= 6400 THEN 'verified' WHEN i < 6409 THEN 'migrating' ELSE 'planned' END,
    CASE WHEN i <= 6400 THEN 9000 ELSE 0 END, CASE WHEN i <= 6400 THEN 600000000 ELSE 0 END,
    CASE WHEN i = 6401 THEN '<img src=x onerror=alert(1)> a key of 900 MB' END
FROM generate_series(1, 15999) i;
INSERT INTO plans (operation_id, kind, goal, state, error, created_by) VALUES
    ('11111111-1111-1111-1111-111111111111', 'fleet', '{"kind": "drain", "nodes": ["n0007"]}', 'paused',
     'stuck: <script>window.pwned = 1</script> slot 9 has a key that is too big', '<i>who</i>' || repeat('x', 3000));
INSERT INTO plans (operation_id, kind, goal, state, summary, created_by)
SELECT '11111111-1111-1111-1111-111111111111', 'fleet', '{"kind": "balance"}', 'proposed',
    '{"goal": "balance", "steps": 12, "waves": 1, "slots": 12, "bytes": 7.2e9, "duration_s": 60, "gain": {},
      "verdict": {"worth_it": false, "why": "it saves less than it costs", "move_usd": 0.01, "horizon_days": 30}}', 'operator'
FROM generate_series(1, 3);

-- A fleet of proxies over a day.
INSERT INTO autoscale_fleets (name, settings, changed_by) VALUES
    ('proxies', '{"mode": "act", "policies": [{"policy": "adaptive"}]}', 'admin'),
    ('quiet', '{"mode": "advise", "policies": [{"policy": "rules"}]}', 'admin');
SELECT autoscale_partitions('autoscale_samples', now(), 1, interval '60 days');
INSERT INTO autoscale_samples (fleet, at, cpu_pct, memory_pct, network_bps, load, serving, silent, merged_at)
SELECT 'proxies', date_trunc('minute', now()) - m * interval '1 min', 45 + 25 * sin(m / 160.0) + m % 7, 55, 4e9,
    25, 48 + (12 * sin(m / 160.0 - 0.4))::int, m % 3 / 2, now() FROM generate_series(0, 1439) m
WHERE m NOT BETWEEN 700 AND 790; -- in which nobody measured
INSERT INTO autoscale_state (fleet, desired, memory, evaluated_at, lease_epoch) VALUES ('proxies', 48, '{}', now(), 1);
INSERT INTO autoscale_decisions (fleet, at, settings_version, from_instances, to_instances, move, why, alarm, alarm_why,
    input, decision, state, lease_epoch)
SELECT 'proxies', date_trunc('minute', now()) - m * interval '1 min', 1, 48, CASE WHEN m % 97 = 5 THEN 51 ELSE 48 END,
    CASE WHEN m % 97 = 5 THEN 'out' ELSE 'hold' END,
    CASE WHEN m % 97 = 5 THEN '48 -> 51 instances; cpu 74 % for 3 min, above 70 %' ELSE 'stays at 48; cpu 52 % is below 70 %' END,
    m = 300, CASE WHEN m = 300 THEN '<b>nobody measures</b> zone b' ELSE '' END,
    '{"fleet": {"unit": 3, "min": 48, "max": 1000}, "view": {"desired": 48, "serving": 48, "samples": [{"at_ms": 1795255500000,
      "cpu_pct": 74.1, "load": 35.5}]}, "nodes": []}',
    '{"fleet": "proxies", "at_ms": 1795255500000, "move": "out", "from": 48, "to": 51, "units_from": 16, "units_to": 17,
      "why": "48 -> 51 instances; cpu 74 % for 3 min, above 70 %", "deciding": 0, "limited": "", "floor": 48,
      "floor_why": "min 48", "places": [{"zone": "a", "group": null, "give": 0, "get": 1, "back": 0}],
      "cost_month_before": 35320.32, "cost_month_after": 37527.84, "useful_ms": 600000, "advice": "", "policy": "rules",
      "rule": "cpu", "observed": 74.1, "threshold": 70.0, "window_ms": 180000, "cooldown_until_ms": 0, "leaves": [],
      "returns": [], "votes": [{"policy": "rules", "move": "out", "desired": 51, "wanted": 51, "rule": "cpu",
      "observed": 74.1, "threshold": 70.0, "window_ms": 180000, "cooldown_until_ms": 0, "limited": "", "why": "cpu"},
      {"policy": "adaptive", "move": "hold", "desired": 48, "wanted": 47, "rule": "load", "observed": 52.0, "threshold": 56.0,
      "window_ms": 180000, "cooldown_until_ms": 0, "limited": "", "why": "load fits"}]}', 'done', 1
FROM generate_series(1439, 1, -1) m;
INSERT INTO autoscale_actions (fleet, at, from_instances, to_instances)
SELECT 'proxies', date_trunc('minute', now()) - h * interval '2 h', 46 + h, 47 + h FROM generate_series(1, 10) h;

-- Backups of every shard, drills, one of them bad.
INSERT INTO dr_groups (id, groups, epoch, seq, holder, error) VALUES ('g0', 2, 7, 99412, 'dr-1', ''), ('g1', 2, 8, 81022, 'dr-2', '');
INSERT INTO dr_shards (shard_id, group_id, generation_epoch, generation_n, replid, durable_offset, chain, durable_at, beat_at,
    since, seen_offset, spool_bytes, streaming, base_bytes, bases_failed, rate_bps, backlog_bytes, alarms, source, error)
SELECT 'n' || to_char(i, 'FM0000'), 'g' || i % 2, 7, 3, repeat('a', 40), 100000 + i, '', now(), now() - interval '1.8 s', now() - interval '9 h',
    100000 + i, 0, true, 0, 0, 1200000, 100000000, CASE WHEN i = 9 THEN '{lag}'::text[] ELSE '{}' END, 'n' || to_char(i + 500, 'FM0000'),
    CASE WHEN i = 9 THEN '<u>slow</u> disk' ELSE '' END FROM generate_series(1, 500) i;
INSERT INTO dr_rpo (shard_id, at, worst_ms) -- an outage of three minutes, nine hours ago; nothing from five to six hours ago
SELECT 'n' || to_char(i, 'FM0000'), date_bin('10 minutes', now(), 'epoch') - b * interval '10 minutes',
    1900 + (i * 37 + b * 101) % 700 + CASE WHEN b = 54 THEN 180000 ELSE 0 END
FROM generate_series(1, 500) i, generate_series(0, 144) b WHERE b NOT BETWEEN 30 AND 36;
INSERT INTO dr_drills (shard_id, state, outcome, reason, asked_by, created_at, started_at, finished_at, generation, skipped,
    list_ms, fetch_ms, load_ms, rto_ms, rpo_ms, base_bytes, stream_bytes, keys)
SELECT 'n' || to_char(i % 500 + 1, 'FM0000'), 'done', CASE WHEN i = 390 THEN 'damaged' ELSE 'good' END,
    CASE WHEN i = 390 THEN 'object <a href=//x>p/3</a> is damaged' ELSE '' END, 'schedule', now() - (400 - i) * interval '7 min',
    now() - (400 - i) * interval '7 min', now() - (400 - i) * interval '7 min' + interval '31 s', '7-3', 0, 200, 9000, 12000,
    31000 + i, 1800 + i, 800000000, 12000000, 300000 FROM generate_series(1, 400) i;
INSERT INTO dr_cluster_restores (target, asked_by, state, outcome, reason, step, shards, fetched, keys, copied, attempts,
    created_at, started_at, finished_at)
VALUES ('10.1.0.11:6379,' || repeat('<b>10.1.0.12</b>:6379,', 40), 'admin', 'done', 'refused', 'the target has <i>3</i> keys', 'list', 500, 0, 0, 0, 1,
    now() - interval '2 h', now() - interval '2 h', now() - interval '2 h'),
    ('10.1.0.11:6379', 'admin', 'running', NULL, '', 'fetch', 500, 137, 0, 0, 1, now() - interval '3 min', now() - interval '3 min', NULL);

-- A trail.
INSERT INTO audit (at, principal, action, resource, before, after, trace)
SELECT now() - i * interval '3 min', CASE WHEN i = 3 THEN '<script>window.pwned = 1</script>' ELSE 'admin' END, 'node.patch',
    CASE WHEN i = 4 THEN 'nodes/' || repeat('n', 10000) ELSE 'nodes/n0001' END, '{"zone": "a", "revision": 1}',
    '{"zone": "<b>b</b>", "revision": 2}', '' FROM generate_series(3000, 1, -1) i;
INSERT INTO api_tokens (name, hash, role) VALUES ('viewer', sha256('tok-viewer'), 'viewer'),
    ('operator', sha256('tok-operator'), 'operator'), ('admin', sha256('tok-admin'), 'admin');
