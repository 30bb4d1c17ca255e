// Fleets that are scaled: load and size over time, every decision with its reasons, and why not.
import { html, useMemo } from "./htm-preact.js";
import { Actions } from "./act.js";
import { serverNow } from "./api.js";
import { Chart } from "./chart.js";
import { useGet } from "./data.js";
import { Choice, Empty, Facts, Name, Pager, Panel, Ready, Stat, State, Stats, Table, Time, Zone } from "./parts.js";
import { bytes, count, cut, dollars, list, num, percent, plain, plural, rate, seconds, text, when } from "./format.js";
import { api, to } from "./route.js";

export function View({ parts, query }) {
  if (parts.length > 1) return html`<${Decision} key=${parts[1]} fleet=${parts[0]} id=${parts[1]} />`;
  return parts.length ? html`<${Fleet} key=${parts[0]} name=${parts[0]} query=${query} />` : html`<${Fleets} query=${query} />`;
}

const MOVES = { hold: "stays", out: "grows", in: "shrinks", unknown: "unknown" };
const Move = ({ d }) => html`<${State} v=${MOVES[d.move] || plain(d.move)} tone=${d.move === "hold" ? "plain" : d.move === "unknown" ? "warn" : "busy"} />`;
const size = (d) => (d.from === d.to ? count(d.to) : count(d.from) + " \u2192 " + count(d.to));
const did = (d) => (MOVES[d.move] || plain(d.move)) + (d.from === d.to ? "" : ", " + size(d));
// Load is in per cent of one member's full use.
const load = (v) => (num(v) === null ? "\u2013" : percent(v / 100));

function Fleets({ query }) {
  const e = useGet("v1/autoscale/fleets?pageSize=50", { on: ["autoscale/fleets", "autoscale/decisions"] });
  return html`<h1>Autoscale</h1><p class="headline">How many members each fleet needs, decided once a minute; every decision keeps its reasons.</p>
    <${Panel} title="Fleets" from=${e} wide>
        <${Ready} of=${e}>${(d) => html`<${Table} caption="Fleets" rows=${list(d.items)} keyOf=${(f) => f.name} empty="No fleet is scaled: prismctl autoscale set" cols=${[
      { head: "Fleet", cell: (f) => html`<${Name} v=${f.name} href=${to(["autoscale", text(f.name)])} />` },
      { head: "State", cell: (f) => (f.enabled ? html`<${State} v=${f.mode === "act" ? "acts" : "advises"} tone=${f.mode === "act" ? "good" : "busy"} />` : html`<${State} v="off" tone="plain" />`) },
      { head: "Wanted", num: true, cell: (f) => count(f.desired) },
      { head: "Serving", num: true, cell: (f) => count(f.sample?.serving) },
      { head: "CPU", num: true, cell: (f) => load(f.sample?.cpuPct ?? f.sample?.cpu_pct) },
      { head: "Decided by", cell: (f) => plain(f.policy) },
      { head: "Newest decision", wide: true, cell: (f) => (f.decision ? html`<a href=${to(["autoscale", text(f.name), String(f.decision.id)])}>${did(f.decision)}</a> <span class="muted">${cut(f.decision.why, 120)}</span>` : html`<span class="muted">none yet</span>`) },
      { head: "Looked at", cell: (f) => html`<${Time} at=${f.evaluatedAt} />` }]} />`}</${Ready}></${Panel}>
    <${Decisions} query=${query} parts="autoscale" />`;
}

