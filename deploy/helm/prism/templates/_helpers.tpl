{{/* Names and labels. A service's objects are RELEASE-SERVICE; the label component is the service's name, and becomes
     the job that Prometheus' rules go by. */}}
{{- define "prism.name" -}}
{{ printf "%s-%s" .root.Release.Name .service | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "prism.selector" -}}
app.kubernetes.io/name: prism
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .service }}
{{- end }}

{{- define "prism.labels" -}}
{{ include "prism.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "prism.image" -}}
{{- with .root.Values.image -}}
{{ with .registry }}{{ . }}/{{ end }}{{ .repository }}-{{ $.what }}:{{ .tag | default $.root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* What nothing of ours needs more than. */}}
{{- define "prism.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}
{{- define "prism.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "prism.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* NAME_FILE for each secret: the value never is in a variable. */}}
{{- define "prism.secretEnv" -}}
{{- range $setting, $key := .secrets }}
- name: {{ $setting }}_FILE
  value: /etc/prism/secrets/{{ $key }}
{{- end }}
{{- range $setting, $key := .secretPaths }}
- name: {{ $setting }}
  value: /etc/prism/secrets/{{ $key }}
{{- end }}
{{- end }}

{{/* Certificates to trust, in every service and job. */}}
{{- define "prism.caEnv" -}}
{{- with .Values.common.ca.nats }}
- {name: PRISM_NATS_CA_PATH, value: /etc/prism/ca/{{ . }}}
{{- end }}
{{- end }}
{{- define "prism.caMount" -}}
{{- if .Values.common.ca.configMap }}
- {name: ca, mountPath: /etc/prism/ca, readOnly: true}
{{- end }}
{{- end }}
{{- define "prism.caVolume" -}}
{{- with .Values.common.ca.configMap }}
- {name: ca, configMap: {name: {{ . }}}}
{{- end }}
{{- end }}

{{/* The keys of a service's Secret, each once. */}}
{{- define "prism.secretKeys" -}}
{{- concat (values (.secrets | default dict)) (values (.secretPaths | default dict)) (.secretFiles | default list) | uniq | sortAlpha | toJson -}}
{{- end }}

{{- define "prism.externalSecret" -}}
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: {{ .name }}
  labels: {{- include "prism.labels" . | nindent 4 }}
  {{- with .annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  refreshInterval: {{ .root.Values.secrets.external.refreshInterval }}
  secretStoreRef: {{- toYaml .root.Values.secrets.external.storeRef | nindent 4 }}
  target: {name: {{ .name }}, creationPolicy: {{ .creationPolicy | default "Owner" }}}
  data:
    {{- range .keys }}
    - secretKey: {{ . }}
      remoteRef: {key: {{ printf "%s%s" $.root.Values.secrets.external.prefix $.service }}, property: {{ . }}}
    {{- end }}
{{- end }}

{{/* Rules for leaving: names, PostgreSQL, NATS, and what else the service speaks to. An empty list of peers closes the way. */}}
{{- define "prism.way" -}}
{{- with .to }}
- to: {{- toYaml . | nindent 4 }}
  ports: [{protocol: TCP, port: {{ $.port }}}]
{{- end }}
{{- end }}
{{- define "prism.dns" -}}
{{- with .Values.networkPolicy.dns.to }}
- to: {{- toYaml . | nindent 4 }}
  ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
{{- end }}
{{- end }}
