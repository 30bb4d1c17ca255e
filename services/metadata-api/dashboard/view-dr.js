// Is there a copy that comes back, how old is it, was that proved; and which zones and nodes failed.
import { html, useMemo } from "./htm-preact.js";
import { Actions } from "./act.js";
import { serverNow } from "./api.js";
import { Chart } from "./chart.js";
import { useGet } from "./data.js";
import { Choice, Empty, Name, Pager, Panel, Ready, Slices, Stat, State, Stats, Table, Time, Zone } from "./parts.js";
import { bytes, count, cut, list, millis, num, plural, rate, stamp, text, when } from "./format.js";
import { api, to } from "./route.js";
import { alarmWords, RPO_GOAL_MS } from "./view-overview.js";

const DAY_MS = 86400000, PAGE = 50;

// What drills measured in the last 24 h: the longest RTO, how many, and whether there are more than were read.
function ofDrills(e) {
  const all = list(e.data?.items), day = all.filter((d) => num(d.rtoMs) !== null && when(d.startedAt) !== null && serverNow() - when(d.startedAt) < DAY_MS);
  return { n: day.length, more: day.length > 0 && day.length === all.length && !!e.data.nextPageToken, rto: day.length ? Math.max(...day.map((d) => d.rtoMs)) : null };
}

export function View({ query }) {
  const dr = useGet("v1/dr", { everyMs: 10000 }), drills = useGet("v1/dr/drills?pageSize=500&readMask=id,rtoMs,startedAt", { on: ["dr/drills"] }), w = ofDrills(drills);
  const off = dr.data && list(dr.data.groups).length === 0;
  return html`<h1>Disaster recovery</h1><p class="headline">${off ? "The dr service does not run here: nothing is copied to another region." : "How old the other region's copy is, and whether it comes back."}</p>
    <${Panel} title="Recovery point" from=${[dr, drills]} wide>
        <${Ready} of=${dr} lines=${2}>${(d) => { const bad = list(d.shards).filter((s) => list(s.alarms).length).length, by = (s) => list(d.shards).filter((x) => x.state === s).length;
      return html`<${Stats}>
          <${Stat} label="RPO now" path=${dr.path} value=${!off && d.unknownShards ? "unknown" : millis(d.lagMs)} tone=${off ? "" : d.unknownShards || num(d.lagMs) > RPO_GOAL_MS ? "bad" : num(d.lagMs) === null ? "" : "good"} note=${!off && d.unknownShards ? plural(d.unknownShards, "shard") + " without a copy" : "of the shard that is furthest behind"} />
        <${Stat} label="Worst RPO, 24 h" path=${dr.path} value=${millis(d.worstLagMs)} tone=${num(d.worstLagMs) > RPO_GOAL_MS ? "warn" : ""} note=${watched(d)} />
        <${Stat} label="Longest RTO, 24 h" path=${drills.path} value=${millis(w.rto)} note=${drills.data ? (w.more ? "of the newest " : w.n ? "of " : "there was ") + (w.n ? plural(w.n, "drill") : "no drill") : ""} />
        <${Stat} label="Shards streaming" path=${dr.path} value=${count(by("streaming")) + " of " + count(list(d.shards).length)} tone=${off || by("streaming") === list(d.shards).length ? "" : "warn"} note=${off ? "dr does not run" : ""} />
        <${Stat} label="Shards with alarms" path=${dr.path} value=${off ? "\u2013" : count(bad)} tone=${bad && !off ? "bad" : ""} note=${bad && !off ? "first in the list below" : ""} /></${Stats}>`; }}</${Ready}></${Panel}>
    ${off ? null : html`<${History} now=${dr.data} />`}<${Shards} dr=${dr} query=${query} /><${Drills} query=${query} dr=${dr} /><${Zones} /><${Restores} /><${Failovers} />`;
}

// Less than a day is known of a dr that is new.
const watched = (d) => { const from = when(d.watchedSince), h = from === null ? 0 : (serverNow() - from) / 3600000;
  return from === null ? "nothing was measured yet" : h < 23.8 ? "of any shard, since " + stamp(from) : "of any shard"; };

