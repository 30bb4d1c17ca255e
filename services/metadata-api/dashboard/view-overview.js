// Is it healthy, what is it about to do, who needs a person?
import { html } from "./htm-preact.js";
import * as live from "./live.js";
import { useGet, useNow } from "./data.js";
import { Bar, Empty, Panel, Ready, Stat, State, Stats, Time } from "./parts.js";
import { ago, count, cut, dollars, list, millis, num, percent, plain, plural, text, when } from "./format.js";
import { api, to } from "./route.js";

export const GOAL = 0.05; // of the traffic may cross zones
export const RPO_GOAL_MS = 4000; // above it dr raises its alarm "lag"

const PATH = {
  topology: "v1/topology?readMask=state,reasons,partitions,nodes,slotsCovered,zones,revision", zones: "v1/dr/zones", dr: "v1/dr", costs: "v1/costs", policy: "v1/rebalance/policy",
  plans: "v1/rebalance/plans?pageSize=20", runs: "v1/placement/runs?pageSize=10", decisions: "v1/autoscale/decisions?pageSize=20", drills: "v1/dr/drills?pageSize=20",
  failovers: "v1/dr/failovers?pageSize=5", operations: "v1/operations?state=running&pageSize=20",
};

const WORDS = {
  bucket: "the bucket takes nothing", stale: "nobody leads it", lag: "more than 4 s behind", detached: "not followed", spool: "its spool is half full", base: "its base failed",
  backlog: "the source's backlog is shorter than a minute", taker: "waits for the taker of its slots", missing: "not in the bucket", down: "every node failed",
  majority: "holds half of the primaries or more: were it lost, nobody would take over", "no-quorum": "too few primaries are left to elect",
};
export const alarmWords = (a) => WORDS[a] || plain(a);

// Everything that somebody should look at, worst first: { bad, what, more, href }.
export function alarms(d) {
  const out = [], say = (bad, what, more, href) => out.push({ bad, what, more, href });
  const t = d.topology, z = d.zones;
  if (t && t.state === "degraded") for (const r of list(t.reasons)) say(true, "Cluster", r, to("nodes"));
  if (t && t.state === "empty") say(false, "Cluster", "there is no node yet", to("nodes"));
  if (z && num(z.uncoveredSlots)) say(true, "Slots", plural(z.uncoveredSlots, "slot") + " served by no live primary", to("nodes"));
  for (const x of list(z?.zones)) for (const a of list(x.alarms)) say(a !== "majority", "Zone " + plain(x.id), alarmWords(a), to("dr"));
  for (const f of list(d.failovers?.items)) if (f.state === "stopped") say(true, "Region fail-over " + (f.id ?? ""), text(f.why) || "it has stopped", to("dr"));
  for (const g of list(d.dr?.groups)) for (const a of list(g.alarms)) say(true, "DR group " + plain(g.id), alarmWords(a) + (g.error ? ": " + g.error : ""), to("dr"));
  const off = d.dr && list(d.dr.groups).length === 0; // nobody leads a group: dr does not run here
  if (off && list(d.dr.shards).length > 0) say(false, "DR", "does not run: nothing is copied to another region", to("dr"));
  const behind = off ? [] : list(d.dr?.shards).filter((s) => list(s.alarms).length > 0);
  for (const s of behind.slice(0, 3)) say(true, "DR of shard " + cut(s.id, 20), s.alarms.map(alarmWords).join(", ") + (s.error ? ": " + s.error : ""), to("dr"));
  if (behind.length > 3) say(true, "DR", plural(behind.length - 3, "more shard") + " with alarms", to("dr"));
  if (d.policy?.halted) say(false, "Rebalance", "everything is stopped, by " + plain(d.policy.changedBy), to("plans"));
  for (const p of list(d.plans?.items)) if (p.state === "paused" || (p.state === "failed" && d.plans.items[0] === p)) say(text(p.error).startsWith("stuck:"), "Plan " + p.id, p.state + (p.error ? ": " + p.error : ""), to(["plans", String(p.id)]));
  const first = {}; // the newest decision of each fleet
  for (const x of list(d.decisions?.items)) if (!first[x.fleet]) { first[x.fleet] = x; if (x.alarm) say(false, "Fleet " + cut(x.fleet, 20), text(x.alarmWhy) || x.why, to(["autoscale", x.fleet, String(x.id)])); }
  const last = {};
  for (const x of list(d.drills?.items)) if (x.state === "done" && !last[x.shard]) { last[x.shard] = x; if (x.outcome !== "good") say(x.outcome !== "late", "Drill of " + cut(x.shard, 20), x.outcome + (x.reason ? ": " + x.reason : ""), to("dr")); }
  return out.sort((a, b) => b.bad - a.bad);
}

