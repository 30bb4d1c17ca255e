// A server that is slow, away, refuses, lies or forgets; a clock that is an hour wrong; ids that nobody means.
import { accessible, body, broken, calm, check, must, open, problem, ready, sees, visit } from "./stage.mjs";

const list = (q) => q.url.startsWith("/v1/nodes");
const NOT = (text, words) => must(!text.includes(words), `"${words}" is on the page`);

async function on(between, hash, fn, options) {
  const page = await open(between.base, "tok-admin", options);
  between.seen.length = 0;
  try { await fn(page, () => visit(page, hash)); } finally { between.pass(); await page.context().close(); }
}

export async function answers(base) {
  const between = await broken(base);
  const told = (name, act, words, back) => check("server: " + name, () => on(between, "nodes", async (page) => {
    between.act = (q) => (list(q) ? act : undefined);
    await page.goto(between.base + "/#/nodes");
    await sees(page, words);
    await accessible(page);
    const alarm = await page.$$eval("main section[aria-label='Nodes'] .name", (x) => x.length);
    must(alarm === 0, "it shows nodes that nobody has told");
    between.pass();
    if (back) { await sees(page, "n0001"); NOT(await body(page), words); }
    calm(page);
  }));
  await told("403", problem(403, "Not allowed", "GET /v1/nodes needs role operator; this token has role viewer"), "This token may not see this");
  await told("429", problem(429, "Too many requests", "you may send 5 reads a second", { "Retry-After": "1" }), "the server asks to wait", true);
  await told("503", problem(503, "Unavailable", "PostgreSQL is away", { "Retry-After": "1" }), "PostgreSQL is away", true);
  await told("no JSON", { status: 200, headers: { "Content-Type": "text/html" }, body: "<html><script>window.pwned=1</script>" }, "The answer was not understood", true);
  await told("JSON of another shape", { status: 200, headers: { "Content-Type": "application/json" }, body: JSON.stringify({ items: [null, 7, { id: {} }] }) }, "The answer was not understood");
  await told("hangs up", { cut: true }, "The server cannot be reached", true);
  await check("server: slow, and that is told", () => on(between, "nodes", async (page) => {
    between.act = (q) => (list(q) ? { wait: 5000 } : undefined);
    await page.goto(between.base + "/#/nodes");
    await sees(page, "Still waiting");
    await sees(page, "n0001");
    calm(page);
  }));
  await check("server: an answer that was long on its way is from when it was asked, and so compared with what changed since", () => on(between, "source?path=v1/costs", async (page) => {
    let askedMs = 0; // the server's clock is this computer's
    between.act = (q) => { if (!q.url.startsWith("/v1/costs")) return undefined; askedMs = Date.now(); return { wait: 4000 }; };
    await page.goto(between.base + "/#/source?path=v1/costs");
    await sees(page, "Read at");
    const [h, m, s] = /Read at\s+(\d+):(\d+):(\d+) UTC/.exec(await body(page)).slice(1).map(Number), readMs = (h * 3600 + m * 60 + s) * 1000, lateMs = (readMs - askedMs % 86400000 + 86400000) % 86400000;
    must(lateMs < 2500 || lateMs > 86400000 - 2500, `it was asked at ${new Date(askedMs).toISOString()}, and read at ${h}:${m}:${s}`);
    calm(page);
  }));
  await check("server: 401 signs out, says so, and the link stays", () => on(between, "nodes", async (page, go) => {
    await go();
    between.act = (q) => (q.url.startsWith("/v1/") ? problem(401, "Not authenticated", "this token was revoked") : undefined);
    between.hangUp();
    await sees(page, "this token was revoked");
    must(page.url().endsWith("#/nodes"), "the link is lost: " + page.url());
    calm(page);
  }));
  between.close();
}

