// The dashboard in a browser. PRISM_BIG: an API with many made-up rows; PRISM_REAL: that of a whole stack.
import { finish, start, stop } from "./stage.mjs";
import { live, realPlan, roles, signIn } from "./acts.mjs";
import { answers, clocks, ids, stream } from "./bad.mjs";
import { views } from "./views.mjs";

const { PRISM_BIG: big, PRISM_REAL: real, PRISM_PLAN: plan, PRISM_ONLY: only } = process.env;
const parts = { views: () => views(big), sign: () => signIn(big), real: () => realPlan(real, plan), roles: () => roles(big), live: () => live(big), answers: () => answers(big), stream: () => stream(big), clocks: () => clocks(big), ids: () => ids(big) };

await start();
for (const [name, run] of Object.entries(parts)) if (!only || only.split(",").includes(name)) await run();
await stop();
process.exit(finish());
