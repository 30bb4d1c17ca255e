// What changes, as it changes: /v1/events read as a stream (EventSource cannot send a token). Resumes after
// the last event it has handled; when that is no longer kept (410), everything is listed again.
import { ApiError, noteDate, problemOf, refused, serverNow, token, url } from "./api.js";

const SILENCE_MS = 25000;  // the server says where it is every 10 s
const HIDDEN_MS = 30000;   // a hidden tab gives its connection back: a browser has six for all tabs
const MOST_PENDING = 1 << 20;

// phase: off, connecting, live, broken, paused. since: when it last was live (server's clock), or null.
export const state = { phase: "off", since: null, why: "", events: [], gaps: 0 };
const watchers = new Set(); // (state) => {}
let handlers = { change() {}, relist() {} };
let lastId = null, current = null, timer = 0, failures = 0, hiddenTimer = 0;

export const watch = (fn) => { watchers.add(fn); return () => watchers.delete(fn); };
function set(phase, why = "") {
  if (state.phase === "live" && phase !== "live") state.since = serverNow();
  if (phase === "live") state.since = null;
  state.phase = phase;
  state.why = why;
  watchers.forEach((fn) => fn(state));
}

function take(block) {
  let kind = "message", data = "", id = null;
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) kind = line.slice(6).trim();
    else if (line.startsWith("data:")) data += line.slice(5).trim();
    else if (line.startsWith("id:")) id = line.slice(3).trim();
  }
  if (!data) return;
  let body;
  try { body = JSON.parse(data); } catch { throw new ApiError("garbage", 200, "Not understood", "an event is no JSON"); }
  if (kind === "end") throw Object.assign(new ApiError("problem", 0, "Ended", body.detail || body.why), { why: body.why });
  if (kind === "bookmark" && state.phase !== "live") {
    failures = 0;
    set("live");
    handlers.relist(); // whatever was read before the stream began
  }
  if (kind === "change" && typeof body.resource === "string") {
    state.events = [body, ...state.events].slice(0, 50);
    handlers.change(body);
    watchers.forEach((fn) => fn(state));
  }
  if (id) lastId = id; // only after it was handled
}

async function read(body, alive) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new ApiError("network", 0, "Hung up", "the stream of changes ended");
    alive();
    pending = (pending + value).replace(/\r/g, "");
    const blocks = pending.split("\n\n");
    pending = blocks.pop();
    if (pending.length > MOST_PENDING) throw new ApiError("garbage", 200, "Not understood", "an event has no end");
    blocks.forEach(take);
  }
}

async function connect(stop) {
  let silence = 0;
  const alive = () => { clearTimeout(silence); silence = setTimeout(() => { stop.silent = true; stop.abort(); }, SILENCE_MS); };
  const sentAt = performance.now();
  alive();
  try {
    const r = await fetch(url("v1/events"), {
      signal: stop.signal, cache: "no-store", redirect: "error",
      headers: { Accept: "text/event-stream", Authorization: "Bearer " + token.get(), ...(lastId ? { "Last-Event-ID": lastId } : {}) },
    });
    noteDate(r.headers.get("Date"), sentAt, performance.now());
    if (!r.ok) throw problemOf(r.status, r.headers, await r.json().catch(() => null));
    if (!(r.headers.get("Content-Type") || "").startsWith("text/event-stream"))
      throw new ApiError("garbage", r.status, "Not understood", "the stream of changes is something else");
    await read(r.body, alive);
  } finally {
    clearTimeout(silence);
    stop.abort(); // or a stream that we no longer read would hold its connection
  }
}

function gone(e) {
  if (e.status !== 410 && e.why !== "gone" && !(e.status === 400 && lastId)) return false; // 400: no place that the server knows
  lastId = null;
  state.gaps++;
  return true;
}

async function run() {
  const stop = current = new AbortController();
  set(state.phase === "broken" ? "broken" : "connecting", state.why);
  try { await connect(stop); } catch (e) {
    if (stop !== current) return; // another has taken its place
    current = null;
    const again = gone(e);
    if (e.status === 401 || e.why === "token") { set("broken", e.detail); refused(e.detail); return; }
    if (e.status === 403) { set("off", e.detail); return; }
    set("broken", e.detail || (stop.silent ? "the server was silent for " + SILENCE_MS / 1000 + " s" : "the server cannot be reached, or hung up"));
    const wait = again ? 0 : Math.max(e.retryMs || 0, Math.min(1000 * 2 ** failures++, 15000) * (0.8 + Math.random() * 0.4));
    timer = setTimeout(run, wait);
  }
}

export function start(h) { handlers = h; stop(); lastId = null; state.events = []; run(); }
export function stop() {
  clearTimeout(timer);
  const was = current;
  current = null;
  if (was) was.abort();
  set("off");
}
export const retry = () => { if (!current && token.get()) { clearTimeout(timer); run(); } };

document.addEventListener("visibilitychange", () => {
  clearTimeout(hiddenTimer);
  if (!document.hidden) {
    if (state.phase === "paused" || state.phase === "broken") { failures = 0; retry(); }
  } else if (current) {
    hiddenTimer = setTimeout(() => {
      const was = current;
      current = null;
      if (was) was.abort();
      set("paused", "this tab was hidden");
    }, HIDDEN_MS);
  }
});
addEventListener("online", () => { failures = 0; retry(); });