function Decisions({ fleet, query, parts }) {
  const e = useGet(api("v1/autoscale/decisions", { fleet, pageSize: 50, move: query.move, state: query.state, alarm: query.alarm, pageToken: query.page }), { on: ["autoscale/decisions"] });
  return html`<${Panel} title="Decisions" from=${e} wide note="Why it scaled, and why not: open one.">
    <div class="filters"><${Choice} label="Move" parts=${parts} query=${query} name="move" options=${[["", "any"],
        ["out", "grows"], ["in", "shrinks"], ["hold", "stays"], ["unknown"]]} />
      <${Choice} label="Alarm" parts=${parts} query=${query} name="alarm" options=${[["", "any"],
          ["true", "only alarms"]]} /></div>
    <${Ready} of=${e}>${(d) => html`<${Table} caption="Decisions, newest first" rows=${list(d.items)} keyOf=${(x) => x.id} empty=${query.move || query.alarm ? "No decision is like that" : "Nothing was decided yet"} rowClass=${(x) => (x.alarm ? "alarm" : "")} cols=${[
      { head: "When", cell: (x) => html`<a href=${to(["autoscale", text(x.fleet), String(x.id)])}><${Time} at=${x.at} /></a>` }, ...(fleet ? [] : [
      { head: "Fleet", cell: (x) => html`<${Name} v=${x.fleet} most=${24} />` }]),
      { head: "Move", cell: (x) => html`<${Move} d=${x} />` }, { head: "Members", num: true, cell: (x) => size(x) },
      { head: "Why", wide: true, cell: (x) => html`${cut(x.why, 220)}${x.alarm ? html` <${State} v=${cut(x.alarmWhy || "alarm", 80)} tone="bad" />` : null}` },
      { head: "State", cell: (x) => html`<${State} v=${x.advice ? "advice" : x.state} tone=${x.advice ? "plain" : undefined} />` },
      { head: "Plan", cell: (x) => (num(x.planId) === null ? "\u2013" : html`<a href=${to(["plans", String(x.planId)])}>plan ${x.planId}</a>`) }]} />
      <${Pager} data=${d} parts=${parts} query=${query} shown="50" />`}</${Ready}></${Panel}>`;
}

/* --- one fleet --- */

function Fleet({ name, query }) {
  const path = "v1/autoscale/fleets/" + encodeURIComponent(name), e = useGet(path, { on: ["autoscale/fleets/" + name, "autoscale/decisions"], everyMs: 60000 });
  return html`<p class="crumbs"><a href=${to("autoscale")}>Autoscale</a></p><h1>Fleet <${Name} v=${name} most=${40} code=${false} /></h1>
    <${Panel} title="Now" from=${e} wide><${Ready} of=${e}>${(f) => { const s = f.sample || {};
      return html`<${Stats}>
          <${Stat} label="Wanted" path=${path} value=${count(f.desired)} note=${html`looked at <${Time} at=${f.evaluatedAt} />`} />
          <${Stat} label="Serving" path=${path} value=${count(s.serving)} note=${num(s.silent) ? plural(s.silent, "member") + " silent" : ""} />
          <${Stat} label="CPU, mean" path=${path} value=${load(s.cpuPct)} />
          <${Stat} label="Memory, mean" path=${path} value=${load(s.memoryPct)} />
          <${Stat} label="Network" path=${path} value=${num(s.networkBps) === null ? "\u2013" : rate(s.networkBps / 8)} />
          <${Stat} label="Backlog" path=${path} value=${count(s.backlog)} note=${num(s.backlog) === null ? "" : "messages"} /></${Stats}>
        <${Facts} rows=${[["State", f.enabled ? html`<${State} v=${f.mode === "act" ? "acts" : "advises only"} tone=${f.mode === "act" ? "good" : "busy"} />` : html`<${State} v="off" tone="plain" />`],
            ["Policy", plain(f.policy)],
          ["Newest decision", f.decision ? html`<a href=${to(["autoscale", name, String(f.decision.id)])}>${did(f.decision)}</a>: ${cut(f.decision.why, 200)}` : "none yet"],
          ["Settings", html`version ${f.version}, by <bdi>${cut(f.changedBy, 30)}</bdi>, <${Time} at=${f.changedAt} />`]]} />
        <${Actions} label="Fleet" acts=${[f.enabled
          ? { title: "Disable", danger: true, pattern: "/v1/autoscale/fleets/{id}:disable", path: path + ":disable", etag: e.etag, done: "Nothing is decided for the fleet any more", text: ["Nothing is decided for this fleet until somebody enables it. What is under way is finished."] }
          : { title: "Enable", main: true, pattern: "/v1/autoscale/fleets/{id}:enable", path: path + ":enable", etag: e.etag, done: "The fleet is decided for again", text: ["From the next minute on it is decided how many members this fleet needs" + (f.mode === "act" ? ", and that is carried out." : "; the fleet only advises.")] }]} />`; }}</${Ready}></${Panel}>
    <${Timeline} name=${name} path=${path} query=${query} evaluatedAt=${e.data?.evaluatedAt} /><${Decisions} fleet=${name} query=${query} parts=${["autoscale", name]} />
    ${e.data?.settings ? html`<${Panel} title="Settings" from=${e}><details><summary>Version ${e.data.version} as JSON</summary><pre tabindex="0">${plain(JSON.stringify(e.data.settings, null, 2)).slice(0, 50000)}</pre></details></${Panel}>` : null}`;
}

