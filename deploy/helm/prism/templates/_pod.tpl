{{/* The pod of a service; of its Deployment or Rollout. */}}
{{- define "prism.pod" -}}
{{- $ := .root }}
{{- $s := .values }}
{{- $api := eq .service "metadata-api" }}
{{- $tls := and $api $s.tls.secretName }}
metadata:
  labels: {{- include "prism.labels" . | nindent 4 }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ .service }}
spec:
  serviceAccountName: {{ include "prism.name" . }}
  automountServiceAccountToken: {{ and (eq .service "autoscale") (gt (len ($s.targets | default list)) 0) }}
  enableServiceLinks: false
  {{- include "prism.pullSecrets" $ | nindent 2 }}
  {{- with $.Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext: {{- include "prism.podSecurity" $ | nindent 4 }}
  # preStop, then the drain of 25 s at most.
  terminationGracePeriodSeconds: {{ add (int $s.preStopS) (int $s.graceS) }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: topology.kubernetes.io/zone
      whenUnsatisfiable: {{ ternary "DoNotSchedule" "ScheduleAnyway" $.Values.spread.hard }}
      # Nodes of a zone that failed may stay known for long, tainted. Counted, theirs would be a zone without a pod, and no other
      # may have more than one then: what replaces the lost pods, or is added for the load, would wait until the zone is back.
      nodeTaintsPolicy: Honor
      labelSelector:
        matchLabels: {{- include "prism.selector" . | nindent 10 }}
      matchLabelKeys: [{{ ternary "rollouts-pod-template-hash" "pod-template-hash" $.Values.rollouts.enabled }}]
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels: {{- include "prism.selector" . | nindent 16 }}
  {{- with $s.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $s.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .service }}
      image: {{ include "prism.image" (dict "root" $ "what" .service) }}
      imagePullPolicy: {{ $.Values.image.pullPolicy }}
      securityContext: {{- include "prism.containerSecurity" $ | nindent 8 }}
      ports:
        - {name: http, containerPort: 8080}
        {{- if $tls }}
        - {name: https, containerPort: 8443}
        {{- end }}
      env:
        - {name: PRISM_HTTP_BIND, value: "0.0.0.0"}
        - {name: PRISM_HTTP_PORT, value: "8080"}
        - {name: PRISM_LOG_LEVEL, value: {{ $.Values.common.logLevel }}}
        - {name: PRISM_NATS_URL, value: {{ $.Values.common.natsUrl | quote }}}
        - {name: PRISM_NATS_USER, value: {{ .service }}}
        {{- if has .service (list "rebalance" "autoscale" "dr") }}
        - {name: PRISM_REDIS_USER, value: {{ .service }}}
        {{- if ne .service "dr" }}
        {{- with $.Values.common.redisSeeds }}
        - {name: PRISM_REDIS_SEEDS, value: {{ . | quote }}}
        {{- end }}
        {{- end }}
        {{- end }}
        {{- if eq .service "autoscale" }}
        {{- with $.Values.monitoring.prometheusUrl }}
        - {name: PRISM_PROMETHEUS_URL, value: {{ . | quote }}}
        {{- end }}
        {{- end }}
        {{- if $tls }}
        - {name: PRISM_API_TLS_PORT, value: "8443"}
        - {name: PRISM_API_TLS_CERT_PATH, value: /etc/prism/tls/tls.crt}
        - {name: PRISM_API_TLS_KEY_PATH, value: /etc/prism/tls/tls.key}
        {{- with $s.tls.clientCaKey }}
        - {name: PRISM_API_TLS_CLIENT_CA_PATH, value: /etc/prism/tls/{{ . }}}
        {{- end }}
        {{- end }}
        {{- if eq .service "dr" }}
        - {name: PRISM_DR_SCRATCH_PATH, value: /scratch}
        {{- if $s.zoneFromPodLabel }}
        - name: PRISM_DR_ZONE
          valueFrom: {fieldRef: {fieldPath: "metadata.labels['topology.kubernetes.io/zone']"}}
        {{- end }}
        {{- end }}
        {{- include "prism.caEnv" $ | nindent 8 }}
        {{- include "prism.secretEnv" $s | nindent 8 }}
        {{- range $name, $value := $s.env }}
        - {name: {{ $name }}, value: {{ $value | quote }}}
        {{- end }}
      resources: {{- toYaml $s.resources | nindent 8 }}
      # It answers probes before anything else is there: a start that takes longer than this is stuck.
      startupProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 30
      # Only whether the process answers. What it depends on is no reason to kill it.
      livenessProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet: {path: {{ ternary "/livez" "/readyz" $.Values.standby }}, port: http}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      {{- if $s.preStopS }}
      lifecycle:
        preStop: {sleep: {seconds: {{ $s.preStopS }}}}
      {{- end }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        - {name: secrets, mountPath: /etc/prism/secrets, readOnly: true}
        {{- include "prism.caMount" $ | nindent 8 }}
        {{- if $tls }}
        - {name: tls, mountPath: /etc/prism/tls, readOnly: true}
        {{- end }}
        {{- if eq .service "dr" }}
        - {name: scratch, mountPath: /scratch}
        {{- end }}
        {{- if and (eq .service "placement") $s.data.claim }}
        - {name: data, mountPath: {{ $s.data.path }}, readOnly: true}
        {{- end }}
  volumes:
    - {name: tmp, emptyDir: {sizeLimit: 256Mi}}
    - name: secrets
      secret: {secretName: {{ $.Values.secrets.name }}-{{ .service }}, defaultMode: 288} # 0440
    {{- include "prism.caVolume" $ | nindent 4 }}
    {{- if $tls }}
    - name: tls
      secret: {secretName: {{ $s.tls.secretName }}, defaultMode: 288}
    {{- end }}
    {{- if eq .service "dr" }}
    - name: scratch
      ephemeral:
        volumeClaimTemplate:
          metadata:
            labels: {{- include "prism.selector" . | nindent 14 }}
          spec:
            accessModes: [ReadWriteOnce]
            {{- with $s.scratchClass }}
            storageClassName: {{ . }}
            {{- end }}
            resources: {requests: {storage: {{ $s.scratch }}}}
    {{- end }}
    {{- if and (eq .service "placement") $s.data.claim }}
    - name: data
      persistentVolumeClaim: {claimName: {{ $s.data.claim }}, readOnly: true}
    {{- end }}
{{- end }}
