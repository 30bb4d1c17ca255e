// With the keyboard alone: every view in the order of what it shows, each thing with a mark that it has the focus and
// below nothing else, there and back; then each kind of thing is used with keys.
import { calm, check, must, open, ready, sees, visit } from "./stage.mjs";

// Every view; lists mostly with few rows, since each is gone over thing by thing.
const WALKED = ["overview", "zones", "vertex?id=42", "plans", "plans/1?state=stuck", "plans/3", "runs", "runs/30", "nodes", "nodes?tab=shards&slot=5&from=490", "nodes?tab=partitions&inslot=5", "nodes/n0777", "autoscale?move=out&alarm=true",
  "autoscale/proxies?alarm=true", "autoscale/proxies/1435", "dr", "operations?id=22222222-2222-2222-2222-222222222222", "audit?principal=nobody", "source?path=v1/costs"];
const BACK = ["overview", "zones", "nodes", "dr"]; // longer than the window, with tables that scroll: what lies at the top lies above something

const press = async (page, ...keys) => { for (const k of keys) await page.keyboard.press(k); };
const focused = (page) => page.evaluate(() => { const e = document.activeElement; return { tag: e.tagName, words: (e.getAttribute("aria-label") || e.innerText || e.textContent).replace(/\u202f/g, " ").trim(), group: e.closest("[aria-label]")?.getAttribute("aria-label") }; });
// Tab until the focus is on something of these words in something of that label; never by a pointer or by focus().
async function reach(page, words, group, key = "Tab") {
  const seen = [];
  for (let i = 0; i < 400; i++) {
    await press(page, key);
    const f = await focused(page);
    if (f.words === words && (!group || f.group === group)) return;
    seen.push(f.words.slice(0, 20));
  }
  throw new Error(`Tab does not lead to "${words}": ` + seen.slice(0, 60).join(", "));
}
const at = (page, what, fn, arg) => page.waitForFunction(fn, arg).catch(async () => { throw new Error(what + ": the focus is on " + JSON.stringify(await focused(page))); });
const lost = (page) => page.evaluate(() => document.activeElement === document.body);

/* --- the order, the mark, nothing above it --- */

// Runs in the page: notes what each Tab comes to. A key is up when what it does is done.
function note() {
  const CAN = "a[href], button, input, select, textarea, summary, [tabindex='0']";
  const name = (e) => (e.closest("section")?.getAttribute("aria-label") || e.closest("[aria-label]")?.getAttribute("aria-label") || "") + "/" + (e.getAttribute("aria-label") || e.textContent || e.tagName).trim().slice(0, 30);
  window.walked = [];
  window.all = () => [...document.querySelectorAll(CAN)].filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.disabled && e.tabIndex >= 0);
  addEventListener("keyup", (k) => {
    const e = document.activeElement;
    if (k.key !== "Tab" || e === document.body) return;
    const s = getComputedStyle(e), b = e.getBoundingClientRect(), wrong = [];
    if (!e.matches(":focus-visible") || s.outlineStyle === "none" || parseFloat(s.outlineWidth) < 2) wrong.push("has no mark of the focus");
    // In a table that scrolls, and on the page: some of it is to be seen.
    const points = [[0.5, 0.5], [0.1, 0.5], [0.5, 0.1], [0.9, 0.5], [0.5, 0.9]].map(([x, y]) => document.elementFromPoint(b.left + b.width * x, b.top + b.height * y)).filter(Boolean);
    if (!points.some((p) => e === p || e.contains(p) || p.contains(e) && !p.matches("header, thead, thead *, nav.side"))) wrong.push("is not to be seen");
    if (!name(e).split("/")[1] && !e.labels?.length) wrong.push("has no name");
    window.walked.push({ e, wrong: wrong.map((w) => name(e) + " " + w) });
  }, true);
  window.judge = (all) => { // what came or went meanwhile is not judged: nothing stands still here
    const went = window.walked.map((w) => w.e).filter((e) => all.includes(e)), want = all.filter((e) => e.isConnected), first = want.findIndex((e, i) => e !== went[i]);
    return { wrong: window.walked.flatMap((w) => w.wrong), order: first < 0 ? "" : `${name(want[first])} was to come as ${first + 1}., but ${went[first] ? name(went[first]) : "nothing"} came` };
  };
}

