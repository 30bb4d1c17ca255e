// The parts that views are made of. Text goes in as text: nothing here makes markup of what a server says.
import { html, Component, useEffect, useRef, useState } from "./htm-preact.js";
import { serverNow } from "./api.js";
import { reload, staleWhy, useNow } from "./data.js";
import { ago, clock, cut, DASH, list, num, percent, plain, stamp, text, when } from "./format.js";
import { to } from "./route.js";

/* --- words --- */

// Any text from a server: cut when long, whole in the title, never wider than its place.
export function Name({ v, most = 48, href, code = true }) {
  const whole = plain(v), shown = whole === "" ? DASH : cut(whole, most);
  const title = whole.length > most ? whole.slice(0, 500) + (whole.length > 500 ? "\u2026 (" + whole.length.toLocaleString("en-US") + " characters)" : "") : undefined;
  const inner = html`<bdi class=${code ? "name" : "words"} title=${title}>${shown}</bdi>`;
  return href ? html`<a href=${href}>${inner}</a>` : inner;
}

export function Time({ at, full }) {
  const now = useNow(15000), ms = when(at);
  if (ms === null) return html`<span class="muted">${DASH}</span>`;
  return html`<time class=${full ? "full" : ""} datetime=${new Date(ms).toISOString()} title=${stamp(ms) + " (" + ago(ms, now) + ")"}>${full ? stamp(ms) + ", " : ""}${ago(ms, now)}</time>`;
}

const TONES = {
  ok: "good", done: "good", good: "good", up: "good", streaming: "good", verified: "good", promoted: "good", live: "good",
  running: "busy", acting: "busy", checking: "busy", approved: "busy", decided: "busy", out: "busy", in: "busy", base: "busy", queued: "busy",
  importing: "busy", migrating: "busy", draining: "busy", handoff: "busy", copying: "busy",
  degraded: "warn", paused: "warn", hurt: "warn", late: "warn", proposed: "warn", stopped: "warn", unknown: "warn", detached: "warn", aborting: "warn", refused: "warn",
  failed: "bad", down: "bad", stuck: "bad", damaged: "bad", missing: "bad", gone: "bad",
};
export const toneOf = (state) => TONES[state] || "plain";
export const State = ({ v, tone }) => html`<span class=${"badge " + (tone || toneOf(v))}><span class="dot" aria-hidden="true"></span>${plain(v) || DASH}</span>`;

export const Zone = ({ id, zones }) =>
  id === null || id === undefined || id === "" ? html`<span class="muted">no zone</span>`
    : html`<span class="zone"><span class=${"swatch zone-" + zoneIndex(id, zones)} aria-hidden="true"></span><${Name} v=${id} most=${24} /></span>`;

// A zone has the same colour everywhere: by its place among the zones' names.
let known = [];
export function knowZones(ids) { if (ids.length) known = [...ids].sort(); }
export const zoneIndex = (id, zones) => { const at = (zones || known).indexOf(id); return at < 0 ? 6 : at % 6; };

/* --- where a number is from --- */

export const sourceHref = (path) => to(["source"], { path });
export const Source = ({ path, label }) =>
  html`<a class="source" href=${sourceHref(path)} title=${"GET " + cut(path, 200)} aria-label=${"Where this is from: " + (label || cut(path, 80))}><span aria-hidden="true">{ }</span></a>`;

// A number that links to the call it is from.
export function Stat({ label, value, note, path, href, tone }) {
  const shown = html`<span class=${"value " + (tone || "")}>${value}</span>`;
  return html`<div class="stat"><dt>${label}</dt><dd>
    ${path || href ? html`<a href=${href || sourceHref(path)} title=${path ? "GET " + cut(path, 200) : undefined}>${shown}</a>` : shown}
    ${note ? html`<span class="note">${note}</span>` : null}</dd></div>`;
}
export const Stats = ({ children }) => html`<dl class="stats">${children}</dl>`;

export const Facts = ({ rows }) => html`<dl class="facts">${rows.filter(Boolean).map(([k, v]) => html`<div key=${k}><dt>${k}</dt><dd>${v}</dd></div>`)}</dl>`;

/* --- a panel and the states it may be in --- */

export function Panel({ title, note, from, actions, children, wide, level = 2, id }) {
  const of = [].concat(from || []).filter((e) => e && e.path);
  const why = of.map(staleWhy).find(Boolean);
  const oldest = of.filter((e) => e.data && e.atMs !== null).sort((x, y) => x.atMs - y.atMs)[0];
  const H = "h" + level;
  return html`<section class=${"panel" + (wide ? " wide" : "") + (why ? " is-stale" : "")} aria-label=${title} id=${id}>
    <header><${H}>${title}</${H}>
      ${why && oldest ? html`<span class="badge warn" title=${cut(why, 300)}><span class="dot" aria-hidden="true"></span>as of ${clock(oldest.atMs - oldest.ageS * 1000)}</span>` : null}
      <span class="spring"></span>${actions}
      ${of.map((e) => html`<${Source} key=${e.path} path=${e.path} label=${title} />`)}</header>
    ${note ? html`<p class="note">${note}</p>` : null}
    ${children}</section>`;
}

