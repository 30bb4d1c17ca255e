// Placement runs and their reports: how far the graph can be kept within zones, and what it took.
import { html } from "./htm-preact.js";
import { Actions } from "./act.js";
import { useGet } from "./data.js";
import { Matrix } from "./draw.js";
import { Empty, Facts, Name, Pager, Panel, Ready, Stat, State, Stats, Table, Time, Zone } from "./parts.js";
import { bytes, count, cut, dollars, list, num, percent, plural, seconds, text, when } from "./format.js";
import { api, go, to } from "./route.js";
import { BOTH_WAYS, Goal, totalOf } from "./view-zones.js";
import { GOAL } from "./view-overview.js";

export const View = ({ parts, query }) => (parts.length ? html`<${One} key=${parts[0]} id=${parts[0]} />` : html`<${All} query=${query} />`);

const took = (r) => (when(r.finishedAt) === null || when(r.startedAt) === null ? null : (when(r.finishedAt) - when(r.startedAt)) / 1000);

function All({ query }) {
  const e = useGet(api("v1/placement/runs", { pageSize: 50, pageToken: query.page }), { on: ["placement/runs"] });
  return html`<h1>Placement runs</h1><p class="headline">A run computes which zone every vertex belongs in. It moves nothing: a plan does.</p>
    <${Panel} title="All runs" from=${e} wide>
        <${Ready} of=${e}>${(d) => html`<${Table} caption="Placement runs, newest first" rows=${list(d.items)} keyOf=${(r) => r.id} empty="No run yet: prismctl placement run --graph FILE" cols=${[
      { head: "Run", cell: (r) => html`<a href=${to(["runs", String(r.id)])}>run ${r.id}</a>` },
      { head: "State", cell: (r) => html`<${State} v=${r.state} />` },
      { head: "Graph", cell: (r) => html`<${Name} v=${r.source?.file} most=${48} />` },
      { head: "Took", num: true, cell: (r) => seconds(took(r)) },
      { head: "By", cell: (r) => html`<${Name} v=${r.createdBy} most=${20} code=${false} />` },
      { head: "Finished", cell: (r) => html`<${Time} at=${r.finishedAt} />` },
      { head: "Says", wide: true, cell: (r) => cut(r.error, 160) }]} />
      <${Pager} data=${d} parts="runs" query=${query} shown="50" />`}</${Ready}></${Panel}>`;
}

function One({ id }) {
  const e = useGet("v1/placement/runs/" + encodeURIComponent(id), { on: ["placement/runs/" + id] });
  return html`<p class="crumbs"><a href=${to("runs")}>Placement runs</a></p>
      <${Ready} of=${e} title=${"Run " + cut(id, 20)}>${(r) => html`<h1>Run ${r.id}</h1>
    <p class="headline"><${State} v=${r.state} /> by <bdi>${cut(r.createdBy, 40)}</bdi>, <${Time} at=${r.createdAt} />${took(r) === null ? "" : ", took " + seconds(took(r))}</p>
    ${r.error ? html`<div class="state failed" role="alert"><p class="state-title">It failed</p><p>${cut(r.error, 600)}</p></div>` : null}
    ${r.state === "done" ? html`<${Actions} acts=${[{ title: "Plan the moves", main: true, pattern: "/v1/rebalance/plans", path: "v1/rebalance/plans", body: () => ({ runId: r.id }), button: "Make the plan", done: "The plan is being computed",
      text: ["A plan is computed that takes every vertex where run " + r.id + " wants it. Nothing moves until the plan is approved."], after: (p) => p && go(["plans", String(p.id)]) }]} />` : null}
    ${r.report ? html`<${Report} r=${r} e=${e} />` : html`<${Panel} title="Report" from=${e}><${Empty} title=${r.state === "done" ? "It has no report" : "The report comes when it is done"} /></${Panel}>`}
    <${Panel} title="Asked for" from=${e}><${Facts} rows=${[["Graph", html`<${Name} v=${r.source?.file} most=${80} />`],
        ["Parameters", cut(JSON.stringify(r.params || {}), 300)], ["Started", html`<${Time} at=${r.startedAt} full />`],
        ["Finished", html`<${Time} at=${r.finishedAt} full />`]]} /></${Panel}>`}</${Ready}>`;
}

function Report({ r, e }) {
  const x = r.report, zones = list(x.zones), a = x.after, b = x.before, side = a || b;
  return html`<${Panel} title="Report" from=${e} wide>
      ${x.verdict ? html`<p><strong>${cut(x.verdict, 500)}</strong></p>` : null}
      <${Stats}>
      <${Stat} label="Between zones" path=${e.path} value=${percent(side?.crossShare)} tone=${num(side?.crossShare) === null ? "" : side.crossShare <= GOAL ? "good" : "warn"} note=${a && b ? "was " + percent(b.crossShare) : "goal: 5 %"} />
        <${Stat} label="Cost a day" path=${e.path} value=${dollars(num(side?.usdPerMonth) === null ? null : side.usdPerMonth / 30)} note=${a && b ? "was " + dollars(b.usdPerMonth / 30) : ""} />
        <${Stat} label="Vertices to move" path=${e.path} value=${count(x.moves)} note=${num(x.movedRatio) === null ? "" : percent(x.movedRatio) + " of all"} />
        <${Stat} label="Vertices" path=${e.path} value=${count(x.vertices)} note=${plural(x.edges, "edge")} />
        <${Stat} label="Imbalance" path=${e.path} value=${percent(side?.imbalance)} note=${"limit " + percent(x.imbalanceLimit)} />
        <${Stat} label="Took" path=${e.path} value=${seconds(x.seconds?.total)} note=${plural(x.threads, "thread") + ", " + bytes(x.peakMemoryBytes) + " at most"} /></${Stats}>
      ${a && b ? html`<${Goal} share=${num(a.crossShare)} before=${num(b.crossShare)} />` : null}
      ${x.why ? html`<p class="note">${cut(x.mode, 20)} run: ${cut(x.why, 300)}.</p>` : null}</${Panel}>
    <div class="columns">${[["Before", b],
        ["After", a]].filter(([, f]) => f && f.matrix).map(([title, f]) => html`<${Panel} key=${title} title=${title + ": edge weight between zones"} from=${e} note=${BOTH_WAYS}>
        <${Matrix} ids=${zones} matrix=${f.matrix} total=${totalOf(zones, f.matrix)} write=${count} />
      <${Table} caption=${title + ": zones"} rows=${zones} keyOf=${(z) => z} cols=${[
          { head: "Zone", cell: (z) => html`<${Zone} id=${z} />` },
          { head: "Vertices", num: true, cell: (z) => count(f.vertices?.[z]) },
          { head: "of at most", num: true, cell: (z) => count(x.capacity?.[z]) }]} /></${Panel}>`)}</div>
    <${Panel} title="How it was computed" from=${e}><${Facts} rows=${[["Engine", text(x.engine) + (x.mode ? ", " + x.mode : "")],
        ["Modularity", num(side?.modularity) === null ? "\u2013" : side.modularity.toFixed(3)],
        ["Less than at random", num(x.timesLessThanRandom) === null ? "\u2013" : x.timesLessThanRandom.toFixed(1) + " times"],
      ["Price", cut(x.price?.formula, 120)],
      ["Seed", count(x.seed) + " of " + count(x.seeds)], ...Object.entries(x.seconds || {}).filter(([k]) => k !== "total").map(([k, v]) => ["Phase " + k, seconds(v)])]} /></${Panel}>`;
}
