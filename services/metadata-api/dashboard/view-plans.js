// Plans: what would be done, before it is done; how far it is; and what may be done to it now.
import { html } from "./htm-preact.js";
import { Actions } from "./act.js";
import { useGet } from "./data.js";
import { Bar, Choice, Empty, Facts, Name, Pager, Panel, Ready, Search, Stat, State, Stats, Table, Time, Zone } from "./parts.js";
import { bytes, count, cut, dollars, list, num, percent, plain, plural, rate, seconds, text } from "./format.js";
import { api, go, to } from "./route.js";
import { Matrix } from "./draw.js";
import { goalWords, planWords } from "./view-overview.js";

const STATES = ["", "pending", "proposed", "approved", "running", "paused", "done", "failed", "canceled"];
const OVER = ["done", "failed", "canceled"];

export const View = ({ parts, query }) => (parts.length ? html`<${One} key=${parts[0]} id=${parts[0]} query=${query} />` : html`<${All} query=${query} />`);

/* --- the list --- */

function All({ query }) {
  const plans = useGet(api("v1/rebalance/plans", { pageSize: 50, state: query.state, kind: query.kind, pageToken: query.page }), { on: ["rebalance/plans"] });
  const policy = useGet("v1/rebalance/policy", { on: ["rebalance/policy"] });
  return html`<h1>Plans</h1><p class="headline">A plan says what it would move, what that costs and what it brings. Nothing moves before somebody, or the policy, approves it.</p>
    <${Policy} e=${policy} />
    <${Panel} title="All plans" from=${plans} wide>
      <div class="filters">
          <${Choice} label="State" parts="plans" query=${query} name="state" options=${STATES.map((s) => [s, s || "any"])} />
        <${Choice} label="Kind" parts="plans" query=${query} name="kind" options=${[["", "any"], ["vertices"],
            ["fleet"]]} /></div>
      <${Ready} of=${plans}>${(d) => html`<${Table} caption="Plans, newest first" rows=${list(d.items)} keyOf=${(p) => p.id} empty=${query.state || query.kind ? "No plan is like that" : "There is no plan yet"} cols=${[
        { head: "Plan", cell: (p) => html`<a href=${to(["plans", String(p.id)])}>${planWords(p)}</a>` },
        { head: "State", cell: (p) => html`<${State} v=${p.state} />` },
        { head: "Moves", num: true, cell: (p) => size(p) }, { head: "Bytes", num: true, cell: (p) => bytes(p.summary?.bytes) },
        { head: "Saves a month", num: true, cell: (p) => dollars(saved(p)) },
        { head: "By", cell: (p) => html`<${Name} v=${p.createdBy} most=${20} code=${false} />` },
        { head: "Made", cell: (p) => html`<${Time} at=${p.createdAt} />` }]} />
        <${Pager} data=${d} parts="plans" query=${query} shown="50" />`}</${Ready}></${Panel}>`;
}

const size = (p) => (p.kind === "vertices" ? (num(p.summary?.moves) === null ? "\u2013" : plural(p.summary.moves, "vertex", "vertices")) : num(p.summary?.slots) === null ? "\u2013" : plural(p.summary.slots, "slot"));
const saved = (p) => { const g = p.summary?.gain || {}; return num(g.savedUsdPerMonth) ?? (num(g.usdPerMonthBefore) === null ? null : g.usdPerMonthBefore - g.usdPerMonthAfter); };

function Policy({ e }) {
  const p = e.data;
  const acts = p ? [p.halted
    ? { title: "Start rebalance", pattern: "/v1/rebalance:start", path: "v1/rebalance:start", etag: e.etag, text: ["Plans may be executed and resumed again. Plans that were paused stay so until somebody resumes them."], main: true, done: "Rebalance may work again" }
    : { title: "Stop everything", pattern: "/v1/rebalance:stop", path: "v1/rebalance:stop", danger: true, text: ["Every plan at work pauses where it is safe, and none may be executed or resumed until somebody starts rebalance again.", "Reads and writes of the store go on."], done: "Rebalance is stopped" }] : [];
  return html`<${Panel} title="Policy" from=${e}><${Ready} of=${e} lines=${1}>${(d) => html`<${Facts} rows=${[
      ["Rebalance", d.halted ? html`<${State} v="stopped" /> by ${cut(d.changedBy, 40)}, <${Time} at=${d.changedAt} />` : html`<${State} v="may work" tone="good" />`],
      ["Runs by itself", list(d.auto).length ? d.auto.map(plain).join(", ") : "nothing: a person approves every plan"],
      ["Window", d.window ? cut(JSON.stringify(d.window), 120) : "none"],
      ["At most", [num(d.maxBytes) === null ? "" : bytes(d.maxBytes), num(d.maxSlots) === null ? "" : plural(d.maxSlots, "slot")].filter(Boolean).join(", ") || "no limit"]]} />
    <${Actions} acts=${acts} label="Policy" />`}</${Ready}></${Panel}>`;
}

