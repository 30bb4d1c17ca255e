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

const CHECK_MS = 120000;
let failed = 0, done = 0;
export async function check(name, fn) {
  const from = Date.now();
  let timer;
  try { // a page that hangs answers nothing, for ever
    await Promise.race([fn(), new Promise((_, no) => { timer = setTimeout(() => no(new Error("no end after " + CHECK_MS / 1000 + " s")), CHECK_MS); })]);
    done++;
    console.log(`ok ${name} (${Date.now() - from} ms)`);
  } catch (e) {
    failed++;
    console.log(`FAILED ${name}: ${e.message}\n${String(e.stack).split("\n").slice(1, 4).join("\n")}`);
  }
  clearTimeout(timer);
}
export function must(what, words) { if (!what) throw new Error(words); }
export function finish() {
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
// content security policy. Answers that are refusals are not complaints: the page is to tell them.
export async function open(base, token, { theme = "light", width = 1280, init } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: theme, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.complaints = [];
  page.base = base;
  page.setDefaultTimeout(PATIENCE_MS);
  page.on("pageerror", (e) => page.complaints.push("script: " + e.message));
  page.on("console", (m) => {
    if (m.type() === "error" && !/^Failed to load resource/.test(m.text())) page.complaints.push("console: " + m.text());
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
  await page.waitForFunction(() => document.querySelector("main h1") && !document.querySelector("main .state.loading") && !document.querySelector("main .headline")?.textContent.startsWith("Looking"));
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

export async function accessible(page, only) {
  await page.evaluate(axeSource);
  const broken = await page.evaluate(async (rules) => {
    // One row of a table is like another: some of each are enough.
    const r = await globalThis.axe.run({ include: [["html"]], exclude: [["tbody tr:nth-child(n+6)"], [".rows li:nth-child(n+8)"]] }, { resultTypes: ["violations"], ...(rules ? { runOnly: rules } : {}) });
    return r.violations.map((v) => v.id + ": " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(" | "));
  }, only);
  must(broken.length === 0, "axe: " + broken.join("; "));
}

export async function shot(page, name) {
  const height = Math.min(2400, await page.evaluate(() => document.documentElement.scrollHeight)), width = page.viewportSize().width;
  await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true, clip: { x: 0, y: 0, width, height } });
}

/* --- a broken server --- */

// between.act(request) says what becomes of a request: undefined passes it on, else { status, headers, body,
// wait, cut }; between.heads(headers) changes the headers of answers. between.hangUp() ends what is open.
export async function broken(target) {
  const to = new URL(target), open_ = new Set(), seen = [];
  const between = { act: () => undefined, heads: (h) => h, seen };
  const server = http.createServer(async (q, s) => {
    seen.push({ method: q.method, url: q.url, last: q.headers["last-event-id"] });
    const a = between.act(q);
    if (a?.wait) await new Promise((go) => setTimeout(go, a.wait));
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
