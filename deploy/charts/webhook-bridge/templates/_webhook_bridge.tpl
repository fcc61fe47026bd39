{{- define "webhook-bridge.traits" -}}
port: 8102
http: true
stays: false
paths: [/webhooks, /api/webhooks, /v1]
egress: [livekit, redis, postgres, inngest, telemetry]
{{- end }}

{{- define "webhook-bridge.grace" -}}{{ include "meetai.httpGrace" . }}{{- end }}

{{- define "webhook-bridge.env" -}}
{{- include "meetai.livekitUrlEnv" . }}
- name: AGENT_NAME
  value: {{ .Values.global.agentName | quote }}
{{ include "meetai.livekitKeyEnv" . }}
{{- if .Values.global.livekit.keys.nextApiKey }}
{{- include "meetai.livekitNextKeyEnv" . }}
- name: LIVEKIT_MORE_KEYS
  value: $(LIVEKIT_API_KEY_NEXT):$(LIVEKIT_API_SECRET_NEXT)
{{ end }}
{{- include "meetai.redisEnv" . }}
{{- include "meetai.databaseEnv" . }}
{{- include "meetai.serviceKeysEnv" . }}
{{- $inngest := .Values.inngest }}
{{- if $inngest.existingSecret }}
{{- include "meetai.secretEnv" (list "INNGEST_EVENT_KEY" $inngest.existingSecret $inngest.eventKey) }}
{{- with $inngest.signingKey }}
{{- include "meetai.secretEnv" (list "INNGEST_SIGNING_KEY" $inngest.existingSecret .) }}
{{- end }}
{{- else if not .Values.config.inngestDev }}
{{- fail "inngest.existingSecret: must name the Secret with Inngest's event key (or set config.inngestDev)" }}
{{- end }}
{{- end }}

{{- define "webhook-bridge.testEnv" -}}
{{ include "meetai.livekitKeyEnv" . }}
{{- end }}
