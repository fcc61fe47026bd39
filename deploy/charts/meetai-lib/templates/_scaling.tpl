{{/* How many, and how few. */}}

{{- define "meetai.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "meetai.meta" (list . "") | nindent 2 }}
spec:
  maxUnavailable: {{ .Values.disruptionBudget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "meetai.selector" . | nindent 6 }}
{{- end }}

{{- define "meetai.replicaRange" -}}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) }}
{{- fail "autoscaling.minReplicas: must not be above autoscaling.maxReplicas" }}
{{- end }}
{{- end }}

{{- define "meetai.horizontalPodAutoscaler" -}}
{{- include "meetai.replicaRange" . }}
{{- if eq .Values.autoscaling.type "cpu" }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "meetai.meta" (list . "") | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "meetai.fullname" . }}
  minReplicas: {{ .Values.autoscaling.minReplicas }}
  maxReplicas: {{ .Values.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ .Values.autoscaling.cpuPercent }}}
  behavior:
    {{- include "meetai.scalingBehavior" . | nindent 4 }}
{{- end }}
{{- end }}

{{/* Up at once, down slowly: a pod that goes takes its connections, or its meetings' good end, with it. */}}
{{- define "meetai.scalingBehavior" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  policies: [{type: Percent, value: 100, periodSeconds: 30}, {type: Pods, value: 2, periodSeconds: 30}]
  selectPolicy: Max
scaleDown:
  stabilizationWindowSeconds: 600
  policies: [{type: Pods, value: 1, periodSeconds: 120}]
{{- end }}

{{/* scaledObject (list $ QUERY THRESHOLD): ADR 0086. Prometheus away: as many replicas as there are. */}}
{{- define "meetai.scaledObject" -}}
{{- $root := index . 0 -}}
{{- include "meetai.replicaRange" $root }}
{{- if eq $root.Values.autoscaling.type "keda" }}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "meetai.meta" (list $root "") | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "meetai.fullname" $root }}
  minReplicaCount: {{ $root.Values.autoscaling.minReplicas }}
  maxReplicaCount: {{ $root.Values.autoscaling.maxReplicas }}
  pollingInterval: 15
  fallback:
    failureThreshold: 3
    replicas: {{ $root.Values.autoscaling.minReplicas }}
    behavior: currentReplicasIfHigher
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- include "meetai.scalingBehavior" $root | nindent 8 }}
  triggers:
    - type: prometheus
      name: load
      metricType: AverageValue
      metadata:
        serverAddress: {{ required "global.monitoring.prometheusUrl: where KEDA asks for the load" $root.Values.global.monitoring.prometheusUrl | quote }}
        query: {{ index . 1 | quote }}
        threshold: {{ index . 2 | quote }}
{{- end }}
{{- end }}
