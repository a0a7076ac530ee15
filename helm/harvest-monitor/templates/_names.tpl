{{- define "harvest-monitor.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "harvest-monitor.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "harvest-monitor.selector" -}}
app.kubernetes.io/name: {{ include "harvest-monitor.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "harvest-monitor.labels" -}}
{{ include "harvest-monitor.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "harvest-monitor.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}
{{- else }}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end }}
{{- end }}
{{- end }}

{{- define "harvest-monitor.serviceAccount" -}}
{{- default (include "harvest-monitor.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- define "harvest-monitor.claim" -}}
{{- default (include "harvest-monitor.fullname" .) .Values.persistence.existingClaim }}
{{- end }}

{{- define "harvest-monitor.inlineTenants" -}}
{{- include "harvest-monitor.fullname" . }}-tenants
{{- end }}
