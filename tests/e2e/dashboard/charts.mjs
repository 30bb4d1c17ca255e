// What nobody knows is shown as such: a gap in a line, a dash in a table, the word "unknown"; never a zero, a straight
// line over the gap, or what was so before.
import { calm, check, must, open, sees, visit } from "./stage.mjs";
import { sql } from "./acts.mjs";

const HOUR_MS = 3600000;
const stat = (page, panel, label) => page.evaluate(([p, l]) => {
  const s = [...document.querySelectorAll(`section[aria-label='${p}'] .stat`)].find((x) => x.querySelector("dt").textContent === l);
  return { value: s.querySelector(".value").textContent, note: s.querySelector(".note")?.textContent.replace(/\u202f/g, " ") };
}, [panel, label]);

// Of a chart: its table as [{ atMs, words }], newest first, and of each column of points whether its first line is drawn there.
async function chart(page, panel) {
  await page.click(`section[aria-label='${panel}'] details.values summary`);
  await page.waitForSelector(`section[aria-label='${panel}'] details.values tbody tr`);
  return page.evaluate((p) => {
    const s = document.querySelector(`section[aria-label='${p}']`), rgb = (c) => c.match(/[\d.]+/g).slice(0, 3).map(Number);
    const rows = [...s.querySelectorAll("details.values tbody tr")].map((r) => ({ atMs: Date.parse(r.cells[0].textContent.replace(" UTC", "Z").replace(" ", "T")), words: r.cells[1].textContent.replace(/\u202f/g, " ") }));
    const ink = rgb(getComputedStyle(s.querySelector(".legend .key")).backgroundColor), canvas = s.querySelector(".plot canvas"), c = canvas.getBoundingClientRect(), o = s.querySelector(".u-over").getBoundingClientRect(), k = canvas.width / c.width;
    const w = Math.round(o.width * k), h = Math.round(o.height * k), data = canvas.getContext("2d").getImageData(Math.round((o.left - c.left) * k), Math.round((o.top - c.top) * k), w, h).data, drawn = [];
    for (let x = 0; x < w; x++) {
      let is = false;
      for (let y = 0; y < h && !is; y++) { const i = 4 * (y * w + x); is = data[i + 3] > 100 && ink.reduce((d, v, j) => d + Math.abs(v - data[i + j]), 0) < 90; }
      drawn.push(is);
    }
    return { rows, drawn };
  }, panel);
}

// The line is there around the gap, and not in it; the table has dashes there, and nothing else.
function gap({ rows, drawn }, fromMs, toMs) {
  const newest = rows[0].atMs, oldest = rows[rows.length - 1].atMs, x = (ms) => Math.round((ms - oldest) / (newest - oldest) * (drawn.length - 1)), edge = (toMs - fromMs) / 5;
  const part = (a, b) => { const of = drawn.slice(x(a), x(b)); return of.filter(Boolean).length / of.length; };
  must(part(fromMs + edge, toMs - edge) === 0, "a line is drawn where nothing is known");
  must(part(fromMs - HOUR_MS, fromMs - edge) > 0.6 && part(toMs + edge, toMs + HOUR_MS) > 0.6, `no line is drawn beside the gap: ${part(fromMs - HOUR_MS, fromMs - edge)}, ${part(toMs + edge, toMs + HOUR_MS)}`);
  const inside = rows.filter((r) => r.atMs > fromMs + edge && r.atMs < toMs - edge), beside = rows.filter((r) => (r.atMs > toMs + edge && r.atMs < toMs + HOUR_MS) || (r.atMs < fromMs - edge && r.atMs > fromMs - HOUR_MS));
  must(inside.every((r) => r.words === "\u2013") && beside.length > 5 && beside.every((r) => /\d/.test(r.words)), JSON.stringify({ inside, beside }));
}

