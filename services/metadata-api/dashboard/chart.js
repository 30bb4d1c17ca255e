// Lines over time, by uPlot; the same numbers as a table for who cannot see them.
import { html, useEffect, useRef, useState } from "./htm-preact.js";
import { DASH, num, stamp } from "./format.js";

function paint(el, name) { // a colour of the theme as uPlot wants it
  el.style.color = "var(" + name + ")";
  const c = getComputedStyle(el).color;
  el.style.color = "";
  return c;
}

function options({ series, height, band, bars, range }, width, el) {
  const grid = paint(el, "--line"), ink = paint(el, "--muted");
  const whole = (u, at) => { // times of the day, or days, in UTC
    const span = u.scales.x.max - u.scales.x.min;
    return at.map((t) => (t !== Math.floor(t) ? "" : span > 4 * 86400 ? stamp(t * 1000).slice(5, 10) : span > 86400 ? stamp(t * 1000).slice(5, 16) : stamp(t * 1000).slice(11, span > 1200 ? 16 : 19)));
  };
  const axis = { stroke: ink, font: "12px system-ui, sans-serif", grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
  const HALF_DAY_S = 43200, only = (u) => u.data[0][0]; // one value is in the middle of a day; uPlot would show years
  const scales = { x: { time: true, range: (u, min, max) => (u.data[0].length === 1 ? [only(u) - HALF_DAY_S, only(u) + HALF_DAY_S] : [min, max]) } };
  for (const s of series) scales[s.scale || "y"] = { range: s.range || range || ((u, min, max) => (min === null ? [0, 1] : [Math.min(0, min), (max > 0 ? max : 1) * 1.1])) };
  const first = series[0];
  const axes = [{ ...axis, values: whole, space: 80, label: "UTC", labelSize: 18, labelGap: 0, labelFont: axis.font, size: 34 }, { ...axis, scale: first.scale || "y", size: 66, ...(first.incrs ? { incrs: first.incrs } : {}), values: (u, v) => v.map((x) => (first.brief || first.write)(x)) }];
  const second = series.find((s) => s.scale && s.scale !== first.scale);
  if (second) axes.push({ ...axis, scale: second.scale, side: 1, size: 64, grid: { show: false }, values: (u, v) => v.map((x) => (second.brief || second.write)(x)) });
  return {
    width, height: height || 220, scales, axes, tzDate: (ts) => window.uPlot.tzDate(new Date(ts * 1000), "Etc/UTC"),
    legend: { show: false }, cursor: { y: false, drag: { x: false, y: false } }, padding: [12, second ? 4 : 16, 0, 0],
    series: [{}, ...series.map((s) => ({
      label: s.label, scale: s.scale || "y", stroke: paint(el, s.color), width: s.thin ? 1.5 : 2, dash: s.dash, points: { show: !!s.points, size: 6 }, spanGaps: !!s.spanGaps,
      paths: s.step ? window.uPlot.paths.stepped({ align: 1, alignGaps: 1 }) : bars ? window.uPlot.paths.bars({ size: [0.6, 40] }) : undefined,
      fill: s.fill ? paint(el, s.fill) : undefined,
    }))],
    bands: band, hooks: {},
  };
}

// series: [{ label, values, color: "--zone-0", write: (v) => "5 %", step, points, scale, incrs (steps of the axis) }]; xs: seconds.
export function Chart(props) {
  const { title, xs, series } = props;
  const box = useRef(null), plot = useRef(null), [at, setAt] = useState(null), [theme, setTheme] = useState(0);
  useEffect(() => {
    const on = () => setTheme((n) => n + 1), dark = matchMedia("(prefers-color-scheme: dark)");
    addEventListener("prism-theme", on);
    dark.addEventListener("change", on);
    return () => { removeEventListener("prism-theme", on); dark.removeEventListener("change", on); };
  }, []);
  const shape = series.map((s) => s.label + s.color).join() + theme;
  useEffect(() => {
    const el = box.current;
    if (!window.uPlot || xs.length === 0) return undefined;
    const o = options(props, el.clientWidth || 600, el);
    o.hooks.setCursor = [(u) => setAt(u.cursor.idx ?? null)];
    const u = plot.current = new window.uPlot(o, [xs, ...series.map((s) => s.values)], el);
    const size = new ResizeObserver(() => { if (el.clientWidth > 0 && Math.abs(el.clientWidth - u.width) > 1) u.setSize({ width: el.clientWidth, height: o.height }); });
    size.observe(el);
    return () => { size.disconnect(); u.destroy(); plot.current = null; };
  }, [shape, xs.length === 0]);
  useEffect(() => { if (plot.current) plot.current.setData([xs, ...series.map((s) => s.values)]); }, [xs, series]);
  const last = at !== null && at < xs.length ? at : xs.length - 1;
  const words = (i) => series.map((s) => s.label + " " + (num(s.values[i]) === null ? DASH : s.write(s.values[i]))).join(", ");
  return html`<figure class="chart">
    <figcaption class="legend"><span class="muted">${xs.length ? stamp(xs[last] * 1000) : ""}</span>
      ${series.map((s) => html`<span key=${s.label}><span class=${"key key" + s.color} aria-hidden="true"></span>${s.label} <strong>${xs.length && num(s.values[last]) !== null ? s.write(s.values[last]) : DASH}</strong></span>`)}</figcaption>
    <div ref=${box} class="plot" role="img" aria-label=${title + ". " + (xs.length ? "Newest: " + words(xs.length - 1) : "No values yet") + ". The table below has all values."}></div>
    <${Values} title=${title} xs=${xs} series=${series} /></figure>`;
}

function Values({ title, xs, series }) {
  const [open, set] = useState(false);
  const order = xs.map((_, i) => i).reverse().slice(0, 500);
  return html`<details class="values" onToggle=${(e) => set(e.target.open)}><summary>Values as a table</summary>
    ${open ? html`<div class="table-scroll" role="group" aria-label=${title} tabindex="0"><table><caption class="sr-only">${title}</caption>
      <thead><tr><th scope="col">Time</th>${series.map((s) => html`<th scope="col" class="num" key=${s.label}>${s.label}</th>`)}</tr></thead>
      <tbody>${order.map((i) => html`<tr key=${i}><th scope="row">${stamp(xs[i] * 1000)}</th>${series.map((s) => html`<td class="num" key=${s.label}>${num(s.values[i]) === null ? DASH : s.write(s.values[i])}</td>`)}</tr>`)}</tbody></table></div>` : null}</details>`;
}