const HOUR_MS = 3600000;
function Timeline({ name, path, query, evaluatedAt }) {
  const span = { 24: 24, 168: 168 }[query.hours] || 6, theirs = when(evaluatedAt), ahead = theirs !== null && theirs > serverNow() + 120000;
  // A whole minute, so that the call stays the same while the page is looked at.
  const from = useMemo(() => new Date(Math.floor((serverNow() - span * HOUR_MS) / 60000) * 60000).toISOString(), [span, name]);
  // Where time runs faster for a trial, the newest is ahead of now; a whole hour, as that lasts a while even there.
  const to_ = ahead ? Math.ceil(theirs / HOUR_MS) * HOUR_MS : 0;
  const at = api(path + "/samples", ahead ? { from: new Date(to_ - span * HOUR_MS).toISOString(), to: new Date(to_).toISOString(), points: 300 } : query.hours ? { from, points: 300 } : { points: 300 });
  const e = useGet(at, { everyMs: 60000, on: ["autoscale/decisions"] });
  return html`<${Panel} title="Size and load" from=${e} wide actions=${html`<${Choice} label="Last" parts=${["autoscale", name]} query=${query} name="hours" options=${[["", "6 h"],
      ["24", "a day"], ["168", "a week"]]} />`}>
    ${ahead ? html`<p class="note">This fleet's clock is ${seconds((theirs - serverNow()) / 1000)} ahead of the server's: in a trial it may run faster (PRISM_AUTOSCALE_CLOCK_RATE).</p>` : null}
    <${Ready} of=${e} lines=${6}>${(d) => html`<${Lines} d=${d} nowMs=${ahead ? theirs : serverNow()} />`}</${Ready}></${Panel}>`;
}

// All of a member, unless that would make a line of what there is.
const upTo = (u, min, max) => [0, [5, 10, 20, 50].find((top) => max * 1.2 < top) || 100];
// The samples, and nothings wherever nobody has measured for longer than a step, also at the end: the line has a gap there.
const LATE_MS = 180000; // a sample comes some time after its minute
function samplesOf(items, stepS, nowMs) {
  const all = [], gap = (toMs) => { const last = all[all.length - 1]; if (last && toMs - last.atMs > 1500 * stepS) all.push({ atMs: last.atMs + 1000 * stepS }, { atMs: toMs - 1 }); };
  for (const s of items) { const atMs = when(s.at); gap(atMs); all.push({ ...s, atMs }); }
  gap(nowMs - LATE_MS);
  return all;
}
function Lines({ d, nowMs }) {
  const actions = list(d.actions), items = useMemo(() => samplesOf(list(d.items), num(d.stepS) || 60, nowMs), [d]);
  const xs = useMemo(() => items.map((s) => s.atMs / 1000), [items]);
  const series = useMemo(() => {
    const wanted = items.map((s) => { let w = null; for (const a of actions) { if (when(a.at) <= s.atMs) w = a.to; else { if (w === null) w = a.from; break; } } return num(w); });
    return [{ label: "serving", color: "--zone-0", values: items.map((s) => num(s.serving)), write: (v) => count(v), step: true }, ...(wanted.some((w) => w !== null) ? [{ label: "wanted", color: "--zone-1", values: wanted, write: (v) => count(v), step: true, dash: [6, 4] }] : []),
      { label: "CPU, mean", color: "--zone-2", scale: "pct", values: items.map((s) => num(s.cpuPct)), write: (v) => load(v), thin: true, range: upTo }, { label: "CPU, most", color: "--muted", scale: "pct", values: items.map((s) => num(s.cpuPctMost)), write: (v) => load(v), thin: true, dash: [3, 3], range: upTo }];
  }, [items]);
  if (!items.length) return html`<${Empty} title="Nobody has measured">There is no sample in this time.</${Empty}>`;
  return html`<${Chart} title="Members and load" xs=${xs} series=${series} height=${240} />
    ${actions.length ? html`<h3>Changes in this time</h3><ul class="rows">${[...actions].reverse().slice(0, 20).map((a, i) => html`<li key=${i}><a href=${num(a.decisionId) === null ? to(["autoscale", text(d.fleet)]) : to(["autoscale", text(d.fleet), String(a.decisionId)])}><span class="muted"><${Time} at=${a.at} /></span><span><strong>${count(a.from)} \u2192 ${count(a.to)}</strong> members</span></a></li>`)}</ul>` : null}`;
}

