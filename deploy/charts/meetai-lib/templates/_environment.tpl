{{/* The environment: what the services' settings classes read, and nothing else. checks/test_environment.py holds the two together. */}}

{{/* secretEnv (list NAME SECRET KEY) */}}
{{- define "meetai.secretEnv" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ required (printf "%s: existingSecret must name a Secret" (index . 0)) (index . 1) }}
      key: {{ required (printf "%s: the key in the Secret must be named" (index . 0)) (index . 2) }}
{{ end }}

{{/* Each key of `config` is a setting: tokenTtlSeconds is TOKEN_TTL_SECONDS. Empty is absent. */}}
{{- define "meetai.configEnv" -}}
{{- range $key, $value := .Values.config }}
{{- $text := "" }}
{{- if kindIs "slice" $value }}{{ $text = join "," $value }}
{{- else if and (kindIs "float64" $value) (eq (floor $value) $value) }}{{ $text = printf "%.0f" $value }}
{{- else if not (kindIs "invalid" $value) }}{{ $text = toString $value }}
{{- end }}
{{- if ne $text "" }}
- name: {{ snakecase $key | upper }}
  value: {{ $text | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "meetai.commonEnv" -}}
- name: HOST
  value: 0.0.0.0
- name: LOG_LEVEL
  value: {{ .Values.global.logLevel }}
{{- with .Values.global.otlpEndpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{ end }}

{{- define "meetai.livekitUrlEnv" -}}
- name: LIVEKIT_URL
  value: {{ required "global.livekit.url: where the services reach LiveKit, as in wss://livekit.example.org" .Values.global.livekit.url | quote }}
{{ end }}

{{- define "meetai.livekitKeyEnv" -}}
{{- $livekit := .Values.global.livekit }}
{{- include "meetai.secretEnv" (list "LIVEKIT_API_KEY" $livekit.existingSecret $livekit.keys.apiKey) }}
{{- include "meetai.secretEnv" (list "LIVEKIT_API_SECRET" $livekit.existingSecret $livekit.keys.apiSecret) }}
{{- end }}

{{/* The second key pair, while one is being changed. */}}
{{- define "meetai.livekitNextKeyEnv" -}}
{{- $livekit := .Values.global.livekit }}
{{- if $livekit.keys.nextApiKey }}
{{- include "meetai.secretEnv" (list "LIVEKIT_API_KEY_NEXT" $livekit.existingSecret $livekit.keys.nextApiKey) }}
{{- include "meetai.secretEnv" (list "LIVEKIT_API_SECRET_NEXT" $livekit.existingSecret $livekit.keys.nextApiSecret) }}
{{- end }}
{{- end }}

{{- define "meetai.redisEnv" -}}
{{- include "meetai.secretEnv" (list "REDIS_URL" .Values.global.redis.existingSecret .Values.global.redis.key) }}
{{- end }}

{{- define "meetai.databaseEnv" -}}
{{- include "meetai.secretEnv" (list "DATABASE_URL" .Values.database.existingSecret .Values.database.key) }}
{{- end }}

{{- define "meetai.serviceKeysEnv" -}}
{{- include "meetai.secretEnv" (list "SERVICE_KEYS" .Values.serviceKeys.existingSecret .Values.serviceKeys.key) }}
{{- end }}
