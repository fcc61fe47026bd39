{{/* Names, labels and images. A chart says what it is in its own template `<chart>.traits`:
       port      where it listens
       http      whether anybody but the platform calls it
       stays     whether it is kept in service while what it depends on is away (ADR 0088)
       paths     what an Ingress or HTTPRoute leads to it: never /metrics, /readyz or /schema
       egress    which peers of global.networkPolicy it talks to
       spool     a folder that outlives its processes, if it needs one
       annotations  of its pods, if any */}}

{{- define "meetai.traits" -}}
{{ include (printf "%s.traits" .Chart.Name) . }}
{{- end }}

{{- define "meetai.fullname" -}}
{{- if eq .Chart.Name .Release.Name -}}
{{ .Release.Name }}
{{- else -}}
{{ printf "%s-%s" (.Release.Name | trunc (int (sub 44 (len .Chart.Name))) | trimSuffix "-") .Chart.Name }}
{{- end -}}
{{- end }}

{{- define "meetai.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* `version` is the application's, so that a change of the chart alone restarts no pod. */}}
{{- define "meetai.labels" -}}
{{ include "meetai.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: meetai
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* meta (list $ SUFFIX): metadata of a resource of this chart. */}}
{{- define "meetai.meta" -}}
{{- $root := first . -}}
name: {{ include "meetai.fullname" $root }}{{ last . }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "meetai.labels" $root | nindent 2 }}
{{- end }}

{{- define "meetai.image" -}}
{{- $registry := .Values.global.image.registry | trimSuffix "/" -}}
{{- $name := .Values.image.repository -}}
{{- if $registry }}{{ $name = printf "%s/%s" $registry $name }}{{ end -}}
{{- if .Values.image.digest -}}
{{ printf "%s@%s" $name .Values.image.digest }}
{{- else -}}
{{ printf "%s:%s" $name (coalesce .Values.image.tag .Values.global.image.tag .Chart.AppVersion) }}
{{- end -}}
{{- end }}