async function walk(page, hash) {
  await page.evaluate((h) => new Promise((go) => { location.hash = "#/" + h; requestAnimationFrame(() => requestAnimationFrame(go)); }), hash);
  await ready(page);
  for (const key of BACK.includes(hash) ? ["Tab", "Shift+Tab"] : ["Tab"]) {
    const n = await page.evaluate((back) => {
      const all = window.all(), here = all.indexOf(document.activeElement);
      window.walked = [];
      window.wanted = back ? all.slice(0, here).reverse() : all.slice(1);
      if (!back) all[0].focus(); // the skip link
      return window.wanted.length;
    }, key !== "Tab");
    for (let i = 0; i < n; i++) await press(page, key);
    for (let i = 0; i < 20 && !await page.evaluate(() => window.walked.some((w) => w.e === window.wanted.filter((e) => e.isConnected).pop())); i++) await press(page, key); // some came in between
    const r = await page.evaluate(() => window.judge(window.wanted));
    must(n > 15, `only ${n} things can have the focus`);
    must(r.wrong.length === 0, `by ${key}: ` + r.wrong.slice(0, 5).join("; "));
    must(!r.order, `by ${key}: ${r.order}`);
  }
}

/* --- each kind of thing --- */

async function tables(page) {
  await check("keys: pages of a list are turned, and the focus goes to the rows that came", async () => {
    for (const [hash, list, nav] of [["nodes", "Nodes", "Pages"], ["dr", "Shards, those with alarms first", "Pages of shards"]]) {
      await visit(page, hash);
      await reach(page, "Next 50", nav, "Shift+Tab");
      const first = await page.evaluate((l) => document.querySelector(`[aria-label="${l}"] tbody th`).textContent, list);
      await press(page, "Enter");
      await at(page, `${hash}: the table is not next`, ([l, was]) => document.activeElement.getAttribute("aria-label") === l && document.activeElement.querySelector("tbody th").textContent !== was, [list, first]);
    }
  });
  await check("keys: a table that is longer than its place is scrolled", async () => {
    await visit(page, "nodes");
    await reach(page, "Nodes", "Nodes");
    const top = () => page.evaluate(() => document.activeElement.scrollTop);
    await press(page, "End");
    await page.waitForFunction(() => document.activeElement.scrollTop > 100);
    await press(page, "Home");
    await page.waitForFunction(() => document.activeElement.scrollTop === 0);
    must(await top() === 0, "it stays");
  });
  await check("keys: filters are chosen and keep the focus; what is opened and closed gives it back", async () => {
    await visit(page, "nodes");
    await reach(page, "c", "Zone");
    await press(page, "Enter");
    await at(page, "the filter", () => location.hash.includes("zone=c") && document.activeElement.textContent === "c" && document.activeElement.getAttribute("aria-current") === "true");
    await ready(page);
    for (const [hash, words, list] of [["audit", "node.patch", "Audit trail, newest first"], ["operations", "rebalance.plan", "Operations, newest first"]]) {
      await visit(page, hash);
      await reach(page, words);
      await press(page, "Enter");
      await page.waitForFunction(() => [...document.querySelectorAll("main section header a")].some((a) => a.textContent === "Close"));
      must(!await lost(page), "the focus is lost when it opens");
      await reach(page, "Close", undefined, "Shift+Tab");
      await press(page, "Enter");
      await at(page, hash + ": closed", (l) => document.activeElement.getAttribute("aria-label") === l, list);
    }
  });
}