export async function charts(base) {
  const page = await open(base, "tok-admin");
  const when = (text) => Number(sql("BIG", text)) * 1000;
  await check("RPO: a gap where nothing was saved, in the line and in the table", async () => {
    await visit(page, "dr");
    gap(await chart(page, "RPO over 24 h"), when("SELECT extract(epoch FROM max(at) + interval '10 min') FROM dr_rpo WHERE at < now() - interval '6 h'"), when("SELECT extract(epoch FROM min(at)) FROM dr_rpo WHERE at > now() - interval '5.5 h'"));
  });
  await check("size and load: a gap where nobody measured, in the lines and in the table", async () => {
    await visit(page, "autoscale/proxies?hours=24");
    gap(await chart(page, "Size and load"), when("SELECT extract(epoch FROM max(at)) FROM autoscale_samples WHERE at < now() - interval '12.6 h'"), when("SELECT extract(epoch FROM min(at)) FROM autoscale_samples WHERE at > now() - interval '12.4 h'"));
  });
  await check("RPO: unknown as soon as one shard has no copy, and a number again when it has", async () => {
    sql("BIG", "CREATE TABLE away AS SELECT * FROM dr_shards WHERE shard_id = 'n0400'; DELETE FROM dr_shards WHERE shard_id = 'n0400'");
    try {
      for (const [hash, panel] of [["dr", "Recovery point"], ["overview", "Right now"]]) {
        await visit(page, hash);
        await page.waitForFunction(() => [...document.querySelectorAll("main .stat")].some((s) => s.querySelector("dt").textContent === "RPO now" && /\S{3}/.test(s.querySelector(".value").textContent)));
        const rpo = await stat(page, panel, "RPO now");
        must(rpo.value === "unknown" && rpo.note === "1 shard without a copy", hash + ": " + JSON.stringify(rpo));
        await sees(page, hash === "dr" ? "not in the bucket" : "DR of shard n0400 not in the bucket");
        if (hash !== "dr") continue;
        await page.waitForFunction(() => /Newest: worst RPO \u2013,/.test(document.querySelector("section[aria-label='RPO over 24 h'] .plot").getAttribute("aria-label")));
        const row = await page.evaluate(() => [...document.querySelectorAll("[aria-label='Shards, those with alarms first'] tbody tr")].find((r) => r.cells[0].textContent === "n0400").innerText.split(/\t/).map((c) => c.trim()));
        must(row[1] === "missing" && row[2] === "\u2013", JSON.stringify(row));
      }
    } finally { sql("BIG", "INSERT INTO dr_shards SELECT * FROM away; DROP TABLE away"); }
    await visit(page, "dr");
    must(/^\d/.test((await stat(page, "Recovery point", "RPO now")).value), "it stays unknown");
  });
  await check("a plan of which nobody says how far it is, and a zone that nobody has looked at, are unknown", async () => {
    await visit(page, "plans/2");
    must((await stat(page, "Progress", "Left")).value === "unknown" && (await stat(page, "Progress", "Done")).value === "\u2013", "it claims to know");
    must(await page.evaluate(() => document.querySelector("#progress [role=progressbar]").getAttribute("aria-valuetext")) === "unknown", "the bar claims to know");
    sql("BIG", "CREATE TABLE away AS SELECT * FROM zone_states WHERE zone_id = 'c'; DELETE FROM zone_states WHERE zone_id = 'c'");
    try {
      await visit(page, "overview");
      await page.waitForFunction(() => [...document.querySelectorAll("section[aria-label='Zones'] .rows li")].some((r) => /^unknown\s*c /.test(r.innerText)));
    } finally { sql("BIG", "INSERT INTO zone_states SELECT * FROM away; DROP TABLE away"); }
  });
  await check("a fleet that nobody measures has no numbers", async () => {
    await visit(page, "autoscale/quiet");
    await sees(page, "Nobody has measured");
    for (const label of ["Serving", "CPU, mean", "Memory, mean", "Network", "Backlog"]) must((await stat(page, "Now", label)).value === "\u2013", label + " is " + (await stat(page, "Now", label)).value);
  });
  calm(page);
  await page.context().close();
}
