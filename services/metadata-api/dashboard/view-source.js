// The call behind a number: what to type to get the same, and the answer as it came.
import { html } from "./htm-preact.js";
import { url } from "./api.js";
import { useGet } from "./data.js";
import { Copy, Facts, Failure, Loading, Panel } from "./parts.js";
import { clock, cut, plain } from "./format.js";

const MOST = 200000;
const quoted = (s) => "'" + s.replace(/'/g, "'\\''") + "'";

export function View({ query }) {
  const path = (query.path || "").replace(/^\/+/, "");
  if (!/^v1\/[^\s]*$/.test(path) || path.includes("..")) return html`<h1>Source</h1><p>The link names no call of the API.</p>`;
  return html`<${Call} key=${path} path=${path} />`;
}

function Call({ path }) {
  const events = path.startsWith("v1/events"), e = useGet(path);
  const line = "curl -H \"Authorization: Bearer $TOKEN\" " + quoted(url(path));
  const answer = e.data ? JSON.stringify(e.data, null, 2) : "";
  return html`<h1>Source</h1><p class="headline">The call of the API that a number is from.</p>
    <${Panel} title="Call" actions=${html`<${Copy} v=${line} />`}><pre tabindex="0">${cut(line, 3000)}</pre><p class="note">$TOKEN stands for your token. All calls: <a href="docs">REST interface</a>.${events ? " Changes are streamed with Accept: text/event-stream." : ""}</p></${Panel}>
    <${Panel} title="Answer" actions=${e.data ? html`<${Copy} v=${answer} />` : null}>
      ${e.error && !e.data ? html`<${Failure} error=${e.error} path=${path} />` : !e.data ? html`<${Loading} slow=${e.slow} lines=${8} />`
        : html`<${Facts} rows=${[["Read at", clock(e.atMs)],
            ["The server's copy was", e.ageS === null ? "read from the database" : e.ageS + " s old"],
            ["ETag", e.etag ? html`<code>${cut(e.etag, 60)}</code>` : "none"]]} />
          <pre tabindex="0" aria-label="Answer">${plain(answer).slice(0, MOST)}${answer.length > MOST ? "\n\u2026 " + answer.length.toLocaleString("en-US") + " characters in all" : ""}</pre>`}</${Panel}>`;
}