// What goes on, and what will: { state, what, more, href, ratio }.
export function ahead(d) {
  const out = [], work = Object.fromEntries(list(d.operations?.items).map((o) => [o.resource, o])), shown = new Set();
  for (const p of list(d.plans?.items)) if (["running", "paused", "approved", "proposed", "pending"].includes(p.state)) shown.add("rebalance/plans/" + p.id), out.push({ state: p.state, what: planWords(p), more: planAhead(p), href: to(["plans", String(p.id)]), at: p.startedAt || p.createdAt, ratio: p.state === "running" ? work["rebalance/plans/" + p.id]?.progressRatio : null });
  for (const r of list(d.runs?.items)) if (r.state === "pending" || r.state === "running") shown.add("placement/runs/" + r.id), out.push({ state: r.state, what: "Placement run " + r.id, more: "computes where every vertex belongs", href: to(["runs", String(r.id)]), at: r.startedAt || r.createdAt, ratio: work["placement/runs/" + r.id]?.progressRatio });
  for (const x of list(d.decisions?.items)) if ((x.state === "decided" || x.state === "acting") && x.move !== "hold") out.push({ state: x.state, what: "Fleet " + cut(x.fleet, 20) + ": " + x.from + " \u2192 " + x.to, more: x.why, href: to(["autoscale", x.fleet, String(x.id)]), at: x.at });
  for (const x of list(d.drills?.items)) if (x.state !== "done") out.push({ state: x.state, what: "Drill of shard " + cut(x.shard, 20), more: "restores it from the bucket and looks", href: to("dr"), at: x.createdAt });
  for (const f of list(d.failovers?.items)) if (["checking", "running", "aborting"].includes(f.state)) out.push({ state: f.state, what: "Region fail-over to " + plain(f.to), more: "asked for by " + plain(f.by), href: to("dr"), at: f.begunAt });
  for (const o of Object.values(work)) if (!shown.has(o.resource)) out.push({ state: o.state, what: plain(o.kind), more: text(o.phase), href: to("operations"), at: o.createdAt, ratio: o.progressRatio });
  const order = ["running", "acting", "checking", "aborting"]; // what is at work goes before what waits
  return out.sort((a, b) => order.includes(b.state) - order.includes(a.state));
}

export function planWords(p) {
  if (p.kind === "vertices") return "Plan " + p.id + ": move vertices" + (p.runId ? " as run " + p.runId + " wants" : "");
  return "Plan " + p.id + ": " + goalWords(p.goal || {});
}
export function goalWords(g) {
  const of = list(g.nodes).slice(0, 3).map((n) => cut(n, 20)).join(", ") + (list(g.nodes).length > 3 ? " and " + (g.nodes.length - 3) + " more" : "");
  return cut([g.kind, of || (g.node ? cut(g.node, 20) + (g.with ? " by " + cut(g.with, 20) : "") : "")].filter(Boolean).join(" "), 90);
}
const planAhead = (p) => ({ pending: "is being computed", proposed: "waits for approval", approved: p.executeOperationId ? "starts" : "waits for its window", running: "at work", paused: p.error || "paused" }[p.state] || "");

