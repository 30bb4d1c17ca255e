// How numbers, times and names are written. Numbers carry their unit, times their zone.
// What is not known is a dash, never a zero.

export const DASH = "\u2013";
const SPACE = "\u202f"; // narrow, does not break: between number and unit

export const num = (v) => (typeof v === "number" && Number.isFinite(v) ? v : null);
export const list = (v) => (Array.isArray(v) ? v : []);
export const text = (v) => (typeof v === "string" ? v : v === null || v === undefined ? "" : String(v));

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const some = (digits) => new Intl.NumberFormat("en-US", { maximumFractionDigits: digits });
const one = some(1), two = some(2), three = some(3);

export function count(v, unit) {
  const n = num(v);
  if (n === null) return DASH;
  const s = Number.isInteger(n) ? whole.format(n) : Math.abs(n) < 10 ? two.format(n) : one.format(n);
  return unit ? s + SPACE + unit : s;
}

function scaled(v, step, units) {
  let n = num(v), u = 0;
  if (n === null) return DASH;
  while (Math.abs(n) >= step && u + 1 < units.length) { n /= step; u++; }
  return (u === 0 || Math.abs(n) >= 100 ? whole : one).format(n) + SPACE + units[u];
}
export const bytes = (v) => scaled(v, 1000, ["B", "KB", "MB", "GB", "TB", "PB", "EB"]);
export const rate = (v) => scaled(v, 1000, ["B/s", "KB/s", "MB/s", "GB/s", "TB/s"]);

export function percent(ratio, digits = 1) {
  const n = num(ratio);
  if (n === null) return DASH;
  const p = n * 100;
  return (p !== 0 && Math.abs(p) < 0.1 ? three : some(digits)).format(p) + SPACE + "%";
}

export function dollars(v) {
  const n = num(v);
  if (n === null) return DASH;
  return (n < 0 ? "\u2212$" : "$") + (Math.abs(n) < 100 ? two : whole).format(Math.abs(n));
}

export function seconds(v) {
  const s = num(v);
  if (s === null) return DASH;
  if (s < 0) return "\u2212" + seconds(-s);
  if (s === 0) return "0" + SPACE + "s";
  if (s < 0.9995) return whole.format(s * 1000) + SPACE + "ms";
  if (s < 100) return one.format(s) + SPACE + "s";
  if (s < 5400) return one.format(s / 60) + SPACE + "min";
  if (s < 172800) return one.format(s / 3600) + SPACE + "h";
  return one.format(s / 86400) + SPACE + "days";
}
export const millis = (v) => (num(v) === null ? DASH : seconds(v / 1000));

// ISO time to ms, or null: servers may send anything.
export function when(iso) {
  const ms = typeof iso === "string" ? Date.parse(iso) : num(iso);
  return ms === null || Number.isNaN(ms) ? null : ms;
}

const pad = (n) => String(n).padStart(2, "0");
export function clock(ms) {
  if (ms === null) return DASH;
  const d = new Date(ms);
  return pad(d.getUTCHours()) + ":" + pad(d.getUTCMinutes()) + ":" + pad(d.getUTCSeconds()) + " UTC";
}
export function stamp(ms) {
  if (ms === null) return DASH;
  const d = new Date(ms);
  if (Number.isNaN(d.getTime())) return DASH;
  return d.getUTCFullYear() + "-" + pad(d.getUTCMonth() + 1) + "-" + pad(d.getUTCDate()) + " " + clock(ms);
}
export function ago(ms, nowMs) {
  if (ms === null) return DASH;
  const s = (nowMs - ms) / 1000;
  if (Math.abs(s) < 2) return "now";
  const w = s < 0 ? -s : s;
  const t = w < 90 ? Math.round(w) + SPACE + "s" : w < 5400 ? Math.round(w / 60) + SPACE + "min"
    : w < 172800 ? Math.round(w / 3600) + SPACE + "h" : Math.round(w / 86400) + SPACE + "days";
  return s < 0 ? "in " + t : t + " ago";
}

// Characters that would turn or hide what stands beside them become visible.
// eslint-disable-next-line no-control-regex
const TRICKY = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;
export const plain = (s) => text(s).replace(TRICKY, "\ufffd");

// A long name as its beginning and its end.
export function cut(s, most = 64) {
  const t = plain(s);
  if (t.length <= most) return t;
  const head = Math.ceil((most - 1) * 0.7);
  return t.slice(0, head) + "\u2026" + t.slice(t.length - (most - 1 - head));
}

export const plural = (n, word, many) => count(n) + " " + (n === 1 ? word : many || word + "s");
