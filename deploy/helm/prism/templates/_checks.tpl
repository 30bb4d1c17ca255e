{{/* What values.schema.json cannot say: values that do not go together. Each refusal names the value to change. */}}
{{- define "prism.checks" -}}
{{- range $service, $s := .Values.services }}
{{- if $s.enabled }}
{{- include "prism.checkDrain" (dict "service" $service "values" $s) }}
{{- end }}
{{- end }}
{{- if .Values.services.dr.enabled }}
{{- include "prism.checkDr" .Values.services.dr }}
{{- end }}
{{- with .Values.jobs.setup }}
{{- if and .enabled .library (not $.Values.common.redisSeeds) }}
{{- fail "common.redisSeeds: the job that loads the function library needs some nodes of the Redis Cluster; or jobs.setup.library: false" }}
{{- end }}
{{- end }}
{{- if .Values.networkPolicy.enabled }}
{{- include "prism.checkWays" . }}
{{- end }}
{{- end }}

{{/* A disruption budget that is never met holds up every drain of a node. */}}
{{- define "prism.checkDrain" -}}
{{- $replicas := int .values.replicas }}
{{- $scaled := (.values.autoscaling | default dict).enabled }}
{{- if $scaled }}{{ $replicas = int .values.autoscaling.min }}{{ end }}
{{- if and .values.pdb (or $scaled (gt $replicas 1)) }}
{{- with .values.pdb }}
{{- $least := .minAvailable | default 0 }}
{{- if or (eq (toString $least) "100%") (and (not (kindIs "string" $least)) (ge (int $least) $replicas)) }}
{{- fail (printf "services.%s.pdb.minAvailable: with %d replicas no node that has one could be drained" $.service $replicas) }}
{{- end }}
{{- if and (hasKey . "maxUnavailable") (has (toString .maxUnavailable) (list "0" "0%")) }}
{{- fail (printf "services.%s.pdb.maxUnavailable: no node that has a replica could be drained" $.service) }}
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
{{- $api := index .Values.services "metadata-api" }}
{{- $need := dict "postgres" true "nats" true "dns" true
    "redis" (or .Values.services.rebalance.enabled $a.enabled .Values.services.dr.enabled)
    "s3" .Values.services.dr.enabled
    "kubernetes" (and $a.enabled (gt (len $a.targets) 0))
    "aws" (and $a.enabled $a.aws)
    "prometheus" (and $a.enabled (hasKey $a.env "PRISM_PROMETHEUS_URL"))
    "identityProvider" (and $api.enabled (hasPrefix "https://" (get $api.env "PRISM_API_JWT_JWKS" | default ""))) }}
{{- range $way, $needed := $need }}
{{- if and $needed (not (get $np $way).to) }}
{{- fail (printf "networkPolicy.%s.to: nobody, but something that is turned on speaks to it" $way) }}
{{- end }}
{{- end }}
{{- end }}
