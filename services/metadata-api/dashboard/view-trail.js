// Who did what, and what is at work: the audit trail and the operations.
import { html } from "./htm-preact.js";
import { Actions } from "./act.js";
import { useGet } from "./data.js";
import { Bar, Choice, Facts, handOn, Name, Pager, Panel, Ready, Search, State, Table, Time } from "./parts.js";
import { cut, list, num, percent, plain, seconds, text } from "./format.js";
import { api, go, to } from "./route.js";

// Where a resource is looked at.
function placeOf(resource) {
  const [a, b, c] = text(resource).split("/");
  if (a === "rebalance" && b === "plans" && c) return to(["plans", c]);
  if (a === "placement" && b === "runs" && c) return to(["runs", c]);
  if (a === "nodes" && b) return to(["nodes", b]);
  if (a === "zones" && b) return to("nodes", { zone: b });
  if (a === "autoscale") return to("autoscale");
  if (a === "dr") return to("dr");
  return undefined;
}

/* --- operations --- */

export function Operations({ query }) {
  const e = useGet(api("v1/operations", { pageSize: 50, state: query.state, pageToken: query.page }), { on: ["operations"] });
  return html`<h1>Operations</h1><p class="headline">Work that goes on after a call was answered.</p>
    ${query.id ? html`<${One} key=${query.id} id=${query.id} />` : null}
    <${Panel} title="All operations" from=${e} wide><div class="filters">
        <${Choice} label="State" parts="operations" query=${query} name="state" options=${["", "pending", "running", "done", "failed", "canceled"].map((s) => [s, s || "any"])} /></div>
      <${Ready} of=${e}>${(d) => html`<${Table} caption="Operations, newest first" rows=${list(d.items)} keyOf=${(o) => o.id} empty=${query.state ? "No operation is " + cut(query.state, 20) : "There was no operation yet"} cols=${[
        { head: "Operation", cell: (o) => html`<a href=${to("operations", { ...query, id: o.id })}>${cut(o.kind, 40)}</a>` },
        { head: "State", cell: (o) => html`<${State} v=${o.state} />` },
        { head: "Of", cell: (o) => html`<${Name} v=${o.resource} most=${40} href=${placeOf(o.resource)} />` },
        { head: "Done", num: true, cell: (o) => percent(o.progressRatio) }, { head: "Phase", cell: (o) => cut(o.phase, 40) },
        { head: "By", cell: (o) => html`<${Name} v=${o.createdBy} most=${20} code=${false} />` },
        { head: "Begun", cell: (o) => html`<${Time} at=${o.createdAt} />` },
        { head: "Says", wide: true, cell: (o) => cut(o.error, 160) }]} />
        <${Pager} data=${d} parts="operations" query=${query} shown="50" />`}</${Ready}></${Panel}>`;
}

function One({ id }) {
  const e = useGet("v1/operations/" + encodeURIComponent(id), { on: ["operations/" + id] });
  return html`<${Panel} title="Operation" from=${e} wide actions=${html`<a href=${to("operations")} onClick=${handOn("main")}>Close</a>`}>
      <${Ready} of=${e}>${(o) => { const over = ["done", "failed", "canceled"].includes(o.state);
    return html`<${Bar} ratio=${o.state === "done" ? 1 : o.progressRatio} label="Progress" tone=${o.state === "done" ? "good" : over ? "bad" : ""} />
      <${Facts} rows=${[["Kind", plain(o.kind)],
          ["State", html`<${State} v=${o.state} />${o.cancelRequested && !over ? " asked to stop" : ""}`],
          ["Of", html`<${Name} v=${o.resource} href=${placeOf(o.resource)} />`], ["Phase", cut(o.phase, 80)],
          ["Left", num(o.etaS) === null ? "unknown" : seconds(o.etaS)],
        ["Begun", html`<${Time} at=${o.createdAt} full />`], ["Changed", html`<${Time} at=${o.updatedAt} full />`],
        ["Finished", html`<${Time} at=${o.finishedAt} full />`],
        ["By", html`<${Name} v=${o.createdBy} code=${false} />`], o.error ? ["Error", cut(o.error, 600)] : null]} />
      <${Actions} acts=${[{ title: "Cancel operation", danger: true, pattern: "/v1/operations/{id}:cancel", path: "v1/operations/" + encodeURIComponent(o.id) + ":cancel", etag: e.etag, off: over ? "it is " + o.state : o.cancelRequested ? "it was asked to stop already" : "", done: "It was asked to stop", text: ["It is asked to stop. What is in flight is finished or rolled back first."] }]} />`; }}</${Ready}></${Panel}>`;
}