/* --- one plan --- */

function verbs(p, etag) {
  const id = String(p.id), at = (verb) => ({ pattern: "/v1/rebalance/plans/{id}:" + verb, path: "v1/rebalance/plans/" + id + ":" + verb, etag });
  const only = (states, words) => (states.includes(p.state) ? "" : words), over = OVER.includes(p.state) ? "the plan is " + p.state : "";
  const allow = p.kind === "fleet" ? { fields: [{ name: "allowBigKeys", type: "checkbox", label: "Allow keys that block their node for longer than the budget" }, { name: "allowNoReplicas", type: "checkbox", label: "Allow moving slots without a live replica on either side" }],
    values: { allowBigKeys: !!p.params?.allowBigKeys, allowNoReplicas: !!p.params?.allowNoReplicas },
    body: (v) => v } : {};
  const what = size(p) + (num(p.summary?.bytes) === null ? "" : ", " + bytes(p.summary.bytes));
  return [
    { ...at("approve"), ...allow, title: "Approve", main: true, off: over || only(["proposed"], "only a proposed plan is approved"), done: "Plan " + id + " is approved", text: ["Plan " + id + " moves " + what + ". Approved, it starts by itself in the window of the policy, or when somebody executes it."] },
    { ...at("execute"), ...allow, title: "Execute now", off: over || only(["proposed", "approved"], "the plan is " + p.state), done: "Plan " + id + " starts", text: ["Plan " + id + " moves " + what + " now, while the store is read and written. It can be paused at any time; one plan runs at a time."] },
    { ...at("pause"), title: "Pause", off: over || only(["running"], "the plan does not run"), done: "Plan " + id + " pauses", text: ["What is in flight is finished first; then nothing moves until somebody resumes it."] },
    { ...at("resume"), ...allow, title: "Resume", main: true, off: over || only(["paused"], "the plan is not paused"), done: "Plan " + id + " goes on", text: [text(p.error).startsWith("stuck:") ? "It stands because: " + cut(p.error, 300) + ". Resume once that is mended." : "It goes on where it was paused."] },
    { ...at("cancel"), title: "Cancel", danger: true, off: over, done: "Plan " + id + " is being canceled", text: ["What is in flight is finished or rolled back; what was moved stays where it is. A canceled plan cannot be resumed."] },
  ];
}

function One({ id, query }) {
  const path = "v1/rebalance/plans/" + encodeURIComponent(id), plan = useGet(path, { on: ["rebalance/plans/" + id, "operations", "routes"] });
  const op = useGet(plan.data?.executeOperationId ? "v1/operations/" + encodeURIComponent(plan.data.executeOperationId) : null, { on: ["operations"] });
  return html`<p class="crumbs"><a href=${to("plans")}>Plans</a></p>
      <${Ready} of=${plan} title=${"Plan " + cut(id, 20)}>${(p) => html`
    <h1>${planWords(p)}</h1><p class="headline"><${State} v=${p.state} /> made by <bdi>${cut(p.createdBy, 40)}</bdi>, <${Time} at=${p.createdAt} />${p.approvedBy ? html`; approved by <bdi>${cut(p.approvedBy, 40)}</bdi>` : null}</p>
    ${p.error ? html`<div class="state failed" role="alert"><p class="state-title">${text(p.error).startsWith("stuck:") ? "It needs a person" : "It says"}</p><p>${cut(p.error, 800)}</p></div>` : null}
    <${Actions} acts=${verbs(p, plan.etag)} label="What may be done to this plan" />
    ${["running", "paused"].includes(p.state) || p.startedAt ? html`<${Progress} p=${p} plan=${plan} op=${op} />` : null}
    <${Before} p=${p} plan=${plan} />
    ${p.kind === "fleet" ? html`<${Steps} id=${id} query=${query} /><${Why} id=${id} query=${query} />` : html`<${Batches} p=${p} plan=${plan} />`}
    <${Panel} title="Times" from=${plan}><${Facts} rows=${[["Made", html`<${Time} at=${p.createdAt} full />`],
        ["Started", html`<${Time} at=${p.startedAt} full />`], ["Finished", html`<${Time} at=${p.finishedAt} full />`],
      ["For", p.runId ? html`<a href=${to(["runs", String(p.runId)])}>run ${p.runId}</a>` : p.goal ? goalWords(p.goal) : "\u2013"],
      ["Operation", html`<${Name} v=${p.executeOperationId || p.operationId} most=${40} href=${to("operations", { id: p.executeOperationId || p.operationId })} />`]]} /></${Panel}>`}</${Ready}>`;
}

