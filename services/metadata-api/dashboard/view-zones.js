// Where the traffic between zones comes from, what it costs, and how that went over time.
import { html, useEffect, useMemo, useState } from "./htm-preact.js";
import { Chart } from "./chart.js";
import { readOnce, useGet } from "./data.js";
import { Matrix, ZoneMap } from "./draw.js";
import { Choice, Empty, Facts, Failure, Loading, Panel, Ready, Stat, Stats, Time } from "./parts.js";
import { count, dollars, list, num, percent, plural, rate, when } from "./format.js";
import { api, to } from "./route.js";
import { GOAL } from "./view-overview.js";

const RUNS = 24;
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const brief = (v) => "$" + short.format(v); // on an axis
const FIGURES = "id,createdBy,finishedAt,state,report.kind,report.before,report.after,report.zones,report.price";
const runPath = (id) => api("v1/placement/runs/" + encodeURIComponent(id), { readMask: FIGURES });
// The graph's edge weight. Edges have no direction: one between a and b stands in the matrix at [a][b] and at [b][a].
export const totalOf = (ids, m) => ids.reduce((s, a, i) => s + ids.slice(i).reduce((t, b) => t + (num(m?.[a]?.[b]) || 0), 0), 0);
export const BOTH_WAYS = "An edge between two zones stands in both of their cells.";

// Runs that have something to compare, newest first: at first the one that is looked at, then all of them. What was
// there stays until what is newer has come.
function useRuns(looked) {
  const runs = useGet("v1/placement/runs?state=done&pageSize=" + RUNS, { on: ["placement/runs"] });
  const ids = list(runs.data?.items).map((r) => r.id), wanted = ids.join();
  const [all, set] = useState({ of: null, reports: [], whole: false, error: null }), [tries, again] = useState(0);
  useEffect(() => {
    if (!runs.data) return undefined;
    let alive = true, timer = 0;
    const compares = (r) => r?.report?.after && r.report.before, read = (id) => readOnce(runPath(id)), first = ids.find((id) => String(id) === looked) ?? ids[0];
    if (first !== undefined) read(first).then((r) => alive && compares(r) && set((was) => (was.of === null ? { of: wanted, reports: [r], whole: false, error: null } : was)), () => {});
    Promise.all(ids.map(read)).then((reports) => alive && set({ of: wanted, reports: reports.filter(compares), whole: true, error: null }), (error) => {
      if (!alive) return;
      set((was) => ({ ...was, error }));
      if (error.passes) timer = setTimeout(() => again((n) => n + 1), Math.max(error.retryMs, 5000));
    });
    return () => { alive = false; clearTimeout(timer); };
  }, [wanted, !!runs.data, tries]);
  return { runs, ...all, ready: !!runs.data && all.of !== null };
}

export function Goal({ share, before }) {
  const most = Math.max(share || 0, before || 0, GOAL) * 1.12, w = (v) => (100 * Math.min(1, (v || 0) / most)) + "%";
  return html`<div class="goal" role="img" aria-label=${"Share between zones " + percent(share) + ", before " + percent(before) + ", goal " + percent(GOAL)}>
    <div class="was" style=${{ width: w(before) }}></div><div class=${"is " + (share <= GOAL ? "good" : "")} style=${{ width: w(share) }}></div>
    <div class="mark" style=${{ left: w(GOAL) }}><span>goal 5${"\u202f"}%</span></div></div>`;
}

export function View({ query }) {
  const topology = useGet("v1/topology?readMask=state,reasons,partitions,nodes,slotsCovered,zones,revision", { on: ["nodes", "zones", "topology"] });
  const states = useGet("v1/dr/zones", { everyMs: 10000, on: ["zones"] }), costs = useGet("v1/costs", { on: ["placement/runs"] });
  const r = useRuns(query.run), run = r.reports.find((x) => String(x.id) === query.run) || r.reports[0], side = query.side === "before" ? "before" : "after";
  return html`<h1>Zones and traffic</h1><p class="headline">Traffic that crosses zones is slow and is paid for. The goal: at most 5${"\u202f"}% of it.</p>
    <${Panel} title="Share and cost" from=${costs} wide><${Ready} of=${costs}>${(c) => c.after === null
      ? html`<${Empty} title="Not computed yet">A placement run measures it: <code>prismctl placement run --graph FILE</code>.</${Empty}>`
      : html`<${Stats}>
          <${Stat} label="Between zones" path="v1/costs" value=${percent(c.after?.crossShare)} tone=${c.after?.crossShare <= GOAL ? "good" : "warn"} note=${"was " + percent(c.before?.crossShare) + " before run " + c.runId} />
          <${Stat} label="Cost a day" path="v1/costs" value=${dollars(num(c.after?.usdPerMonth) === null ? null : c.after.usdPerMonth / 30)} note=${"was " + dollars(num(c.before?.usdPerMonth) === null ? null : c.before.usdPerMonth / 30)} />
          <${Stat} label="Cost of 30 days" path="v1/costs" value=${dollars(c.after?.usdPerMonth)} note="designed, not an invoice" />
          <${Stat} label="Reference traffic" path="v1/costs" value=${rate(c.price?.trafficBytesPerS)} note=${"at $" + c.price?.usdPerGb + " a GB, " + plural(c.price?.billedSides, "billed side")} /></${Stats}>
        <${Goal} share=${num(c.after?.crossShare)} before=${num(c.before?.crossShare)} />`}</${Ready}></${Panel}>
    ${r.error && !r.ready ? html`<${Panel} title="Traffic between zones"><${Failure} error=${r.error} /></${Panel}>` : !r.ready ? html`<${Panel} title="Traffic between zones" from=${r.runs}>
        <${Ready} of=${r.runs}>${() => html`<${Loading} lines=${6} />`}</${Ready}></${Panel}>`
      : html`<${Traffic} run=${run} runs=${r.reports} side=${side} query=${query} topology=${topology} states=${states} />`}
    ${!r.ready || !r.reports.length ? null : r.whole ? html`<${History} reports=${r.reports} />` : html`<${Panel} title="Over time" wide from=${r.runs}>${r.error ? html`<${Failure} error=${r.error} />` : html`<${Loading} lines=${6} />`}</${Panel}>`}`;
}

