{{- define "agent.traits" -}}
port: 8104
http: false
stays: false
spool: /spool
egress: [livekit, livekitMedia, redis, providers, telemetry]
annotations:
  # A meeting goes on for as long as its people like; an autoscaler of nodes may end it no sooner than a drain would.
  cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
  karpenter.sh/do-not-disrupt: "true"
{{- end }}

{{/* After the drain: 90 s to finish and close meetings that still run (worker.CLOSE_SECONDS), 10 s for open requests
     (server.GRACEFUL_SECONDS), and room. checks/test_environment.py compares these numbers with the code's. */}}
{{- define "agent.grace" -}}
{{- $drain := int .Values.config.drainSeconds -}}
{{- $least := add $drain 110 -}}
{{- $grace := int (.Values.terminationGracePeriodSeconds | default (add $drain 120)) -}}
{{- if lt $grace (int $least) -}}
{{- fail (printf "terminationGracePeriodSeconds: must be at least %d, 110 s more than config.drainSeconds, or meetings are cut off" $least) -}}
{{- end -}}
{{ $grace }}
{{- end }}

{{/* Room for the spools of all meetings at once, twice: those of killed jobs wait for their replay beside the new ones (ADR 0084). */}}
{{- define "meetai.spoolBytes" -}}
{{ mul 2 (int64 .Values.config.maxJobs) (int64 .Values.config.spoolMaxBytes) }}
{{- end }}

{{- define "agent.env" -}}
{{- include "meetai.livekitUrlEnv" . }}
- name: AGENT_NAME
  value: {{ .Values.global.agentName | quote }}
- name: TRANSCRIPT_STREAM_SHARDS
  value: {{ .Values.global.transcriptStreamShards | quote }}
- name: SPOOL_DIR
  value: /spool
{{ include "meetai.livekitKeyEnv" . }}
{{- include "meetai.redisEnv" . }}
{{- with .Values.providers }}
{{- if .openaiApiKey }}
{{- include "meetai.secretEnv" (list "OPENAI_API_KEY" .existingSecret .openaiApiKey) }}
{{- end }}
{{- if .deepgramApiKey }}
{{- include "meetai.secretEnv" (list "DEEPGRAM_API_KEY" .existingSecret .deepgramApiKey) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "agent.load" -}}
sum(meetai_agent_jobs{namespace="{{ .Release.Namespace }}",service="{{ include "meetai.fullname" . }}"})
{{- end }}