const WORDS = {
  403: "This token may not see this", 404: "Not there", 410: "No longer kept", 414: "Too long to ask for", 429: "Too many requests: the server asks to wait",
  500: "The server failed", 502: "Something before the server failed", 503: "The server cannot answer now", 504: "The server was too slow",
};

export function Failure({ error, path, onAgain }) {
  const denied = error.status === 403, absent = error.status === 404;
  const title = error.kind === "problem" ? WORDS[error.status] || error.title : { network: "The server cannot be reached", timeout: "No answer", garbage: "The answer was not understood" }[error.kind] || "It failed";
  return html`<div class=${"state " + (denied || absent ? "quiet" : "failed")} role=${denied || absent ? undefined : "alert"}>
    <p class="state-title">${denied ? html`<${Icon} name="lock" />` : null}${title}</p>
    <p>${cut(error.detail || error.title, 400)}</p>
    ${error.passes ? html`<p class="note">It is tried again by itself. ${onAgain || path ? html`<button type="button" class="plain" onClick=${onAgain || (() => reload(path))}>Try now</button>` : null}</p>` : null}
  </div>`;
}

export const Empty = ({ title, children }) => html`<div class="state quiet"><p class="state-title">${title}</p>${children ? html`<p>${children}</p>` : null}</div>`;

export const Loading = ({ slow, lines = 3 }) => html`<div class="state loading" role="status">
  <span class="sr-only">Loading</span>${Array.from({ length: lines }, (_, i) => html`<div class="bone" key=${i} aria-hidden="true"></div>`)}
  ${slow ? html`<p class="note">The server takes its time. Still waiting.</p>` : null}</div>`;

// Shows children(data) once all entries have data; before that, and when they fail, what is the matter.
// title: the heading that children would have drawn.
export function Ready({ of, lines, title, children }) {
  const all = [].concat(of), bad = all.find((e) => e.error && !e.data);
  const head = title ? html`<h1>${title}</h1>` : null;
  if (bad) return html`${head}<${Failure} error=${bad.error} path=${bad.path} />`;
  if (all.some((e) => !e.data)) return html`${head}<${Loading} slow=${all.some((e) => e.slow)} lines=${lines} />`;
  return html`<${Guard} on=${all[0].path}>${() => children(...all.map((e) => e.data))}</${Guard}>`;
}

// An answer of a shape that nobody expected breaks one panel, not the page.
export class Guard extends Component {
  constructor() { super(); this.state = { failed: null, on: null }; }
  static getDerivedStateFromError(failed) { return { failed }; }
  componentDidCatch() { /* told below */ }
  componentWillReceiveProps(next) { if (next.on !== this.props.on) this.setState({ failed: null }); }
  render({ children }) {
    if (this.state.failed)
      return html`<div class="state failed" role="alert"><p class="state-title">The answer was not understood</p>
        <p>It has a shape that this page does not know: ${cut(this.state.failed.message, 200)}</p>
        <button type="button" onClick=${() => this.setState({ failed: null })}>Draw it again</button></div>`;
    const make = [].concat(children).find((c) => typeof c === "function");
    return html`<${Inner} make=${make} children=${make ? null : children} />`;
  }
}
const Inner = ({ make, children }) => (make ? make() : children);

/* --- tables --- */

// A link that is gone once it was followed (the next page, "Close") hands the focus to the table that is drawn then.
let heir = null; // the last table in this element
export const handOn = (within) => (e) => {
  const el = e.currentTarget.closest(within);
  if (!e.ctrlKey && !e.metaKey && !e.shiftKey) addEventListener("hashchange", () => { heir = el; }, { once: true });
};
for (const kind of ["keydown", "pointerdown"]) addEventListener(kind, () => { heir = null; }, { capture: true });

// cols: [{ head, cell(row), num, wide }]. The caption says what is listed, for those who hear the page.
export function Table({ caption, cols, rows, keyOf, empty, rowClass }) {
  const box = useRef(null);
  useEffect(() => {
    if (!heir || !box.current || [...heir.querySelectorAll(".table-scroll")].pop() !== box.current) return;
    heir = null;
    box.current.scrollTop = 0;
    box.current.focus();
  });
  if (rows.length === 0) return html`<${Empty} title=${empty || "Nothing"} />`;
  return html`<div ref=${box} class="table-scroll" role="group" aria-label=${caption} tabindex="0"><table>
    <caption class="sr-only">${caption}</caption>
    <thead><tr>${cols.map((c) => html`<th scope="col" class=${c.num ? "num" : ""}>${c.head}</th>`)}</tr></thead>
    <tbody>${rows.map((r, i) => html`<tr key=${keyOf ? keyOf(r, i) : i} class=${rowClass ? rowClass(r) : ""}>
      ${cols.map((c, k) => (k === 0 ? html`<th scope="row" class=${c.num ? "num" : ""}>${c.cell(r, i)}</th>` : html`<td class=${(c.num ? "num" : "") + (c.wide ? " wrap" : "")}>${c.cell(r, i)}</td>`))}</tr>`)}</tbody>
  </table></div>`;
}

