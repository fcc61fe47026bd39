{{- define "token.traits" -}}
port: 8101
http: true
stays: true
paths: [/v1, /livekit]
egress: [livekit, redis, identityProvider, telemetry]
{{- end }}

{{- define "token.grace" -}}{{ include "meetai.httpGrace" . }}{{- end }}

{{- define "token.env" -}}
{{- include "meetai.livekitUrlEnv" . }}
{{- with .Values.global.livekit.publicUrl }}
- name: LIVEKIT_PUBLIC_URL
  value: {{ . | quote }}
{{- end }}
- name: AGENT_NAME
  value: {{ .Values.global.agentName | quote }}
{{ include "meetai.livekitKeyEnv" . }}
{{- include "meetai.livekitNextKeyEnv" . }}
{{- include "meetai.serviceKeysEnv" . }}
{{- if .Values.countInRedis }}
{{- include "meetai.redisEnv" . }}
{{- end }}
{{- end }}

{{- define "token.testEnv" -}}
# Without such a key the test shows only that strangers are refused.
- name: SERVICE_KEY
  valueFrom:
    secretKeyRef:
      name: {{ .Values.tests.existingSecret }}
      key: {{ .Values.tests.key }}
      optional: true
{{- end }}