function Cost({ costs }) {
  const after = costs.after, share = num(after?.crossShare), met = share !== null && share <= GOAL;
  return html`<${Stat} label="Between zones" path=${PATH.costs} value=${percent(share)} tone=${share === null ? "" : met ? "good" : "warn"}
    note=${share === null ? "no placement run is done yet" : met ? "within the goal of 5 %" : "goal: 5 %; was " + percent(costs.before?.crossShare)} />
   <${Stat} label="What that costs a day" path=${PATH.costs} value=${num(after?.usdPerMonth) === null ? "\u2013" : dollars(after.usdPerMonth / 30)}
    note=${num(costs.savedUsdPerMonth) === null ? "designed, not an invoice" : dollars(costs.savedUsdPerMonth / 30) + " a day less than before"} />`;
}

export function Overview() {
  const e = {
    topology: useGet(PATH.topology, { on: ["nodes", "zones", "topology"] }), zones: useGet(PATH.zones, { everyMs: 10000, on: ["zones"] }), dr: useGet(PATH.dr, { everyMs: 10000 }),
    costs: useGet(PATH.costs, { on: ["placement/runs"] }), policy: useGet(PATH.policy, { on: ["rebalance/policy"] }), plans: useGet(PATH.plans, { on: ["rebalance/plans"] }),
    runs: useGet(PATH.runs, { on: ["placement/runs"] }), decisions: useGet(PATH.decisions, { on: ["autoscale/decisions"] }), drills: useGet(PATH.drills, { on: ["dr/drills"] }),
    failovers: useGet(PATH.failovers, { everyMs: 10000 }), operations: useGet(PATH.operations, { on: ["operations"] }),
  };
  const d = Object.fromEntries(Object.entries(e).map(([k, v]) => [k, v.data]));
  const needed = ["topology", "zones", "plans"], known = needed.every((k) => d[k]), lost = needed.some((k) => e[k].error && !d[k]), all = alarms(d), next = ahead(d), unseen = Object.values(e).filter((x) => x.error && !x.data && x.error.status !== 404);
  const state = d.topology?.state, bad = all.filter((a) => a.bad).length;
  return html`<h1>Overview</h1>
    <p class="headline" role="status">${!known ? (lost ? "Nobody can say from here how it is." : "Looking.") : state === "empty" ? "There is no cluster yet." : bad ? plural(bad, "thing") + (bad === 1 ? " needs" : " need") + " somebody now." : all.length ? "It works. " + plural(all.length, "thing") + " to look at." : unseen.length ? "What could be read is healthy; not everything could." : "Everything is healthy."}</p>
    <${Panel} title="Right now" from=${[e.topology]} wide>
      <${Ready} of=${[e.topology]} lines=${2}>${(t) => html`<${Stats}>
        <${Stat} label="Cluster" path=${PATH.topology} value=${html`<${State} v=${t.state} />`} note=${plural(t.nodes, "node") + " in " + plural(list(t.zones).length, "zone")} />
        <${Stat} label="Slots served" path=${PATH.topology} value=${percent(t.slotsCovered / 16384)} tone=${t.slotsCovered === 16384 ? "" : "bad"} note=${count(t.slotsCovered) + " of 16,384"} />
        ${d.costs ? html`<${Cost} costs=${d.costs} />` : html`<${Stat} label="Between zones" path=${PATH.costs} value="\u2013" note=${e.costs.error ? cut(e.costs.error.detail, 60) : "being read"} />`}
        <${Stat} label="RPO now" path=${PATH.dr} value=${!d.dr ? "\u2013" : list(d.dr.groups).length && d.dr.unknownShards ? "unknown" : millis(d.dr.lagMs)} tone=${list(d.dr?.groups).length && (d.dr.unknownShards || num(d.dr.lagMs) > RPO_GOAL_MS) ? "bad" : ""} note=${!d.dr ? "being read" : list(d.dr.groups).length && d.dr.unknownShards ? plural(d.dr.unknownShards, "shard") + " without a copy" : num(d.dr.lagMs) === null ? "no copy in another region" : "worst of 24 h: " + millis(d.dr.worstLagMs)} />
      </${Stats}>`}</${Ready}></${Panel}>
    <div class="columns">
      <${Panel} title="Needs a look" from=${[e.topology, e.zones, e.dr]} id="alarms">
        ${!known ? html`<${Ready} of=${[e.topology, e.zones, e.plans]}>${() => null}</${Ready}>` : all.length === 0 ? html`<${Empty} title="Nothing needs you">No alarm, no plan that stands still, no drill that failed.</${Empty}>`
          : html`<ul class="rows">${all.slice(0, 12).map((a, i) => html`<li key=${i}><a href=${a.href}><span class=${"badge " + (a.bad ? "bad" : "warn")}><span class="dot" aria-hidden="true"></span>${a.bad ? "now" : "look"}</span>
            <span><strong>${cut(a.what, 60)}</strong> ${cut(a.more, 220)}</span></a></li>`)}</ul>${all.length > 12 ? html`<p class="note">and ${all.length - 12} more</p>` : null}`}
        ${unseen.length ? html`<p class="note">Could not be read: ${unseen.map((x) => x.path.replace(/^v1\/|\?.*$/g, "")).join(", ")}.</p>` : null}
      </${Panel}>
      <${Panel} title="What it is about to do" from=${[e.plans, e.operations]} id="ahead">
        ${next.length === 0 ? (d.plans ? html`<${Empty} title="Nothing is under way">No plan waits or runs, no placement run, no scaling.</${Empty}>` : html`<${Ready} of=${e.plans}>${() => null}</${Ready}>`)
          : html`<ul class="rows">${next.slice(0, 12).map((a, i) => html`<li key=${i}><a href=${a.href}><${State} v=${a.state} /><span><strong>${cut(a.what, 100)}</strong> ${cut(a.more, 160)} <span class="muted"><${Time} at=${a.at} /></span>
            ${num(a.ratio) === null ? null : html`<${Bar} ratio=${a.ratio} label=${cut(a.what, 80)} />`}</span></a></li>`)}</ul>`}
      </${Panel}>
    </div>
    <div class="columns"><${ZoneList} topology=${e.topology} zones=${e.zones} /><${Changes} /></div>`;
}