// Pages of a list; the page is part of the link.
export function Pager({ data, parts, query, shown }) {
  const next = text(data.nextPageToken);
  if (!next && !query.page) return null;
  return html`<nav class="pager" aria-label="Pages">
    ${query.page ? html`<a class="button" href=${to(parts, { ...query, page: "" })} onClick=${handOn("section")}>First page</a>` : null}
    ${next ? html`<a class="button" href=${to(parts, { ...query, page: next })} onClick=${handOn("section")}>Next ${shown}</a>` : html`<span class="muted">This is the last page</span>`}</nav>`;
}

// Pages of what is here as a whole: rows from, of all.
export function Slices({ label, from, shown, all, hrefOf }) {
  if (all <= shown) return null;
  const link = (at, words) => html`<a class="button" href=${hrefOf(String(at))} onClick=${handOn("section")}>${words}</a>`;
  return html`<nav class="pager" aria-label=${label}>${from > 0 ? link(Math.max(0, from - shown), "Before") : null}
    ${from + shown < all ? link(from + shown, "Next " + shown) : null}<span class="muted">${from + 1} to ${Math.min(from + shown, all)} of ${all}</span></nav>`;
}

// Filters that are links: [[name, value, words]].
export const Choice = ({ label, parts, query, name, options }) => html`<nav class="choice" aria-label=${label}><span class="muted" aria-hidden="true">${label}</span>
  ${options.map(([v, words]) => html`<a key=${v} href=${to(parts, { ...query, [name]: v, page: "" })} aria-current=${(query[name] || "") === v ? "true" : undefined}>${words || v}</a>`)}</nav>`;

// A field whose text goes into the link when it is sent.
export function Search({ label, value, hint, onGo, button = "Look up" }) {
  const field = useRef(null);
  useEffect(() => { if (field.current && document.activeElement !== field.current) field.current.value = value || ""; }, [value]);
  return html`<form class="search" role="search" aria-label=${label} onSubmit=${(e) => { e.preventDefault(); onGo(field.current.value.trim()); }}>
    <label>${label}<input ref=${field} type="search" autocomplete="off" spellcheck=${false} maxlength="20000" placeholder=${hint} /></label>
    <button type="submit">${button}</button></form>`;
}

export function Bar({ ratio, label, tone }) {
  const known = num(ratio) !== null, r = Math.min(1, Math.max(0, num(ratio) || 0));
  return html`<div class=${"bar " + (tone || "")} role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow=${known ? Math.round(r * 100) : undefined} aria-valuetext=${known ? percent(r) : "unknown"} aria-label=${label}>
    <div style=${{ width: r * 100 + "%" }}></div></div>`;
}

export function Copy({ v, label = "Copy" }) {
  const [done, set] = useState(false);
  useEffect(() => { if (!done) return undefined; const t = setTimeout(() => set(false), 2000); return () => clearTimeout(t); }, [done]);
  if (!navigator.clipboard) return null;
  return html`<button type="button" class="plain" onClick=${() => navigator.clipboard.writeText(v).then(() => set(true), () => {})}>${done ? "Copied" : label}</button>`;
}

const ICONS = {
  lock: "M5 7V5a3 3 0 0 1 6 0v2m-7 0h8v6H4z", overview: "M2 8.5 8 3l6 5.5M4 7.5V13h8V7.5", zones: "M8 2.5 14 13H2zM8 2.5V13", vertex: "M7 3a4 4 0 1 0 .01 0M10 10l4 4",
  plans: "M2 4h8M2 8h12M2 12h6M12 2l2 2-2 2", runs: "M3 13V8m5 5V3m5 10V6", nodes: "M3 3h10v4H3zm0 6h10v4H3zM5 5h1M5 11h1", autoscale: "M2 12l4-4 3 2 5-6M10 4h4v4",
  dr: "M8 2l5 2v4c0 3-2 5-5 6-3-1-5-3-5-6V4z", audit: "M4 2h8v12H4zM6 5h4M6 8h4M6 11h2", operations: "M8 3v5l3 2M8 2a6 6 0 1 0 .01 0", out: "M6 2H3v12h3M7 8h7m-3-3 3 3-3 3",
  sun: "M8 5a3 3 0 1 0 .01 0M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1", menu: "M2 4h12M2 8h12M2 12h12",
};
export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d=${ICONS[name]} /></svg>`;

export const lines = (items) => html`<ul class="lines">${list(items).map((s, i) => html`<li key=${i}>${cut(s, 400)}</li>`)}</ul>`;
export const sinceNow = (iso) => { const ms = when(iso); return ms === null ? null : (serverNow() - ms) / 1000; };
