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
def matrix($m): ($m | keys) as $z
    | (["  from \\ to" | pad(14)] + ($z | map(lpad(14))) | add),
      ($z[] as $a | (["  " + $a | pad(14)] + ($z | map(($m[$a][.] // 0) | mb | lpad(14))) | add));
"",
row(""; "before"; "after"),
row("cross-zone share, clients in the root's zone"; .before.root_zone | percent; .after.root_zone | percent),
row("cross-zone share, clients in random zones"; .before.random_zone | percent; .after.random_zone | percent),
row("$/month at 1.4 TB/s"; .before.usd_per_month | dollars; .after.usd_per_month | dollars),
"    = share x 1,400 GB/s x 2,592,000 s x $0.01 per GB, each direction that is billed",
row("workload, operations/s"; .before.ops_per_s | round | group; .after.ops_per_s | round | group),
row("workload, p99"; "\(.before.p99_us) us"; "\(.after.p99_us) us"),
row("beside it: replication, all to other zones"; .before.replication_bytes | mb; .after.replication_bytes | mb),
row("  as a share of the workload's bytes"; .before.replication_share | percent; .after.replication_share | percent),
row("  $/month at 1.4 TB/s"; .before.replication_usd_per_month | dollars; .after.replication_usd_per_month | dollars),
row("beside it: routes, once a client"; 0 | mb; .routes.bytes | mb),
row("beside it: backup (there is none yet)"; 0 | mb; 0 | mb),
"",
"  bytes of the workload between zones, before",
matrix(.before.matrix),
"  and after",
matrix(.after.matrix),
"",
"  graph              \(.graph.vertices | group) vertices, \(.graph.edges | group) edges, loaded at \(.graph.load_edges_per_s | round | group) edges/s",
"  moved              \(.moves.vertices | group) vertices in \(.moves.seconds | fixed(1)) s: \(.moves.per_s | round | group) moves/s, \(.moves.retries | group) retries",
"  migration          \(.moves.bytes | mb) once: $\(.moves.usd | fixed(6)) at $0.01 per GB",
"  workload meanwhile \(.during.ops_per_s | round | group) operations/s, p99 \(.during.p99_us) us, \(.during.writes_acked | group) writes acknowledged, \(.during.writes_unknown | group) unanswered",
"  acknowledged writes lost: \(.lost)"
