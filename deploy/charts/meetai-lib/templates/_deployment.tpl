{{/* The service itself. `<chart>.env` lists its settings, `<chart>.grace` the seconds that it needs to end,
     `<chart>.volumes` and `<chart>.mounts` what it keeps (optional: only the agent has them). */}}
{{- define "meetai.deployment" -}}
{{- $traits := include "meetai.traits" . | fromYaml -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "meetai.meta" (list . "") | nindent 2 }}
  {{- if $traits.stays }}
  annotations:
    kube-score/ignore: pod-probes-identical # ADR 0088: what it depends on was asked by the startup probe
  {{- end }}
spec:
  {{- if eq .Values.autoscaling.type "none" }}
  replicas: {{ .Values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  progressDeadlineSeconds: 900
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 25%}
  selector:
    matchLabels:
      {{- include "meetai.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "meetai.labels" . | nindent 8 }}
        {{- with .Values.pod.labels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ .Chart.Name }}
        {{- with $traits.annotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- with .Values.pod.annotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "meetai.fullname" . }}
      {{- include "meetai.podCommon" . | nindent 6 }}
      {{- include "meetai.placement" . | nindent 6 }}
      terminationGracePeriodSeconds: {{ include (printf "%s.grace" .Chart.Name) . }}
      containers:
        - name: {{ .Chart.Name }}
          image: {{ include "meetai.image" . }}
          imagePullPolicy: {{ .Values.global.image.pullPolicy }}
          securityContext:
            {{- include "meetai.containerSecurity" . | nindent 12 }}
          ports:
            - name: http
              containerPort: {{ $traits.port }}
          env:
            {{- include "meetai.commonEnv" . | trim | nindent 12 }}
            {{- include (printf "%s.env" .Chart.Name) . | trim | nindent 12 }}
            {{- with include "meetai.configEnv" . | trim }}
            {{- . | nindent 12 }}
            {{- end }}
          {{- include "meetai.probes" (list . $traits) | nindent 10 }}
          {{- if $traits.http }}
          # The pod goes on answering until load balancers have heard that it leaves.
          lifecycle:
            preStop:
              sleep:
                seconds: {{ include "meetai.preStopSeconds" . }}
          {{- end }}
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
          volumeMounts:
            - name: tmp
              mountPath: /tmp
            {{- if $traits.spool }}
            - name: spool
              mountPath: {{ $traits.spool }}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir:
            sizeLimit: 64Mi
        {{- if $traits.spool }}
        - name: spool
          emptyDir:
            sizeLimit: {{ include "meetai.spoolBytes" . }}
        {{- end }}
{{- end }}

{{- define "meetai.preStopSeconds" -}}10{{- end }}

{{/* Of an HTTP service: the pause before the signal, 10 s for open requests (meetai_servicekit.server.GRACEFUL_SECONDS), and room. */}}
{{- define "meetai.httpGrace" -}}
{{ add (include "meetai.preStopSeconds" .) 30 }}
{{- end }}

{{/* ADR 0088. Where `stays`: a new pod has to reach all it needs once, so that a roll-out with a wrong address stops; after that it
     is kept in service while a shared dependency is away, because it still answers what it can. */}}
{{- define "meetai.probes" -}}
{{- $traits := last . -}}
startupProbe:
  httpGet: {path: {{ $traits.stays | ternary "/readyz" "/livez" }}, port: http}
  periodSeconds: 2
  timeoutSeconds: 3
  failureThreshold: 150
livenessProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: {{ $traits.stays | ternary "/livez" "/readyz" }}, port: http}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end }}
