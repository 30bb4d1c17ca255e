// Who may do what; every button; changes that appear by themselves.
import { execFileSync } from "node:child_process";
import { accessible, body, calm, check, must, open, ready, sees, visit } from "./stage.mjs";

export const sql = (database, text) => execFileSync("psql", ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", process.env["PRISM_SQL_" + database], "-c", text], { encoding: "utf8" }).trim();
export const button = (page, name) => page.getByRole("button", { name, exact: true });

export async function act(page, name, confirm) {
  await page.waitForFunction((n) => [...document.querySelectorAll("button")].some((b) => b.textContent === n && b.getAttribute("aria-disabled") !== "true"), name);
  await button(page, name).click();
  await page.waitForSelector("dialog[open]");
  await page.click("dialog button[type=submit]" + (confirm ? `:has-text('${confirm}')` : ""));
  await page.waitForSelector("dialog", { state: "detached" }).catch(async () => { throw new Error(`"${name}" did not end: ` + await page.evaluate(() => document.querySelector("dialog").innerText)); });
}

export async function signIn(base) {
  await check("sign-in: wrong token, right token, never in the link, out again", async () => {
    const page = await open(base, null);
    await page.goto(base + "/#/plans/1");
    await accessible(page);
    await page.fill("#token", "no-such-token");
    await page.keyboard.press("Enter");
    await sees(page, "this token is not known");
    await page.fill("#token", "tok-viewer");
    await page.click("button[type=submit]");
    await ready(page);
    must(page.url() === base + "/#/plans/1", "it went to " + page.url());
    must((await body(page)).includes("viewer"), "the role is not shown");
    must(await page.evaluate(() => !JSON.stringify(localStorage).includes("tok-") && !document.cookie), "the token is kept too long");
    await button(page, "Sign out").click();
    await page.waitForSelector("#token");
    must(await page.evaluate(() => sessionStorage.getItem("prism.token") === null), "the token is still there");
    calm(page);
    await page.context().close();
  });
}

export async function roles(base) {
  await check("a viewer sees why buttons are off, and audit is refused", async () => {
    const page = await open(base, "tok-viewer");
    await visit(page, "plans/3");
    await sees(page, "needs the role operator; this token is viewer");
    for (const name of ["Approve", "Execute now", "Cancel"]) must(await button(page, name).getAttribute("aria-disabled") === "true", name + " is on");
    await button(page, "Approve").click({ force: true });
    must(await page.$("dialog[open]") === null, "a button that is off opens its dialog");
    await visit(page, "audit");
    await sees(page, "This token may not see this");
    await accessible(page);
    calm(page);
    await page.context().close();
  });
  await check("an operator approves and cancels a plan; the dialog keeps and returns the focus", async () => {
    const page = await open(base, "tok-operator");
    await visit(page, "plans/3");
    await button(page, "Approve").click();
    await page.waitForSelector("dialog[open]");
    await accessible(page);
    await page.keyboard.press("Escape");
    await page.waitForSelector("dialog", { state: "detached" });
    must(await page.evaluate(() => document.activeElement.textContent === "Approve"), "the focus is lost");
    await act(page, "Approve");
    await page.waitForFunction(() => document.querySelector(".headline .badge")?.textContent === "approved");
    must(sql("BIG", "SELECT approved_by FROM plans WHERE id = 3") === "operator", "it is not approved");
    await act(page, "Cancel");
    await page.waitForFunction(() => document.querySelector(".headline .badge")?.textContent === "canceled");
    calm(page);
    await page.context().close();
  });
  await check("a plan that changed meanwhile is not acted on, and that is told", async () => {
    const page = await open(base, "tok-operator");
    await visit(page, "plans/4");
    await button(page, "Approve").click();
    sql("BIG", "UPDATE plans SET params = '{\"pairs\": 3}' WHERE id = 4");
    await page.click("dialog button[type=submit]");
    await sees(page, "It has changed meanwhile");
    must(sql("BIG", "SELECT state FROM plans WHERE id = 4") === "proposed", "it was approved all the same");
    await page.context().close();
  });
}

// Every other button, by a token that may just press it; what it did is read from the rows.
export async function actions(base) {
  const page = await open(base, "tok-operator"), operation = "22222222-2222-2222-2222-222222222222";
  await check("everything is stopped, and started again", async () => {
    await visit(page, "plans");
    await act(page, "Stop everything");
    await page.waitForFunction(() => /stopped by operator/.test(document.querySelector("section[aria-label='Policy']").innerText.replace(/\s+/g, " ")));
    must(sql("BIG", "SELECT halted FROM policies WHERE name = 'rebalance'") === "t", "it is not stopped");
    await act(page, "Start rebalance");
    await page.waitForFunction(() => document.querySelector("section[aria-label='Policy'] .badge").textContent === "may work");
    must(sql("BIG", "SELECT halted FROM policies WHERE name = 'rebalance'") === "f", "it is not started");
  });
  await check("a fleet is disabled, and enabled again", async () => {
    await visit(page, "autoscale/quiet");
    const is = (word) => page.waitForFunction((w) => document.querySelector("section[aria-label='Now'] .facts .badge")?.textContent === w, word);
    await act(page, "Disable");
    await is("off");
    await act(page, "Enable");
    await is("advises only");
    must(sql("BIG", "SELECT enabled FROM autoscale_fleets WHERE name = 'quiet'") === "t", "it is not enabled");
  });
  await check("a drill is asked for, and appears", async () => {
    await visit(page, "dr");
    await button(page, "Run a drill").click();
    await page.selectOption("dialog select", "n0017");
    await accessible(page);
    await page.click("dialog button[type=submit]");
    await page.waitForSelector("dialog", { state: "detached" });
    await page.waitForFunction(() => [...document.querySelectorAll("section[aria-label='Drills'] tbody tr")].some((r) => /^n0017/.test(r.innerText) && /queued/.test(r.innerText) && /operator/.test(r.innerText)));
    must(sql("BIG", "SELECT asked_by FROM dr_drills WHERE shard_id = 'n0017' AND state = 'queued'") === "operator", "there is no drill");
  });
  await check("an operation is asked to stop", async () => {
    await visit(page, "operations?id=" + operation);
    await act(page, "Cancel operation");
    await sees(page, "asked to stop");
    must(sql("BIG", `SELECT cancel_requested FROM operations WHERE id = '${operation}'`) === "t", "it is not asked");
    calm(page);
  });
  await page.context().close();
}

export async function live(base) {
  await check("what changes appears by itself, and the focus stays", async () => {
    const page = await open(base, "tok-admin");
    await visit(page, "autoscale/quiet");
    await sees(page, "Live");
    await page.focus("nav[aria-label='Move'] a:last-child");
    sql("BIG", "INSERT INTO autoscale_decisions (fleet, at, settings_version, from_instances, to_instances, move, why, input, decision, state, lease_epoch) VALUES ('quiet', now(), 1, 3, 6, 'out', 'queue of 900 messages is above 500', '{}', '{}', 'acting', 1)");
    await sees(page, "queue of 900 messages is above 500");
    must(await page.evaluate(() => document.activeElement.closest("nav")?.getAttribute("aria-label") === "Move"), "the focus went away");
    await visit(page, "overview");
    sql("BIG", "UPDATE nodes SET state = 'failed' WHERE id = 'n0333'");
    await sees(page, "node n0333 has failed");
    sql("BIG", "UPDATE nodes SET state = 'up' WHERE id = 'n0333'");
    await page.waitForFunction(() => !document.getElementById("alarms").innerText.includes("n0333"));
    await sees(page, "nodes/n0333");
    calm(page);
    await page.context().close();
  });
}
