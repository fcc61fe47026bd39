{{/* An account of its own, to which nothing is bound and whose token is mounted nowhere. */}}
{{- define "meetai.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "meetai.meta" (list . "") | nindent 2 }}
  {{- with .Values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}