function ZoneList({ topology, zones }) {
  return html`<${Panel} title="Zones" from=${[zones]} actions=${html`<a href=${to("zones")}>Traffic between them</a>`}>
      <${Ready} of=${[topology, zones]}>${(t, z) => {
    const state = Object.fromEntries(list(z.zones).map((x) => [x.id, x]));
    return list(t.zones).length === 0 ? html`<${Empty} title="No zone is registered" />` : html`<ul class="rows">${t.zones.map((x) => html`<li key=${x.id}><a href=${to("nodes", { zone: x.id })}><${State} v=${state[x.id]?.state || "unknown"} />
      <span><strong>${cut(x.id, 24)}</strong> ${plural(x.nodes, "node")}, ${plural(x.primaries, "primary", "primaries")}, ${plural(x.replicas, "replica")}, ${plural(x.slots, "slot")}</span></a></li>`)}</ul>`;
  }}</${Ready}></${Panel}>`;
}

// What came in since this page was opened.
function Changes() {
  const now = useNow(5000), all = live.state.events.slice(0, 8);
  return html`<${Panel} title="Changes" from=${[{ path: "v1/events", data: null }]} note="Since this page was opened, newest first.">
    ${all.length === 0 ? html`<${Empty} title="Nothing has changed">Changes appear here as they happen.</${Empty}>`
      : html`<ul class="rows">${all.map((c) => html`<li key=${c.id}><a href=${eventHref(c.resource)}><span class="muted">${ago(when(c.at), now)}</span><span><strong>${cut(c.resource, 60)}</strong> ${plain(c.type)}${c.state ? ": " + plain(c.state) : ""}</span></a></li>`)}</ul>`}</${Panel}>`;
}

function eventHref(resource) {
  const [a, b, c] = text(resource).split("/");
  if (a === "rebalance" && b === "plans" && c) return to(["plans", c]);
  if (a === "placement" && b === "runs" && c) return to(["runs", c]);
  if (a === "nodes" && b) return to(["nodes", b]);
  return to({ nodes: "nodes", zones: "zones", shards: "nodes", autoscale: "autoscale", dr: "dr", operations: "operations", rebalance: "plans" }[a] || ["source"], a in { routes: 1 } ? { path: api("v1/events") } : {});
}
