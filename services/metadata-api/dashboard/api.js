// Calls to the REST interface: one place that knows the token, the server's clock and what may go wrong.

const KEY = "prism.token";
const TIMEOUT_MS = 20000;
const AT_ONCE = 4; // a browser opens six connections; one is the stream's

export class ApiError extends Error {
  // kind: network, timeout, garbage, problem. status: 0 without an answer.
  constructor(kind, status, title, detail, more = {}) {
    super(title);
    Object.assign(this, { kind, status, title, detail, retryMs: 0, errors: [] }, more);
  }
  // Will the same call perhaps work later?
  get passes() { return this.kind !== "problem" || this.status === 429 || this.status >= 500; }
}

/* --- the token: in this tab, until it is closed --- */

let memory = null; // where storage is forbidden
export const token = {
  get() { try { return sessionStorage.getItem(KEY) || memory; } catch { return memory; } },
  set(v) { memory = v; try { sessionStorage.setItem(KEY, v); } catch { /* memory has it */ } },
  drop() { memory = null; try { sessionStorage.removeItem(KEY); } catch { /* nothing was kept */ } },
};

const listeners = new Set(); // told when the server no longer takes the token
export const onRefused = (fn) => { listeners.add(fn); return () => listeners.delete(fn); };
export const refused = (detail) => listeners.forEach((fn) => fn(detail));

/* --- the server's clock: ours may be wrong by hours --- */

let offsetMs = null, offsetErrorMs = Infinity;
export function noteDate(date, sentAt, cameAt) {
  const server = Date.parse(date);
  const error = 500 + (cameAt - sentAt) / 2; // the header has whole seconds
  if (Number.isNaN(server) || (error > offsetErrorMs + 250 && offsetMs !== null)) return;
  offsetMs = server + 500 - (sentAt + cameAt) / 2;
  offsetErrorMs = error;
}
export const serverNow = () => (offsetMs === null ? Date.now() : performance.now() + offsetMs);
// How far this machine's clock is ahead of the server's, ms.
export const skewMs = () => (offsetMs === null ? 0 : Date.now() - serverNow());

/* --- calls --- */

let running = 0;
const waiting = [];
const leave = () => { running--; const next = waiting.shift(); if (next) next(); };
async function enter() {
  if (running >= AT_ONCE) await new Promise((go) => waiting.push(go));
  running++;
}

export const url = (path) => new URL(path.replace(/^\//, ""), new URL(".", document.baseURI)).href;

function retryMs(headers) {
  const s = Number(headers.get("Retry-After"));
  return Number.isFinite(s) && s > 0 ? Math.min(s, 300) * 1000 : 0;
}

export function problemOf(status, headers, data) {
  const p = data && typeof data === "object" ? data : {};
  const s = (v, other) => (typeof v === "string" && v ? v : other);
  return new ApiError("problem", status, s(p.title, "HTTP " + status), s(p.detail, ""), {
    retryMs: retryMs(headers),
    errors: Array.isArray(p.errors) ? p.errors.filter((e) => e && typeof e === "object") : [],
    needs: /needs role (\w+)/.exec(s(p.detail, ""))?.[1],
  });
}

async function ask(method, path, { body, headers = {}, timeoutMs = TIMEOUT_MS, as }) {
  const give_up = new AbortController();
  const timer = setTimeout(() => give_up.abort(), timeoutMs);
  const sentAt = performance.now();
  try {
    const r = await fetch(url(path), {
      method, signal: give_up.signal, cache: "no-store", credentials: "same-origin", redirect: "error",
      headers: {
        Accept: "application/json", Authorization: "Bearer " + (as || token.get() || ""), ...headers,
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    noteDate(r.headers.get("Date"), sentAt, performance.now());
    const answer = await r.text();
    return { r, answer, tookMs: performance.now() - sentAt };
  } catch {
    throw give_up.signal.aborted
      ? new ApiError("timeout", 0, "No answer", "The server did not answer within " + timeoutMs / 1000 + " s.")
      : new ApiError("network", 0, "Not reached", "The server cannot be reached, or hung up.");
  } finally {
    clearTimeout(timer);
  }
}

function understood(r, answer) {
  if (answer === "") return null;
  try { return JSON.parse(answer); } catch {
    if (r.ok)
      throw new ApiError("garbage", r.status, "Not understood",
        "The answer is no JSON (status " + r.status + ", " + answer.length + " characters, " +
        (r.headers.get("Content-Type") || "no type") + "). Is there something else between here and Prism?");
    return null;
  }
}

// { status, data, etag, ageS (null: not of the server's memory), atMs (the server's clock when it was asked: an answer that was
// long on its way is no newer for that), warning, text, tookMs }; throws ApiError.
export async function call(method, path, options = {}) {
  await enter();
  try {
    const { r, answer, tookMs } = await ask(method, path, options);
    const data = understood(r, answer);
    if (r.status === 401 && !options.as) refused(problemOf(401, r.headers, data).detail);
    if (!r.ok) throw problemOf(r.status, r.headers, data);
    return {
      status: r.status, data, etag: r.headers.get("ETag"), ageS: r.headers.has("Age") ? Number(r.headers.get("Age")) || 0 : null,
      atMs: serverNow() - tookMs, warning: r.headers.get("Warning"), text: answer, tookMs,
    };
  } finally {
    leave();
  }
}

// randomUUID is there on https and localhost only.
export function key() {
  const b = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
}
