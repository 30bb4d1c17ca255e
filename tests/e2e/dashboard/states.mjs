// What a view shows when there is nothing, nothing yet, nothing for this token, nothing that comes, or nothing new:
// each of these for every view, not for one that stands for all.
import { accessible, body, broken, calm, check, must, open, problem, ready, sees } from "./stage.mjs";

// hash; words that only data can have brought; words when there is nothing at all.
const ALL = [
  ["overview", "node n0777 has failed", "There is no cluster yet"], ["zones", "report of run 30", "Not computed yet"], ["vertex?id=42", "at home", null], ["plans", "join n0999, n1000", "There is no plan yet"],
  ["plans/1", "the slowest node is given time", "Not there"], ["runs", "run 30", "No run yet"], ["runs/30", "little of the edge weight", "Not there"], ["nodes", "n0050", "No node is registered"],
  ["nodes?tab=shards&slot=5", "500 shards", "No shard"], ["nodes?tab=partitions", "1,049", "The store has not been initialised"], ["nodes/n0777", "failed", "Not there"], ["autoscale", "proxies", "No fleet is scaled"],
  ["autoscale/proxies", "adaptive", "Not there"], ["autoscale/proxies/1435", "cpu 74", "Not there"], ["dr", "RPO now", "No drill yet"], ["operations", "rebalance.execute", "There was no operation yet"],
  ["audit", "node.patch", "Nothing was changed yet"],
];
const asked = (q) => q.method === "GET" && q.url.startsWith("/v1/") && !/^\/v1\/(whoami|events)/.test(q.url);
const shows = (page, words) => page.waitForFunction((w) => (document.getElementById("main")?.innerText || "").replace(/\u202f/g, " ").toLowerCase().includes(w), words.toLowerCase())
  .catch(async () => { throw new Error(`no "${words}" in ${page.url().split("#")[1]}: ${(await page.evaluate(() => document.body.innerText)).slice(0, 400)}`); });
const go = (page, hash) => page.evaluate((h) => { location.hash = "#/" + h; }, hash);

// The words of a state are looked for in every view; they are drawn by the same parts everywhere, so axe looks at some.
const LOOKED_AT = ["overview", "zones", "plans/1", "nodes/n0777", "dr"];
const fair = async (page, hash, only) => { if (LOOKED_AT.includes(hash)) await accessible(page, only); };

// Four pages share the views between them: most of the time is waiting.
async function each(between, views, fn) {
  const left = [...views];
  await Promise.all([0, 1, 2, 3].map(async () => {
    const b = await broken(between), page = await open(b.base, "tok-admin");
    for (let v; (v = left.shift());) await fn(b, page, v);
    await page.context().close();
    b.close();
  }));
}

