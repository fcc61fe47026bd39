{{/* What runs once: migrations before an installation or upgrade, tests when `helm test` asks. */}}

{{/* jobPod (list $ COMPONENT): the pod's frame up to its container's own lines. */}}
{{- define "meetai.jobPod" -}}
{{- $root := first . -}}
{{- include "meetai.podCommon" $root }}
restartPolicy: Never
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: 16Mi
containers:
  - name: {{ last . }}
    image: {{ include "meetai.image" $root }}
    imagePullPolicy: {{ $root.Values.global.image.pullPolicy }}
    securityContext:
      {{- include "meetai.containerSecurity" $root | nindent 6 }}
    resources:
      {{- include "meetai.jobResources" $root | nindent 6 }}
    volumeMounts:
      - name: tmp
        mountPath: /tmp
{{- end }}

{{- define "meetai.jobLabels" -}}
{{ include "meetai.jobSelector" . }}
app.kubernetes.io/part-of: meetai
app.kubernetes.io/managed-by: {{ (first .).Release.Service }}
{{- end }}

{{/* ADR 0085. Not before a rollback: the older version runs on the newer schema, and has nothing to migrate. */}}
{{- define "meetai.migration" -}}
{{- if .Values.migrations.enabled }}
{{- $name := printf "%s-migrate" (include "meetai.fullname" .) -}}
{{- $selector := list . "migrate" -}}
{{- if .Values.global.networkPolicy.enabled }}
# The service's own policy isn't there yet at the first installation, and doesn't select this pod later.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ $name }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "meetai.jobLabels" $selector | nindent 4 }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: "-10"
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded,hook-failed
spec:
  podSelector:
    matchLabels:
      {{- include "meetai.jobSelector" $selector | nindent 6 }}
  policyTypes: [Ingress, Egress]
  egress:
    {{- include "meetai.egressRules" (list . (list "postgres")) | nindent 4 }}
---
{{- end }}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $name }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "meetai.jobLabels" $selector | nindent 4 }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: "0"
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: {{ .Values.migrations.attempts }}
  activeDeadlineSeconds: {{ .Values.migrations.deadlineSeconds }}
  # One that failed stays for a day, to be looked at.
  ttlSecondsAfterFinished: 86400
  template:
    metadata:
      labels:
        {{- include "meetai.jobLabels" $selector | nindent 8 }}
    spec:
      {{- include "meetai.jobPod" (list . "migrate") | nindent 6 }}
          args: [migrate]
          env:
            - name: LOG_LEVEL
              value: {{ .Values.global.logLevel }}
            {{- $own := .Values.migrations.database }}
            {{- if $own.existingSecret }}
            {{- include "meetai.secretEnv" (list "DATABASE_URL" $own.existingSecret $own.key) | trim | nindent 12 }}
            {{- else }}
            {{- include "meetai.databaseEnv" . | trim | nindent 12 }}
            {{- end }}
{{- end }}
{{- end }}

{{/* test (list $ SCRIPT ENV): runs files/SCRIPT by the image's own Python against the service. A Job, so that a lost node starts it anew. */}}
{{- define "meetai.test" -}}
{{- $root := index . 0 -}}
{{- $traits := include "meetai.traits" $root | fromYaml -}}
{{- $selector := list $root "test" -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "meetai.fullname" $root }}-test
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "meetai.jobLabels" $selector | nindent 4 }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: 1
  activeDeadlineSeconds: 120
  ttlSecondsAfterFinished: 3600
  template:
    metadata:
      labels:
        {{- include "meetai.jobLabels" $selector | nindent 8 }}
    spec:
      {{- include "meetai.jobPod" (list $root "test") | nindent 6 }}
          command: [/opt/meetai/bin/python, -c]
          args:
            - |
              {{- $root.Files.Get (index . 1) | nindent 14 }}
          env:
            - name: SERVICE_URL
              value: http://{{ include "meetai.fullname" $root }}:{{ $traits.port }}
            {{- index . 2 | trim | nindent 12 }}
{{- if $root.Values.global.networkPolicy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "meetai.fullname" $root }}-test
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "meetai.jobLabels" $selector | nindent 4 }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-weight: "-10"
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded,hook-failed
spec:
  podSelector:
    matchLabels:
      {{- include "meetai.jobSelector" $selector | nindent 6 }}
  policyTypes: [Ingress, Egress]
  egress:
    {{- include "meetai.egressRules" (list $root list) | nindent 4 }}
    - to:
        - podSelector:
            matchLabels:
              {{- include "meetai.selector" $root | nindent 14 }}
      ports: [{protocol: TCP, port: http}]
{{- end }}
{{- end }}
