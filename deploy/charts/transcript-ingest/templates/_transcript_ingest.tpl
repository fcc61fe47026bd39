{{- define "transcript-ingest.traits" -}}
port: 8103
http: true
stays: true
paths: [/v1]
egress: [redis, postgres, telemetry]
{{- end }}

{{- define "transcript-ingest.grace" -}}{{ include "meetai.httpGrace" . }}{{- end }}

{{- define "transcript-ingest.env" -}}
- name: TRANSCRIPT_STREAM_SHARDS
  value: {{ .Values.global.transcriptStreamShards | quote }}
{{ include "meetai.redisEnv" . }}
{{- include "meetai.databaseEnv" . }}
{{- include "meetai.serviceKeysEnv" . }}
{{- if .Values.participantsMayRead }}
{{- include "meetai.livekitKeyEnv" . }}
{{- if .Values.global.livekit.keys.nextApiKey }}
{{- include "meetai.livekitNextKeyEnv" . }}
- name: LIVEKIT_MORE_KEYS
  value: $(LIVEKIT_API_KEY_NEXT):$(LIVEKIT_API_SECRET_NEXT)
{{ end }}
{{- end }}
{{- end }}

{{/* Every replica tells the lag of each stream; the largest is the freshest of those that are right. */}}
{{- define "transcript-ingest.load" -}}
sum(max by (stream) (meetai_ingest_stream_lag_entries{namespace="{{ .Release.Namespace }}",service="{{ include "meetai.fullname" . }}"}))
{{- end }}
