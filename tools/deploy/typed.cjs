// typed.cjs MODULES OUT FILE...: writes OUT/NAME.ts for each file of manifests, where each document is a constant of its
// kind's type, so that tsc refuses members that there are not and values of the wrong type. Also refuses a key that is
// there twice. Next to it comes OUT/NAME.yaml for trivy, without what it has no rules for and reads for minutes.
"use strict";
const fs = require("fs");
const path = require("path");
const [modules, out, ...files] = process.argv.slice(2);
const yaml = require(path.join(modules, "yaml"));
const OWN = new Set(["PodMonitor", "PrometheusRule", "ExternalSecret", "Rollout", "AnalysisTemplate"]);
const LONG = new Set(["ConfigMap", "PrometheusRule"]);
let bad = 0;
for (const file of files) {
    const lines = [], imports = new Map(), rest = [];
    for (const d of yaml.parseAllDocuments(fs.readFileSync(file, "utf8"), { uniqueKeys: true })) {
        for (const e of d.errors) { bad++; console.error(`${file}: ${e.message}`); }
        const o = d.toJS();
        if (!o) continue;
        if (!/^[A-Z][A-Za-z]*$/.test(o.kind || "") || !/^[a-z0-9./-]+$/.test(o.apiVersion || "")) {
            bad++;
            console.error(`${file}: a document without kind and apiVersion`);
            continue;
        }
        if (!LONG.has(o.kind)) rest.push(yaml.stringify(o));
        imports.set(o.kind, OWN.has(o.kind) ? "../crds" : `kubernetes-models/${o.apiVersion}/${o.kind}`);
        lines.push(`// ${o.kind} ${o.metadata?.name}`, `export const d${lines.length}: I${o.kind} = ${JSON.stringify(o, null, 1)};`);
    }
    if (lines.length === 0) { bad++; console.error(`${file}: nothing in it`); }
    const head = [...imports].map(([kind, from]) => `import type { I${kind} } from "${from}";`);
    fs.writeFileSync(path.join(out, path.basename(file)), rest.join("---\n"));
    fs.writeFileSync(path.join(out, path.basename(file).replace(/\.ya?ml$/, ".ts")), [...head, ...lines, ""].join("\n"));
}
process.exitCode = bad ? 1 : 0;
