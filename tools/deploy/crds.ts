// What the chart uses of kinds that are not Kubernetes' own, as their projects describe them: Prometheus Operator,
// External Secrets, Argo Rollouts. A member that is not here is refused, as in kubernetes-models.
import type { IIoK8sApimachineryPkgApisMetaV1ObjectMeta as Meta } from "@kubernetes-models/apimachinery/apis/meta/v1/ObjectMeta";
import type { IIoK8sApimachineryPkgApisMetaV1LabelSelector as Selector } from "@kubernetes-models/apimachinery/apis/meta/v1/LabelSelector";
import type { IIoK8sApiCoreV1PodTemplateSpec as Template } from "kubernetes-models/v1/PodTemplateSpec";

export interface IPodMonitor {
    apiVersion: "monitoring.coreos.com/v1";
    kind: "PodMonitor";
    metadata: Meta;
    spec: {
        jobLabel?: string;
        selector: Selector;
        podMetricsEndpoints: { port: string; path?: string; interval?: string; scrapeTimeout?: string }[];
    };
}
interface Rule {
    record?: string;
    alert?: string;
    expr: string;
    for?: string;
    labels?: Record<string, string>;
    annotations?: { summary: string; runbook_url: string };
}
export interface IPrometheusRule {
    apiVersion: "monitoring.coreos.com/v1";
    kind: "PrometheusRule";
    metadata: Meta;
    spec: { groups: { name: string; interval?: string; rules: Rule[] }[] };
}
export interface IExternalSecret {
    apiVersion: "external-secrets.io/v1";
    kind: "ExternalSecret";
    metadata: Meta;
    spec: {
        refreshInterval: string;
        secretStoreRef: { kind: "SecretStore" | "ClusterSecretStore"; name: string };
        target: { name: string; creationPolicy?: "Owner" | "Orphan" | "Merge" | "None" };
        data: { secretKey: string; remoteRef: { key: string; property?: string; version?: string } }[];
    };
}
type Step = { setWeight: number } | { pause: { duration?: string | number } };
export interface IRollout {
    apiVersion: "argoproj.io/v1alpha1";
    kind: "Rollout";
    metadata: Meta;
    spec: {
        replicas?: number;
        revisionHistoryLimit?: number;
        progressDeadlineSeconds?: number;
        progressDeadlineAbort?: boolean;
        selector: Selector;
        template: Template;
        rollbackWindow?: { revisions: number };
        strategy: {
            canary: {
                maxSurge?: number | string;
                maxUnavailable?: number | string;
                steps: Step[];
                analysis?: {
                    startingStep?: number;
                    templates: { templateName: string; clusterScope?: boolean }[];
                    args?: { name: string; value?: string; valueFrom?: { podTemplateHashValue: "Latest" | "Stable" } }[];
                };
            };
        };
    };
}
export interface IAnalysisTemplate {
    apiVersion: "argoproj.io/v1alpha1";
    kind: "AnalysisTemplate";
    metadata: Meta;
    spec: {
        args?: { name: string; value?: string }[];
        metrics: {
            name: string;
            initialDelay?: string;
            interval?: string;
            count?: number;
            failureLimit?: number;
            consecutiveErrorLimit?: number;
            successCondition?: string;
            failureCondition?: string;
            provider: { prometheus: { address: string; query: string } };
        }[];
    };
}
