// What the views read: one entry for each path of the API, shared by all that show it, read again when an
// event says that it changed. What could not be read again stays on show, and is said to be old.
import { useEffect, useState } from "./htm-preact.js";
import { call, serverNow, ApiError } from "./api.js";
import * as live from "./live.js";

const GAP_MS = 1000;        // however many events come
const SLOW_MS = 2500;
const BEHIND_MS = 5000;
const OLD_AGE_S = 45;       // the server reads its own copy again every 30 s; Age says how old it is
const KEEP_UNUSED_MS = 60000;
const entries = new Map();

const tell = (e) => { e.version++; e.users.forEach((fn) => fn(e.version)); };

function entry(path) {
  let e = entries.get(path);
  if (!e) {
    e = {
      path, users: new Set(), topics: [], everyMs: 0, version: 0, data: null, error: null, etag: null, atMs: null, ageS: 0,
      warning: null, wantMs: 0, busy: false, slow: false, again: false, startedAt: -Infinity, timer: 0, failures: 0, unusedAt: 0,
    };
    entries.set(path, e);
  }
  return e;
}

function plan(e, ms) {
  clearTimeout(e.timer);
  e.timer = e.users.size === 0 ? 0 : setTimeout(() => { e.timer = 0; read(e); }, Math.max(0, ms));
}

function good(e, r) {
  if (r.data === null || typeof r.data !== "object") throw new ApiError("garbage", r.status, "Not understood", "The answer is no object.");
  Object.assign(e, { data: r.data, etag: r.etag, error: null, atMs: r.atMs, ageS: r.ageS, warning: r.warning, failures: 0 });
}

async function read(e) {
  if (e.busy) { e.again = true; return; }
  Object.assign(e, { busy: true, again: false, startedAt: performance.now() });
  const slow = setTimeout(() => { e.slow = true; tell(e); }, SLOW_MS);
  const was = generation;
  tell(e);
  try {
    // Never with If-None-Match: a plan's ETag is its revision, and its moves go on without a new one.
    const r = await call("GET", e.path);
    if (was === generation) good(e, r);
  } catch (error) {
    e.error = error;
    // What may no longer be seen is not kept on show.
    if (error.status === 401 || error.status === 403 || error.status === 404) { e.data = null; e.etag = null; }
  }
  clearTimeout(slow);
  Object.assign(e, { busy: false, slow: false });
  if (was !== generation) return;
  if (e.error && e.error.passes) plan(e, Math.max(e.error.retryMs, Math.min(2000 * 2 ** e.failures++, 30000)));
  else if (e.again) plan(e, GAP_MS);
  else if (!e.error && behindMs(e) > -1000) plan(e, behindMs(e) > 0 ? BEHIND_MS : 1500); // Age has whole seconds
  else if (e.everyMs) plan(e, e.everyMs);
  tell(e);
}

// The server answers some reads from memory, which may be older than a change that was told already: how far, or less
// than 0 when the change is in it.
const behindMs = (e) => (e.ageS === null || e.atMs === null ? -Infinity : e.wantMs - (e.atMs - e.ageS * 1000));

function soon(e) {
  if (e.busy) e.again = true;
  else plan(e, GAP_MS - (performance.now() - e.startedAt));
}

const about = (topic, resource) => resource === topic || resource.startsWith(topic + "/") || topic.startsWith(resource + "/");

export const handlers = {
  change(event) {
    for (const e of entries.values())
      if (e.topics.some((t) => about(t, event.resource))) {
        e.wantMs = Math.max(e.wantMs, Date.parse(event.at) || 0);
        if (e.users.size) soon(e);
        else entries.delete(e.path);
      }
  },
  relist() {
    for (const e of entries.values()) {
      if (e.users.size) soon(e);
      else entries.delete(e.path);
    }
  },
};

// Whether it is live is part of what is shown.
let phase = "";
live.watch((s) => { if (s.phase !== phase) { phase = s.phase; entries.forEach(tell); } });

let generation = 0;
const settled = new Map(); // path to answer
export function forget() {
  generation++;
  for (const e of entries.values()) clearTimeout(e.timer);
  entries.clear();
  settled.clear();
}
// What never changes once it is there, such as the report of a run that is done: asked for once, and there also
// while the server is away. Throws ApiError.
export async function readOnce(path) {
  if (!settled.has(path)) {
    const was = generation, r = await call("GET", path);
    if (was === generation) settled.set(path, r.data);
    return r.data;
  }
  return settled.get(path);
}
export const reload = (path) => { const e = entries.get(path); if (e) { e.failures = 0; read(e); } };
export const reloadAll = () => entries.forEach((e) => { if (e.users.size) { e.failures = 0; read(e); } });

// Is what is shown perhaps no longer so? The reason, or "".
export function staleWhy(e) {
  if (!e.data) return "";
  if (e.error) return e.error.detail || e.error.title;
  if (e.warning) return e.warning.replace(/^\d+ \S+ "?|"$/g, "");
  if (behindMs(e) > 0) return "a newer change is not in it yet";
  if (e.ageS > OLD_AGE_S) return "the server's own copy is " + e.ageS + " s old";
  if (e.topics.length && ["broken", "paused"].includes(live.state.phase)) return "changes are not coming in";
  return "";
}

// What path answers. on: resources whose events make it old; everyMs: for what has no events.
// path null: nothing is asked. Returns the entry; data is null until there is an answer.
export function useGet(path, { on = [], everyMs = 0 } = {}) {
  const [, bump] = useState(0);
  useEffect(() => {
    if (!path) return undefined;
    const e = entry(path), fn = () => bump((n) => n + 1);
    const fresh = e.users.size > 0 || (e.data && !e.error && live.state.phase === "live" && performance.now() - e.unusedAt < KEEP_UNUSED_MS);
    e.users.add(fn);
    e.topics = on;
    e.everyMs = everyMs;
    if (!fresh || !e.data) { if (!e.busy) read(e); }
    else if (everyMs) plan(e, Math.max(0, everyMs - (performance.now() - e.startedAt)));
    fn();
    return () => {
      e.users.delete(fn);
      if (!e.users.size) { clearTimeout(e.timer); e.unusedAt = performance.now(); }
    };
  }, [path]);
  return path ? entry(path) : NOTHING;
}
const NOTHING = Object.freeze({ path: null, users: new Set(), topics: [], data: null, error: null, atMs: null, busy: false, idle: true });

// Re-renders about every ms, for "3 s ago", and at every change of the stream's state.
export function useNow(ms = 5000) {
  const [now, set] = useState(serverNow);
  useEffect(() => {
    const on = () => set(serverNow());
    const t = setInterval(on, ms), off = live.watch(on);
    return () => { clearInterval(t); off(); };
  }, [ms]);
  return now;
}