function Traffic({ run, runs, side, query, topology, states }) {
  const figures = run?.report?.[side], ids = list(run?.report?.zones).length ? run.report.zones : list(topology.data?.zones).map((z) => z.id);
  const total = totalOf(ids, figures?.matrix), state = Object.fromEntries(list(states.data?.zones).map((z) => [z.id, z.state]));
  const of = Object.fromEntries(list(topology.data?.zones).map((z) => [z.id, z]));
  const zones = ids.map((id) => ({ id, state: state[id], lines: of[id] ? [plural(of[id].nodes, "node"), count(of[id].slots) + " slots"] : [] }));
  const matrixOf = run ? [{ path: runPath(run.id), topics: [] }] : [];
  const choose = run ? html`<div class="filters">
      <${Choice} label="Run" parts="zones" query=${query} name="run" options=${runs.slice(0, 6).map((x, i) => [i === 0 ? "" : String(x.id), String(x.id)])} />
    <${Choice} label="Figures" parts="zones" query=${query} name="side" options=${[["", "after"],
        ["before", "before"]]} /></div>` : null;
  return html`<div class="columns">
    <${Panel} title="Zones" from=${[topology, states, ...matrixOf]} note=${figures ? "Lines: the share of the edge weight that lies between two zones." : undefined}>
        <${Ready} of=${topology}>${() => ids.length === 0 ? html`<${Empty} title="No zone is registered" />`
      : html`<${ZoneMap} zones=${zones} matrix=${figures?.matrix} total=${total} />`}</${Ready}></${Panel}>
    <${Panel} title="Traffic matrix" from=${matrixOf} note=${run ? "Edge weight of the graph, " + side + " placement run " + run.id + ". " + BOTH_WAYS : undefined}>
      ${choose}${figures ? html`<${Matrix} ids=${ids} matrix=${figures.matrix} total=${total} write=${count} />
        <${Facts} rows=${[["Between zones", percent(figures.crossShare)], ["Cut edge weight", count(figures.cutWeight)],
            ["Imbalance", percent(figures.imbalance)],
          ["Vertices", ids.map((z) => z + " " + count(figures.vertices?.[z])).join(", ")],
          ["Run", html`<a href=${to(["runs", String(run.id)])}>report of run ${run.id}</a>, <${Time} at=${run.finishedAt} />`]]} />`
        : html`<${Empty} title="No placement run is done">The matrix is counted by a run.</${Empty}>`}</${Panel}></div>`;
}

// Cost and share of every run that is kept, oldest first.
function History({ reports }) {
  const at = useMemo(() => [...reports].filter((r) => when(r.finishedAt) !== null).sort((a, b) => when(a.finishedAt) - when(b.finishedAt)), [reports]);
  const xs = useMemo(() => at.map((r) => when(r.finishedAt) / 1000), [at]);
  const series = useMemo(() => [
    { label: "$ a day before", color: "--muted", values: at.map((r) => num(r.report.before.usdPerMonth) / 30), write: dollars, brief, points: true, dash: [5, 4] },
    { label: "$ a day after", color: "--zone-0", values: at.map((r) => num(r.report.after.usdPerMonth) / 30), write: dollars, brief, points: true },
    { label: "share after", color: "--zone-1", scale: "share", values: at.map((r) => num(r.report.after.crossShare)), write: percent, points: true },
  ], [at]);
  return html`<${Panel} title="Over time" wide from=${[{ path: "v1/placement/runs?state=done&pageSize=" + RUNS, topics: [] }]} note="At each placement run: what the traffic between zones costs a day, and its share.">
    <${Chart} title="Cost of traffic between zones by placement run" xs=${xs} series=${series} height=${240} /></${Panel}>`;
}
