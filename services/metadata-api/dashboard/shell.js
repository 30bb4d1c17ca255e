// Around every view: sign-in, navigation, how live what is shown is, theme, what was done.
import { html, useEffect, useRef, useState } from "./htm-preact.js";
import { ApiError, call, serverNow, skewMs, token } from "./api.js";
import { onToasts } from "./act.js";
import * as live from "./live.js";
import { reloadAll, useNow } from "./data.js";
import { ago, clock, cut, seconds } from "./format.js";
import { to } from "./route.js";
import { Icon } from "./parts.js";

export const NAV = [
  ["overview", "Overview"], ["zones", "Zones and traffic"], ["vertex", "Find a vertex"], ["plans", "Plans"],
  ["runs", "Placement runs"],
  ["nodes", "Nodes and slots"], ["autoscale", "Autoscale"], ["dr", "Disaster recovery"], ["operations", "Operations"],
  ["audit", "Audit"],
];

/* --- sign-in --- */

export function SignIn({ why, onIn }) {
  const field = useRef(null), [busy, setBusy] = useState(false), [error, setError] = useState(why ? { detail: why } : null);
  useEffect(() => { document.title = "Sign in \u00b7 Prism"; field.current.focus(); }, []);
  async function send(e) {
    e.preventDefault();
    const v = field.current.value.trim();
    if (!v) { setError({ detail: "Enter a token." }); return; }
    // eslint-disable-next-line no-control-regex
    if (/[^\u0021-\u007e]/.test(v)) { setError({ detail: "A token has letters, digits and signs only: something else came along when it was copied." }); return; }
    setBusy(true);
    try {
      const r = await call("GET", "v1/whoami", { as: v });
      if (!r.data || typeof r.data.role !== "string") throw new ApiError("garbage", 200, "Not understood", "The answer is none of Prism's.");
      token.set(v);
      onIn(r.data);
    } catch (e2) { setError(e2); setBusy(false); field.current.focus(); }
  }
  return html`<main class="sign-in" id="main"><form onSubmit=${send}>
    <p class="brand"><img src="ui/icon.svg" alt="" width="28" height="28" />Prism</p>
    <h1>Sign in</h1>
    <label for="token">API token</label>
    <input id="token" ref=${field} type="password" autocomplete="off" spellcheck=${false} aria-describedby="token-note" aria-invalid=${error ? "true" : undefined} />
    <p class="note" id="token-note">It stays in this tab until you sign out or close it, and is never part of a link.</p>
    <div aria-live="assertive">${error ? html`<p class="state failed slim">${cut(error.detail || error.title, 300)}</p>` : null}</div>
    <button type="submit" class="primary" disabled=${busy} aria-busy=${busy}>${busy ? "Asking the server" : "Sign in"}</button>
    <p class="note">A token is made with <code>prism-admin token create</code>. Roles: viewer, operator, admin.</p>
  </form></main>`;
}

/* --- how live this is --- */

function liveWords(now) {
  const { phase, since, why } = live.state;
  if (phase === "live") return { tone: "good", words: "Live", title: "Changes come in as they happen." };
  if (phase === "connecting") return { tone: "plain", words: "Connecting", title: "The stream of changes is being opened." };
  if (phase === "off") return { tone: "warn", words: "Not live", title: why || "Changes are not streamed to this token." };
  const from = since === null ? "" : " since " + clock(since);
  return { tone: "warn", words: (phase === "paused" ? "Paused" : "Stale") + from, title: (since === null ? "" : ago(since, now) + ": ") + why };
}

export function LiveBadge() {
  const now = useNow(5000), l = liveWords(now);
  return html`<span class="live" role="status"><span class=${"badge " + l.tone} title=${cut(l.title, 200)}><span class="dot" aria-hidden="true"></span>${l.words}</span></span>`;
}

