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

// The tables of docs/reference/settings.md: service -> names.
const settings = new Map();
let section = "";
for (const line of fs.readFileSync(`${root}/docs/reference/settings.md`, "utf8").split("\n")) {
    const head = line.match(/^## (.*)$/), row = line.match(/^\| `([A-Z0-9_]+)` \|/);
    if (head) settings.set((section = head[1]), new Set());
    else if (row) settings.get(section).add(row[1]);
}
const every = settings.get("Every service");
assert(every.has("PRISM_DB_URI") && SERVICES.every((s) => settings.get(s).size > 5), "settings.md is not as expected");
const drain = fs.readFileSync(`${root}/common/io/service_internal.h`, "utf8").match(/PR_DRAIN_S = (\d+)/);
assert(drain && Number(drain[1]) === DRAIN_S, "a service drains for another time than the chart waits");

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
}
function pod(spec) {
    const s = spec.securityContext;
    must(s.runAsNonRoot && s.fsGroup > 0 && s.runAsGroup > 0 && s.seccompProfile.type === "RuntimeDefault", "pod is not confined");
    must(!spec.hostNetwork && !spec.hostPID && !spec.hostIPC && spec.enableServiceLinks === false, "pod's host");
    must(spec.volumes.every((v) => v.emptyDir?.sizeLimit || v.secret || v.persistentVolumeClaim?.readOnly || v.ephemeral), "volumes");
    must(spec.volumes.every((v) => !v.secret || v.secret.defaultMode === 0o440), "secrets that others may read");
}
const matches = (selector, labels) => Object.entries(selector.matchLabels || {}).every(([k, v]) => labels[k] === v);