const STEPS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500].concat([1, 2, 5, 10, 15, 30].flatMap((n) => [n * 1000, n * 60000, n * 3600000]), 43200000, DAY_MS).sort((a, b) => a - b);
// The day in steps of ten minutes, and now: null where nothing was saved, so that an outage is a gap and not a line.
const STEP_MS = 600000;
export function dayOf(items, nowMs, lagMs) {
  const kept = new Map(items.map((x) => [when(x.at), num(x.worstLagMs)])), at = [];
  for (let t = Math.floor((nowMs - DAY_MS) / STEP_MS) * STEP_MS; t < nowMs; t += STEP_MS) at.push(t);
  return { xs: [...at, nowMs].map((t) => t / 1000), values: [...at.map((t) => kept.get(t) ?? null), num(lagMs)] };
}
function History({ now }) {
  const e = useGet("v1/dr/lag", { everyMs: 60000 });
  const items = list(e.data?.items), { xs, values } = useMemo(() => dayOf(items, serverNow(), now?.lagMs), [e.data, now]);
  const series = useMemo(() => [{ label: "worst RPO", color: "--zone-0", values, write: millis, step: true, incrs: STEPS_MS },
    { label: "alarm above", color: "--bad", values: xs.map(() => RPO_GOAL_MS), write: millis, thin: true, dash: [6, 4] }], [xs]);
  return html`<${Panel} title="RPO over 24 h" from=${e} wide note="Of the shard that was furthest behind, in every ten minutes. Where dr wrote nothing the line is missing; such an outage is where it ended, with all of its length.">
    <${Ready} of=${e} lines=${5}>${() => items.length === 0 ? html`<${Empty} title="Nothing was measured yet">dr keeps it once a heartbeat of a shard is durable.</${Empty}>` : html`<${Chart} title="Worst RPO in every ten minutes" xs=${xs} series=${series} height=${180} />`}</${Ready}></${Panel}>`;
}

function Shards({ dr, query }) {
  const from = Math.max(0, parseInt(query.from, 10) || 0);
  return html`<${Panel} title="Shards" from=${dr} wide>
      <${Ready} of=${dr}>${(d) => { const all = [...list(d.shards)].sort((a, b) => list(b.alarms).length - list(a.alarms).length || (num(b.lagMs) || 0) - (num(a.lagMs) || 0));
    return html`${list(d.groups).length ? html`<${Table} caption="Groups" rows=${d.groups} keyOf=${(g) => g.id} cols=${[
        { head: "Group", cell: (g) => html`<${Name} v=${g.id} />` },
        { head: "Led by", cell: (g) => html`<${Name} v=${g.holder} most=${30} />` },
        { head: "Written", num: true, cell: (g) => plural(g.containers, "container") },
        { head: "Alarms", wide: true, cell: (g) => (list(g.alarms).length ? html`<span class="bad">${g.alarms.map(alarmWords).join(", ")}${g.error ? ": " + cut(g.error, 160) : ""}</span>` : "none") },
        { head: "Updated", cell: (g) => html`<${Time} at=${g.updatedAt} />` }]} /><h3>Shards</h3>` : null}
      <${Table} caption="Shards, those with alarms first" rows=${all.slice(from, from + PAGE)} keyOf=${(s) => s.id} empty="There is no shard" cols=${[
          { head: "Shard", cell: (s) => html`<${Name} v=${s.id} most=${32} />` },
          { head: "State", cell: (s) => html`<${State} v=${s.state} />` },
          { head: "RPO", num: true, cell: (s) => millis(s.lagMs) },
          { head: "Worst, 24 h", num: true, cell: (s) => millis(s.worstLagMs) },
          { head: "Not durable", num: true, cell: (s) => bytes(s.lagBytes) },
          { head: "Follows", cell: (s) => html`<${Name} v=${s.source} most=${28} />` },
        { head: "Generation", cell: (s) => html`<${Name} v=${s.generation} most=${28} />` },
        { head: "Busiest", num: true, cell: (s) => rate(s.bytesPerSecond) },
        { head: "Durable", cell: (s) => html`<${Time} at=${s.durableAt} />` },
        { head: "Alarms", wide: true, cell: (s) => (list(s.alarms).length ? html`<span class="bad">${s.alarms.map(alarmWords).join(", ")}${s.error ? ": " + cut(s.error, 160) : ""}</span>` : "none") }]} />
      <${Slices} label="Pages of shards" from=${from} shown=${PAGE} all=${all.length} hrefOf=${(at) => to("dr", { ...query, from: at })} />`; }}</${Ready}></${Panel}>`;
}

