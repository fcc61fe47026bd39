{{/* The arrows of DESIGN's picture, and no others (ADR 0087). */}}

{{/* egressRules (list $ PEERS): a rule for DNS and one for each peer of global.networkPolicy that is named. */}}
{{- define "meetai.egressRules" -}}
{{- $peers := (first .).Values.global.networkPolicy }}
{{- range prepend (last .) "dns" }}
{{- $peer := index $peers . }}
- ports:
    {{- toYaml $peer.ports | nindent 4 }}
  {{- with $peer.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "meetai.networkPolicy" -}}
{{- if .Values.global.networkPolicy.enabled }}
{{- $traits := include "meetai.traits" . | fromYaml -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "meetai.meta" (list . "") | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "meetai.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- with .Values.global.networkPolicy.monitoring }}
    - from:
        {{- toYaml . | nindent 8 }}
      ports: [{protocol: TCP, port: http}]
    {{- end }}
    {{- if $traits.http }}
    {{- with concat .Values.global.networkPolicy.ingressControllers .Values.networkPolicy.callers }}
    - from:
        {{- toYaml . | nindent 8 }}
      ports: [{protocol: TCP, port: http}]
    {{- end }}
    - from:
        - podSelector:
            matchLabels:
              {{- include "meetai.jobSelector" (list . "test") | nindent 14 }}
      ports: [{protocol: TCP, port: http}]
    {{- end }}
  egress:
    {{- include "meetai.egressRules" (list . $traits.egress) | nindent 4 }}
{{- end }}
{{- end }}

{{/* jobSelector (list $ COMPONENT): the pods of a migration or test, which are none of the service's. */}}
{{- define "meetai.jobSelector" -}}
app.kubernetes.io/name: {{ (first .).Chart.Name }}-{{ last . }}
app.kubernetes.io/instance: {{ (first .).Release.Name }}
{{- end }}
