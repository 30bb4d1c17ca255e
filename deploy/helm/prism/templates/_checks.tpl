{{/* What values.schema.json cannot say: values that do not go together. Each refusal names the value to change. */}}
{{- define "prism.checks" -}}
{{- range $service, $s := .Values.services }}
{{- if $s.enabled }}
{{- include "prism.checkDrain" (dict "service" $service "values" $s) }}
{{- include "prism.checkOnce" (dict "service" $service "values" $s) }}
{{- end }}
{{- end }}
{{- include "prism.checkRoom" .Values.services }}
{{- if .Values.services.dr.enabled }}
{{- include "prism.checkDr" .Values.services.dr }}
{{- end }}
{{- with .Values.jobs.setup }}
{{- if and .enabled .library (not $.Values.common.redisSeeds) }}
{{- fail "common.redisSeeds: the job that loads the function library needs some nodes of the Redis Cluster; or jobs.setup.library: false" }}
{{- end }}
{{- end }}
{{- if and .Values.rollouts.enabled (not .Values.monitoring.prometheusUrl) }}
{{- fail "monitoring.prometheusUrl: canaries are judged by what Prometheus says" }}
{{- end }}
{{- if .Values.networkPolicy.enabled }}
{{- include "prism.checkWays" . }}
{{- end }}
{{- end }}

{{/* A disruption budget that is never met holds up every drain of a node. */}}
{{- define "prism.checkDrain" -}}
{{- $replicas := int .values.replicas }}
{{- $scaled := (.values.autoscaling | default dict).enabled }}
{{- if $scaled }}
{{- $replicas = int .values.autoscaling.min }}
{{- if gt $replicas (int .values.autoscaling.max) }}
{{- fail (printf "services.%s.autoscaling.min: %d, but max is %d" .service $replicas (int .values.autoscaling.max)) }}
{{- end }}
{{- end }}
{{- if and .values.pdb (or $scaled (gt $replicas 1)) }}
{{- with .values.pdb }}
{{- $least := .minAvailable | default 0 }}
{{- /* As Kubernetes counts: a part of a replica is a replica. */}}
{{- if kindIs "string" $least }}{{ $least = divf (mulf (trimSuffix "%" $least | float64) $replicas) 100 | ceil }}{{ end }}
{{- if ge (int $least) $replicas }}
{{- fail (printf "services.%s.pdb.minAvailable: with %d replicas no node that has one could be drained" $.service $replicas) }}
{{- end }}
{{- if and (hasKey . "maxUnavailable") (has (toString .maxUnavailable) (list "0" "0%")) }}
{{- fail (printf "services.%s.pdb.maxUnavailable: no node that has a replica could be drained" $.service) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* What reaches a container in two ways is refused by its service, or the later one counts. */}}
{{- define "prism.checkOnce" -}}
{{- range $setting, $_ := .values.secrets }}
{{- if or (hasKey $.values.env $setting) (hasKey $.values.secretPaths $setting) }}
{{- fail (printf "services.%s.secrets: %s is in env or secretPaths as well" $.service $setting) }}
{{- end }}
{{- end }}
{{- range $setting, $_ := .values.secretPaths }}
{{- if hasKey $.values.env $setting }}
{{- fail (printf "services.%s.secretPaths: %s is in env as well" $.service $setting) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Memory of metadata-api and rebalance, as docs/how-to/size-a-deployment.md counts. */}}
{{- define "prism.checkRoom" -}}
{{- $api := (index . "metadata-api").env }}
{{- $blobs := $api.PRISM_API_BLOB_BYTES | default "268435456" | float64 }}
{{- $connections := $api.PRISM_API_CONNECTIONS | default "10240" | float64 }}
{{- $workers := .rebalance.env.PRISM_REBALANCE_WORKERS | default "6" | float64 }}
{{- $batch := .rebalance.env.PRISM_REBALANCE_BATCH_BYTES | default "67108864" | float64 }}
{{- $need := dict "metadata-api" (addf $blobs (mulf $connections 32768)) "rebalance" (mulf $workers $batch) }}
{{- range $service, $bytes := $need }}
{{- with index $ $service }}
{{- $gib := addf 0.25 (divf $bytes 1073741824) }}
{{- if and .enabled (lt (include "prism.gib" .resources.limits.memory | float64) $gib) }}
{{- fail (printf "services.%s.resources.limits.memory: %s, but what its settings allow takes %.2f GiB" $service .resources.limits.memory $gib) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Memory and scratch of dr; why so much is in docs/how-to/size-a-deployment.md. */}}
{{- define "prism.checkDr" -}}
{{- $site := hasKey .secretPaths "PRISM_DR_SITES_PATH" }}
{{- if ne $site (hasKey .env "PRISM_DR_SITE") }}
{{- fail "services.dr: PRISM_DR_SITE in env and PRISM_DR_SITES_PATH in secretPaths go together" }}
{{- end }}
{{- if and .zoneFromPodLabel (hasKey .env "PRISM_DR_ZONE") }}
{{- fail "services.dr: PRISM_DR_ZONE in env and zoneFromPodLabel do not go together" }}
{{- end }}
{{- if and .serviceAccount.roleArn (not .aws) }}
{{- fail "services.dr.aws: false, so that its keys come from its secret, but serviceAccount.roleArn is a role" }}
{{- end }}
{{- if and .aws (hasKey (merge dict .env .secrets .secretPaths) "PRISM_DR_PG_URI") }}
{{- fail "services.dr.aws: true, but for PRISM_DR_PG_URI pgBackRest needs the keys of its secret" }}
{{- end }}
{{- $drills := true }}
{{- if hasKey .env "PRISM_DR_DRILL_CRON" }}{{ $drills = ne .env.PRISM_DR_DRILL_CRON "" }}{{ end }}
{{- $memory := 1.0 }}
{{- $scratch := 0.0 }}
{{- if $site }}
{{- $memory = addf 1.0 (mulf 5.0 .shardGiB) }}
{{- $scratch = mulf 3.4 .shardGiB .shards }}
{{- else if $drills }}
{{- $memory = addf 1.0 (mulf 1.25 .shardGiB) }}
{{- $scratch = mulf 3.4 .shardGiB }}
{{- end }}
{{- if lt (include "prism.gib" .resources.limits.memory | float64) $memory }}
{{- fail (printf "services.dr.resources.limits.memory: %s, but shards of %v GiB take %.1f GiB" .resources.limits.memory .shardGiB $memory) }}
{{- end }}
{{- if lt (include "prism.gib" .scratch | float64) $scratch }}
{{- fail (printf "services.dr.scratch: %s, but %v shards of %v GiB take %.1f GiB" .scratch (ternary .shards 1 $site) .shardGiB $scratch) }}
{{- end }}
{{- end }}
{{- define "prism.gib" -}}
{{- $unit := dict "" 1073741824.0 "k" 1073741.824 "Ki" 1048576.0 "M" 1073.741824 "Mi" 1024.0 "G" 1.073741824 "Gi" 1.0 "T" 0.001073741824 "Ti" 0.0009765625 }}
{{- divf (regexFind "^[0-9.]+" . | float64) (get $unit (regexFind "[A-Za-z]*$" .)) }}
{{- end }}

