// Nodes, shards, slots and partitions. Lists come in pages; the map is drawn from the topology.
import { html, useMemo } from "./htm-preact.js";
import { useGet } from "./data.js";
import { SlotMap } from "./draw.js";
import { Choice, Empty, Facts, Name, Pager, Panel, Ready, Search, Slices, Stat, State, Stats, Table, Time, Zone } from "./parts.js";
import { bytes, count, cut, list, num, percent, plain, plural, text } from "./format.js";
import { api, go, to } from "./route.js";

export const View = ({ parts, query }) => (parts.length ? html`<${One} key=${parts[0]} id=${parts[0]} />` : html`<${All} query=${query} />`);
const PAGE = 50, TABS = [["", "Nodes"], ["shards", "Shards and slots"], ["partitions", "Partitions"]];

function All({ query }) {
  const tab = query.tab || (query.slot ? "shards" : "");
  return html`<h1>Nodes and slots</h1><p class="headline">16,384 slots, served by shards of one primary and its replicas, in zones.</p>
    <${Summary} />
    <${Choice} label="Show" parts="nodes" query=${{ tab }} name="tab" options=${TABS} />
    ${tab === "shards" ? html`<${Shards} query=${query} />` : tab === "partitions" ? html`<${Partitions} query=${query} />` : html`<${Nodes} query=${query} />`}`;
}

function Summary() {
  const e = useGet("v1/topology?readMask=state,reasons,partitions,nodes,slotsCovered,zones,revision", { on: ["nodes", "zones", "topology"] });
  return html`<${Panel} title="Cluster" from=${e} wide><${Ready} of=${e} lines=${2}>${(t) => html`<${Stats}>
      <${Stat} label="State" path=${e.path} value=${html`<${State} v=${t.state} />`} />
      <${Stat} label="Nodes" path=${e.path} value=${count(t.nodes)} />
      <${Stat} label="Slots served" path=${e.path} value=${percent(t.slotsCovered / 16384)} note=${count(t.slotsCovered) + " of 16,384"} tone=${t.slotsCovered < 16384 ? "bad" : ""} />
      <${Stat} label="Partitions" path=${e.path} value=${count(t.partitions)} /></${Stats}>
    ${list(t.reasons).length ? html`<ul>${t.reasons.map((r, i) => html`<li key=${i}>${cut(r, 240)}</li>`)}</ul>` : null}
    <${Table} caption="Zones" rows=${list(t.zones)} keyOf=${(z) => z.id} empty="No zone is registered" cols=${[
        { head: "Zone", cell: (z) => html`<${Zone} id=${z.id} />` }, { head: "Nodes", num: true, cell: (z) => count(z.nodes) },
        { head: "Primaries", num: true, cell: (z) => count(z.primaries) },
        { head: "Replicas", num: true, cell: (z) => count(z.replicas) },
      { head: "Slots", num: true, cell: (z) => count(z.slots) },
      { head: "Share of slots", num: true, cell: (z) => percent(z.slots / 16384) },
      { head: "Capacity", num: true, cell: (z) => (num(z.capacityRatio) === null ? "\u2013" : percent(z.capacityRatio, 0)) }]} />`}</${Ready}></${Panel}>`;
}

function Nodes({ query }) {
  const e = useGet(api("v1/nodes", { pageSize: PAGE, zone: query.zone, state: query.state, role: query.role, pageToken: query.page }), { on: ["nodes"] });
  const zones = useGet("v1/zones?pageSize=100", { on: ["zones"] });
  return html`<${Panel} title="Nodes" from=${e} wide><div class="filters">
      <${Choice} label="Zone" parts="nodes" query=${query} name="zone" options=${[["", "any"], ...list(zones.data?.items).map((z) => [z.id, cut(z.id, 20)])]} />
      <${Choice} label="State" parts="nodes" query=${query} name="state" options=${["", "registered", "up", "failed", "gone"].map((s) => [s, s || "any"])} />
      <${Choice} label="Role" parts="nodes" query=${query} name="role" options=${["", "primary", "replica", "unknown"].map((s) => [s, s || "any"])} />
      <${Search} label="Node id" onGo=${(v) => v && go(["nodes", v])} button="Open" /></div>
    <${Ready} of=${e}>${(d) => html`<${Table} caption="Nodes" rows=${list(d.items)} keyOf=${(n) => n.id} empty=${query.zone || query.state || query.role ? "No node is like that" : "No node is registered: prismctl node register"} cols=${[
      { head: "Node", cell: (n) => html`<${Name} v=${n.id} most=${40} href=${to(["nodes", text(n.id)])} />` },
      { head: "State", cell: (n) => html`<${State} v=${n.state} />` },
      { head: "Zone", cell: (n) => html`<${Zone} id=${n.zone} />` }, { head: "Role", cell: (n) => plain(n.role) },
      { head: "Shard", cell: (n) => html`<${Name} v=${n.shard} most=${28} />` },
      { head: "Slots", num: true, cell: (n) => count(n.slots) },
      { head: "Address", cell: (n) => html`<${Name} v=${n.host + ":" + n.port} most=${40} />` },
      { head: "Seen", cell: (n) => html`<${Time} at=${n.seenAt} />` }]} />
      <${Pager} data=${d} parts="nodes" query=${query} shown=${PAGE} />`}</${Ready}></${Panel}>`;
}

