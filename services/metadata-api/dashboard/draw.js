// Pictures in SVG: zones and what goes between them, the matrix, the surroundings of a vertex, the map of slots.
import { html, useEffect, useRef, useState } from "./htm-preact.js";
import { count, cut, DASH, list, num, percent, plain } from "./format.js";
import { zoneIndex } from "./parts.js";
import { to } from "./route.js";

const point = (cx, cy, r, turn) => [cx + r * Math.cos(turn), cy + r * Math.sin(turn)];
const around = (i, n) => -Math.PI / 2 + (2 * Math.PI * i) / n;

// zones: [{ id, state, lines: ["8 nodes"] }]; matrix: { from: { to: weight } }, the same both ways, or null; total: of
// which a link is a share.
export function ZoneMap({ zones, matrix, total }) {
  const n = zones.length, W = 400, H = n > 3 ? 400 : n === 3 ? 330 : 130, cx = W / 2, cy = n === 3 ? 197 : H / 2, R = n > 3 ? 138 : 132;
  const at = zones.map((_, i) => (n === 1 ? [cx, cy] : point(cx, cy, R, n === 2 ? Math.PI * (1 - i) : around(i, n))));
  const links = [];
  for (let i = 0; i < n; i++)
    for (let k = i + 1; k < n; k++) {
      links.push({ i, k, share: total > 0 ? (num(matrix?.[zones[i].id]?.[zones[k].id]) || 0) / total : null });
    }
  return html`<svg class="zone-map" viewBox=${"0 0 " + W + " " + H} role="group" aria-label="Zones and the share of edge weight between them">
    ${links.map((l) => { const [x1, y1] = at[l.i], [x2, y2] = at[l.k], mx = (x1 + x2) / 2, my = (y1 + y2) / 2;
      return html`<g key=${l.i + "-" + l.k} role="img" aria-label=${plain("Between " + zones[l.i].id + " and " + zones[l.k].id + ": " + (l.share === null ? "not counted" : percent(l.share)))}><line class="link" x1=${x1} y1=${y1} x2=${x2} y2=${y2} stroke-width=${l.share === null ? 1.5 : 2 + Math.min(26, l.share * 90)} />
        ${l.share === null ? null : html`<rect class="link-box" x=${mx - 34} y=${my - 13} width="68" height="26" rx="13" /><text class="link-words" x=${mx} y=${my + 4.5}>${percent(l.share)}</text>`}</g>`; })}
    ${zones.map((z, i) => { const [x, y] = at[i];
      return html`<a key=${z.id} href=${to("nodes", { zone: z.id })} aria-label=${plain("Nodes of zone " + [z.id, z.state, ...z.lines].filter(Boolean).join(", "))}><circle class=${"zone-disc zone-" + zoneIndex(z.id) + (z.state === "down" ? " down" : z.state === "hurt" ? " hurt" : "")} cx=${x} cy=${y} r="58" />
        <text class="zone-words" x=${x} y=${y - (z.lines.length > 1 ? 12 : 4)}>${cut(z.id, 12)}</text>
        ${z.lines.slice(0, 3).map((t, k) => html`<text key=${k} class="zone-note" x=${x} y=${y + 7 + 16 * k}>${t}</text>`)}</a>`; })}</svg>`;
}

// The matrix as a table: numbers first, colour as help.
export function Matrix({ ids, matrix, total, write }) {
  const cell = (a, b) => num(matrix?.[a]?.[b]);
  const most = Math.max(...ids.flatMap((a) => ids.map((b) => cell(a, b) || 0)), 1);
  return html`<div class="table-scroll" role="group" aria-label="Traffic between zones" tabindex="0"><table class="matrix">
    <caption class="sr-only">Edge weight from each zone (rows) to each zone (columns)</caption>
    <thead><tr><th scope="col"><span class="muted">from \\ to</span></th>${ids.map((b) => html`<th scope="col" key=${b} class="num">${cut(b, 16)}</th>`)}</tr></thead>
    <tbody>${ids.map((a) => html`<tr key=${a}><th scope="row">${cut(a, 16)}</th>${ids.map((b) => { const v = cell(a, b);
      return html`<td key=${b} class=${"num heat " + (a === b ? "same" : "cross") + " heat-" + (v === null ? 0 : Math.round((v / most) * 5))}>${v === null ? DASH : write(v)}<span class="note">${v === null || !total ? "" : percent(v / total)}</span></td>`; })}</tr>`)}</tbody></table></div>`;
}

