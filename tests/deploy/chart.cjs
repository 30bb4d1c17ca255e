// chart.cjs MODULES ROOT OUT FILE...: what the chart renders is as it must be. Writes OUT/env/VALUES.SERVICE, the settings
// of each service. FILE: default.yaml, minimal.yaml, ..., from tools/deploy/render.sh.
"use strict";
const fs = require("fs");
const path = require("path");
const assert = require("assert");
const { isDeepStrictEqual: same } = require("util");
const [modules, root, out, ...files] = process.argv.slice(2);
const yaml = require(path.join(modules, "yaml"));
const SERVICES = ["metadata-api", "placement", "rebalance", "autoscale", "dr"];
const DRAIN_S = 25; // PR_DRAIN_S

let bad = 0, asserted = 0;
let where = "";
const must = (ok, what) => { asserted++; if (!ok) { bad++; console.error(`${where}: ${what}`); } };

// The tables of docs/reference/settings.md: service -> names; which are secrets; what a number is by default.
const settings = new Map(), hidden = new Set(), byDefault = new Map();
let section = "";
for (const line of fs.readFileSync(`${root}/docs/reference/settings.md`, "utf8").split("\n")) {
    const head = line.match(/^## (.*)$/), row = line.match(/^\| `([A-Z0-9_]+)` \| ([^|]*) \| (?:`([0-9]+)`)?/);
    if (head) settings.set((section = head[1]), new Set());
    else if (row) {
        settings.get(section).add(row[1]);
        if (/; secret$/.test(row[2])) hidden.add(row[1]);
        if (row[3]) byDefault.set(row[1], Number(row[3]));
    }
}
const every = settings.get("Every service");
assert(every.has("PRISM_DB_URI") && SERVICES.every((s) => settings.get(s).size > 5), "settings.md is not as expected");
const drain = fs.readFileSync(`${root}/common/io/service_internal.h`, "utf8").match(/PR_DRAIN_S = (\d+)/);
assert(drain && Number(drain[1]) === DRAIN_S, "a service drains for another time than the chart waits");
const idle = fs.readFileSync(`${root}/services/metadata-api/io/api.c`, "utf8").match(/IDLE_TIMEOUT_S = (\d+)/);
assert(idle, "api.c is not as expected");

function container(c, tables) {
    const s = c.securityContext;
    must(s.runAsNonRoot && s.runAsUser > 0 && s.readOnlyRootFilesystem && s.allowPrivilegeEscalation === false && !s.privileged,
        `${c.name} is not confined`);
    must(same(s.capabilities, { drop: ["ALL"] }) && s.seccompProfile.type === "RuntimeDefault", `${c.name}: capabilities or seccomp`);
    must(c.resources.limits.memory && c.resources.requests.memory && c.resources.requests.cpu, `${c.name}: resources`);
    must(!/:(latest)?$/.test(c.image) && /:/.test(c.image), `${c.name}: image ${c.image} has no version`);
    for (const e of c.env || []) {
        must([e.name, e.name.replace(/_FILE$/, "")].some((n) => tables.some((t) => t.has(n))), `${c.name}: no setting ${e.name}`);
        must(!e.valueFrom?.secretKeyRef && !(/PASSWORD|SECRET|DB_URI|PG_URI/.test(e.name) && !e.name.endsWith("_FILE")),
            `${c.name}: ${e.name} is a secret in a variable`);
    }
    must(new Set((c.env || []).map((e) => e.name)).size === (c.env || []).length, `${c.name}: a setting twice`);
    // What a setting names in a mounted directory is mounted.
    for (const e of c.env || []) {
        const mount = (e.value || "").match(/^(\/etc\/prism\/[a-z]+)\//)?.[1];
        must(!mount || c.volumeMounts.some((m) => m.mountPath === mount), `${c.name}: ${e.name} is in ${mount}, which is not mounted`);
    }
}
// Certificates to trust reach whoever speaks TLS: db-uri names one by its path, NATS's is a setting.
function trusts(name, spec, all) {
    const natsCa = (c) => (c.env || []).find((e) => e.name === "PRISM_NATS_CA_PATH")?.value;
    const volume = spec.volumes.find((v) => v.name === "ca");
    must(same(volume?.configMap, { name: "prism-ca" }), `${name} has no certificates to trust`);
    for (const c of [...(spec.initContainers || []), ...spec.containers]) {
        must(c.volumeMounts.some((m) => m.name === "ca" && m.mountPath === "/etc/prism/ca" && m.readOnly), `${name} ${c.name}: /etc/prism/ca`);
        const nats = (c.env || []).find((e) => e.name === "PRISM_NATS_URL")?.value;
        must(!nats || (nats.split(",").every((u) => u.startsWith("tls://")) && natsCa(c) === "/etc/prism/ca/nats.pem"), `${name} ${c.name}: NATS in the clear`);
    }
}
// A drill loads a shard beside the service, a fail-over that is executed here all of them, as core/room.c counts.
const GIB = { Mi: 1 / 1024, Gi: 1, Ti: 1024 };
const gib = (q) => Number.parseFloat(q) * GIB[q.match(/[A-Z].*$/)[0]];
function room(w, dr) {
    const c = w.spec.template.spec.containers[0], memory = gib(c.resources.limits.memory);
    const claim = w.spec.template.spec.volumes.find((v) => v.name === "scratch").ephemeral.volumeClaimTemplate.spec;
    const scratch = gib(claim.resources.requests.storage), { shardGiB, shards } = dr;
    const site = c.env.some((e) => e.name === "PRISM_DR_SITES_PATH"), stream = 2 * shardGiB; // PRISM_DR_REBASE_RATIO
    const load = site ? (2 * shardGiB + stream) / 0.8 : 1.25 * shardGiB;
    must(memory >= load + 1 && gib(c.resources.requests.memory) === memory, `dr has ${memory} GiB of memory for a shard of ${shardGiB}`);
    must(scratch * 0.93 >= (site ? shards : 1) * (shardGiB + stream) * 1.05, `dr has ${scratch} GiB of scratch for ${shards} of ${shardGiB}`);
    return claim;
}
// What docs/how-to/size-a-deployment.md says of them.
const TAKES = {
    "metadata-api": (n) => n("PRISM_API_BLOB_BYTES") + n("PRISM_API_CONNECTIONS") * 32768,
    rebalance: (n) => n("PRISM_REBALANCE_WORKERS") * n("PRISM_REBALANCE_BATCH_BYTES"),
};
function memory(service, c) {
    const takes = TAKES[service]?.((n) => Number(c.env.find((e) => e.name === n)?.value ?? byDefault.get(n))) / 2 ** 30 + 0.25;
    must(!TAKES[service] || gib(c.resources.limits.memory) >= takes, `${service} has ${c.resources.limits.memory}, and takes ${takes} GiB`);
}
function pod(spec) {
    const s = spec.securityContext;
    must(s.runAsNonRoot && s.fsGroup > 0 && s.runAsGroup > 0 && s.seccompProfile.type === "RuntimeDefault", "pod is not confined");
    must(!spec.hostNetwork && !spec.hostPID && !spec.hostIPC && spec.enableServiceLinks === false, "pod's host");
    must(spec.volumes.every((v) => v.emptyDir?.sizeLimit || v.secret || v.configMap || v.persistentVolumeClaim?.readOnly || v.ephemeral), "volumes");
    must(spec.volumes.every((v) => !v.secret || v.secret.defaultMode === 0o440), "secrets that others may read");
}
const matches = (selector, labels) => Object.entries(selector.matchLabels || {}).every(([k, v]) => labels[k] === v);

// What a release can do badly while its turns succeed: what each is judged by besides.
const FIGURES = { "metadata-api": ["api-errors", "api-p99"], placement: ["failed-runs"], rebalance: ["standstill"], dr: ["unwritten"] };
function workload(service, w, all, values) {
    const t = w.spec.template, spec = t.spec, c = spec.containers[0], api = service === "metadata-api";
    const named = (kind) => all.find((o) => o.kind === kind && o.metadata.name === w.metadata.name);
    pod(spec);
    must(spec.containers.length === 1 && c.name === service, "one container, called as its service");
    container(c, [every, settings.get(service)]);
    memory(service, c);
    // One more of dr's or placement's size may fit nowhere; look-ups, moves and decisions go on.
    const canary = w.spec.strategy.canary, alone = w.spec.strategy.type === "Recreate";
    const { maxSurge, maxUnavailable } = canary || (alone ? { maxSurge: 0, maxUnavailable: 1 } : w.spec.strategy.rollingUpdate);
    must(canary || alone === (["placement", "dr"].includes(service) && w.spec.replicas === 1), "helm --wait does not wait for its only pod");
    must(same([maxSurge, maxUnavailable], ["placement", "dr"].includes(service) ? [0, 1] : [1, 0]), `replaced by ${maxSurge} more, ${maxUnavailable} less`);
    const probe = (p) => p.httpGet && [p.httpGet.path, p.httpGet.port].join(" ");
    must(probe(c.livenessProbe) === "/livez http" && probe(c.startupProbe) === "/livez http", "liveness asks for dependencies");
    // In standby it never is: an upgrade would wait for ever, and nobody would be sent to it.
    must(probe(c.readinessProbe) === (values === "site-b" ? "/livez http" : "/readyz http"), "readiness");
    const stop = c.lifecycle?.preStop.sleep.seconds || 0;
    must(spec.terminationGracePeriodSeconds >= stop + DRAIN_S + 5, `killed ${spec.terminationGracePeriodSeconds} s after it was asked`);
    must(!api || stop >= 10, "the API leaves before load balancers know");
    must(spec.topologySpreadConstraints.some((x) => x.topologyKey === "topology.kubernetes.io/zone" && x.maxSkew === 1 &&
        matches(x.labelSelector, t.metadata.labels)), "spread over zones");
    must(spec.topologySpreadConstraints.every((x) => x.nodeTaintsPolicy === "Honor"), "a zone that failed is one with room, where nothing can go");
    must(spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution.every((x) =>
        matches(x.podAffinityTerm.labelSelector, t.metadata.labels)), "replicas on one node");
    must(matches(w.spec.selector, t.metadata.labels), "its selector finds its pods");
    must(named("ServiceAccount")?.automountServiceAccountToken === false && spec.serviceAccountName === w.metadata.name,
        "an account of its own, without a token");
    const asks = service === "autoscale" && all.some((o) => o.kind === "Role");
    must(spec.automountServiceAccountToken === asks, "a token for the API server without need, or none with it");
    const pdb = named("PodDisruptionBudget");
    must(!pdb || (matches(pdb.spec.selector, t.metadata.labels) && pdb.spec.minAvailable < (w.spec.replicas ?? 3) && w.spec.replicas !== 1),
        "its disruption budget lets no node be drained");
    must(pdb || w.spec.replicas === 1, "several replicas, no disruption budget");
    // Of these one works, whichever has the lease: more of them would not do more.
    must(!["rebalance", "autoscale"].includes(service) || w.spec.replicas <= 2, "replicas that wait for a lease in a queue");
    const hpa = named("HorizontalPodAutoscaler");
    must(!hpa || (api && w.spec.replicas === undefined && hpa.spec.scaleTargetRef.kind === w.kind), "scaled by load without use");
    // What is mounted is what the settings name.
    const keys = c.env.flatMap((e) => (e.value || "").match(/^\/etc\/prism\/secrets\/(.+)$/)?.[1] ?? []);
    must(keys.includes("db-uri") && keys.includes("nats-password"), "secrets are files");
    const external = all.find((o) => o.kind === "ExternalSecret" && o.metadata.name === `prism-${service}`);
    const files = service === "dr" && keys.includes("sites.json") ? ["redis-region"] : []; // which sites.json names
    must(!external || same(external.spec.data.map((d) => d.secretKey).sort(), [...new Set([...keys, ...files])].sort()), "External Secrets bring other keys");
    if (TRUSTING.has(values)) trusts(service, spec, all);
    must(spec.volumes.find((v) => v.name === "secrets").secret.secretName === `prism-${service}`, "its own secrets");
    for (const m of c.volumeMounts) must(spec.volumes.some((v) => v.name === m.name), `mount ${m.name}`);
    must(c.volumeMounts.every((m) => ["tmp", "scratch"].includes(m.name) || m.readOnly), "a mount that can be written to");
    fs.mkdirSync(`${out}/env`, { recursive: true });
    fs.writeFileSync(`${out}/env/${values}.${service}`, c.env.filter((e) => e.value !== undefined).map((e) => `${e.name}=${e.value}\n`).join(""));
    if (w.kind === "Rollout") {
        const weights = canary.steps.flatMap((s) => s.setWeight ?? []), pauses = canary.steps.flatMap((s) => s.pause ? Number.parseInt(s.pause.duration, 10) : []);
        // 10 % of a pod that goes before its successor comes are none: nobody would see that canary.
        must(same(weights, maxSurge === 0 && w.spec.replicas === 1 ? [100] : [10, 30, 60, 100]) && canary.steps.every((s, i) => Boolean(s.setWeight) === (i % 2 === 0)), "weights");
        // A background analysis ends with the steps: each weight, the last too, is long enough for two bad minutes after 2 min.
        must(pauses.length === weights.length && pauses.every((p) => p >= 240), "a step that is over before it is judged");
        must(w.spec.rollbackWindow?.revisions >= 1, "back in an emergency takes as long as forth");
        must(canary.analysis.startingStep === 1 && w.spec.progressDeadlineAbort, "nothing aborts it");
        must(same(canary.analysis.templates.map((x) => x.templateName.replace("prism-", "")).sort(),
            ["seen", "decision-errors", ...(FIGURES[service] || [])].sort()), "analysed by the wrong figures");
        for (const { templateName } of canary.analysis.templates) {
            const a = all.find((o) => o.kind === "AnalysisTemplate" && o.metadata.name === templateName);
            must(a && same(a.spec.args.map((x) => x.name), canary.analysis.args.map((x) => x.name)), `analysis ${templateName}`);
            must(a && a.spec.metrics.every((m) => m.failureLimit <= 1 && m.provider.prometheus.query.includes("{{args.canary}}")),
                `${templateName} looks at others than the canary`);
            must(a && a.spec.metrics.every((m) => templateName === `prism-${m.name}`), `${templateName}: metrics of one run need names of their own`);
            if (templateName === "prism-seen") must(/^count\(prism_up\{.*== 1\)$/.test(a.spec.metrics[0].provider.prometheus.query) &&
                a.spec.metrics[0].successCondition === "len(result) > 0 && result[0] >= 1", "a canary that nobody sees passes");
        }
    }
}

// Which ports lead out of a service, and to it, by its own policy.
const EGRESS = { "metadata-api": [53, 4222, 5432], placement: [53, 4222, 5432], rebalance: [53, 4222, 5432, 6379],
    autoscale: [53, 4222, 5432, 6379], dr: [53, 4222, 5432, 6379] };
const MORE = { production: { autoscale: [80, 443, 9090], dr: [80, 443] }, "site-a": { dr: [443] }, "site-b": { dr: [443] } };
function network(service, all, values) {
    const policies = all.filter((o) => o.kind === "NetworkPolicy");
    const p = policies.find((o) => o.metadata.name === `prism-${service}`);
    must(p && same(p.spec.policyTypes, ["Ingress", "Egress"]), `${service} has no network policy`);
    if (!p) return;
    const ports = (rules) => [...new Set(rules.flatMap((r) => r.ports.map((x) => x.port)))].sort((a, b) => a - b);
    const want = [...EGRESS[service], ...(MORE[values.replace("-deployments", "")]?.[service] || [])].sort((a, b) => a - b);
    must(same(ports(p.spec.egress), want), `${service} may leave by ${ports(p.spec.egress)}, not ${want}`);
    must(p.spec.egress.every((r) => r.to?.length > 0 && r.ports?.length > 0) && p.spec.ingress.every((r) => r.from?.length > 0 && r.ports?.length > 0),
        `${service}: a way that is open to all`);
    const blocks = (rules, side) => rules.flatMap((r) => r[side].filter((x) => x.ipBlock).map((x) => [r.ports[0].port, x.ipBlock]));
    must(blocks(p.spec.ingress, "from").every(([, b]) => !b.cidr.endsWith("/0")), `${service} is open to the world`);
    // The bucket's addresses change: but nothing of the own networks is among them.
    must(blocks(p.spec.egress, "to").every(([port, b]) => !b.cidr.endsWith("/0") ||
        (service === "dr" && port === 443 && ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"].every((x) => b.except.includes(x)))),
        `${service} may speak to the world`);
    must(blocks(p.spec.egress, "to").every(([port, b]) => port !== 80 || ["169.254.170.23/32", "fd00:ec2::23/128"].includes(b.cidr)),
        `${service}: port 80 is for the agent of Pod Identity`);
    must(service === "metadata-api" || p.spec.ingress.every((r) => r.from.every((f) => f.namespaceSelector)), `${service} is asked by others than Prometheus`);
}
function jobs(all, values) {
    const list = all.filter((o) => o.kind === "Job"), weight = (o) => Number(o.metadata.annotations["helm.sh/hook-weight"]);
    for (const j of list) {
        where += ` ${j.metadata.name}`;
        must(j.metadata.annotations["helm.sh/hook"] === "pre-install,pre-upgrade", "is no hook");
        must(j.spec.activeDeadlineSeconds > 0 && j.spec.template.spec.restartPolicy === "Never", "has no end");
        pod(j.spec.template.spec);
        for (const c of [...(j.spec.template.spec.initContainers || []), ...j.spec.template.spec.containers])
            container(c, [settings.get("prism-admin")]);
        if (TRUSTING.has(values)) trusts(j.metadata.name, j.spec.template.spec, all);
        for (const need of ["ServiceAccount", "NetworkPolicy"])
            must(all.some((o) => o.kind === need && o.metadata.name === "prism-admin" && weight(o) < weight(j)), `its ${need} is not there yet`);
        must(all.some((o) => o.kind === "NetworkPolicy" && o.metadata.name === "prism-admin" && matches(o.spec.podSelector, j.spec.template.metadata.labels)), "no policy finds it");
    }
    for (const e of all.filter((o) => o.kind === "ExternalSecret"))
        must(e.spec.target.creationPolicy === (e.metadata.annotations?.["helm.sh/hook"] ? "Orphan" : "Owner"),
            `${e.metadata.name}: a hook's Secret goes with it, or another's does not`);
    const by = (n) => list.find((j) => j.metadata.name === `prism-${n}`);
    const steps = by("setup").spec.template.spec, done = [...(steps.initContainers || []), ...steps.containers];
    must(done[0].env.find((e) => e.name === "PRISM_NATS_STREAM_REPLICAS")?.value === (TRUSTING.has(values) ? "3" : "0"), "streams that go with a server");
    if (values === "site-b") { // which has no database, and gets the library with the store
        must(list.length === 1 && same(done.map((c) => c.args[0]), ["bus"]), "jobs without a database");
        return;
    }
    must(list.length === 2 && weight(by("migrate")) < weight(by("setup")), "migrations come first");
    const script = by("migrate").spec.template.spec.containers[0].args[0];
    must(/dbmate .* up\n?$/.test(script), "migrations go forward alone");
    fs.writeFileSync(`${out}/migrate.sh`, script);
    must(same(done.map((c) => c.args[0]), ["bus", "store", "library"]), "setup");
    must(done.every((c) => c.args[0] !== "library" || c.env.find((e) => e.name === "PRISM_REDIS_SEEDS").value), "the library goes nowhere");
}
function observed(all, services) {
    const rules = all.find((o) => o.kind === "PrometheusRule");
    const dir = `${root}/deploy/helm/prism/files`;
    if (rules) {
        const links = (text) => text.replaceAll(/runbook_url: .*\//g, "runbook_url: ");
        const groups = yaml.parse(links(yaml.stringify(rules.spec.groups, { lineWidth: 0 })));
        must(same(groups.slice(0, -1), fs.readdirSync(`${dir}/prometheus`).sort().flatMap((f) =>
            yaml.parse(links(fs.readFileSync(`${dir}/prometheus/${f}`, "utf8"))).groups)), "rules are others than in files");
        const { name, rules: expected } = rules.spec.groups.at(-1);
        const alerts = rules.spec.groups.flatMap((g) => g.rules).filter((r) => r.alert === "PrismServiceDown");
        must(name === "prism.expected" && same(expected.map((r) => r.expr).sort(), services.map((s) =>
            `absent(up{namespace="prism",job="${s}"} == 1)`).sort()), "a service without a pod is not missed, or one that is not installed");
        must(alerts.length === 1 + services.length && alerts.every((r) => r.for === "5m" && r.labels.severity === "page" &&
            r.annotations.runbook_url === alerts[0].annotations.runbook_url), "a service without a pod alarms nobody");
    }
    const boards = all.filter((o) => o.kind === "ConfigMap").map((o) => Object.entries(o.data)[0]);
    for (const [name, text] of boards)
        must(same(JSON.parse(text), JSON.parse(fs.readFileSync(`${dir}/grafana/${name.replace("prism-", "")}`, "utf8"))), `dashboard ${name}`);
    must(boards.length === 0 || boards.length === 6, `${boards.length} dashboards`);
    const monitor = all.find((o) => o.kind === "PodMonitor");
    if (monitor) must(monitor.spec.jobLabel === "app.kubernetes.io/component" && monitor.spec.podMetricsEndpoints[0].port === "http", "PodMonitor");
    return { rules, monitor, boards };
}

// The schema knows each setting of a service but what the chart sets, and no secret as a variable. What has a default is
// required: a null takes it away, and the templates go on with nothing.
function schema() {
    where = "values.schema.json";
    const dir = `${root}/deploy/helm/prism`, s = JSON.parse(fs.readFileSync(`${dir}/values.schema.json`, "utf8"));
    const lists = (name, want) => {
        const has = s.definitions[name].enum, lacks = [...want].filter((n) => !has.includes(n)), more = has.filter((n) => !want.has(n));
        must(lacks.length + more.length === 0, `${name} lacks ${lacks}, and has ${more} without need`);
    };
    const set = new Set([..."_pod.tpl _helpers.tpl".split(" ").map((f) => fs.readFileSync(`${dir}/templates/${f}`, "utf8")).join("")
        .matchAll(/name: ((?:PRISM|AWS)_\w+)/g)].map((m) => m[1]));
    set.delete("PRISM_DR_ZONE"); // with zoneFromPodLabel alone
    for (const service of SERVICES) {
        lists(`of-${service}`, new Set([...every, ...settings.get(service)].filter((n) => !set.has(n))));
        const has = s.properties.services.properties[service].properties;
        for (const [member, kind] of [["env", "setting"], ["secrets", "keys"], ["secretPaths", "paths"]])
            must(same(has[member].allOf, [{ $ref: `#/definitions/${kind}` }, { propertyNames: { $ref: `#/definitions/of-${service}` } }]), `${service}: ${member}`);
    }
    lists("hidden", hidden);
    must(same(Object.keys(s.properties.jobs.properties.secrets.properties).sort(), [...settings.get("prism-admin")].filter((n) => hidden.has(n)).sort()), "jobs.secrets");
    const required = (at, from, value) => {
        const node = from.$ref ? s.definitions[from.$ref.split("/").at(-1)] : from;
        if (!node.properties || at.endsWith(".pdb") || at === ".jobs.secrets") return;
        for (const [name, inner] of Object.entries(value)) {
            must((node.required || []).includes(name) || name === "cpu", `${at}.${name} may be null`);
            if (inner?.constructor === Object) required(`${at}.${name}`, node.properties[name], inner);
        }
    };
    required("", s, yaml.parse(fs.readFileSync(`${dir}/values.yaml`, "utf8")));
    // What _checks.tpl takes for a setting that nobody gave.
    const taken = [...fs.readFileSync(`${dir}/templates/_checks.tpl`, "utf8").matchAll(/(PRISM_\w+) \| default "(\d+)"/g)];
    must(taken.length === 4 && taken.every(([, name, n]) => byDefault.get(name) === Number(n)), "_checks.tpl goes by other defaults");
}
// docs/how-to/deploy-on-eks.md can be followed.
function page() {
    where = "deploy-on-eks.md";
    const text = fs.readFileSync(`${root}/docs/how-to/deploy-on-eks.md`, "utf8");
    const roles = SERVICES.map((s) => `prism_${s.replace("-", "_")}`);
    must([...roles, "prism_owner"].every((r) => text.includes(`CREATE ROLE ${r} LOGIN`) && text.includes(`\\password ${r}\n`)), "a role that cannot log in");
    must(text.includes("CREATE ROLE prism_owner LOGIN CREATEROLE;") && text.includes("CREATE DATABASE prism OWNER prism_owner;"), "migrations that may not make roles");
    const admin = JSON.parse(text.match(/--overrides '([^']*)'/)[1]).spec;
    must(admin.volumes.every((v) => !v.configMap || v.configMap.optional) && admin.containers[0].volumeMounts.every((m) => admin.volumes.some((v) => v.name === m.name)),
        "a pod that waits for a ConfigMap which not everybody has");
    must(text.indexOf("elbv2.k8s.aws/pod-readiness-gate-inject=enabled") > 0 && text.indexOf("elbv2.k8s.aws/pod-readiness-gate-inject=enabled") < text.indexOf("helm install"), "pods without a readiness gate");
}

// Two sites that are to take over from each other (sites.json) agree on what both write and read, and reach what both have.
function pair(a, b) {
    const example = JSON.parse(fs.readFileSync(`${root}/deploy/helm/prism/values/sites.json`, "utf8"));
    const [west, east] = [a, b].map((all) => {
        const named = (kind, name) => all.find((o) => o.kind === kind && o.metadata.name === name);
        const dr = named("Deployment", "prism-dr").spec.template.spec, env = Object.fromEntries(dr.containers[0].env.map((e) => [e.name, e.value]));
        const files = named("ExternalSecret", "prism-dr").spec.data.map((d) => `${dr.containers[0].volumeMounts.find((m) => m.name === "secrets").mountPath}/${d.secretKey}`);
        const api = named("Deployment", "prism-metadata-api").spec.template.spec.containers[0].env;
        return { env, files, api, user: env.PRISM_REDIS_USER, redis: named("NetworkPolicy", "prism-dr").spec.egress.find((r) => r.ports[0].port === 6379).to.map((t) => t.ipBlock.cidr),
            from: named("ExternalSecret", "prism-dr").spec.data[0].remoteRef.key };
    });
    where = "sites";
    must(example.sites.length === 2 && example.sites[0].name === west.env.PRISM_DR_SITE && example.sites[1].name === east.env.PRISM_DR_SITE, "names: the first owns the store");
    for (const name of ["PRISM_DR_CLUSTER", "PRISM_DR_S3_ENDPOINT", "PRISM_DR_S3_BUCKET", "PRISM_DR_S3_PREFIX", "PRISM_DR_KEY_PATH", "PRISM_DR_SITES_PATH"])
        must(west.env[name] && west.env[name] === east.env[name], `${name}: ${west.env[name]}, ${east.env[name]}`);
    must(west.from !== east.from, "one site's keys cannot be taken back alone");
    const number = (ip) => ip.split(".").reduce((n, x) => n * 256 + Number(x), 0);
    const within = (address, cidr) => { const [net, bits] = cidr.split("/"), size = 2 ** (32 - bits); return Math.floor(number(address) / size) === Math.floor(number(net) / size); };
    for (const s of [west, east]) {
        must(s.files.includes(s.env.PRISM_DR_SITES_PATH) && s.files.includes(s.env.PRISM_DR_KEY_PATH), "sites.json or the key is not mounted");
        must(s.api.some((e) => e.name === "PRISM_API_STANDBY_TOKEN_SHA256_PATH"), "nobody can begin a fail-over there");
        for (const { redis, postgres, hooks } of example.sites) {
            must(s.files.includes(redis.password_path), `${redis.password_path} is not in the Secret`);
            must(redis.keep.includes(s.user), "dr locks itself out");
            must(!postgres && !hooks, "the image has no PostgreSQL, and a Secret no programs");
            for (const n of redis.nodes)
                must(s.redis.some((c) => within(n.address.split(":")[0], c)), `${s.env.PRISM_DR_SITE} may not reach ${n.address}`);
        }
    }
}

const TRUSTING = new Set(["production", "production-deployments", "site-a", "site-b"]);
const ENABLED = { default: SERVICES.slice(0, 4), minimal: SERVICES.slice(0, 3), production: SERVICES, "production-deployments": SERVICES, "site-a": SERVICES, "site-b": ["metadata-api", "dr"] };
const seen = [], rendered = {};
for (const file of files) {
    const values = path.basename(file, ".yaml"), text = fs.readFileSync(file, "utf8");
    const all = yaml.parseAllDocuments(text).map((d) => d.toJS()).filter(Boolean);
    seen.push(values);
    rendered[values] = all;
    where = values;
    must(!text.includes("<no value>") && all.every((o) => o.metadata.name.length <= 63), "something is empty, or a name too long");
    const works = all.filter((o) => ["Deployment", "Rollout", "StatefulSet", "DaemonSet"].includes(o.kind));
    const services = works.map((w) => w.metadata.labels["app.kubernetes.io/component"]);
    must(same(services.slice().sort(), (ENABLED[values] || []).slice().sort()), `runs ${services}`);
    for (const w of works) {
        const service = w.metadata.labels["app.kubernetes.io/component"];
        where = `${values} ${service}`;
        must(w.kind === (values === "production" ? "Rollout" : "Deployment"), `is a ${w.kind}`);
        workload(service, w, all, values);
        network(service, all, values);
    }
    where = values;
    const deny = all.find((o) => o.metadata.name === "prism-deny");
    must(deny && same(deny.spec.policyTypes, ["Ingress", "Egress"]) && !deny.spec.ingress && !deny.spec.egress &&
        works.every((w) => matches(deny.spec.podSelector, w.spec.template.metadata.labels)), "what is not allowed is not denied");
    const { rules, monitor, boards } = observed(all, services);
    const own = values === "default" ? {} : yaml.parse(fs.readFileSync(`${root}/deploy/helm/prism/values/${values.replace("-deployments", "")}.yaml`, "utf8"));
    if (services.includes("dr")) {
        const claim = room(works.find((w) => w.metadata.name === "prism-dr"), own.services.dr);
        must(claim.storageClassName === "gp3", "a claim that waits for a class: a new EKS cluster has no default");
    }
    const ways = (name, side) => all.find((o) => o.kind === "NetworkPolicy" && o.metadata.name === `prism-${name}`).spec[side]
        .flatMap((r) => (r.to || r.from).map((x) => [r.ports[0].port, x.ipBlock?.cidr || "pods"]));
    if (values === "site-b") {
        // What is its own is in its own region.
        const [to, from] = [ways("dr", "egress"), ways("metadata-api", "ingress")];
        must(to.some(([p, c]) => p === 443 && c.startsWith("10.1.")) && to.some(([p, c]) => p === 4222 && c === "pods"), "dr does not reach S3 or NATS");
        must(to.every(([p, c]) => p !== 5432 || c.startsWith("10.1.")), "PostgreSQL is each site's own");
        must(from.some(([, c]) => c.startsWith("10.1.")) && !from.some(([, c]) => c.startsWith("10.0.")), "the API is open to the other region alone");
    }
    jobs(all, values);
    where = values;
    // What the chart's own addresses name is in its namespace, and has a Service whose address no block of ours would hold.
    if (["default", "minimal"].includes(values)) for (const service of services) for (const port of EGRESS[service].filter((x) => x !== 53))
        must(ways(service, "egress").some(([p, to]) => p === port && to === "pods"), `${service} may not reach ${port} of its namespace`);
    if (values === "minimal") must(all.every((o) => !/\.(com|io)\//.test(o.apiVersion.replace(/\.k8s\.io\//, "/"))), "needs kinds that a bare cluster lacks");
    if (values.startsWith("production")) {
        must(rules && monitor && boards.length === 6, "is not watched");
        must(all.some((o) => o.kind === "HorizontalPodAutoscaler") && all.some((o) => o.kind === "Ingress"), "API");
        must(works.every((w) => w.spec.template.spec.topologySpreadConstraints[0].whenUnsatisfiable === "DoNotSchedule"), "zones");
        must(works.every(({ spec: { template: { spec } } }) => !spec.nodeSelector && !spec.tolerations), "nodes other than docs/explanation/scale.md sums");
        const external = all.find((o) => o.kind === "ExternalSecret" && o.metadata.name === "prism-dr").spec.data.map((d) => d.secretKey);
        must(!external.some((key) => key.startsWith("s3-")) && !JSON.stringify(works.find((w) => w.metadata.name === "prism-dr")).includes("PRISM_DR_S3_ACCESS_KEY_ID"),
            "dr, which has a role, is given a user's keys");
        const role = all.find((o) => o.kind === "Role");
        must(same(role.rules.map((r) => [r.resources[0], r.verbs.join(), r.resourceNames?.length || 0]),
            [["statefulsets/scale", "get,patch", 3], ["pods", "list", 0]]), "autoscale may do something else");
        // Asked for by its Service's address, answered by network interfaces in the private subnets.
        const server = ways("autoscale", "egress").filter(([p]) => p === 443).map(([, c]) => c);
        must(server.includes("172.20.0.1/32") && server.filter((c) => /^10\.0\..*\/20$/.test(c)).length >= 3, `autoscale does not reach the API server: ${server}`);
        must(role.metadata.namespace !== "prism", "autoscale has a say in the services' own namespace");
        // By this label kube-prometheus-stack finds them; what has none is not read.
        must([rules, monitor].every((o) => o.metadata.labels.release), "Prometheus does not find the rules or the pods");
        // And by its Service, which is called after the release, it is asked.
        const asked = [...all.filter((o) => o.kind === "AnalysisTemplate").flatMap((o) => o.spec.metrics.map((m) => m.provider.prometheus.address)),
            works.find((w) => w.metadata.name === "prism-autoscale").spec.template.spec.containers[0].env.find((e) => e.name === "PRISM_PROMETHEUS_URL")?.value];
        must(asked.every((url) => url === `http://${rules.metadata.labels.release}-prometheus.monitoring:9090`), `Prometheus is asked at ${asked}`);
        must(rules.spec.groups.flatMap((g) => g.rules).every((r) => !r.alert || /^https:\/\/.*\.md$/.test(r.annotations.runbook_url)), "a page without a link");
        const alb = (name) => all.find((o) => o.kind === "Ingress").metadata.annotations[`alb.ingress.kubernetes.io/${name}`];
        must(alb("scheme") === "internal", "open to the world");
        must(Number(alb("load-balancer-attributes").match(/idle_timeout\.timeout_seconds=(\d+)/)?.[1]) < Number(idle[1]),
            "the API closes connections that the load balancer still uses: 502");
    }
}
pair(rendered["site-a"], rendered["site-b"]);
schema();
page();
// Drills and restores start a redis-server: dr's image has one, and what it needs.
where = "image";
const read = (file) => fs.readFileSync(`${root}/${file}`, "utf8");
const started = read("services/dr/io/quarantine.c").match(/execlp\("([a-z-]+)"/)[1];
const dr = read("compose/Dockerfile").match(/^FROM runtime AS dr\n([^]*?)^ENTRYPOINT/m)[1];
must(dr.includes("COPY --from=files /files/dr/ /\n") && read("compose/image/files.sh").includes(`/files/dr/usr/bin/${started}\n`),
    `dr starts ${started}, which its image lacks`);
where = "all";
must(same(seen.sort(), Object.keys(ENABLED).sort()), `rendered: ${seen}`);
console.log(`chart: ${files.length} sets of values, ${asserted} assertions, ${bad} failed`);
process.exitCode = bad ? 1 : 0;