export async function stream(base) {
  const between = await broken(base), streams = () => between.seen.filter((q) => q.url.startsWith("/v1/events"));
  await check("stream: broken, what is shown is told to be old; then it resumes where it was", () => on(between, "nodes", async (page, go) => {
    await go();
    await sees(page, "Live");
    between.act = (q) => (q.url.startsWith("/v1/") ? { cut: true } : undefined);
    between.hangUp();
    await sees(page, "Not live since");
    await page.waitForFunction(() => document.querySelector("section[aria-label='Nodes']").classList.contains("is-stale") && /as of \d\d:\d\d:\d\d UTC/.test(document.querySelector("section[aria-label='Nodes']").innerText));
    await accessible(page);
    between.pass();
    await page.click(".banner button");
    await page.waitForFunction(() => document.querySelector(".live").innerText === "Live" && !document.querySelector("main .is-stale"));
    must(streams().some((q) => q.last), "it did not say where it was");
    calm(page);
  }));
  await check("stream: 410, everything is listed again and followed from there", () => on(between, "nodes", async (page, go) => {
    await go();
    await sees(page, "Live");
    between.act = (q) => (q.url.startsWith("/v1/events") && q.headers["last-event-id"] ? problem(410, "Gone", "changes after this event are not kept") : undefined);
    between.seen.length = 0;
    between.hangUp();
    await page.waitForFunction(() => document.querySelector(".live").innerText === "Live");
    await page.waitForFunction(() => !document.querySelector("main .is-stale"));
    for (let i = 0; i < 300 && !(streams().some((q) => q.last) && streams().some((q) => !q.last) && between.seen.some((q) => q.url.startsWith("/v1/nodes"))); i++) await page.waitForTimeout(100);
    must(streams().some((q) => q.last) && streams().some((q) => !q.last), "it did not begin anew: " + JSON.stringify(streams()));
    must(between.seen.some((q) => q.url.startsWith("/v1/nodes")), "it did not list again");
    calm(page);
  }));
  await check("stream: garbage and endless events do no harm", () => on(between, "nodes", async (page, go) => {
    let n = 0;
    between.act = (q) => (q.url.startsWith("/v1/events") && n++ < 3 ? { status: 200, headers: { "Content-Type": "text/event-stream" }, body: ["event: change\ndata: {no json\n\n", "event: change\nid: 9\ndata: {\"resource\": 7}\n\n", "data: " + "x".repeat(3 << 20)][n - 1] } : undefined);
    await go();
    await page.waitForFunction(() => document.querySelector(".live").innerText === "Live");
    must(n >= 3, "it was not asked again");
    calm(page);
  }));
  await check("nothing is asked for more often than every 5 s while nothing changes", () => on(between, "overview", async (page, go) => {
    await go();
    await sees(page, "Live");
    await page.waitForTimeout(3000); // what the start of the stream brings
    between.seen.length = 0;
    await page.waitForTimeout(8000);
    const asked = {};
    for (const q of between.seen) asked[q.url] = (asked[q.url] || 0) + 1;
    const often = Object.entries(asked).filter(([, k]) => k > 2);
    must(often.length === 0, JSON.stringify(often));
  }));
  between.close();
}

export async function clocks(base) {
  for (const hours of [1, -1])
    await check(`clock: this computer is ${hours} h ${hours > 0 ? "ahead" : "behind"}, times are the server's`, async () => {
      const page = await open(base, "tok-admin", { init: `{ const real = Date.now.bind(Date); Date.now = () => real() + ${hours * 3600000}; }` });
      await visit(page, "audit");
      await sees(page, hours > 0 ? "60 min ahead of the server's" : "60 min behind the server's");
      const first = await page.evaluate(() => document.querySelector("main tbody time").textContent);
      must(/(\d+ s|[0-9]+ min) ago$/.test(first.replace(/\u202f/g, " ")), "the newest entry is from " + first);
      const [, n, unit] = /, (\d+).(s|min) ago$/.exec(first); // of this test, some minutes old at most: no hour off
      must(unit === "s" || Number(n) < 50, "the newest entry is from " + first);
      await accessible(page);
      calm(page);
      await page.context().close();
    });
}

export async function ids(base) {
  const page = await open(base, "tok-admin");
  for (const [name, id] of [["10,000 characters", "x".repeat(10000)], ["markup", "<img src=x onerror=window.pwned=1>"], ["right to left, controls", "a\u202eb\u0007c\u0000"], ["slashes and dots", "../../v1/audit?x=1#y"], ["percent", "%zz%00"], ["a quote of 1,024 bytes", "'".repeat(1024)]])
    await check("vertex id: " + name, async () => {
      await visit(page, "vertex?id=" + encodeURIComponent(id));
      must(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && window.pwned === undefined), "it breaks the page");
      NOT(await body(page), "\u202e");
      calm(page);
    });
  await check("links that nobody has made lead nowhere bad", async () => {
    for (const hash of ["nowhere", "plans/abc", "plans/999999999", "nodes/%zz", "nodes?slot=99999", "runs/-1", "autoscale/none", "autoscale/none/0", "source?path=https://example.com/", "source?path=v1/../x", "nodes?page=garbage", "dr?from=1e9", "zones?run=x&side=y", "%"]) {
      await page.goto("about:blank");
      await page.goto(page.base + "/#/" + hash);
      await ready(page).catch(() => { throw new Error("no end to " + hash); });
    }
    must(await page.evaluate(() => document.querySelector("main h1") !== null), "no page");
    calm(page);
  });
  await page.context().close();
}
