// The dashboard in a browser. PRISM_BIG: an API with many made-up rows; PRISM_EMPTY: one with none; PRISM_REAL:
// that of a whole stack.
import { finish, start, stop } from "./stage.mjs";
import { actions, live, roles, signIn } from "./acts.mjs";
import { empty, states } from "./states.mjs";
import { scale } from "./scale.mjs";
import { answers, clocks, ids, stream } from "./bad.mjs";
import { charts } from "./charts.mjs";
import { keys } from "./keys.mjs";
import { realPlan, realViews } from "./real.mjs";
import { views } from "./views.mjs";

const { PRISM_BIG: big, PRISM_EMPTY: nothing, PRISM_REAL: real, PRISM_PLAN: plan, PRISM_ONLY: only } = process.env;
// PRISM_ONLY names some of them, by commas; scale is for a fleet that is about to be scaled, and part of no other run.
// What is in one line runs at once: each with an API of its own, or only looking.
const parts = [
  { views: () => views(big) },
  { keys: () => keys(big), real: () => realViews(real, plan).then(() => realPlan(real, plan)) },
  { charts: () => charts(big) }, { states: () => states(big) }, { empty: () => empty(nothing) }, { sign: () => signIn(big) }, { roles: () => roles(big) }, { live: () => live(big) },
  { actions: () => actions(big) }, { answers: () => answers(big) }, { stream: () => stream(big) }, { clocks: () => clocks(big) }, { ids: () => ids(big) },
];
const wanted = (part) => Object.keys(part).filter((name) => !only || only.split(",").includes(name));

await start();
if (only === "scale") await scale(real, process.env.PRISM_FLEET, ...process.env.PRISM_SIZES.split(",").map(Number));
else for (const part of parts) await Promise.all(wanted(part).map((name) => part[name]()));
await stop();
process.exit(finish());
