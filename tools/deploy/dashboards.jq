# Lines of dashboards.txt to an array of Grafana's dashboards; see dashboards.sh.
def parts: sub(" *\\|$"; "") | split(" | ");
def scoped: gsub("(?<m>\\bprism[_:][a-z0-9_:]+)(?<open>\\{)?";
    .m + if .open then "{namespace=~\"$namespace\"," else "{namespace=~\"$namespace\"}" end);
def source: {type: "prometheus", uid: "${datasource}"};

def panel($id; $at; $kind):
    {
        id: $id,
        title: .title,
        description: .says,
        type: ({state: "state-timeline"}[.kind] // .kind),
        datasource: source,
        gridPos: {h: 7, w: 8, x: ($at % 3 * 8), y: .y},
        fieldConfig: {
            defaults: ({unit: .unit, min: 0}
                + if .kind == "state" then {mappings: [{type: "value", options: {
                    "0": {text: "0"}, "1": {text: "1"}}}]} else {} end),
            overrides: []
        },
        options: (if .kind == "timeseries" then {legend: {displayMode: "list", placement: "bottom"},
            tooltip: {mode: "multi", sort: "desc"}} else {} end),
        targets: [.queries | to_entries[] | {
            refId: (["A", "B", "C", "D"][.key] // error("too many queries")),
            datasource: source,
            expr: (.value.expr | scoped),
            legendFormat: .value.legend
        } + if $kind == "table" then {format: "table", instant: true} else {} end]
    };

def panels:
    reduce .rows[] as $row ({y: 0, id: 1, out: []};
        .out += [{id: .id, type: "row", title: $row.title, collapsed: false, panels: [],
                  gridPos: {h: 1, w: 24, x: 0, y: .y}}]
        | .id += 1 | .y += 1
        | reduce ($row.panels | to_entries[]) as $p (.;
            .out += [.y as $y | .id as $id | $p.value.kind as $kind | $p.value
                     | .y = $y + ($p.key / 3 | floor) * 7 | panel($id; $p.key; $kind)]
            | .id += 1)
        | .y += (($row.panels | length) / 3 | ceil) * 7)
    | .out;

reduce inputs as $line ([];
    if $line | test("^(!|$)") then .
    elif $line | test("^# ") then
        ($line[2:] | parts) as [$uid, $title] | . + [{uid: $uid, title: $title, rows: []}]
    elif $line | test("^## ") then .[-1].rows += [{title: $line[3:], panels: []}]
    elif $line | test("^- ") then
        ($line[2:] | parts) as [$title, $unit, $kind, $says]
        | if ["timeseries", "state", "table"] | index($kind) then . else error("no such kind: \($line)") end
        | .[-1].rows[-1].panels += [{title: $title, unit: $unit, kind: $kind, says: ($says // ""), queries: []}]
    elif $line | test("^  .+ -> ") then
        ($line[2:] | capture("^(?<expr>.*) -> (?<legend>.*)$")) as $q
        | .[-1].rows[-1].panels[-1].queries += [$q]
    else error("not understood: \($line)") end)
| map({
    uid: ("prism-" + .uid),
    title: .title,
    tags: ["prism"],
    schemaVersion: 39,
    editable: false,
    graphTooltip: 1,
    refresh: "30s",
    time: {from: "now-6h", to: "now"},
    links: [{type: "dashboards", title: "Prism", tags: ["prism"], asDropdown: true, includeVars: true, keepTime: true}],
    templating: {list: [
        {name: "datasource", type: "datasource", query: "prometheus", label: "Prometheus"},
        {name: "namespace", type: "query", label: "Namespace", datasource: source,
         query: {query: "label_values(prism_up, namespace)", refId: "namespace"}, refresh: 2,
         includeAll: true, allValue: ".*", current: {text: "All", value: "$__all"}}]},
    panels: panels
})