function workload(service, w, all, values) {
    const t = w.spec.template, spec = t.spec, c = spec.containers[0], api = service === "metadata-api";
    const named = (kind) => all.find((o) => o.kind === kind && o.metadata.name === w.metadata.name);
    pod(spec);
    must(spec.containers.length === 1 && c.name === service, "one container, called as its service");
    container(c, [every, settings.get(service)]);
    const probe = (p) => p.httpGet && [p.httpGet.path, p.httpGet.port].join(" ");
    must(probe(c.livenessProbe) === "/livez http" && probe(c.startupProbe) === "/livez http", "liveness asks for dependencies");
    must(probe(c.readinessProbe) === "/readyz http", "readiness");
    const stop = c.lifecycle?.preStop.sleep.seconds || 0;
    must(spec.terminationGracePeriodSeconds >= stop + DRAIN_S + 5, `killed ${spec.terminationGracePeriodSeconds} s after it was asked`);
    must(!api || stop >= 10, "the API leaves before load balancers know");
    must(spec.topologySpreadConstraints.some((x) => x.topologyKey === "topology.kubernetes.io/zone" && x.maxSkew === 1 &&
        matches(x.labelSelector, t.metadata.labels)), "spread over zones");
    must(spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution.every((x) =>
        matches(x.podAffinityTerm.labelSelector, t.metadata.labels)), "replicas on one node");
    must(matches(w.spec.selector, t.metadata.labels), "its selector finds its pods");
    must(named("ServiceAccount")?.automountServiceAccountToken === false && spec.serviceAccountName === w.metadata.name,
        "an account of its own, without a token");
    const asks = service === "autoscale" && all.some((o) => o.kind === "Role");
    must(spec.automountServiceAccountToken === asks, "a token for the API server without need, or none with it");
    const pdb = named("PodDisruptionBudget");
    must(!pdb || (matches(pdb.spec.selector, t.metadata.labels) && pdb.spec.minAvailable < (w.spec.replicas ?? 3)),
        "its disruption budget lets no node be drained");
    must(pdb || w.spec.replicas === 1, "several replicas, no disruption budget");
    const hpa = named("HorizontalPodAutoscaler");
    must(!hpa || (api && w.spec.replicas === undefined && hpa.spec.scaleTargetRef.kind === w.kind), "scaled by load without use");
    // What is mounted is what the settings name.
    const keys = c.env.flatMap((e) => (e.value || "").match(/^\/etc\/prism\/secrets\/(.+)$/)?.[1] ?? []);
    must(keys.includes("db-uri") && keys.includes("nats-password"), "secrets are files");
    const external = all.find((o) => o.kind === "ExternalSecret" && o.metadata.name === `prism-${service}`);
    must(!external || same(external.spec.data.map((d) => d.secretKey).sort(), [...new Set(keys)].sort()), "External Secrets bring other keys");
    must(spec.volumes.find((v) => v.name === "secrets").secret.secretName === `prism-${service}`, "its own secrets");
    for (const m of c.volumeMounts) must(spec.volumes.some((v) => v.name === m.name), `mount ${m.name}`);
    must(c.volumeMounts.every((m) => ["tmp", "scratch"].includes(m.name) || m.readOnly), "a mount that can be written to");
    fs.mkdirSync(`${out}/env`, { recursive: true });
    fs.writeFileSync(`${out}/env/${values}.${service}`, c.env.filter((e) => e.value !== undefined).map((e) => `${e.name}=${e.value}\n`).join(""));
    if (w.kind === "Rollout") {
        const canary = w.spec.strategy.canary;
        const weights = canary.steps.flatMap((s) => s.setWeight ?? []), pauses = canary.steps.flatMap((s) => s.pause ? Number.parseInt(s.pause.duration, 10) : []);
        must(same(weights, [10, 30, 60, 100]) && canary.steps.every((s, i) => Boolean(s.setWeight) === (i % 2 === 0)), "weights");
        // A background analysis ends with the steps: each weight, the last too, is long enough for two bad minutes after 2 min.
        must(pauses.length === weights.length && pauses.every((p) => p >= 240), "a step that is over before it is judged");
        must(w.spec.rollbackWindow?.revisions >= 1, "back in an emergency takes as long as forth");
        must(canary.analysis.startingStep === 1 && w.spec.progressDeadlineAbort, "nothing aborts it");
        must(same(canary.analysis.templates.map((x) => x.templateName.replace("prism-", "")),
            api ? ["seen", "api-errors", "api-p99", "decision-errors"] : ["seen", "decision-errors"]), "analysed by the wrong figures");
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
const MORE = { production: { autoscale: [80, 443, 9090], dr: [443] }, "dr-region": { dr: [443] } };
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
        (service === "dr" && port === 443 && b.except.includes("10.0.0.0/8") && b.except.includes("169.254.0.0/16"))),
        `${service} may speak to the world`);
    must(blocks(p.spec.egress, "to").every(([port, b]) => port !== 80 || ["169.254.170.23/32", "fd00:ec2::23/128"].includes(b.cidr)),
        `${service}: port 80 is for the agent of Pod Identity`);
    must(service === "metadata-api" || p.spec.ingress.every((r) => r.from.every((f) => f.namespaceSelector)), `${service} is asked by others than Prometheus`);
}
function jobs(all) {
    const list = all.filter((o) => o.kind === "Job"), weight = (o) => Number(o.metadata.annotations["helm.sh/hook-weight"]);
    for (const j of list) {
        where += ` ${j.metadata.name}`;
        must(j.metadata.annotations["helm.sh/hook"] === "pre-install,pre-upgrade", "is no hook");
        must(j.spec.activeDeadlineSeconds > 0 && j.spec.template.spec.restartPolicy === "Never", "has no end");
        pod(j.spec.template.spec);
        for (const c of [...(j.spec.template.spec.initContainers || []), ...j.spec.template.spec.containers])
            container(c, [settings.get("prism-admin")]);
        for (const need of ["ServiceAccount", "NetworkPolicy"])
            must(all.some((o) => o.kind === need && o.metadata.name === "prism-admin" && weight(o) < weight(j)), `its ${need} is not there yet`);
        must(all.some((o) => o.kind === "NetworkPolicy" && o.metadata.name === "prism-admin" && matches(o.spec.podSelector, j.spec.template.metadata.labels)), "no policy finds it");
    }
    for (const e of all.filter((o) => o.kind === "ExternalSecret"))
        must(e.spec.target.creationPolicy === (e.metadata.annotations?.["helm.sh/hook"] ? "Orphan" : "Owner"),
            `${e.metadata.name}: a hook's Secret goes with it, or another's does not`);
    const by = (n) => list.find((j) => j.metadata.name === `prism-${n}`);
    must(list.length === 2 && weight(by("migrate")) < weight(by("setup")), "migrations come first");
    must(/dbmate .* up$/.test(by("migrate").spec.template.spec.containers[0].args[0]), "migrations go forward alone");
    const steps = by("setup").spec.template.spec;
    must(same([...steps.initContainers, ...steps.containers].map((c) => c.args[0]), ["bus", "store", "library"]), "setup");
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

const ENABLED = { default: SERVICES.slice(0, 4), minimal: SERVICES.slice(0, 3), production: SERVICES, "production-deployments": SERVICES, "dr-region": ["metadata-api", "dr"] };
const seen = [];
for (const file of files) {
    const values = path.basename(file, ".yaml"), text = fs.readFileSync(file, "utf8");
    const all = yaml.parseAllDocuments(text).map((d) => d.toJS()).filter(Boolean);
    seen.push(values);
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
    if (values === "dr-region") {
        must(!all.some((o) => o.kind === "Job"), "jobs without a database");
        must(all.find((o) => o.kind === "Service").spec.publishNotReadyAddresses === true, "the standby is not reached");
        // What is its own is in its own region; PostgreSQL and Redis of the other are locked in a fail-over.
        const ways = (name, side) => all.find((o) => o.kind === "NetworkPolicy" && o.metadata.name === `prism-${name}`).spec[side]
            .flatMap((r) => (r.to || r.from).map((x) => [r.ports[0].port, x.ipBlock?.cidr || "pods"]));
        const [out, api] = [ways("dr", "egress"), ways("metadata-api", "ingress")];
        for (const port of [5432, 6379]) for (const region of ["10.1.", "10.0."])
            must(out.some(([p, c]) => p === port && c.startsWith(region)), `dr does not reach ${port} in ${region}0.0/16`);
        must(out.some(([p, c]) => p === 443 && c.startsWith("10.1.")) && out.some(([p, c]) => p === 4222 && c === "pods"), "dr does not reach S3 or NATS");
        must(api.some(([, c]) => c.startsWith("10.1.")) && !api.some(([, c]) => c.startsWith("10.0.")), "the API is open to the other region alone");
    } else jobs(all);
    where = values;
    if (values === "minimal") must(all.every((o) => !/\.(com|io)\//.test(o.apiVersion.replace(/\.k8s\.io\//, "/"))), "needs kinds that a bare cluster lacks");
    if (values.startsWith("production")) {
        must(rules && monitor && boards.length === 6, "is not watched");
        must(all.some((o) => o.kind === "HorizontalPodAutoscaler") && all.some((o) => o.kind === "Ingress"), "API");
        must(works.every((w) => w.spec.template.spec.topologySpreadConstraints[0].whenUnsatisfiable === "DoNotSchedule"), "zones");
        const role = all.find((o) => o.kind === "Role");
        must(same(role.rules.map((r) => [r.resources[0], r.verbs.join(), r.resourceNames?.length || 0]),
            [["statefulsets/scale", "get,patch", 3], ["pods", "list", 0]]), "autoscale may do something else");
        must(role.metadata.namespace !== "prism", "autoscale has a say in the services' own namespace");
        // By this label kube-prometheus-stack finds them; what has none is not read.
        must([rules, monitor].every((o) => o.metadata.labels.release), "Prometheus does not find the rules or the pods");
        must(rules.spec.groups.flatMap((g) => g.rules).every((r) => !r.alert || /^https:\/\/.*\.md$/.test(r.annotations.runbook_url)), "a page without a link");
        must(all.find((o) => o.kind === "Ingress").metadata.annotations["alb.ingress.kubernetes.io/scheme"] === "internal", "open to the world");
    }
}
// Compose's limit of processes counts threads, and the API has one a connection.
where = "compose";
const api = yaml.parse(fs.readFileSync(`${root}/compose/docker-compose.yml`, "utf8"), { merge: true, maxAliasCount: -1 }).services["metadata-api"];
must(Number(api.environment.PRISM_API_CONNECTIONS) <= api.pids_limit - 100, "more connections than the API may have threads");
where = "all";
must(same(seen.sort(), Object.keys(ENABLED).sort()), `rendered: ${seen}`);
console.log(`chart: ${files.length} sets of values, ${asserted} assertions, ${bad} failed`);
process.exitCode = bad ? 1 : 0;
