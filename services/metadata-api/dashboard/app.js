// Starts the dashboard: signs in, keeps the stream of changes open, shows the view that the link names.
import { html, render, useEffect, useRef, useState } from "./htm-preact.js";
import { call, onRefused, token } from "./api.js";
import { setMe } from "./act.js";
import { forget, handlers, useGet } from "./data.js";
import * as live from "./live.js";
import { useRoute } from "./route.js";
import { Failure, Guard, Loading, knowZones } from "./parts.js";
import { list } from "./format.js";
import { Frame, NAV, SignIn } from "./shell.js";
import { Overview } from "./view-overview.js";

// The first view comes along; the others when they are first looked at.
const VIEWS = {
  overview: { show: Overview },
  zones: { from: "./view-zones.js" }, vertex: { from: "./view-vertex.js" }, plans: { from: "./view-plans.js" }, runs: { from: "./view-runs.js" },
  nodes: { from: "./view-nodes.js" }, autoscale: { from: "./view-autoscale.js" }, dr: { from: "./view-dr.js" },
  operations: { from: "./view-trail.js", name: "Operations" }, audit: { from: "./view-trail.js", name: "Audit" }, source: { from: "./view-source.js" },
};

// Not in step with the other pages that wait for the same server.
const later = (failures) => Math.min(3000 * 2 ** failures, 30000) * (0.5 + Math.random());

function View({ route }) {
  const name = route.parts[0] || "overview", v = VIEWS[name], [tries, bump] = useState(0), [failed, setFailed] = useState(null), failures = useRef(0), moved = useRef(false);
  useEffect(() => {
    if (!v || v.show) { setFailed(null); return undefined; }
    let timer = 0, alive = true;
    import(v.from).then((m) => { failures.current = 0; v.show = m[v.name || "View"]; if (alive) bump((n) => n + 1); }).catch(() => {
      if (!alive) return;
      setFailed({ kind: "network", status: 0, title: "Not loaded", detail: "This view's script could not be loaded from the server.", passes: true });
      timer = setTimeout(() => bump((n) => n + 1), later(failures.current++));
    });
    return () => { alive = false; clearTimeout(timer); };
  }, [name, tries]);
  const words = (NAV.find(([id]) => id === name) || [null, name === "source" ? "Source" : "Not found"])[1];
  const place = route.parts.join("/");
  useEffect(() => { document.title = words + (route.parts.length > 1 ? " " + route.parts.slice(1).join(" ").slice(0, 60) : "") + " \u00b7 Prism"; }, [place]);
  useEffect(() => { // whoever hears the page is told where it went, also when the heading is drawn again with what came
    if (!moved.current) { moved.current = true; return undefined; }
    const main = document.getElementById("main"), stop = new AbortController();
    const focus = () => { const h = main.querySelector("h1"); if (h) { h.tabIndex = -1; h.focus({ preventScroll: true }); } };
    const lost = new MutationObserver(() => { if (document.activeElement === document.body) focus(); });
    for (const kind of ["keydown", "pointerdown"]) addEventListener(kind, () => lost.disconnect(), { signal: stop.signal, capture: true });
    lost.observe(main, { childList: true, subtree: true });
    focus();
    scrollTo(0, 0);
    return () => { lost.disconnect(); stop.abort(); };
  }, [place]);
  if (!v) return html`<h1>There is no such view</h1><p>The link names <code>${place.slice(0, 80)}</code>. <a href="#/overview">Go to the overview</a>.</p>`;
  if (failed) return html`<h1>${words}</h1><${Failure} error=${failed} onAgain=${() => location.reload()} />`;
  if (!v.show) return html`<h1>${words}</h1><${Loading} />`;
  return html`<${Guard} on=${location.hash}><${v.show} parts=${route.parts.slice(1)} query=${route.query} /></${Guard}>`;
}

function Inside({ me, onOut }) {
  const route = useRoute(), zones = useGet("v1/zones?pageSize=100", { on: ["zones"] });
  setMe(me);
  if (zones.data) knowZones(list(zones.data.items).map((z) => z.id));
  useEffect(() => { live.start(handlers); return () => live.stop(); }, []);
  return html`<${Frame} me=${me} at=${route.parts[0] || "overview"} onOut=${onOut}><${View} route=${route} /></${Frame}>`;
}

function App() {
  const [me, set] = useState(null), [why, setWhy] = useState(""), [error, setError] = useState(null), [tries, again] = useState(0);
  const out = (words) => { live.stop(); forget(); token.drop(); setWhy(typeof words === "string" ? words : ""); setError(null); set(null); };
  useEffect(() => onRefused((detail) => out("Signed out by the server: " + (detail || "the token is no longer taken") + ".")), []);
  useEffect(() => {
    if (me || !token.get()) return undefined;
    let timer = 0;
    call("GET", "v1/whoami").then((r) => { setError(null); set(r.data); }, (e) => {
      if (e.status === 401) return;
      setError(e);
      timer = setTimeout(() => again((n) => n + 1), Math.max(e.retryMs, later(tries)));
    });
    return () => clearTimeout(timer);
  }, [me, tries]);
  if (me) return html`<${Inside} me=${me} onOut=${() => out("")} />`;
  if (!token.get()) return html`<${SignIn} why=${why} onIn=${(who) => { setWhy(""); set(who); }} />`;
  return html`<main class="sign-in" id="main"><h1 class="sr-only">Prism</h1>${error ? html`<${Failure} error=${error} onAgain=${() => again((n) => n + 1)} />` : html`<${Loading} />`}</main>`;
}

const root = document.getElementById("app");
root.textContent = "";
render(html`<${App} />`, root);
