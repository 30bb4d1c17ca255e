// A browser, pages signed in by role, what they may not do, and a proxy that plays a broken server.
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";

const require = createRequire(process.env.PRISM_BROWSER_MODULES + "/");
const { chromium } = require("playwright-core");
const axeSource = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
export const PATIENCE_MS = 30000; // an event is awaited; how long says nothing about what is tested
export const shots = process.env.PRISM_SHOTS;

/* --- checks --- */

const CHECK_MS = 300000; // for a browser that nothing else can end; a machine that does much else takes long over axe
let failed = 0, done = 0;
const complained = []; // by any page in any view, however a check ended
export async function check(name, fn, mostMs = CHECK_MS) {
  const from = Date.now();
  let timer, ok = false;
  try { // a page that hangs answers nothing, for ever
    await Promise.race([fn(), new Promise((_, no) => { timer = setTimeout(() => no(new Error("no end after " + mostMs / 1000 + " s")), mostMs); })]);
    done++;
    ok = true;
    console.log(`ok ${name} (${Date.now() - from} ms)`);
  } catch (e) {
    failed++;
    console.log(`FAILED ${name}: ${e.message}\n${String(e.stack).split("\n").slice(1, 4).join("\n")}`);
  }
  clearTimeout(timer);
  return ok;
}
export const closing = []; // what the run has measured, told at its end
export function must(what, words) { if (!what) throw new Error(words); }
export function finish() {
  if (complained.length) { failed++; console.log("FAILED complaints of the browser:\n  " + [...new Set(complained)].slice(0, 20).join("\n  ")); }
  closing.forEach((words) => console.log(words));
  console.log(`${done} passed, ${failed} failed`);
  return failed === 0 && done > 0 ? 0 : 1;
}

/* --- the browser --- */

let browser;
export async function start() {
  browser = await chromium.launch({
    executablePath: process.env.PRISM_CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"],
  });
}
export const stop = () => Promise.race([browser.close(), new Promise((go) => setTimeout(go, 10000))]);

// A page whose complaints are kept: page.complaints are errors of scripts, of the console and of the
// content security policy. Answers that are refusals are not complaints: the page is to tell them. What
// any page complains of fails the whole run (finish), unless it is to complain.
export async function open(base, token, { theme = "light", width = 1280, init, complains = false } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: theme, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.complaints = [];
  page.base = base;
  page.setDefaultTimeout(PATIENCE_MS);
  const complain = (words) => { page.complaints.push(words); if (!complains) complained.push(words + " (" + page.url().slice(0, 200) + ")"); };
  page.on("pageerror", (e) => complain("script: " + e.message));
  page.on("console", (m) => {
    if (m.type() === "error" && !/^Failed to load resource/.test(m.text())) complain("console: " + m.text());
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (e) => console.error("CSP: " + e.violatedDirective + " " + e.blockedURI + " " + e.sample));
  });
  if (init) await page.addInitScript(init);
  if (token) await page.addInitScript((t) => { if (location.protocol.startsWith("http")) sessionStorage.setItem("prism.token", t); }, token);
  return page;
}

// Waits until the view has what it shows.
export async function ready(page) {
  await page.waitForFunction(() => document.querySelector("main h1") && !document.querySelector("main .state.loading") && !document.querySelector("main .headline")?.textContent.startsWith("Looking"))
    .catch(async () => { throw new Error("it still waits: " + (await body(page)).slice(0, 600)); });
}
// Loads anew, as who follows a link does; how long that took: until something is painted, until all is there.
export async function visit(page, hash) {
  await page.goto("about:blank");
  await page.goto(page.base + "/#/" + hash);
  await ready(page);
  return page.evaluate(() => ({ paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Infinity, all: performance.now() }));
}
export const calm = (page) => must(page.complaints.length === 0, page.complaints.join("; "));
export const body = (page) => page.evaluate(() => document.body.innerText.replace(/\u202f/g, " ")); // narrow blanks, too
export const sees = (page, words) => page.waitForFunction((w) => document.body.innerText.replace(/\u202f/g, " ").includes(w), words);