function Progress({ p, plan, op }) {
  const g = p.progress, done = p.state === "done", moves = Object.values(p.moves || {});
  const moved = moves.reduce((s, m) => s + (num(m.moved) || 0), 0), all = num(p.summary?.moves) || 0;
  const ratio = done ? 1 : num(g?.ratio) ?? num(op.data?.progressRatio) ?? (all ? moved / all : null);
  const eta = num(g?.etaS) ?? num(op.data?.etaS);
  const waves = num(p.waves) || 0, at = num(p.wave);
  return html`<${Panel} title="Progress" from=${[plan, op]} wide id="progress">
      <${Bar} ratio=${ratio} label="Progress of the plan" tone=${done ? "good" : p.state === "paused" ? "warn" : ""} />
    <${Stats}><${Stat} label="Done" path=${plan.path} value=${percent(ratio)} note=${p.state} />
      ${g ? html`<${Stat} label="Slots" path=${plan.path} value=${count(g.slotsDone)} note=${"of " + count(g.slots)} />
          <${Stat} label="Bytes" path=${plan.path} value=${bytes(g.bytesDone)} note=${"of " + bytes(g.bytes) + ", " + rate(g.bytesPerS)} />`
        : p.kind === "fleet" ? html`<${Stat} label="Slots" path=${plan.path} value=${done ? count(p.summary?.slots) : "\u2013"} note=${"of " + count(p.summary?.slots)} />` : html`<${Stat} label="Vertices moved" path=${plan.path} value=${count(moved)} note=${"of " + count(all)} />`}
      <${Stat} label="Left" path=${op.path || plan.path} value=${done ? "nothing" : eta === null ? "unknown" : seconds(eta)} note=${g?.reason ? cut(g.reason, 120) : text(op.data?.phase)} />
      ${g && num(g.stepsStuck) ? html`<${Stat} label="Stuck" path=${plan.path} tone="bad" href=${to(["plans", String(p.id)], { state: "stuck" })} value=${plural(g.stepsStuck, "step")} note="listed below" />` : null}</${Stats}>
    ${waves > 0 ? html`<div class="waves" role="img" aria-label=${at === null ? "All " + waves + " waves are done" : "Wave " + at + " of " + waves}>${Array.from({ length: Math.min(waves, 200) }, (_, i) => html`<span key=${i} class=${at === null || i + 1 < at ? "over" : i + 1 === at ? "now" : ""}></span>`)}</div><p class="note" aria-hidden="true">${at === null ? "All " + plural(waves, "wave") + (waves === 1 ? " is" : " are") + " done" : "Wave " + at + " of " + waves}</p>` : null}
    ${p.result ? html`<${Facts} rows=${Object.entries(p.result).filter(([, v]) => typeof v === "number").map(([k, v]) => [words(k), k === "bytes" ? bytes(v) : k === "seconds" ? seconds(v) : count(v)])} />` : null}</${Panel}>`;
}
const words = (k) => { if (k === "seconds") return "Took"; if (k.endsWith("PerS")) return words(k.slice(0, -4)) + " a second"; const s = k.replace(/([A-Z])/g, (c) => " " + c.toLowerCase()); return s[0].toUpperCase() + s.slice(1); };