/* --- audit --- */

export function Audit({ query }) {
  const e = useGet(api("v1/audit", { pageSize: 50, principal: query.principal, action: query.action, resource: query.resource, pageToken: query.page }), { on: ["rebalance", "nodes", "zones", "autoscale", "dr", "operations", "placement"] });
  const set = (name) => (v) => go("audit", { ...query, [name]: v, page: "", id: "" });
  const shown = query.id && e.data ? list(e.data.items).find((a) => String(a.id) === query.id) : null;
  return html`<h1>Audit</h1><p class="headline">Every change that was asked for: who, what, before and after.</p>
    <div class="filters">
        <${Search} label="By" value=${query.principal} hint="name of a token" button="Filter" onGo=${set("principal")} />
        <${Search} label="Action" value=${query.action} hint="such as node.patch" button="Filter" onGo=${set("action")} />
      <${Search} label="Resource" value=${query.resource} hint="such as nodes/n1" button="Filter" onGo=${set("resource")} />${query.principal || query.action || query.resource ? html`<a class="button" href=${to("audit")}>All</a>` : null}</div>
    <div aria-live="polite">${shown ? html`<${Entry} a=${shown} query=${query} />` : query.id && e.data ? html`<p class="note">Entry ${cut(query.id, 20)} is not on this page of the trail: newer ones have taken its place, or a filter leaves it out.</p>` : null}</div>
    <${Panel} title="Trail" from=${e} wide>
        <${Ready} of=${e} lines=${8}>${(d) => html`<${Table} caption="Audit trail, newest first" rows=${list(d.items)} keyOf=${(a) => a.id} rowClass=${(a) => (String(a.id) === query.id ? "picked" : "")} empty=${query.principal || query.action || query.resource ? "Nothing is like that" : "Nothing was changed yet"} cols=${[
      { head: "When", cell: (a) => html`<${Time} at=${a.at} full />` },
      { head: "Who", cell: (a) => html`<${Name} v=${a.principal} most=${24} code=${false} href=${to("audit", { principal: text(a.principal) })} />` },
      { head: "Did", cell: (a) => html`<a href=${to("audit", { ...query, id: String(a.id) })}>${cut(a.action, 40)}</a>` },
      { head: "To", cell: (a) => html`<${Name} v=${a.resource} most=${44} href=${placeOf(a.resource)} />` },
      { head: "What changed", wide: true, cell: (a) => changed(a) }]} />
      <${Pager} data=${d} parts="audit" query=${query} shown="50" />`}</${Ready}></${Panel}>`;
}

function changed(a) {
  if (!a.before || !a.after || typeof a.before !== "object" || typeof a.after !== "object") return a.before ? "removed" : a.after ? "made" : "\u2013";
  const keys = Object.keys({ ...a.before, ...a.after }).filter((k) => k !== "revision" && JSON.stringify(a.before[k]) !== JSON.stringify(a.after[k]));
  return keys.slice(0, 4).map((k, i) => html`${i ? ", " : ""}<code>${cut(k, 30)}</code> ${cut(brief(a.before[k]), 30)} \u2192 ${cut(brief(a.after[k]), 30)}`);
}
const brief = (v) => (v === null || v === undefined ? "none" : typeof v === "object" ? JSON.stringify(v) : String(v));
const pretty = (v) => (v === null || v === undefined ? "nothing" : plain(JSON.stringify(v, null, 2)).slice(0, 50000));

const Entry = ({ a, query }) => html`<${Panel} title=${"Entry " + a.id} wide actions=${html`<a href=${to("audit", { ...query, id: "" })} onClick=${handOn("main")}>Close</a>`}>
  <${Facts} rows=${[["Who", html`<${Name} v=${a.principal} code=${false} />`], ["Did", plain(a.action)],
      ["When", html`<${Time} at=${a.at} full />`], ["Trace", html`<${Name} v=${a.trace} most=${60} />`]]} />
  <div class="diff"><div><h3>Before</h3><pre tabindex="0">${pretty(a.before)}</pre></div><div><h3>After</h3><pre tabindex="0">${pretty(a.after)}</pre></div></div></${Panel}>`;