// All of the page, tables to their last row and what is folded: nothing is left out because it is scrolled away.
export async function accessible(page, only) {
  if (!await page.evaluate(() => "axe" in globalThis)) await page.evaluate(axeSource);
  const { broken, rows } = await page.evaluate(async (rules) => {
    const folded = [...document.querySelectorAll("main details:not([open])")], scrolled = [...document.querySelectorAll("main .table-scroll, main pre")];
    const drawn = () => new Promise((go) => requestAnimationFrame(() => setTimeout(go, 0)));
    folded.forEach((d) => { d.open = true; });
    scrolled.forEach((e) => { e.style.maxHeight = "none"; e.style.overflow = "visible"; });
    await drawn();
    await drawn();
    const r = await globalThis.axe.run(document, { resultTypes: ["violations", "incomplete"], ...(rules ? { runOnly: rules } : {}) });
    const rows = document.querySelectorAll("main tbody tr").length;
    // What axe cannot judge (something may lie above it) is judged here: text against what it stands on.
    const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
    const rgba = (c) => { pen.clearRect(0, 0, 1, 1); pen.fillStyle = c; pen.fillRect(0, 0, 1, 1); const d = pen.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
    const onto = (below, [r, g, b, a]) => [r * a + below[0] * (1 - a), g * a + below[1] * (1 - a), b * a + below[2] * (1 - a), 1];
    const behind = (e) => { const over = []; for (let x = e; x; x = x.parentElement) over.unshift(rgba(getComputedStyle(x).backgroundColor)); return over.reduce(onto, [255, 255, 255, 1]); };
    const light = (c) => { const [r, g, b] = c.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4)); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const contrast = (e) => { const s = getComputedStyle(e), b = behind(e), t = light(onto(b, rgba(e instanceof SVGElement ? s.fill : s.color))), u = light(b); return (Math.max(t, u) + 0.05) / (Math.min(t, u) + 0.05); };
    const faint = r.incomplete.filter((v) => v.id === "color-contrast").flatMap((v) => v.nodes).map((n) => [n.html, document.querySelector(n.target[0])]).filter(([, e]) => !e || contrast(e) < 4.5)
      .map(([html, e]) => "contrast " + (e ? contrast(e).toFixed(2) : "unknown") + ": " + html.slice(0, 160));
    folded.forEach((d) => { d.open = false; });
    scrolled.forEach((e) => { e.style.maxHeight = e.style.overflow = ""; });
    return { rows, broken: [...r.violations.map((v) => v.id + ": " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(" | ")), ...faint] };
  }, only);
  must(broken.length === 0, "axe: " + broken.join("; "));
  return rows;
}

export async function shot(page, name) {
  const height = Math.min(2400, await page.evaluate(() => document.documentElement.scrollHeight)), width = page.viewportSize().width;
  await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true, clip: { x: 0, y: 0, width, height } });
}

// What the pages of docs/ show: as much as a window has.
export async function picture(page, name, of) {
  await page.setViewportSize({ width: 1280, height: 860 });
  await page.emulateMedia({ colorScheme: "light" });
  if (of) await page.evaluate((s) => scrollTo(0, document.querySelector(s).getBoundingClientRect().top + scrollY - 70), of);
  await page.screenshot({ path: `${shots}/dashboard-${name}.png` });
}

/* --- a broken server --- */

// between.act(request) says what becomes of a request: undefined passes it on, else { status, headers, body,
// wait (ms, or a promise), cut }; between.heads(headers) changes the headers of answers. between.hangUp() ends what is open.
export async function broken(target) {
  const to = new URL(target), open_ = new Set(), seen = [];
  const between = { act: () => undefined, heads: (h) => h, seen };
  const server = http.createServer(async (q, s) => {
    seen.push({ method: q.method, url: q.url, last: q.headers["last-event-id"] });
    const a = between.act(q);
    if (a?.wait) await (typeof a.wait === "number" ? new Promise((go) => setTimeout(go, a.wait)) : a.wait);
    if (a?.cut) { s.destroy(); return; }
    if (a?.status) { s.writeHead(a.status, { "Content-Type": "application/problem+json", ...a.headers }); s.end(a.body ?? ""); return; }
    const r = http.request({ host: to.hostname, port: to.port, path: q.url, method: q.method, headers: q.headers }, (x) => {
      s.writeHead(x.statusCode, between.heads({ ...x.headers }));
      x.pipe(s);
      open_.add(s);
      s.on("close", () => { open_.delete(s); r.destroy(); });
    });
    r.on("error", () => s.destroy());
    q.pipe(r);
  });
  await new Promise((go) => server.listen(0, "127.0.0.1", go));
  between.base = "http://127.0.0.1:" + server.address().port;
  between.hangUp = () => open_.forEach((s) => s.destroy());
  between.close = () => { between.hangUp(); server.close(); server.closeAllConnections(); };
  between.pass = () => { between.act = () => undefined; between.heads = (h) => h; };
  return between;
}
export const problem = (status, title, detail, headers = {}) => ({ status, headers, body: JSON.stringify({ type: "about:blank", title, status, detail }) });
