// A whole stack with a graph in it, as the demo has it: what every view says is what the cluster, the graph's file and the
// database say; then a plan that moves it is executed, paused, resumed and canceled.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { accessible, calm, check, must, open, picture, sees, visit } from "./stage.mjs";
import { act, sql } from "./acts.mjs";

const { PRISM_GRAPH, PRISM_REDIS_PORT, PRISM_REDIS_PASSWORD_FILE, PRISM_TOKEN_FILE } = process.env;
const secret = (file) => fs.readFileSync(file, "utf8").trim();
const redis = (...words) => execFileSync("redis-cli", ["--no-auth-warning", "--user", "admin", "-p", PRISM_REDIS_PORT, ...words], { encoding: "utf8", env: { ...process.env, REDISCLI_AUTH: secret(PRISM_REDIS_PASSWORD_FILE) } }).trim();
const ask = (text) => JSON.parse(sql("REAL", text));
const n = (v) => v.toLocaleString("en-US"), pct = (v) => (v * 100).toLocaleString("en-US", { maximumFractionDigits: 1 }) + " %";
const is = (what, got, want) => must(JSON.stringify(got) === JSON.stringify(want), `${what}: ${JSON.stringify(got)}, not ${JSON.stringify(want)}`);

// What a view says, in plain blanks: its big numbers, its facts, and the rows of its tables, by panel.
const says = (page, panel) => page.evaluate((p) => {
  const of = document.querySelector(`section[aria-label="${p}"]`), plain = (e) => e.textContent.replace(/\u202f/g, " ").replace(/\s+/g, " ").trim();
  const pairs = (q) => Object.fromEntries([...of.querySelectorAll(q)].map((d) => [plain(d.querySelector("dt")), plain(d.querySelector("dd"))]));
  return { ...pairs(".stat"), ...pairs(".facts > div"), list: [...of.querySelectorAll(".rows li")].map(plain), rows: [...of.querySelectorAll("tbody tr")].map((r) => [...r.cells].map((c) => [...c.childNodes].map((x) => x.textContent.replace(/\u202f/g, " ").trim()).filter(Boolean).join(" "))) };
}, panel);

// Edges as their file has them: without direction, loops left out, one that stands there twice weighs two.
function graph() {
  const edges = new Map(), ids = new Set();
  for (const line of secret(PRISM_GRAPH).split("\n")) {
    const [a, b] = line.split(" ");
    ids.add(a).add(b);
    const key = Number(a) < Number(b) ? a + " " + b : b + " " + a;
    if (a !== b) edges.set(key, (edges.get(key) || 0) + 1);
  }
  return { vertices: ids.size, edges, weight: [...edges.values()].reduce((s, w) => s + w, 0) };
}