/* --- one decision --- */

function Decision({ fleet, id }) {
  const e = useGet("v1/autoscale/decisions/" + encodeURIComponent(id) + "/explain", { on: ["autoscale/decisions/" + id] });
  return html`<p class="crumbs"><a href=${to("autoscale")}>Autoscale</a> / <a href=${to(["autoscale", fleet])}>${cut(fleet, 30)}</a></p>
      <${Ready} of=${e} lines=${8} title=${"Decision " + cut(id, 20)}>${(x) => html`<h1>Fleet ${cut(x.fleet, 30)} ${MOVES[x.move] || plain(x.move)}${x.from === x.to ? " at " + count(x.to) : ": " + size(x)}</h1>
    <p class="headline"><${Move} d=${x} /> <${Time} at=${x.at} full /></p>
    ${x.alarm ? html`<div class="state failed" role="alert"><p class="state-title">Somebody should look</p><p>${cut(x.alarm, 400)}</p></div>` : null}
    <${Reason} x=${x} e=${e} />
        <div class="columns"><${Outcome} x=${x} e=${e} /><${Seen} x=${x} e=${e} /></div><${Votes} x=${x} e=${e} /><${Places} x=${x} e=${e} />
    ${x.text ? html`<${Panel} title="As a note" from=${e}><pre tabindex="0">${plain(x.text).slice(0, 20000)}</pre></${Panel}>` : null}`}</${Ready}>`;
}

const unit = (rule) => (/backlog|message/i.test(text(rule)) ? count : load);

function Reason({ x, e }) {
  const w = x.why || {}, write = unit(w.rule), f = x.floors || {};
  return html`<${Panel} title=${x.move === "hold" ? "Why not more, why not less" : "Why"} from=${e} wide><p><strong>${cut(w.text, 500)}</strong></p>
    <${Stats}>
    <${Stat} label="Rule" path=${e.path} value=${cut([w.policy, w.rule].filter(Boolean).join(" / ") || "a floor or limit", 40)} />
    <${Stat} label="Observed" path=${e.path} value=${num(w.observed) === null ? "\u2013" : write(w.observed)} note=${num(w.threshold) === null ? "" : "threshold " + write(w.threshold)} />
      <${Stat} label="Over" path=${e.path} value=${num(w.windowS) ? seconds(w.windowS) : "one minute"} note="mean of this time" />
      <${Stat} label="Costs a month" path=${e.path} value=${dollars(x.cost?.usdPerMonthAfter)} note=${num(x.cost?.usdPerMonthChange) === null ? "" : (x.cost.usdPerMonthChange >= 0 ? "+" : "") + dollars(x.cost.usdPerMonthChange)} /></${Stats}>
    <${Facts} rows=${[["Cooldown until", w.cooldownUntil ? html`<${Time} at=${w.cooldownUntil} full />` : "none"],
        ["Limited by", w.limited || "nothing"], ["Floor", count(f.instances) + (f.why ? " (" + cut(f.why, 120) + ")" : "")],
        ["Limits", count(f.min) + " to " + count(f.max)],
        ["Useful in", num(x.usefulInS) === null ? "\u2013" : seconds(x.usefulInS)], x.advice ? ["Advice", cut(x.advice, 200)] : null]} /></${Panel}>`;
}

