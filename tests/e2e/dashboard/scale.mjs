// A fleet that is scaled for good, looked at meanwhile: everything that this shows has come by itself. Each page
// is loaded once; the views are changed by links, as a reader does.
import fs from "node:fs";
import { calm, check, must, open, shot } from "./stage.mjs";

// All of it together: load, decision, joining, slots; and all of it back again. The test beside us has its own limits.
const ALL_MS = 660000, end = Date.now() + ALL_MS, left = () => Math.max(end - Date.now(), 1000);
const until = async (page, what, fn, arg) => page.waitForFunction(fn, arg, { timeout: left() }).catch(() => { throw new Error("not seen: " + what); });

// Keeps what a page shows, for when it is asked for it that may be over. read gives the words of now; it runs there.
function keep(read) {
  const note = () => read().forEach((w) => window.seen.add(w.replace(/\u202f/g, " ").replace(/\s+/g, " ").trim()));
  window.seen = new Set();
  note();
  new MutationObserver(note).observe(document.body, { childList: true, subtree: true, characterData: true });
}
const watch = (page, read) => page.evaluate(`(${keep})(${read})`); // as text: there is no eval in the page
const saw = (page, pattern) => until(page, pattern, (p) => [...window.seen].some((w) => new RegExp(p).test(w)), pattern);
const all = (page) => page.evaluate(() => [...window.seen]);

// Words of each view.
const READ = {
  fleet: () => [...document.querySelectorAll("main .stat")].map((s) => s.querySelector("dt").textContent + " " + s.querySelector(".value").textContent)
    .concat([...document.querySelectorAll("main [aria-label='Decisions, newest first'] tbody tr, section[aria-label='Size and load'] .rows li")].map((r) => r.textContent)),
  decision: () => [...document.querySelectorAll("section[aria-label='What came of it'] .badge, section[aria-label^='Why'], main h1")].map((b) => b.textContent),
  nodes: () => [...document.querySelectorAll("main [role=group][aria-label='Nodes'] tbody tr")].map((r) => [...r.children].slice(0, 6).map((x) => x.textContent).join(" | "))
    .concat(document.querySelectorAll("main [role=group][aria-label='Nodes'] tbody tr").length + " nodes"),
  plans: () => [...document.querySelectorAll("main .headline .badge, #progress .stat, #progress .waves + .note")].map((b) => b.textContent),
};
const PLACE = (fleet) => ({ fleet: "autoscale/" + fleet, decision: "autoscale", nodes: "nodes", plans: "plans" });

export async function scale(base, fleet, from, to) {
  const token = fs.readFileSync(process.env.PRISM_TOKEN_FILE, "utf8").trim(), pages = {}, grows = `${from} \u2192 ${to}`, shrinks = `${to} \u2192 ${from}`;
  for (const [name, hash] of Object.entries(PLACE(fleet))) {
    const page = pages[name] = await open(base, token);
    page.setDefaultTimeout(left());
    await page.goto(base + "/#/" + hash);
    await page.waitForFunction(() => document.querySelector(".live")?.innerText === "Live" && document.querySelector("main tbody, main .state.quiet"));
    await page.evaluate(() => { window.loadedOnce = true; });
    await watch(page, READ[name]);
  }
  await nodesThere(pages.nodes, from);
  const ids = async () => new Set((await all(pages.nodes)).filter((w) => w.includes(" | ")).map((row) => row.split(" | ")[0])), had = await ids();
  const step = async (name, fn) => { if (going) going = await check(name, fn, left()); }; // each needs the one before
  let going = true;
  console.log("watching"); // from here on load may rise

  await step("scale-out: the decision appears, with its reason", async () => {
    await saw(pages.fleet, "grows" + grows + ".*cpu");
    await pages.decision.click(`main [aria-label='Decisions, newest first'] tbody tr:has-text("${grows}") a`);
    await saw(pages.decision, `^Fleet ${fleet} grows: ${grows}$`);
    await saw(pages.decision, "Why.*Observed[0-9.]+ %threshold 2 %");
    await saw(pages.decision, "^acting$");
  });
  await step("scale-out: its plan appears, and its progress", async () => {
    await pages.plans.click("main tbody tr:has-text('policy autoscale') a");
    await saw(pages.plans, "^running$");
    await saw(pages.plans, "^Slots[1-9][0-9,]*of ");
    await saw(pages.plans, "^done$");
  });
  await step("scale-out: the new nodes appear, in their zones, and get slots", async () => {
    await saw(pages.nodes, `^${to} nodes$`);
    await saw(pages.nodes, `^(?!(${[...had].join("|")}) )\\S+ \\| up \\| [abc] \\| primary \\| \\S+ \\| [1-9]`);
    const fresh = new Set([...await ids()].filter((n) => !had.has(n)));
    must(fresh.size === to - from, "new are: " + [...fresh]);
    await shot(pages.nodes, "scale-nodes");
  });
  await step("scale-out: the decision is done, and the fleet has its size", async () => {
    await saw(pages.decision, "^done$");
    await saw(pages.fleet, `^Wanted ${to}$`);
    await saw(pages.fleet, `^Serving ${to}$`);
    await saw(pages.fleet, `${grows} members`); // in its timeline
    for (const name of ["fleet", "decision", "plans"]) await shot(pages[name], "scale-" + name);
  });
  await step("scale-in: decided, and the nodes leave", async () => {
    await saw(pages.fleet, "shrinks" + shrinks + ".*cpu");
    await nodesThere(pages.nodes, from);
  });
  await step("scaling: nothing was loaded anew, and nothing complained", async () => {
    for (const [name, page] of Object.entries(pages)) {
      must(await page.evaluate(() => window.loadedOnce === true), name + " was loaded anew");
      calm(page);
      await page.context().close();
    }
  });
}

const nodesThere = (page, n) => until(page, n + " nodes", (k) => document.querySelectorAll("main [role=group][aria-label='Nodes'] tbody tr").length === k, n);