export async function realViews(base, plan) {
  const page = await open(base, secret(PRISM_TOKEN_FILE)), run = ask(`SELECT to_json(r) FROM placement_runs r WHERE id = (SELECT run_id FROM plans WHERE id = ${Number(plan)})`), report = run.report, zones = ["a", "b", "c"];
  const summary = ask(`SELECT summary FROM plans WHERE id = ${Number(plan)}`), g = graph(), vertex = process.env.PRISM_VERTEX;
  await check("real: overview", async () => {
    const nodes = redis("cluster", "nodes").split("\n");
    await visit(page, "overview");
    await page.waitForFunction(() => /%/.test([...document.querySelectorAll("main .stat")].find((s) => s.querySelector("dt").textContent === "Between zones")?.textContent));
    const now = await says(page, "Right now"), where = await says(page, "Zones");
    is("cluster", now.Cluster, `ok${nodes.length} nodes in 3 zones`);
    is("slots", now["Slots served"], "100 %" + n(Number(redis("cluster", "info").match(/cluster_slots_ok:(\d+)/)[1])) + " of 16,384");
    must(now["Between zones"].startsWith(pct(report.after.cross_share)) && now["Between zones"].endsWith("was " + pct(report.before.cross_share)), now["Between zones"]);
    must(now["What that costs a day"].startsWith("$" + Math.round(report.after.usd_per_month / 30).toLocaleString("en-US")), now["What that costs a day"]);
    is("zones", where.list.map((l) => l.replace(/, [\d,]+ slots$/, "")), zones.map((z) => `up${z} 2 nodes, 1 primary, 1 replica`));
    must((await says(page, "What it is about to do")).list.some((l) => l.startsWith(`proposedPlan ${plan}: move vertices as run ${run.id} wants waits for approval`)), "the plan is not told");
  });
  await check("real: zones, their picture and their matrix", async () => {
    await visit(page, "zones");
    for (const side of ["before", "after"]) {
      if (side === "before") await page.click("nav[aria-label='Figures'] a:has-text('before')");
      else await page.click("nav[aria-label='Figures'] a:has-text('after')");
      await sees(page, `${side} placement run ${run.id}`);
      const m = await says(page, "Traffic matrix"), f = report[side];
      is(side, m.rows, zones.map((a) => [a, ...zones.map((b) => n(f.matrix[a][b]) + " " + pct(f.matrix[a][b] / g.weight))]));
      is("share " + side, m["Between zones"], pct(f.cross_share));
      is("links " + side, (await page.$$eval(".link-words", (x) => x.map((t) => t.textContent.replace(/\u202f/g, " ")))).sort(), ["ab", "ac", "bc"].map(([a, b]) => pct(f.matrix[a][b] / g.weight)).sort());
    }
    await page.waitForSelector("section[aria-label='Over time'] .plot canvas");
    const hours = await page.evaluate(() => document.querySelector("section[aria-label='Over time'] .plot").getAttribute("aria-label"));
    must(hours.includes("$ a day after $" + Math.round(report.after.usd_per_month / 30).toLocaleString("en-US")), hours);
  });
  await check("real: a vertex, where it is and its neighbours", async () => {
    const mine = [...g.edges].filter(([k]) => k.split(" ").includes(vertex)), weight = mine.reduce((s, [, w]) => s + w, 0);
    await visit(page, "vertex?id=" + vertex);
    await page.waitForSelector("svg.neighbourhood");
    const chain = await page.$$eval(".chain strong", (x) => x.map((s) => s.textContent.trim())), why = await says(page, "Why it belongs there");
    const [, partition, slot, node, zone] = chain, serving = redis("cluster", "nodes").split("\n").find((l) => /[ ,]master /.test(l) && l.split(" ").slice(8).some((r) => { const [a, b] = r.split("-").map(Number); return Number(slot) >= a && Number(slot) <= (b ?? a); }));
    is("node", node, "redis-" + /:(\d+)@/.exec(serving)[1]);
    is("zone", zone, sql("REAL", `SELECT zone_id FROM nodes WHERE id = '${node}'`));
    is("slot", slot, sql("REAL", `SELECT slot FROM partitions WHERE id = ${Number(partition)}`));
    is("neighbours", why.Neighbours, n(mine.length));
    is("weight", why.rows.reduce((s, r) => s + Number(r[1]), 0), weight);
    is("vertices there", why.rows.map((r) => r[3]), zones.map((z) => n(report.after.vertices[z])));
    const drawn = await page.$$eval("svg.neighbourhood .leaf", (x) => x.length);
    must(Math.abs(drawn - mine.length) <= 1, `${drawn} neighbours are drawn, there are ${mine.length}`); // shares are rounded
  });
  await check("real: report of a run", async () => {
    await visit(page, "runs/" + run.id);
    const r = await says(page, "Report"), after = await says(page, "After: edge weight between zones"), cut = [...zones].flatMap((a, i) => zones.slice(i + 1).map((b) => report.after.matrix[a][b])).reduce((s, v) => s + v, 0);
    is("vertices", r.Vertices, n(g.vertices) + n(g.edges.size) + " edges");
    is("share", r["Between zones"], pct(cut / g.weight) + "was " + pct(report.before.cross_share));
    is("moves", r["Vertices to move"], n(report.moves) + pct(report.moves / g.vertices) + " of all");
    is("zones", after.rows.slice(3).map((row) => row.slice(1)), zones.map((z) => [n(report.after.vertices[z]), n(report.capacity[z])]));
    must(r["Between zones"].startsWith(pct(report.after.cross_share)), "the report's share is not that of its matrix");
  });
  await check("real: a plan, before it is executed", async () => {
    await visit(page, "plans/" + plan);
    const p = await says(page, "What it would do"), b = await says(page, "Batches");
    is("moves", p.Moves, n(report.moves) + " vertices");
    is("share", p["Between zones"], pct(report.before.cross_share) + " \u2192 " + pct(report.after.cross_share));
    is("zone to zone", p.rows.map((r) => r.slice(1).map((c) => c.split(" ")[0])), zones.map((a) => zones.map((c) => n(summary.zones[a][c]))));
    is("node to node", b.rows.reduce((s, r) => s + Number(r[2].replace(/,/g, "")), 0), summary.moves);
    is("nodes", [...new Set(b.rows.flatMap((r) => r.slice(0, 2)))].sort(), sql("REAL", "SELECT id FROM nodes WHERE role = 'primary' ORDER BY id").split("\n"));
  });
  await check("real: the trail", async () => { await trail(page); });
  calm(page);
  await page.context().close();
}