function Shards({ query }) {
  const e = useGet("v1/topology", { on: ["topology", "nodes"] }), pick = /^\d{1,5}$/.test(query.slot || "") && +query.slot < 16384 ? +query.slot : null;
  const bySlot = useMemo(() => {
    const at = new Array(16384).fill(null);
    list(e.data?.shards).forEach((s, i) => { const o = { zone: s.zone, shard: s.id, odd: i % 2 === 1 }; for (const [from, to_] of list(s.slotRanges)) for (let k = from; k <= to_; k++) at[k] = o; });
    return at;
  }, [e.data]);
  const of = useMemo(() => (slot) => bySlot[slot], [bySlot]), from = Math.max(0, parseInt(query.from, 10) || 0);
  return html`<${Panel} title="Shards and slots" from=${e} wide>
      <${Ready} of=${e} lines=${8}>${(t) => { const shards = list(t.shards), one = pick === null ? null : shards.find((s) => s.id === bySlot[pick]?.shard), shown = shards.slice(from, from + PAGE);
    return html`<div class="columns"><div>
        <${Search} label="Slot" value=${query.slot} hint="0 to 16383" button="Show" onGo=${(v) => go("nodes", { tab: "shards", slot: v })} />
        <div class="spaced"><${SlotMap} of=${of} zones=${[...new Set(shards.map((s) => s.zone).filter(Boolean))].sort()} pick=${pick} onPick=${(s) => go("nodes", { tab: "shards", slot: String(s) })} /></div></div>
      <div aria-live="polite">${pick === null ? html`<${Empty} title="No slot is selected">Enter one, or select it in the map.</${Empty}>` : html`<${Slot} slot=${pick} shard=${one} />`}</div></div>
      <h3>${plural(shards.length, "shard")}</h3>
      <${Table} caption="Shards" rows=${shown} keyOf=${(s) => s.id} empty="No shard: no node serves slots" cols=${[
          { head: "Shard", cell: (s) => html`<${Name} v=${s.id} most=${32} />` },
          { head: "Primary", cell: (s) => html`<${Name} v=${s.primary} most=${32} href=${s.primary ? to(["nodes", s.primary]) : undefined} />` },
        { head: "Zone", cell: (s) => html`<${Zone} id=${s.zone} />${s.homeZone && s.homeZone !== s.zone ? html` <${State} v=${"home: " + s.homeZone} tone="warn" />` : null}` },
        { head: "Replicas", cell: (s) => list(s.replicas).map((r, i) => html`${i ? ", " : ""}<${Name} v=${r.id} most=${24} href=${to(["nodes", text(r.id)])} /> ${r.zone ? "in " + cut(r.zone, 12) : ""}`) },
        { head: "Slots", num: true, cell: (s) => count(s.slots) },
        { head: "Ranges", cell: (s) => html`<code>${list(s.slotRanges).slice(0, 3).map((r) => r.join("\u2013")).join(", ")}${list(s.slotRanges).length > 3 ? ", \u2026" : ""}</code>` }]} />
      <${Slices} label="Pages of shards" from=${from} shown=${PAGE} all=${shards.length} hrefOf=${(at) => to("nodes", { ...query, tab: "shards", from: at })} />`; }}</${Ready}></${Panel}>`;
}

