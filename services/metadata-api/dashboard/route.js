// Where the reader is: all of it in the hash, so that a link carries it.
// "#/plans/3?state=stuck" is { parts: ["plans", "3"], query: {state: "stuck"} }.
import { useEffect, useState } from "./htm-preact.js";

function decode(s) {
  try { return decodeURIComponent(s); } catch { return s; }
}

export function parse(hash) {
  const at = hash.replace(/^#\/?/, ""), q = at.indexOf("?");
  const path = q < 0 ? at : at.slice(0, q);
  return {
    parts: path.split("/").filter(Boolean).map(decode),
    query: Object.fromEntries(new URLSearchParams(q < 0 ? "" : at.slice(q + 1))),
  };
}

// Members that are empty are left out.
export function to(parts, query = {}) {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(query)) if (v !== undefined && v !== null && v !== "") q.set(k, v);
  const s = q.toString();
  return "#/" + [].concat(parts).map(encodeURIComponent).join("/") + (s ? "?" + s : "");
}

export function go(parts, query) { location.hash = to(parts, query); }

export function useRoute() {
  const [route, set] = useState(() => parse(location.hash));
  useEffect(() => {
    const on = () => set(parse(location.hash));
    addEventListener("hashchange", on);
    return () => removeEventListener("hashchange", on);
  }, []);
  return route;
}

// The API's path with its arguments; empty ones are left out.
export function api(path, query = {}) {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(query)) if (v !== undefined && v !== null && v !== "") q.set(k, v);
  const s = q.toString();
  return path + (s ? "?" + s : "");
}