const change = (z, k, write) => { const [a, b] = [write(z?.before?.[k]), write(z?.after?.[k])]; return a === b ? a : a + " \u2192 " + b; };
function Before({ p, plan }) {
  const s = p.summary, g = s?.gain || {}, v = s?.verdict;
  if (!s) return html`<${Panel} title="What it would do" from=${plan}><${Empty} title=${OVER.includes(p.state) ? "It was never planned" : p.state === "pending" ? "It is being planned" : "It says nothing about that"} /></${Panel}>`;
  const ids = p.kind === "vertices" && s.zones ? Object.keys(s.zones).sort() : [];
  return html`<${Panel} title=${p.startedAt ? "What was planned" : "What it would do"} from=${plan} wide>
    ${v ? html`<p><${State} v=${v.worthIt ? "worth it" : "not worth it"} tone=${v.worthIt ? "good" : "warn"} /> ${cut(v.why, 400)}</p>` : null}
    <${Stats}>
    <${Stat} label="Moves" path=${plan.path} value=${size(p)} note=${num(s.steps) === null ? text(s.goal) : plural(s.steps, "step") + " in " + plural(s.waves, "wave")} />
      <${Stat} label="Bytes" path=${plan.path} value=${bytes(s.bytes)} note=${num(s.crossZoneBytes) === null ? "" : bytes(s.crossZoneBytes) + " of it between zones"} />
      <${Stat} label="Takes about" path=${plan.path} value=${seconds(s.durationS)} note=${num(v?.moveUsd) === null || !v ? "" : "moving costs " + (v.moveUsd < 0.01 ? "less than $0.01" : dollars(v.moveUsd))} />
      ${num(g.crossShareAfter) === null ? null : html`<${Stat} label="Between zones" path=${plan.path} value=${percent(g.crossShareBefore) + " \u2192 " + percent(g.crossShareAfter)} />`}
      ${num(saved(p)) === null ? null : html`<${Stat} label="Saves a month" path=${plan.path} value=${dollars(saved(p))} tone=${saved(p) > 0 ? "good" : ""} note=${num(g.usdPerMonthBefore) === null ? "" : dollars(g.usdPerMonthBefore) + " \u2192 " + dollars(g.usdPerMonthAfter)} />`}
      ${num(s.unevenBefore) === null ? null : html`<${Stat} label="Uneven bytes" path=${plan.path} value=${percent(s.unevenBefore) + " \u2192 " + percent(s.unevenAfter)} note="worst shard above its zone's mean" />`}
      ${num(s.hotBefore) === null ? null : html`<${Stat} label="Uneven load" path=${plan.path} value=${percent(s.hotBefore) + " \u2192 " + percent(s.hotAfter)} />`}</${Stats}>
    ${g.unknown ? html`<p class="note">What becomes of the traffic between zones is not known: ${cut(g.unknown, 200)}.</p>` : null}
    ${ids.length ? html`<h3>Vertices from zone to zone</h3>
        <${Matrix} ids=${ids} matrix=${s.zones} total=${num(s.moves) || 0} write=${count} />` : null}
    ${p.kind === "fleet" && s.zones && Object.keys(s.zones).length ? html`<h3>Zones</h3><${Table} caption="Zones before and after" rows=${Object.entries(s.zones)} keyOf=${([z]) => z} cols=${[
        { head: "Zone", cell: ([z]) => html`<${Zone} id=${z} />` },
        { head: "Primaries", num: true, cell: ([, z]) => change(z, "primaries", count) },
        { head: "Bytes of a shard, mean", num: true, cell: ([, z]) => change(z, "meanBytes", bytes) },
        { head: "Least", num: true, cell: ([, z]) => change(z, "minBytes", bytes) },
        { head: "Most", num: true, cell: ([, z]) => change(z, "maxBytes", bytes) }]} />` : null}
    ${list(s.notes).length ? html`<details><summary>Notes of the planner (${count(s.notes.length + (num(s.moreNotes) || 0))})</summary><ul>${s.notes.slice(0, 100).map((n, i) => html`<li key=${i}>${cut(text(n.text || n.why || JSON.stringify(n)), 300)}</li>`)}</ul></details>` : null}</${Panel}>`;
}