// A vertex in the middle, where it is; its neighbours by zone: as many dots as there are (48 at most a zone), as
// thick a link as its edges weigh.
export function Neighbourhood({ explanation, zone }) {
  const zones = explanation.zones, n = zones.length, W = 640, H = 372, cx = W / 2, cy = 198;
  const weight = zones.reduce((s, z) => s + (num(z.edgeWeight) || 0), 0);
  const words = zones.map((z) => z.zone + ": edge weight " + count(z.edgeWeight)).join("; ");
  return html`<svg class="neighbourhood" viewBox=${"0 0 " + W + " " + H} role="img" aria-label=${plain("Neighbours of the vertex by zone. It is in " + (zone || "no zone") + ", and wanted in " + explanation.zone + ". " + words).slice(0, 700)}>
    ${zones.map((z, i) => { const share = weight > 0 ? (num(z.edgeWeight) || 0) / weight : 0, turn = n === 2 ? Math.PI * i : around(i, n), high = Math.sin(turn);
      const [x, y] = [cx + 232 * Math.cos(turn), cy + (n === 2 ? 0 : (high < 0 ? 130 : n === 3 ? 220 : 110) * high)], c = zoneIndex(z.zone);
      const dots = Math.min(48, Math.round(share * Math.min(48, num(explanation.neighbors) || 0)) || (share > 0 ? 1 : 0));
      return html`<g key=${z.zone}>
        <line class=${"edge stroke-" + c + (z.zone === zone ? " here" : "")} x1=${cx} y1=${cy} x2=${x} y2=${y} stroke-width=${share > 0 ? 1.5 + share * 22 : 0} />
        <ellipse class=${"field zone-" + c + (z.zone === explanation.zone ? " wanted" : "")} cx=${x} cy=${y} rx="86" ry="60" />
        ${Array.from({ length: dots }, (_, d) => { const r = Math.sqrt((d + 0.5) / 48), a = d * 2.39996; // sunflower: evenly spread
          return html`<circle key=${d} class=${"leaf fill-" + c} cx=${x + 62 * r * Math.cos(a)} cy=${y + 10 + 36 * r * Math.sin(a)} r="2.6" />`; })}
        <text class="field-words" x=${x} y=${y - 34}>${cut(z.zone, 10)}  ${percent(share)}</text></g>`; })}
    <circle class=${"self fill-" + zoneIndex(zone)} cx=${cx} cy=${cy} r="15" />
    <text class="self-words" x=${cx} y=${cy + 34}>${cut(explanation.vertexId, 18)}</text></svg>`;
}

// All 16,384 slots, 128 a line, coloured by zone. of: (slot) => { zone, shard } or null. zones: their names, for the key.
// Pointer or arrow keys go over it; a click or Enter picks.
const N = 128, S = 4, SLOTS = N * N;
const KEYS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -N, ArrowDown: N, PageUp: -8 * N, PageDown: 8 * N, Home: -SLOTS, End: SLOTS };
export function SlotMap({ of, pick, onPick, zones }) {
  const canvas = useRef(null), [hover, setHover] = useState(null), [theme, setTheme] = useState(0);
  useEffect(() => { const on = () => setTheme((t) => t + 1); addEventListener("prism-theme", on); return () => removeEventListener("prism-theme", on); }, []);
  useEffect(() => {
    const c = canvas.current, g = c.getContext("2d"), css = getComputedStyle(c), colors = [];
    const probe = (name) => { c.style.color = "var(" + name + ")"; const v = css.color; c.style.color = ""; return v; };
    for (let i = 0; i < 6; i++) colors.push(probe("--zone-" + i));
    const none = probe("--line"), strong = probe("--text");
    g.clearRect(0, 0, N * S, N * S);
    for (let s = 0; s < SLOTS; s++) {
      const o = of(s);
      g.fillStyle = o ? colors[zoneIndex(o.zone) % 6] : none;
      g.globalAlpha = o && o.odd ? 0.72 : 1;
      g.fillRect((s % N) * S, Math.floor(s / N) * S, S, S);
    }
    g.globalAlpha = 1;
    if (pick !== null) { g.strokeStyle = strong; g.lineWidth = 2; const at = (v) => Math.min(Math.max(v * S - 2, 1), N * S - S - 5); g.strokeRect(at(pick % N), at(Math.floor(pick / N)), S + 4, S + 4); }
  }, [of, pick, theme]);
  const slotAt = (e) => { const b = canvas.current.getBoundingClientRect(); return Math.min(127, Math.floor(((e.clientY - b.top) / b.height) * N)) * N + Math.min(127, Math.floor(((e.clientX - b.left) / b.width) * N)); };
  const at = hover ?? pick ?? 0, words = (s) => { const o = of(s); return "slot " + s + ": " + (o ? "zone " + cut(o.zone || "unknown", 16) + ", shard " + cut(o.shard, 24) : "nobody serves it"); };
  const onKey = (e) => {
    if (e.key === "Enter" || e.key === " ") onPick(at);
    else if (e.key in KEYS) setHover(Math.min(SLOTS - 1, Math.max(0, at + KEYS[e.key])));
    else return;
    e.preventDefault();
  };
  return html`<figure class="slots"><div class="field"><canvas ref=${canvas} width=${N * S} height=${N * S} tabindex="0" role="slider" aria-label="Map of the slots by zone: arrow keys go over it, Enter picks"
      aria-valuemin="0" aria-valuemax=${SLOTS - 1} aria-valuenow=${at} aria-valuetext=${words(at)} onKeyDown=${onKey} onBlur=${() => setHover(null)}
      onPointerMove=${(e) => setHover(slotAt(e))} onPointerLeave=${() => setHover(null)} onClick=${(e) => onPick(slotAt(e))}></canvas>
      ${hover === null ? null : html`<div class="cursor" style=${{ left: 100 * (hover % N) / N + "%", top: 100 * Math.floor(hover / N) / N + "%" }}></div>`}</div>
    <figcaption class="note"><span class="legend">${list(zones).map((z) => html`<span key=${z} class="zone"><span class=${"swatch zone-" + zoneIndex(z)} aria-hidden="true"></span>zone ${cut(z, 16)}</span>`)}</span>
      ${hover === null ? "128 slots a line, slot 0 at the top left. Select one to see who serves it." : words(hover)}</figcaption></figure>`;
}