const Outcome = ({ x, e }) => { const o = x.outcome || {};
  return html`<${Panel} title="What came of it" from=${e}><p><${State} v=${o.advice ? "advice" : o.state} tone=${o.advice ? "plain" : undefined} /> ${cut(text(o.text).replace(/^advice: /, ""), 400)}</p>
    <${Facts} rows=${[["Since", html`<${Time} at=${o.since} full />`], o.plan ? ["Plan", html`<a href=${to(["plans", String(o.plan.id)])}>plan ${o.plan.id}</a> <${State} v=${o.plan.state} />`] : null, num(o.supersededBy) === null ? null : ["Replaced by", html`<a href=${to(["autoscale", text(x.fleet), String(o.supersededBy)])}>decision ${o.supersededBy}</a>`],
        ["Settings", "version " + x.settingsVersion]]} /></${Panel}>`; };

const Seen = ({ x, e }) => { const s = x.seen || {};
  return html`<${Panel} title="What it knew" from=${e}>
      <${Facts} rows=${[["Serving", count(s.serving) + " of " + count(s.desired) + " wanted"], ["CPU", load(s.cpuPct)],
      ["Memory", load(s.memoryPct)], ["Network", num(s.networkBps) === null ? "\u2013" : rate(s.networkBps / 8)],
      ["Backlog", count(s.backlog)], ["Silent", count(s.silent)], ["Minutes", count(s.minutes)],
      ["Newest", html`<${Time} at=${s.at} full />`]]} /></${Panel}>`; };

const Votes = ({ x, e }) => html`<${Panel} title="Votes" from=${e} wide note="Every policy says what it wants; one of them decides.">
    <${Table} caption="Votes of the policies" rows=${list(x.votes)} empty="No policy voted" cols=${[
  { head: "Policy", cell: (v) => html`${plain(v.policy) || "\u2013"}${v.decides ? html` <${State} v="decides" tone="good" />` : null}` },
  { head: "Wants", cell: (v) => html`<${Move} d=${v} />` },
  { head: "Members", num: true, cell: (v) => count(v.desired) + (v.wanted !== v.desired ? " (wanted " + count(v.wanted) + ")" : "") },
  { head: "Rule", cell: (v) => cut(v.rule, 30) || "\u2013" },
  { head: "Observed", num: true, cell: (v) => (num(v.observed) === null ? "\u2013" : unit(v.rule)(v.observed)) },
  { head: "Threshold", num: true, cell: (v) => (num(v.threshold) === null ? "\u2013" : unit(v.rule)(v.threshold)) },
  { head: "Why", wide: true, cell: (v) => cut([v.why, v.limited ? "limited: " + v.limited : ""].filter(Boolean).join("; "), 240) }]} /></${Panel}>`;

function Places({ x, e }) {
  const rows = list(x.places).filter((p) => p.join || p.leave || p.return), leaves = list(x.leaves?.nodes);
  if (!rows.length && !leaves.length) return null;
  return html`<${Panel} title="Where" from=${e} wide>${x.placesWhy ? html`<p>${cut(x.placesWhy, 400)}</p>` : null}<${Table} caption="Places" rows=${rows} empty="Nobody comes or goes" cols=${[
      { head: "Zone", cell: (p) => html`<${Zone} id=${p.zone} />` },
      { head: "Group", cell: (p) => cut(p.group, 30) || "\u2013" }, { head: "Join", num: true, cell: (p) => count(p.join) },
      { head: "of them primaries", num: true, cell: (p) => count(p.primaries) },
      { head: "Return", num: true, cell: (p) => count(p.return) }, { head: "Leave", num: true, cell: (p) => count(p.leave) }]} />
    ${leaves.length ? html`<h3>Who leaves</h3><p>${cut(x.leaves.why, 300)}</p>
        <${Table} caption="Members that leave" rows=${leaves} keyOf=${(n) => n.id} cols=${[
        { head: "Node", cell: (n) => html`<${Name} v=${n.id} href=${to(["nodes", text(n.id)])} />` },
        { head: "Zone", cell: (n) => html`<${Zone} id=${n.zone} />` }, { head: "Slots", num: true, cell: (n) => count(n.slots) },
        { head: "Bytes", num: true, cell: (n) => bytes(n.bytes) },
        { head: "Why", wide: true, cell: (n) => cut(n.why, 200) }]} />` : null}</${Panel}>`;
}