// What stands above everything when what is shown may be old.
export function StaleBanner() {
  const now = useNow(5000), { phase, since, why } = live.state, [late, setLate] = useState(false);
  useEffect(() => { // a hiccup of some seconds needs no banner
    if (phase !== "broken") { setLate(false); return undefined; }
    const t = setTimeout(() => setLate(true), 3000);
    return () => clearTimeout(t);
  }, [phase]);
  const skew = skewMs();
  return html`<div aria-live="polite">${phase === "broken" && late ? html`<div class="banner warn"><strong>Not live${since === null ? "" : " since " + clock(since) + " (" + ago(since, now) + ")"}.</strong>
      <span>${cut(why, 160)}. What you see is from then; it is tried again by itself.</span><button type="button" onClick=${() => { live.retry(); reloadAll(); }}>Try now</button></div>` : null}
    ${Math.abs(skew) > 60000 ? html`<div class="banner info">This computer's clock is ${seconds(Math.abs(skew) / 1000)} ${skew > 0 ? "ahead of" : "behind"} the server's. All times here are the server's: it is ${clock(serverNow())} there.</div>` : null}</div>`;
}

export function Toasts() {
  const [all, set] = useState([]);
  useEffect(() => { onToasts(set); return () => onToasts(() => {}); }, []);
  return html`<div class="toasts" role="status" aria-live="polite">${all.map((t) => html`<p key=${t.id} class=${"toast " + t.tone}>${cut(t.words, 200)}</p>`)}</div>`;
}

function Theme() {
  const [theme, set] = useState(document.documentElement.dataset.theme || "");
  const next = { "": "dark", dark: "light", light: "" }[theme], words = { "": "System", dark: "Dark", light: "Light" };
  function turn() {
    if (next) document.documentElement.dataset.theme = next; else delete document.documentElement.dataset.theme;
    try { if (next) localStorage.setItem("prism.theme", next); else localStorage.removeItem("prism.theme"); } catch { /* for this page, then */ }
    set(next);
    dispatchEvent(new Event("prism-theme"));
  }
  return html`<button type="button" class="plain" onClick=${turn} aria-label=${"Theme: " + words[theme] + ". Change to " + words[next]}><${Icon} name="sun" />${words[theme]}</button>`;
}

/* --- the frame --- */

export function Frame({ me, at, onOut, children }) {
  const [open, setOpen] = useState(false), main = useRef(null), menu = useRef(null), nav = useRef(null);
  useEffect(() => { setOpen(false); }, [at]);
  useEffect(() => { if (open) nav.current.querySelector("a").focus(); }, [open]); // the menu lies over the rest: whoever is in it is in front
  const skip = (e) => { e.preventDefault(); main.current.focus(); };
  const leave = (e) => { if (open && e.key === "Escape") { setOpen(false); menu.current.focus(); } };
  const left = (e) => { const to_ = e.relatedTarget; if (open && to_ && to_ !== menu.current && !nav.current.contains(to_)) setOpen(false); };
  return html`<a class="skip" href="#main" onClick=${skip}>Skip to what matters</a>
    <div class="frame">
      <header class="top">
        <button ref=${menu} type="button" class="plain menu" onKeyDown=${leave} aria-expanded=${open} aria-controls="nav" onClick=${() => setOpen(!open)}><${Icon} name="menu" /><span class="sr-only">Menu</span></button>
        <a class="brand" href=${to("overview")}><img src="ui/icon.svg" alt="" width="22" height="22" />Prism</a>
        <span class="spring"></span><${LiveBadge} /><${Theme} />
        <span class="who" title=${"Token " + cut(me.name, 100) + ", role " + me.role}><bdi>${cut(me.name, 24)}</bdi> <span class="muted">${me.role}</span></span>
        <button type="button" class="plain" onClick=${onOut}><${Icon} name="out" /><span class="wide-only">Sign out</span><span class="sr-only narrow-only">Sign out</span></button>
      </header>
      <nav ref=${nav} id="nav" onKeyDown=${leave} onfocusout=${left} class=${"side" + (open ? " open" : "")} aria-label="Views"><div><ul>
        ${NAV.map(([id, words]) => html`<li key=${id}><a href=${to(id)} aria-current=${at === id ? "page" : undefined}><${Icon} name=${id} />${words}</a></li>`)}</ul>
        <p class="note"><a href="docs">REST interface</a><br /><a href="ui/licences.txt">Licences</a></p></div></nav>
      <main id="main" ref=${main} tabindex="-1"><${StaleBanner} />${children}</main>
    </div><${Toasts} />`;
}
