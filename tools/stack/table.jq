# Draws the demo's figures.
def pad($n): tostring | if length < $n then . + (" " * ($n - length)) else . end;
def lpad($n): tostring | if length < $n then (" " * ($n - length)) + . else . end;
def fixed($d): . * pow(10; $d) | round
    | if $d == 0 then tostring
      else (if . < 0 then "-" else "" end) as $sign | (. | fabs) as $v
        | ($v / pow(10; $d) | floor | tostring) as $whole
        | ($v % pow(10; $d) | tostring) as $rest
        | $sign + $whole + "." + ("0" * ($d - ($rest | length))) + $rest end;
def group: tostring | explode | reverse
    | [range(0; length) as $i | (if $i > 0 and $i % 3 == 0 then 44 else empty end), .[$i]]
    | reverse | implode;
def percent: (. * 100 | fixed(1)) + " %";
def dollars: "$" + (round | group);
def mb: (. / 1e6 | fixed(1)) + " MB";
def row($name; $a; $b): "  " + ($name | pad(44)) + ($a | lpad(16)) + ($b | lpad(16));
# A row that is there only when it says something.
def row_if_any($name; $a; $b):
    if ($a // 0) + ($b // 0) > 0 then row($name; $a // 0 | mb; $b // 0 | mb) else empty end;
# Up to three decimals: 1400 is "1,400", 0.5 stays "0.5".
def number: (floor | group) as $whole | (. - floor) as $rest
    | $whole + (if $rest > 0 then $rest * 1000 | round / 1000 | tostring | ltrimstr("0") else "" end);
def traffic: if . >= 1000 then "\(. / 1000) TB/s" else "\(.) GB/s" end;
def sides: if . == 1 then "1 billed side" else "\(number) billed sides" end;
def seconds($ms): if $ms == null then "an unknown time" else "\($ms / 1000 | fixed(1)) s" end;
def matrix($m): ($m | keys) as $z
    | (["  from \\ to" | pad(14)] + ($z | map(lpad(14))) | add),
      ($z[] as $a | (["  " + $a | pad(14)] + ($z | map(($m[$a][.] // 0) | mb | lpad(14))) | add));
.price as $price
| "$/month at \($price.gb_per_s | traffic)" as $month
| "",
row(""; "before"; "after"),
row("cross-zone share, clients in the root's zone"; .before.root_zone | percent; .after.root_zone | percent),
row("cross-zone share, clients in random zones"; .before.random_zone | percent; .after.random_zone | percent),
row($month; .before.usd_per_month | dollars; .after.usd_per_month | dollars),
"    = share x \($price.gb_per_s | number) GB/s x \($price.seconds | number) s x $\($price.usd_per_gb | number) per GB x \($price.sides | sides)",
row("workload, operations/s"; .before.ops_per_s | round | group; .after.ops_per_s | round | group),
row("workload, p99"; "\(.before.p99_us) us"; "\(.after.p99_us) us"),
row_if_any("not counted: nodes without a zone"; .before.unzoned_bytes; .after.unzoned_bytes),
row_if_any("not counted: traversals without their root"; .before.dropped_bytes; .after.dropped_bytes),
row("beside it: replication to all replicas"; .before.replication_bytes | mb; .after.replication_bytes | mb),
row("  to replicas in other zones"; .before.replication_cross_bytes | mb; .after.replication_cross_bytes | mb),
row("  that as a share of the workload's bytes"; .before.replication_cross_share | percent; .after.replication_cross_share | percent),
row("  \($month)"; .before.replication_usd_per_month | dollars; .after.replication_usd_per_month | dollars),
row("beside it: routes, once a client"; 0 | mb; .routes.bytes | mb),
(if .dr.on then row("beside it: DR, shipped to the other region"; .dr.before_bytes | mb; .dr.after_bytes | mb)
 else row("beside it: DR (off: PRISM_DR=1 ./dev up)"; 0 | mb; 0 | mb) end),
"",
"  bytes of the workload between zones, before",
matrix(.before.matrix),
"  and after",
matrix(.after.matrix),
"",
"  graph              \(.graph.vertices | group) vertices, \(.graph.edges | group) edges, loaded at \(.graph.load_edges_per_s | round | group) edges/s",
"  moved              \(.moves.vertices | group) vertices in \(.moves.seconds | fixed(1)) s: \(.moves.per_s | round | group) moves/s, \(.moves.retries | group) retries",
"  migration          \(.moves.bytes | mb) once: $\(.moves.usd | fixed(6)) at $\($price.usd_per_gb | number) per GB x \($price.sides | sides)",
"  workload meanwhile \(.during.ops_per_s | round | group) operations/s, p99 \(.during.p99_us) us, \(.during.writes_acked | group) writes acknowledged, \(.during.writes_unknown | group) unanswered",
(.second // empty | "",
"  second round       \(.new_edges | group) new edges; placed again in \(.seconds | fixed(2)) s (\(.mode): \(.why))",
"  moved              \(.moved | group) vertices, \(.moved_ratio * 100 | fixed(2)) % of them all",
"  graph's edges      \(.cross_share_before | percent) between zones with the new ones, \(.cross_share | percent) once moved",
"  measured           \(.after.root_zone | percent) of the bytes between zones, clients in the root's zone"),
(.dr | select(.on) | "",
"  DR                 \(.shards) shards, the last \(if .lag_ms == null then "of unknown age" else "\(.lag_ms / 1000 | fixed(1)) s behind" end); alarms: \(if .alarms == [] then "none" else .alarms | join(", ") end)",
"  drill              \(.good) of \(.drills) good; back within \(seconds(.rto_ms)), what came back is at most \(seconds(.rpo_ms)) old"),
"",
"  acknowledged writes lost: \(.lost)"