export async function empty(base) {
  await check("nothing is there: every view says so, and what would bring something", async () => {
    const page = await open(base, "tok-admin");
    await page.goto(base + "/#/overview");
    for (const [hash, , words] of ALL) {
      await go(page, hash);
      if (words) await shows(page, words);
      await ready(page);
      const text = await body(page);
      must(!/NaN|undefined|Infinity|\[object|was not understood/.test(text), hash + " is not made for nothing: " + text.slice(0, 600));
      await accessible(page);
    }
    calm(page);
    await page.context().close();
  });
}

export async function states(base) {
  await check("loading: every view waits visibly, then shows what came", () => each(base, ALL, async (b, page, [hash, words]) => {
    let let_go;
    const held = new Promise((yes) => { let_go = yes; });
    b.act = (q) => (asked(q) ? { wait: held } : undefined);
    await page.goto("about:blank");
    await page.goto(b.base + "/#/" + hash);
    await page.waitForSelector("main .state.loading").catch(async () => { throw new Error(hash + " does not wait: " + (await body(page)).slice(0, 300)); });
    await shows(page, "Still waiting");
    must(!(await body(page)).includes(words), hash + " shows what nobody has told");
    await fair(page, hash);
    b.pass();
    let_go();
    await shows(page, words);
    await ready(page);
    calm(page);
  }));
  await check("forbidden: every view says so, shows nothing, and waits for nothing", () => each(base, ALL, async (b, page, [hash, words]) => {
    b.act = (q) => (asked(q) ? problem(403, "Not allowed", "it needs role admin; this token has role viewer") : undefined);
    await page.goto("about:blank");
    await page.goto(b.base + "/#/" + hash);
    await shows(page, "This token may not see this");
    await ready(page);
    must(!(await body(page)).includes(words), hash + " shows what nobody has told");
    await fair(page, hash);
    calm(page);
  }));
  await check("failed: every view says why, and mends itself when the server does", () => each(base, ALL, async (b, page, [hash, words]) => {
    b.act = (q) => (asked(q) ? problem(503, "Unavailable", "PostgreSQL is away", { "Retry-After": "1" }) : undefined);
    await page.goto("about:blank");
    await page.goto(b.base + "/#/" + hash);
    await shows(page, "PostgreSQL is away");
    await fair(page, hash);
    b.pass();
    await shows(page, words);
    await page.waitForFunction(() => !document.getElementById("main").innerText.includes("PostgreSQL is away"));
    calm(page);
  }));
  await check("stale: what every view keeps on show is said to be old, from when, and not after it is live again", async () => {
    const b = await broken(base), page = await open(b.base, "tok-admin");
    await page.goto(b.base + "/#/overview");
    for (const [hash, words] of ALL) { await go(page, hash); await shows(page, words); await ready(page); }
    await sees(page, "Live");
    b.act = (q) => (q.url.startsWith("/v1/") ? { cut: true } : undefined);
    b.hangUp();
    await sees(page, "Not live since");
    for (const [hash, words] of ALL) {
      await go(page, hash);
      await shows(page, words);
      // What a run has found is so for ever; everything else carries the time that it is from.
      await page.waitForFunction(() => [...document.querySelectorAll("main section.panel")].every((s) => !s.querySelector(".source") || !s.querySelector("td, .stat .value, .facts, .rows a, .chain")
        || (s.classList.contains("is-stale") && /as of \d\d:\d\d:\d\d UTC/.test(s.innerText)) || ["Traffic matrix", "Over time", "Changes"].includes(s.getAttribute("aria-label"))))
        .catch(async () => { throw new Error(hash + " shows as new: " + await page.evaluate(() => [...document.querySelectorAll("main section.panel:not(.is-stale)")].map((s) => s.getAttribute("aria-label")).join(", "))); });
      await fair(page, hash, ["color-contrast"]);
    }
    b.pass();
    await page.click(".banner button");
    await page.waitForFunction(() => document.querySelector(".live").innerText === "Live");
    for (const [hash, words] of ALL) {
      await go(page, hash);
      await shows(page, words);
      await page.waitForFunction(() => !document.querySelector("main .is-stale"));
    }
    calm(page);
    await page.context().close();
    b.close();
  });
  await check("the server restarts while the page, or a view, is loaded: it is tried again", async () => {
    const b = await broken(base), page = await open(b.base, "tok-admin");
    b.act = (q) => (q.url === "/ui/data.js" ? { cut: true } : undefined);
    await page.goto(b.base + "/#/overview");
    await sees(page, "could not be loaded from the server");
    b.pass();
    await sees(page, "Live");
    const loads = () => page.evaluate(() => Number(sessionStorage.getItem("prism.loads")));
    await page.waitForFunction(() => document.readyState === "complete" && Number(sessionStorage.getItem("prism.loads")) === 0);
    await page.evaluate(() => document.head.appendChild(document.createElement("script")).dispatchEvent(new Event("error"))); // as one of an extension
    must(await loads() === 0, "it is loaded again for a script that is not its own");
    await page.evaluate(() => sessionStorage.setItem("prism.loads", "5")); // it has been tried often enough
    b.act = (q) => (q.url === "/ui/data.js" ? { cut: true } : undefined);
    await page.goto("about:blank");
    await page.goto(b.base + "/#/overview");
    await sees(page, "Load the page again");
    b.pass();
    await page.reload();
    await sees(page, "Live");
    b.act = (q) => (q.url === "/ui/view-plans.js" ? { cut: true } : undefined);
    await go(page, "plans");
    await sees(page, "script could not be loaded");
    b.pass();
    await shows(page, "join n0999, n1000");
    calm(page);
    await page.context().close();
    b.close();
  });
  await check("the server restarts in the middle: it goes on by itself", async () => {
    const b = await broken(base), page = await open(b.base, "tok-admin");
    await page.goto(b.base + "/#/overview");
    await sees(page, "Live");
    for (let i = 0; i < 3; i++) {
      b.act = () => ({ cut: true });
      b.hangUp();
      await page.waitForFunction(() => document.querySelector(".live").innerText !== "Live");
      b.pass();
      await page.waitForFunction(() => document.querySelector(".live").innerText === "Live");
      await page.waitForFunction(() => !document.querySelector("main .is-stale"));
    }
    calm(page);
    await page.context().close();
    b.close();
  });
}
