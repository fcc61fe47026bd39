{{/* How callers reach the service. */}}

{{/* The agent has a Service too, for its metrics; nobody calls it otherwise. */}}
{{- define "meetai.service" -}}
{{- $traits := include "meetai.traits" . | fromYaml -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "meetai.meta" (list . "") | nindent 2 }}
spec:
  type: ClusterIP
  {{- if not $traits.http }}
  clusterIP: None
  {{- end }}
  selector:
    {{- include "meetai.selector" . | nindent 4 }}
  ports:
    - name: http
      port: {{ $traits.port }}
      targetPort: http
      appProtocol: http
{{- end }}

{{- define "meetai.ingress" -}}
{{- if .Values.ingress.enabled }}
{{- $traits := include "meetai.traits" . | fromYaml -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "meetai.meta" (list . "") | nindent 2 }}
  {{- with .Values.ingress.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .Values.ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with .Values.ingress.tlsSecret }}
  tls:
    - hosts: [{{ $.Values.ingress.host }}]
      secretName: {{ . }}
  {{- end }}
  rules:
    - host: {{ required "ingress.host: the name under which callers come" .Values.ingress.host }}
      http:
        paths:
          {{- range $traits.paths }}
          - path: {{ . }}
            pathType: Prefix
            backend:
              service:
                name: {{ include "meetai.fullname" $ }}
                port: {name: http}
          {{- end }}
{{- end }}
{{- end }}

{{- define "meetai.httpRoute" -}}
{{- if .Values.httpRoute.enabled }}
{{- $traits := include "meetai.traits" . | fromYaml -}}
{{- if not .Values.httpRoute.parentRefs }}{{ fail "httpRoute.parentRefs: must name a Gateway" }}{{ end -}}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  {{- include "meetai.meta" (list . "") | nindent 2 }}
  {{- with .Values.httpRoute.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  parentRefs:
    {{- toYaml .Values.httpRoute.parentRefs | nindent 4 }}
  {{- with .Values.httpRoute.hostnames }}
  hostnames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    - matches:
        {{- range $traits.paths }}
        - path: {type: PathPrefix, value: {{ . }}}
        {{- end }}
      backendRefs:
        - name: {{ include "meetai.fullname" . }}
          port: {{ $traits.port }}
      {{- with .Values.httpRoute.timeouts }}
      timeouts:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end }}
{{- end }}