{{/* A service that is told to speak to somebody, and is not let. */}}
{{- define "prism.checkWays" -}}
{{- $np := .Values.networkPolicy }}
{{- $a := .Values.services.autoscale }}
{{- $dr := .Values.services.dr }}
{{- $api := index .Values.services "metadata-api" }}
{{- $need := dict "postgres" true "nats" true "dns" true
    "redis" (or .Values.services.rebalance.enabled $a.enabled $dr.enabled)
    "s3" $dr.enabled
    "kubernetes" (and $a.enabled (gt (len $a.targets) 0))
    "aws" (or (and $a.enabled $a.aws) (and $dr.enabled $dr.serviceAccount.roleArn))
    "prometheus" (and $a.enabled (ne $.Values.monitoring.prometheusUrl ""))
    "identityProvider" (and $api.enabled (hasPrefix "https://" (get $api.env "PRISM_API_JWT_JWKS" | default ""))) }}
{{- range $service, $s := dict "autoscale" $a "dr" $dr }}
{{- range $setting, $_ := merge dict $s.env $s.secrets $s.secretPaths }}
{{- if and $s.enabled (not $s.aws) (regexMatch "^(PRISM_)?AWS_" $setting) }}
{{- fail (printf "services.%s.aws: false, so that there is no way to AWS, for which %s is" $service $setting) }}
{{- end }}
{{- end }}
{{- if and $s.enabled $s.aws (not $s.serviceAccount.roleArn) (not $np.podIdentity) (not (hasKey (merge dict $s.env $s.secrets) "AWS_ACCESS_KEY_ID")) }}
{{- fail (printf "networkPolicy.podIdentity: false, but services.%s.aws, without a roleArn, has its keys from there" $service) }}
{{- end }}
{{- end }}
{{- range $way, $needed := $need }}
{{- if and $needed (not (get $np $way).to) }}
{{- fail (printf "networkPolicy.%s.to: nobody, but something that is turned on speaks to it" $way) }}
{{- end }}
{{- end }}
{{- end }}