function Drills({ query, dr }) {
  const e = useGet(api("v1/dr/drills", { pageSize: PAGE, outcome: query.outcome, pageToken: query.page }), { on: ["dr/drills"] });
  const act = { title: "Run a drill", main: true, pattern: "/v1/dr/drills", path: "v1/dr/drills", button: "Run it", done: "The drill is queued", text: ["The shard is restored from the bucket into a server of its own, looked at, and thrown away. The cluster is not touched."],
    fields: [{ name: "shard", label: "Shard", options: [["", "every shard that serves slots"], ...list(dr.data?.shards).slice(0, 1000).map((s) => [s.id])] }], values: { shard: "" }, body: (v) => (v.shard ? { shard: v.shard } : {}) };
  return html`<${Panel} title="Drills" from=${e} wide note="A drill restores a shard from the bucket and says how long that took and how old what came back was.">
      <${Actions} acts=${[act]} label="Drills" />
    <div class="filters">
        <${Choice} label="Outcome" parts="dr" query=${query} name="outcome" options=${["", "good", "late", "damaged", "failed"].map((s) => [s, s || "any"])} /></div>
    <${Ready} of=${e}>${(d) => html`<${Table} caption="Drills, newest first" rows=${list(d.items)} keyOf=${(x) => x.id} empty=${query.outcome ? "No drill was " + cut(query.outcome, 20) : "No drill yet: nobody knows whether the copy comes back"} cols=${[
        { head: "Shard", cell: (x) => html`<${Name} v=${x.shard} most=${32} />` },
        { head: "Outcome", cell: (x) => html`<${State} v=${x.outcome || x.state} />` },
        { head: "RPO", num: true, cell: (x) => millis(x.rpoMs) }, { head: "RTO", num: true, cell: (x) => millis(x.rtoMs) },
      { head: "Keys", num: true, cell: (x) => count(x.keys) },
      { head: "Read", num: true, cell: (x) => bytes(num(x.baseBytes) === null ? null : x.baseBytes + (num(x.streamBytes) || 0)) },
      { head: "By", cell: (x) => html`<${Name} v=${x.askedBy} most=${20} code=${false} />` },
      { head: "When", cell: (x) => html`<${Time} at=${x.startedAt || x.createdAt} />` },
      { head: "Why not good", wide: true, cell: (x) => cut(x.reason, 200) }]} />
      <${Pager} data=${d} parts="dr" query=${query} shown=${PAGE} />`}</${Ready}></${Panel}>`;
}

function Zones() {
  const e = useGet("v1/dr/zones", { everyMs: 10000, on: ["zones"] });
  return html`<${Panel} title="Zones" from=${e} wide>
      <${Ready} of=${e}>${(d) => html`<${Table} caption="Zones" rows=${list(d.zones)} keyOf=${(z) => z.id} empty="No zone is registered" cols=${[
      { head: "Zone", cell: (z) => html`<${Zone} id=${z.id} />` },
      { head: "State", cell: (z) => html`<${State} v=${z.state} />` }, { head: "Nodes", num: true, cell: (z) => count(z.nodes) },
      { head: "Failed", num: true, cell: (z) => count(z.failed) },
      { head: "Primaries", num: true, cell: (z) => count(z.primaries) + " of " + count(z.allPrimaries) },
      { head: "Away", num: true, cell: (z) => count(z.primariesAway) },
      { head: "Alarms", wide: true, cell: (z) => list(z.alarms).map(alarmWords).join(", ") || "none" },
      { head: "Updated", cell: (z) => html`<${Time} at=${z.updatedAt} />` }]} />
    <h3>Incidents</h3>
        <${Table} caption="Incidents of zones, newest first" rows=${list(d.incidents)} keyOf=${(x) => x.id} empty="No zone has failed" cols=${[
        { head: "Zone", cell: (x) => html`<${Zone} id=${x.zone} />` },
        { head: "What", cell: (x) => (x.whole ? "the whole zone" : plural(x.failed, "node") + " of " + count(x.nodes)) },
        { head: "Uncovered", num: true, cell: (x) => plural(x.uncoveredSlots, "slot") },
        { head: "Served again in", num: true, cell: (x) => millis(x.coveredMs) },
        { head: "Noticed", cell: (x) => html`<${Time} at=${x.failedAt} full />` },
        { head: "Over", cell: (x) => (x.endedAt ? html`<${Time} at=${x.endedAt} />` : html`<${State} v="goes on" tone="warn" />`) }]} />
    <h3>Promotions of replicas</h3>
        <${Table} caption="Promotions, newest first" rows=${list(d.failovers)} keyOf=${(x) => x.id} empty="No primary has failed" cols=${[
        { head: "Shard", cell: (x) => html`<${Name} v=${x.shard} most=${28} />` },
        { head: "Outcome", cell: (x) => html`<${State} v=${x.outcome || "nobody yet"} />` },
        { head: "From", cell: (x) => html`<${Name} v=${x.from} most=${28} />` },
        { head: "To", cell: (x) => html`<${Name} v=${x.to} most=${28} />` },
        { head: "Took", num: true, cell: (x) => millis(x.ms) },
        { head: "Noticed", cell: (x) => html`<${Time} at=${x.failedAt} full />` }]} />`}</${Ready}></${Panel}>`;
}