async function pictures(page) {
  await check("keys: the map of slots is gone over, told in words, and a slot is picked", async () => {
    await visit(page, "nodes?tab=shards");
    await reach(page, "Map of the slots by zone: arrow keys go over it, Enter picks");
    const says = () => page.evaluate(() => document.activeElement.getAttribute("aria-valuetext"));
    const shardOf = (slot) => "n" + String(Math.floor(slot * 500 / 16384) + 1).padStart(4, "0"); // as the rows were made
    await press(page, "ArrowRight", "ArrowRight", "ArrowDown");
    must((await says()).startsWith("slot 130:") && (await says()).endsWith(shardOf(130)), await says());
    must(await page.evaluate(() => document.querySelector(".slots .cursor") !== null), "nothing shows where it is");
    await press(page, "End", "ArrowRight");
    must((await says()).startsWith("slot 16383:"), await says());
    await press(page, "Home", "ArrowLeft", "ArrowDown", "Enter");
    await page.waitForFunction(() => location.hash.includes("slot=128"));
    await sees(page, "Slot 128");
    must(!await lost(page), "the focus is lost");
  });
  await check("keys: zones in the picture lead to their nodes, and the matrix has its figures in cells", async () => {
    await visit(page, "zones");
    await reach(page, "Nodes of zone c, up, 333 nodes, 5,472 slots");
    const cells = await page.evaluate(() => [...document.querySelectorAll("[aria-label='Traffic between zones'] tbody tr")].map((r) => [r.querySelector("th[scope=row]").textContent, ...[...r.querySelectorAll("td")].map((c) => c.textContent)]));
    must(cells.length === 3 && cells.every((r) => r.length === 4 && r.slice(1).every((c) => /^[\d,]+.*%$/.test(c))), JSON.stringify(cells));
    await press(page, "Enter");
    await at(page, "the nodes", () => location.hash === "#/nodes?zone=c" && document.activeElement.tagName === "H1");
  });
  await check("keys: every chart has its values as a table", async () => {
    for (const [hash, most] of [["zones", 24], ["autoscale/proxies", 170], ["dr", 140]]) {
      await visit(page, hash);
      await reach(page, "Values as a table");
      await press(page, "Enter");
      await page.waitForFunction(() => document.querySelector("details.values[open] tbody tr"));
      await press(page, "Tab");
      const { rows, wide } = await page.evaluate(() => ({ rows: document.activeElement.querySelectorAll("tbody tr").length, wide: document.activeElement.querySelectorAll("thead th").length }));
      must(rows >= most && wide > 2, `${hash}: ${rows} rows of ${wide}`);
      must(await page.evaluate(() => /Newest: .+ The table below has all values/.test(document.querySelector(".plot").getAttribute("aria-label"))), "the chart says nothing");
    }
  });
}

async function dialogs(base) {
  const page = await open(base, "tok-operator");
  await check("keys: a dialog takes the focus, keeps it, and gives it back", async () => {
    for (const [hash, words] of [["plans/3", "Approve"], ["dr", "Run a drill"]]) { // with what is ticked, and what is chosen
      await visit(page, hash);
      await reach(page, words);
      for (const [opens, leaves] of [["Enter", "Escape"], ["Space", "Leave it"]]) {
        await press(page, opens);
        await at(page, `${hash}: "${words}" opens nothing by ${opens}`, () => document.activeElement.closest("dialog[open]"));
        for (let i = 0; i < 8; i++) { // around, and over the end
          await press(page, i < 5 ? "Tab" : "Shift+Tab");
          must(await page.evaluate(() => !!document.activeElement.closest("dialog") || document.activeElement === document.body), `${hash}: Tab leaves the dialog`);
        }
        if (leaves === "Escape") await press(page, "Escape");
        else { await reach(page, leaves); await press(page, "Enter"); }
        await page.waitForSelector("dialog", { state: "detached" });
        await at(page, `${hash}: closed by ${leaves}`, (w) => document.activeElement.textContent === w, words);
      }
    }
  });
  await check("keys: what was done leaves the focus where it was, also when the button is another then", async () => {
    await visit(page, "plans");
    for (const [words, then] of [["Stop everything", "Start rebalance"], ["Start rebalance", "Stop everything"]]) {
      if (then === "Start rebalance") await reach(page, words);
      await press(page, "Enter");
      await page.waitForSelector("dialog[open]");
      await reach(page, words, undefined, "Shift+Tab"); // the last of the dialog
      await press(page, "Enter");
      await page.waitForSelector("dialog", { state: "detached" });
      await at(page, words, (w) => document.activeElement.textContent === w, then);
    }
  });
  await check("keys: a button that is off is reached, says why, and does nothing", async () => {
    await visit(page, "plans/1");
    await reach(page, "Resume");
    must(await page.evaluate(() => { const b = document.activeElement; return b.getAttribute("aria-disabled") === "true" && document.getElementById(b.getAttribute("aria-describedby")).textContent === "Off: the plan is not paused"; }), "it does not say why");
    await press(page, "Enter", "Space");
    must(await page.$("dialog") === null, "it opens its dialog");
  });
  await check("keys: a drill is chosen in its dialog, and asked for", async () => {
    await visit(page, "dr");
    await reach(page, "Run a drill");
    await press(page, "Enter");
    await page.waitForSelector("dialog[open]");
    await at(page, "the choice", () => document.activeElement.tagName === "SELECT");
    await page.keyboard.type("n0042");
    must(await page.evaluate(() => document.activeElement.value) === "n0042", "it is not chosen");
    await press(page, "Tab", "Tab", "Enter"); // over "Leave it"
    await page.waitForSelector("dialog", { state: "detached" });
    await page.waitForFunction(() => [...document.querySelectorAll("section[aria-label='Drills'] tbody tr")].some((r) => /^n0042/.test(r.innerText) && /queued/.test(r.innerText)));
    must(!await lost(page), "the focus is lost");
  });
  calm(page);
  await page.context().close();
}