function Batches({ p, plan }) {
  const rows = Object.entries(p.moves || {});
  return html`<${Panel} title="Batches" from=${plan} wide>
      <${Table} caption="Batches by state" rows=${rows} keyOf=${([k]) => k} empty="No batch yet" cols=${[
      { head: "State", cell: ([k]) => html`<${State} v=${k} />` },
      { head: "Batches", num: true, cell: ([, m]) => count(m.batches) },
    { head: "Vertices", num: true, cell: ([, m]) => count(m.vertices) },
    { head: "Moved", num: true, cell: ([, m]) => count(m.moved) },
    { head: "Bytes", num: true, cell: ([, m]) => bytes(m.bytes) }]} />
    <h3>From node to node</h3>
        <${Table} caption="Vertices from node to node" rows=${list(p.summary?.nodes).slice(0, 100)} keyOf=${(n) => n.from + ">" + n.to} empty="Nothing moves between nodes" cols=${[
        { head: "From", cell: (n) => html`<${Name} v=${n.from} href=${to(["nodes", text(n.from)])} />` },
        { head: "To", cell: (n) => html`<${Name} v=${n.to} href=${to(["nodes", text(n.to)])} />` },
        { head: "Vertices", num: true, cell: (n) => count(n.vertices) }]} /></${Panel}>`;
}

function Steps({ id, query }) {
  const e = useGet(api("v1/rebalance/plans/" + encodeURIComponent(id) + "/steps", { pageSize: 50, state: query.state, kind: query.kind, pageToken: query.page }), { on: ["rebalance/plans/" + id, "operations"] });
  return html`<${Panel} title="Steps" from=${e} wide><div class="filters">
      <${Choice} label="State" parts=${["plans", id]} query=${query} name="state" options=${["", "planned", "acting", "verified", "rolled_back", "stuck"].map((s) => [s, s.replace("_", " ") || "any"])} />
      <${Choice} label="Kind" parts=${["plans", id]} query=${query} name="kind" options=${["", "meet", "replicate", "failover", "slot", "forget"].map((s) => [s, s || "any"])} /></div>
    <${Ready} of=${e}>${(d) => html`<${Table} caption="Steps of the plan" rows=${list(d.items)} keyOf=${(s) => s.step} empty=${query.state || query.kind ? "No step is like that" : "It has no steps yet"} cols=${[
      { head: "Step", num: true, cell: (s) => count(s.step) }, { head: "Wave", num: true, cell: (s) => count(s.wave) },
      { head: "What", cell: (s) => plain(s.kind) + (num(s.slot) === null ? "" : " " + s.slot) },
      { head: "State", cell: (s) => html`<${State} v=${s.state} />` },
      { head: "From", cell: (s) => html`<${Name} v=${s.from} most=${24} />` },
      { head: "To", cell: (s) => html`<${Name} v=${s.to} most=${24} />` },
      { head: "Bytes", num: true, cell: (s) => bytes(s.bytes) }, { head: "Moved", num: true, cell: (s) => bytes(s.movedBytes) },
      { head: "Why", wide: true, cell: (s) => cut(s.error ? s.error + " \u2013 " + s.why : s.why, 240) }]} />
      <${Pager} data=${d} parts=${["plans", id]} query=${query} shown="50" />`}</${Ready}></${Panel}>`;
}

// Why does this slot move, or stay?
function Why({ id, query }) {
  const slot = query.slot || "", e = useGet(/^\d{1,5}$/.test(slot) ? api("v1/rebalance/explain", { slot, plan: id }) : null);
  return html`<${Panel} title="Why does a slot move, or stay?" from=${e.path ? e : []}><${Search} label="Slot" value=${slot} hint="0 to 16383" button="Ask" onGo=${(v) => go(["plans", id], { ...query, slot: v })} />
    ${slot && !e.path ? html`<p class="note" role="status">A slot is a number from 0 to 16383.</p>` : null}
    ${e.path ? html`<${Ready} of=${e} lines=${1}>${(d) => html`<p><${State} v=${d.code} tone="plain" /> ${cut(d.text, 500)}</p>${list(d.details).length ? html`<ul>${d.details.map((t, i) => html`<li key=${i}>${cut(t, 300)}</li>`)}</ul>` : null}`}</${Ready}>` : null}</${Panel}>`;
}