// The newest of the trail, as they are in the database.
async function trail(page) {
  await visit(page, "audit");
  const rows = (await says(page, "Trail")).rows.map((r) => r.slice(1, 4).join(" ")), kept = sql("REAL", "SELECT principal, action, resource FROM audit ORDER BY id DESC LIMIT 50").split("\n").map((r) => r.split("|").join(" "));
  is("the trail", rows, kept);
  must(rows.length >= 12 && rows.includes("local rebalance.plan.create rebalance/plans/" + process.env.PRISM_PLAN), rows.join("; "));
  return rows;
}

// On the stack: services that work. plan is proposed, and takes its time.
export async function realPlan(base, plan) {
  const page = await open(base, "tok-operator"), state = (words) => page.waitForFunction((w) => w.includes(document.querySelector(".headline .badge")?.textContent), words);
  const moved = () => page.evaluate(() => Number([...document.querySelectorAll("#progress .stat")].find((s) => s.querySelector("dt").textContent === "Vertices moved")?.querySelector(".value").textContent.replace(/,/g, "") || 0));
  await check("a real plan: what it would do, executed, its progress live", async () => {
    await visit(page, "plans/" + plan);
    await sees(page, "What it would do");
    await act(page, "Execute now");
    await state(["running"]);
    await page.waitForSelector("#progress"); // and from here on nothing is loaded anew
    const before = await moved();
    await page.waitForFunction((b) => { const s = [...document.querySelectorAll("#progress .stat")].find((x) => x.querySelector("dt").textContent === "Vertices moved"); return s && Number(s.querySelector(".value").textContent.replace(/,/g, "")) > b; }, before);
    calm(page);
  });
  await check("it is paused, resumed and canceled, and each is seen without reloading", async () => {
    await act(page, "Pause");
    await state(["paused"]);
    await act(page, "Resume");
    await state(["running"]);
    await act(page, "Cancel");
    await state(["canceled"]);
    must(/^(canceled)$/.test(sql("REAL", "SELECT state FROM plans WHERE id = " + Number(plan))), "the plan is " + sql("REAL", "SELECT state FROM plans WHERE id = " + Number(plan)));
    calm(page);
  });
  await check("a vertex is found where the store has it, with its surroundings", async () => {
    await visit(page, "vertex"); // anew, so that what was told of the plan is not in the picture
    await page.fill("input[type=search]", process.env.PRISM_VERTEX);
    await page.keyboard.press("Enter");
    await page.waitForSelector("svg.neighbourhood");
    must(page.url().endsWith("#/vertex?id=" + process.env.PRISM_VERTEX), "the link is " + page.url());
    await picture(page, "vertex");
    await accessible(page);
    calm(page);
  });
  await check("a plan is made from the page of a run", async () => {
    await visit(page, "runs");
    await page.click("main tbody th a");
    await act(page, "Plan the moves");
    await page.waitForFunction((old) => /^#\/plans\/\d+$/.test(location.hash) && location.hash !== "#/plans/" + old, String(plan));
    await state(["proposed"]);
    calm(page);
  });
  await check("who did all that is in the trail", async () => {
    const admin = await open(base, secret(PRISM_TOKEN_FILE)), rows = await trail(admin), mine = rows.filter((r) => r.startsWith("operator ") && r.endsWith("rebalance/plans/" + plan)).map((r) => r.split(".").pop().split(" ")[0]);
    is("what the operator did, newest first", mine, ["cancel", "resume", "pause", "execute"]);
    calm(admin);
    await admin.context().close();
  });
  await page.context().close();
}
