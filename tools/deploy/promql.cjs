// promql.cjs MODULES METRICS [FILE...]: every expression of the rules, dashboards and rendered manifests (YAML of
// PrometheusRule, AnalysisTemplate, ConfigMap) in FILE is PromQL, asks for metrics that there are, by labels that they
// have, and takes rates of counters alone. METRICS: lines "KIND<tab>name<tab>label" of the tables metrics.def.
"use strict";
const fs = require("fs");
const path = require("path");
const [modules, table, ...files] = process.argv.slice(2);
const load = (name) => require(path.join(modules, name));
const { parser } = load("@prometheus-io/lezer-promql");
const yaml = load("yaml");

const TARGET = ["job", "instance", "namespace", "pod"]; // what a scrape adds
const known = new Map([["up", { kind: "GAUGE", labels: [] }], ["ALERTS", { kind: "GAUGE", labels: ["alertname", "alertstate"] }]]);
for (const line of fs.readFileSync(table, "utf8").split("\n").filter(Boolean)) {
    const [kind, name, label] = line.split("\t");
    const labels = label === "NULL" ? [] : [label];
    if (kind !== "HISTOGRAM") known.set(name, { kind, labels });
    else for (const end of ["_bucket", "_sum", "_count"])
        known.set(name + end, { kind: "COUNTER", labels: end === "_bucket" ? [...labels, "le"] : labels });
}

let bad = 0, checked = 0;
const used = new Set();
const say = (where, what, expr) => { bad++; console.error(`${where}: ${what}\n    ${expr.trim()}`); };

// The labels of what is summed by some.
const byLabels = (expr) => [...expr.matchAll(/\bby\s*\(([^)]*)\)/g)].flatMap((m) => m[1].split(",").map((s) => s.trim()));

function check(where, expr) {
    checked++;
    const names = [], asked = [];
    const text = (n) => expr.slice(n.from, n.to);
    let rate = null;
    parser.parse(expr).iterate({
        enter(n) {
            if (n.type.isError) say(where, `not PromQL at ${n.from}`, expr);
            else if (n.name === "FunctionIdentifier" && /^(rate|irate|increase)$/.test(text(n))) rate = n.node.parent;
            else if (n.name === "VectorSelector") {
                const id = n.node.getChild("Identifier");
                if (!id) return say(where, "a selector without a metric's name", expr);
                const name = text(id), m = known.get(name);
                used.add(name);
                if (!m) return say(where, `no metric ${name}`, expr);
                names.push(...m.labels);
                if (rate && n.from >= rate.from && n.to <= rate.to && m.kind !== "COUNTER")
                    say(where, `a rate of ${name}, which is a gauge`, expr);
                n.node.cursor().iterate((c) => {
                    if (c.name === "LabelName" && ![...TARGET, ...m.labels].includes(text(c)))
                        say(where, `${name} has no label ${text(c)}`, expr);
                });
            } else if (n.name === "GroupingLabels") n.node.cursor().iterate((c) => { if (c.name === "LabelName") asked.push(text(c)); });
        },
    });
    for (const label of asked)
        if (![...TARGET, ...names].includes(label)) say(where, `nothing here has the label ${label}`, expr);
}

function legend(where, format, expr) {
    const has = new Set([...byLabels(expr), ...[...known].filter(([n, m]) => m.recorded && expr.includes(n)).flatMap(([, m]) => m.labels)]);
    for (const [, label] of format.matchAll(/\{\{(\w+)\}\}/g))
        if (!has.has(label)) say(where, `the legend names ${label}, which the result does not have`, expr);
}
function dashboard(where, d) {
    for (const p of d.panels) for (const t of p.targets || []) {
        check(`${where}, ${p.title}`, t.expr);
        legend(`${where}, ${p.title}`, t.legendFormat, t.expr);
    }
}
function rules(where, groups) {
    for (const g of groups) for (const r of g.rules) check(`${where}, ${r.record || r.alert}`, r.expr);
}
function document(where, d) {
    if (!d) return;
    if (d.groups) rules(where, d.groups);
    else if (d.panels) dashboard(where, d);
    else if (d.kind === "PrometheusRule") rules(where, d.spec.groups);
    else if (d.kind === "AnalysisTemplate")
        for (const m of d.spec.metrics) check(`${where}, ${m.name}`, m.provider.prometheus.query.replace(/\{\{args\.[\w-]+\}\}/g, "x"));
    else if (d.kind === "ConfigMap")
        for (const [name, body] of Object.entries(d.data || {})) if (name.endsWith(".json")) {
            const inner = JSON.parse(body);
            if (inner.panels) dashboard(`${where}, ${name}`, inner);
        }
}
// Recorded series first: who asks for them may come before them.
const documents = files.flatMap((f) => yaml.parseAllDocuments(fs.readFileSync(f, "utf8")).map((d) => [path.basename(f), d.toJS()]));
for (const [, d] of documents) for (const g of d?.groups || d?.spec?.groups || []) for (const r of g.rules)
    if (r.record) known.set(r.record, { kind: "GAUGE", labels: byLabels(r.expr).filter((l) => l !== "le"), recorded: true });
for (const d of documents) document(...d);
if (process.env.PRISM_ALL_SHOWN) for (const name of known.keys())
    if (name.startsWith("prism_") && !/_(sum|count)$/.test(name) && !used.has(name) && !used.has(name.replace(/_bucket$/, "_count")))
        say("dashboards", `nothing shows or watches ${name}`, "");
if (checked === 0) say(files.join(" "), "no expression found", "");
console.log(`promql: ${checked} expressions, ${bad} complaints`);
process.exitCode = bad ? 1 : 0;