// "fetch: 3 of 6 shards"; of one that has ended where it did: from copy on the target is sealed.
function stepOf(x) {
  if (x.outcome === "good") return "";
  if (x.state === "running" && x.step === "fetch") return `fetch: ${count(x.fetchedShards)} of ${plural(x.shards, "shard")}`;
  if (x.state === "running" && x.step === "copy") return `copy: ${count(x.copiedKeys)} of ${plural(x.keys, "key")}`;
  return x.step;
}
function Restores() {
  const e = useGet("v1/dr/cluster-restores?pageSize=20&readMask=id,target,state,outcome,reason,step,shards,fetchedShards,keys,copiedKeys,until,askedBy,createdAt,startedAt", { everyMs: 10000 });
  return html`<${Panel} title="Restores into a cluster" from=${e} wide note="One is begun with prismctl dr restore --into-cluster, which names the target.">
      <${Ready} of=${e}>${(d) => html`<${Table} caption="Restores into a cluster, newest first" rows=${list(d.items)} keyOf=${(x) => x.id} empty="There was none" cols=${[
        { head: "Target", cell: (x) => html`<${Name} v=${x.target} most=${40} />` },
        { head: "Outcome", cell: (x) => html`<${State} v=${x.outcome || x.state} />` },
        { head: "Step", cell: stepOf },
        { head: "Until", cell: (x) => (x.until ? html`<${Time} at=${x.until} full />` : "the newest") },
        { head: "Keys", num: true, cell: (x) => count(x.copiedKeys) },
        { head: "By", cell: (x) => html`<${Name} v=${x.askedBy} most=${20} code=${false} />` },
        { head: "When", cell: (x) => html`<${Time} at=${x.startedAt || x.createdAt} />` },
        { head: "Why not good", wide: true, cell: (x) => cut(x.reason, 200) }]} />`}</${Ready}></${Panel}>`;
}

function Failovers() {
  const e = useGet("v1/dr/failovers?pageSize=20", { everyMs: 10000 });
  const rows = list(e.data?.items), now = rows.find((f) => ["checking", "running", "stopped", "aborting"].includes(f.state));
  return html`<${Panel} title="Region fail-overs" from=${e} wide note="A fail-over is begun with prismctl dr failover: it names its word and its checks.">
      <${Ready} of=${e}>${() => html`
    ${now ? html`<p><${State} v=${now.state} /> to ${cut(now.to, 30)}${now.why ? ": " + cut(now.why, 300) : ""}</p><ol class="steps" aria-live="polite">${list(now.steps).map((s) => html`<li key=${s.step}><${State} v=${s.state} /><span>${cut(s.step, 60)} <span class="muted">${cut(s.text, 200)}</span></span><${Time} at=${s.endedAt || s.begunAt} /></li>`)}</ol>` : null}
    <${Table} caption="Region fail-overs, newest first" rows=${rows} keyOf=${(f, i) => f.id ?? "x" + i} empty="There was none" cols=${[
        { head: "From, to", cell: (f) => cut(f.from, 24) + " \u2192 " + cut(f.to, 24) },
        { head: "State", cell: (f) => html`<${State} v=${f.state} />` },
        { head: "RPO", num: true, cell: (f) => millis(f.rpoMs) }, { head: "RTO", num: true, cell: (f) => millis(f.rtoMs) },
        { head: "By", cell: (f) => html`<${Name} v=${f.by} most=${20} code=${false} />` },
        { head: "Begun", cell: (f) => html`<${Time} at=${f.begunAt} full />` },
        { head: "Why it stopped", wide: true, cell: (f) => cut(f.why, 200) }]} />`}</${Ready}></${Panel}>`;
}