async function narrow(base) {
  await check("keys: signed in, a view chosen in the menu of a small window, a vertex looked up, signed out", async () => {
    const page = await open(base, null, { width: 390 });
    await page.goto(base + "/#/overview");
    await at(page, "the token", () => document.activeElement.id === "token");
    await page.keyboard.type("no-such-token");
    await press(page, "Enter");
    await sees(page, "this token is not known");
    await at(page, "the token again", () => document.activeElement.id === "token");
    await press(page, "Control+A");
    await page.keyboard.type("tok-viewer");
    await press(page, "Enter");
    await ready(page);
    await reach(page, "Menu");
    await press(page, "Enter");
    await at(page, "the menu", () => document.activeElement.textContent === "Overview" && document.querySelector(".menu").getAttribute("aria-expanded") === "true");
    await press(page, "Escape");
    await at(page, "the menu is left", () => document.activeElement.matches(".menu") && document.activeElement.getAttribute("aria-expanded") === "false");
    await press(page, "Space");
    await reach(page, "Licences");
    await press(page, "Tab"); // out of it: what lies below it has the focus now
    await at(page, "the menu is gone", () => document.activeElement.closest("main") && !document.querySelector(".side.open"));
    await reach(page, "Menu", undefined, "Shift+Tab");
    await press(page, "Enter");
    await reach(page, "Find a vertex");
    await press(page, "Enter");
    await at(page, "the view", () => document.activeElement.tagName === "H1" && document.activeElement.textContent === "Find a vertex");
    must(!await page.$(".side.open"), "the menu lies over the view");
    await press(page, "Tab");
    await page.keyboard.type("42");
    await press(page, "Enter");
    await sees(page, "at home");
    must(await page.evaluate(() => location.hash === "#/vertex?id=42" && document.activeElement.matches("input[type=search]")), "the focus is lost");
    await reach(page, "n0443");
    await press(page, "Enter");
    await at(page, "the node", () => location.hash === "#/nodes/n0443" && document.activeElement.tagName === "H1");
    await ready(page);
    await reach(page, "Sign out", undefined, "Shift+Tab");
    await press(page, "Enter");
    await at(page, "signed out", () => document.activeElement.id === "token");
    calm(page);
    await page.context().close();
  });
}

export async function keys(base) {
  await Promise.all([everything(base), things(base)]); // most of the time is waiting
}

async function everything(base) {
  const page = await open(base, "tok-admin");
  await check("keys: every view, there, and back in some: in the order of the page, with a mark, below nothing", async () => {
    await visit(page, "overview");
    await sees(page, "Live");
    await press(page, "Tab");
    must((await focused(page)).words === "Skip to what matters", "the skip link is not first");
    await page.evaluate(note);
    for (const hash of WALKED) await walk(page, hash).catch((e) => { throw new Error(hash + ": " + e.message); });
    calm(page);
  });
  await page.context().close();
}

async function things(base) {
  const page = await open(base, "tok-admin");
  await tables(page);
  await pictures(page);
  await page.context().close();
  await dialogs(base);
  await narrow(base);
}