function Slot({ slot, shard }) {
  const why = useGet(api("v1/rebalance/explain", { slot }));
  return html`<h3>Slot ${slot}</h3>${shard ? html`<${Facts} rows=${[["Shard", html`<${Name} v=${shard.id} />`],
      ["Primary", html`<${Name} v=${shard.primary} href=${shard.primary ? to(["nodes", shard.primary]) : undefined} />`],
      ["Zone", html`<${Zone} id=${shard.zone} />`]]} />` : html`<p class="bad">No shard serves it.</p>`}
    <p><a href=${to("nodes", { tab: "partitions", inslot: String(slot) })}>Partitions in it</a></p>
    <h3>Why is it there?</h3>
        <${Ready} of=${why} lines=${1}>${(d) => html`<p><${State} v=${d.code} tone="plain" /> ${cut(d.text, 400)}</p>`}</${Ready}>`;
}

function Partitions({ query }) {
  const e = useGet(api("v1/partitions", { pageSize: PAGE, zone: query.zone, slot: query.inslot, temperature: query.temperature, pageToken: query.page }), { on: ["topology"] });
  return html`<${Panel} title="Partitions" from=${e} wide><div class="filters">
      <${Choice} label="Temperature" parts="nodes" query=${query} name="temperature" options=${["", "hot", "warm", "cold"].map((s) => [s, s || "any"])} />
      <${Search} label="In slot" value=${query.inslot} hint="0 to 16383" button="Show" onGo=${(v) => go("nodes", { ...query, inslot: v, page: "" })} /></div>
    <${Ready} of=${e}>${(d) => html`<${Table} caption="Partitions" rows=${list(d.items)} keyOf=${(p) => p.id} empty=${query.inslot || query.temperature ? "No partition is like that" : "The store has not been initialised"} cols=${[
        { head: "Partition", num: true, cell: (p) => p.id },
        { head: "Slot", num: true, cell: (p) => html`<a href=${to("nodes", { tab: "shards", slot: String(p.slot) })}>${p.slot}</a>` },
      { head: "Node", cell: (p) => html`<${Name} v=${p.node} href=${p.node ? to(["nodes", p.node]) : undefined} />` },
      { head: "Zone", cell: (p) => html`<${Zone} id=${p.zone} />` },
      { head: "Vertices", num: true, cell: (p) => count(p.vertices) }, { head: "Bytes", num: true, cell: (p) => bytes(p.bytes) },
      { head: "Temperature", cell: (p) => plain(p.temperature) || "\u2013" },
      { head: "Last used", cell: (p) => html`<${Time} at=${p.accessedAt} />` }]} />
      <${Pager} data=${d} parts="nodes" query=${query} shown=${PAGE} />`}</${Ready}></${Panel}>`;
}

function One({ id }) {
  const e = useGet("v1/nodes/" + encodeURIComponent(id), { on: ["nodes/" + id] }), t = useGet("v1/topology", { on: ["topology", "nodes"] });
  return html`<p class="crumbs"><a href=${to("nodes")}>Nodes and slots</a></p><h1><${Name} v=${id} most=${60} /></h1>
    <${Panel} title="Node" from=${e} wide>
        <${Ready} of=${e}>${(n) => { const s = list(t.data?.shards).find((x) => x.id === n.shard);
      return html`<${Facts} rows=${[["State", html`<${State} v=${n.state} />`], ["Role", plain(n.role)],
          ["Zone", html`<${Zone} id=${n.zone} />`], ["Address", html`<${Name} v=${n.host + ":" + n.port} most=${60} />`],
          ["Slots", count(n.slots)], ["Shard", html`<${Name} v=${n.shard} />`],
        ["Shard's primary", s ? html`<${Name} v=${s.primary} href=${s.primary ? to(["nodes", s.primary]) : undefined} />` : "\u2013"],
        ["Shard's replicas", s ? list(s.replicas).map((r, i) => html`${i ? ", " : ""}<${Name} v=${r.id} href=${to(["nodes", text(r.id)])} /> ${r.zone ? "in " + cut(r.zone, 12) : ""}`) : "\u2013"],
        ["Placement group", n.placementGroup || "\u2013"], ["Redis id", html`<${Name} v=${n.redisId} most=${44} />`],
        ["Seen", html`<${Time} at=${n.seenAt} full />`], ["Revision", count(n.revision)]]} />`; }}</${Ready}></${Panel}>`;
}
