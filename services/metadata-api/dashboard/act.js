// Changes: asked for in a dialog, sent once, told when they are done. A token that may not do a thing sees why.
import { html, useEffect, useRef, useState } from "./htm-preact.js";
import { call, key } from "./api.js";
import { reloadAll } from "./data.js";
import { cut } from "./format.js";

/* --- who we are; set by the shell --- */

let me = null;
export const setMe = (v) => { me = v; };
export const whoAmI = () => me;
// "" when this token may, else why not. pattern: as in the API's table of routes.
export function mayNot(method, pattern) {
  const d = me && Array.isArray(me.denied) ? me.denied.find((x) => x.method === method && x.path === pattern) : null;
  return d ? "needs the role " + d.needs + "; this token is " + me.role : "";
}

/* --- what is told --- */

let toasts = [], tellShell = () => {};
export const onToasts = (fn) => { tellShell = fn; };
export function toast(words, tone = "good") {
  const t = { id: key(), words, tone };
  toasts = [...toasts, t].slice(-4);
  tellShell(toasts);
  setTimeout(() => { toasts = toasts.filter((x) => x !== t); tellShell(toasts); }, 8000);
}

function Refusal({ error }) {
  const words = { 409: "Not now", 412: "It has changed meanwhile", 428: "It has changed meanwhile", 403: "Not allowed", 429: "Too many requests" }[error.status] || error.title;
  return html`<div class="state failed" role="alert"><p class="state-title">${words}</p><p>${cut(error.detail || "", 500)}</p>
    ${error.errors.length ? html`<ul>${error.errors.map((e, i) => html`<li key=${i}><code>${cut(e.field, 60)}</code> ${cut(e.detail, 200)}</li>`)}</ul>` : null}
    ${error.status === 412 ? html`<p>Close this, look at what it is now, and decide again.</p>` : null}</div>`;
}

// The dialog. The same Idempotency-Key goes along however often it is sent: after a lost answer, sending again is safe.
export function Confirm({ act, onClose }) {
  const dialog = useRef(null), once = useRef(key()), [busy, setBusy] = useState(false), [error, setError] = useState(null);
  const [values, setValues] = useState(act.values || {});
  useEffect(() => {
    const from = document.activeElement, d = dialog.current;
    d.showModal();
    return () => { d.close(); if (from && from.isConnected) from.focus(); }; // closed first: it keeps the rest from the focus
  }, []);
  const close = () => { if (!busy) onClose(); };
  async function send(e) {
    e.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const headers = { "Idempotency-Key": once.current, ...(act.etag ? { "If-Match": act.etag } : {}) };
      const r = await call(act.method || "POST", act.path, { body: act.body ? act.body(values) : undefined, headers });
      toast(act.done || act.title + ": done");
      reloadAll();
      onClose();
      if (act.after) act.after(r.data);
    } catch (e2) {
      if (!e2.passes) once.current = key(); // it was answered: another try is another request
      setError(e2);
      if (e2.status === 412 || e2.status === 409) reloadAll();
    }
    setBusy(false);
  }
  return html`<dialog ref=${dialog} aria-labelledby="confirm-title" onCancel=${(e) => { e.preventDefault(); close(); }}>
    <form onSubmit=${send}><h2 id="confirm-title">${act.title}</h2>
      ${[].concat(act.text).map((t, i) => html`<p key=${i}>${t}</p>`)}
      ${(act.fields || []).map((f) => html`<label key=${f.name} class=${f.type === "checkbox" ? "check" : ""}>
        ${f.type === "checkbox" ? html`<input type="checkbox" checked=${values[f.name]} onChange=${(e) => setValues({ ...values, [f.name]: e.target.checked })} /><span>${f.label}</span>`
          : html`<span>${f.label}</span><select value=${values[f.name]} onChange=${(e) => setValues({ ...values, [f.name]: e.target.value })}>
              ${f.options.map(([v, words]) => html`<option key=${v} value=${v}>${cut(words || v, 80)}</option>`)}</select>`}</label>`)}
      ${error ? html`<${Refusal} error=${error} />` : null}
      <p class="note">${act.method || "POST"} ${cut(act.path, 120)}</p>
      <div class="buttons"><button type="button" onClick=${close} disabled=${busy}>Leave it</button>
        <button type="submit" class=${act.danger ? "danger" : "primary"} disabled=${busy} aria-busy=${busy}>${busy ? "Sending" : error && error.passes ? "Send again" : act.button || act.title}</button></div>
    </form></dialog>`;
}

// acts: [{ title, text, method, pattern, path, off, ... }]; off: why the state does not allow it, or "".
export function Actions({ acts, label = "Actions" }) {
  const [open, setOpen] = useState(null);
  const shown = acts.map((a) => ({ ...a, why: mayNot(a.method || "POST", a.pattern) || a.off || "" }));
  const denied = [...new Set(shown.map((a) => mayNot(a.method || "POST", a.pattern)).filter(Boolean))];
  const pick = (a) => { if (!a.why) setOpen(a); };
  return html`<div class="actions" role="group" aria-label=${label}>
    ${shown.map((a) => html`<button type="button" class=${a.danger ? "danger" : a.main && !a.why ? "primary" : ""} aria-disabled=${a.why ? "true" : undefined} title=${a.why || undefined}
      aria-describedby=${a.why ? "why-" + a.title.replace(/\W/g, "") : undefined} onClick=${() => pick(a)}>${a.title}</button>
      ${a.why ? html`<span class="sr-only" id=${"why-" + a.title.replace(/\W/g, "")}>Off: ${a.why}</span>` : null}`)}
    ${shown.length && !denied.length && shown.every((a) => a.why) ? html`<p class="note denied">Off: ${[...new Set(shown.map((a) => a.why))].slice(0, 2).join("; ")}.</p>` : null}
    ${denied.map((d) => html`<p class="note denied" key=${d}>Off: ${d}.</p>`)}
    ${open ? html`<${Confirm} act=${open} onClose=${() => setOpen(null)} />` : null}</div>`;
}
