// Where is a vertex, and why is it there?
import { html } from "./htm-preact.js";
import { useGet } from "./data.js";
import { Neighbourhood } from "./draw.js";
import { Empty, Facts, Failure, Loading, Name, Panel, Ready, Search, State, Table, Zone } from "./parts.js";
import { count, cut, list, num, percent, plain } from "./format.js";
import { go, to } from "./route.js";

const MOST_BYTES = 128; // of an id, in UTF-8; more is none of a vertex

export function View({ query }) {
  const id = query.id || "", long = new TextEncoder().encode(id).length > MOST_BYTES;
  return html`<h1>Find a vertex</h1><p class="headline">Where it is, where it should be, and what pulls it there.</p>
    <${Search} label="Vertex id" value=${id} hint="such as 42" onGo=${(v) => go("vertex", { id: v })} />
    <div aria-live="polite">${id === "" ? html`<${Empty} title="Enter the id of a vertex">Any id has a place: the API computes it, and only the store knows whether the vertex exists.</${Empty}>`
      : long ? html`<${Panel} title="Not looked up"><${Empty} title="That is no vertex id">It has ${id.length.toLocaleString("en-US")} characters: <${Name} v=${id} most=${60} /></${Empty}></${Panel}>`
        : html`<${Found} key=${id} id=${id} />`}</div>`;
}

function Found({ id }) {
  const path = "v1/vertices/" + encodeURIComponent(id), v = useGet(path, { on: ["routes", "rebalance/routes"] });
  const why = useGet("v1/placement/explain/" + encodeURIComponent(id), { on: ["placement/runs"] });
  return html`<${Panel} title="Where it is" from=${v} wide>
      <${Ready} of=${v}>${(x) => html`<${Place} x=${x} />`}</${Ready}></${Panel}>
    <${Panel} title="Why it belongs there" from=${why} wide><${Why} e=${why} zone=${v.data?.zone} /></${Panel}>`;
}

function Place({ x }) {
  return html`<ol class="chain" aria-label="From the vertex to its zone">
      <li><span class="muted">vertex</span><strong><${Name} v=${x.id} most=${40} /></strong></li>
      <li><span class="muted">partition</span><a href=${to("nodes", { tab: "partitions", inslot: String(x.slot) })}><strong>${x.partition}</strong></a></li>
      <li><span class="muted">slot</span><a href=${to("nodes", { slot: String(x.slot) })}><strong>${x.slot}</strong></a></li>
      <li><span class="muted">node</span>${x.node === null ? html`<strong>nobody serves it</strong>` : html`<strong><${Name} v=${x.node} href=${to(["nodes", x.node])} /></strong>`}</li>
      <li><span class="muted">zone</span><strong><${Zone} id=${x.zone} /></strong></li></ol>
    <${Facts} rows=${[
      ["Route", x.moved ? html`<${State} v="moved" tone="busy" /> from its home, partition ${x.homePartition}` : html`<${State} v="at home" tone="good" /> where its hash says`],
      ["Wanted", x.target ? html`partition ${x.target.partition}, zone <${Zone} id=${x.target.zone} />, by <a href=${to(["runs", String(x.target.runId)])}>run ${x.target.runId}</a>${x.target.zone === x.zone ? html` \u2013 it is there` : html` \u2013 <strong>not yet</strong>`}` : "no run wants it elsewhere"],
      ["Hash (xxh64)", html`<code>${plain(x.hash)}</code>`],
    ]} />`;
}

function Why({ e, zone }) {
  if (e.error && !e.data && e.error.status === 404) return html`<${Empty} title="No explanation">${cut(e.error.detail, 300)}</${Empty}>`;
  if (e.error && !e.data) return html`<${Failure} error=${e.error} path=${e.path} />`;
  if (!e.data) return html`<${Loading} slow=${e.slow} lines=${5} />`;
  const x = { ...e.data, zones: list(e.data.zones) }, weight = x.zones.reduce((s, z) => s + (num(z.edgeWeight) || 0), 0);
  return html`<p><strong>${cut(x.why, 600)}</strong></p><div class="columns">
    <${Neighbourhood} explanation=${x} zone=${zone} />
    <div><${Facts} rows=${[["Neighbours", count(x.neighbors)], ["Wanted zone", html`<${Zone} id=${x.zone} />`],
        ["Most edges lead to", html`<${Zone} id=${x.preferredZone} />`],
        ["Gain if it were there", count(x.gain) + " edge weight"],
        ["Computed by", html`<a href=${to(["runs", String(x.runId)])}>run ${x.runId}</a>`]]} />
      <${Table} caption="Edges by zone" keyOf=${(z) => z.zone} rows=${x.zones} cols=${[
        { head: "Zone", cell: (z) => html`<${Zone} id=${z.zone} />` },
        { head: "Edge weight", num: true, cell: (z) => count(z.edgeWeight) },
        { head: "Share", num: true, cell: (z) => (weight ? percent(z.edgeWeight / weight) : "\u2013") },
        { head: "Vertices there", num: true, cell: (z) => count(z.vertices) },
        { head: "of at most", num: true, cell: (z) => count(z.capacity) }]} />
      <p class="note">The picture: dots are neighbours (48 at most), lines as thick as their edges weigh; the thick rim is the wanted zone.</p></div></div>`;
}
