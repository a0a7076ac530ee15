{{/* Settings are part of the pod itself: changing one changes the pod, so no checksum is needed to restart it. */}}
{{- define "harvest-monitor.environment" -}}
- name: HARVEST_MONITOR_DATABASE_URL
  value: sqlite:////var/lib/harvest-monitor/harvest-monitor.sqlite3
- name: HARVEST_MONITOR_LISTEN
  value: {{ printf "%s:9808" .Values.listenHost | quote }}
- name: HARVEST_MONITOR_STOP_TIMEOUT
  value: {{ .Values.stopTimeoutSeconds | int64 | quote }}
- name: HARVEST_MONITOR_TENANTS
  value: {{ .Values.tenants.path | default (printf "/etc/harvest-monitor/tenants/%s" .Values.tenants.key) | quote }}
{{- range $setting, $value := .Values.settings }}
- name: HARVEST_MONITOR_{{ upper $setting }}
  value: {{ include "harvest-monitor.text" $value | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* YAML reads `off` as false; numbers in values are floats, and large ones would be printed as 1e+06. */}}
{{- define "harvest-monitor.text" -}}
{{- if kindIs "bool" . }}{{ ternary "on" "off" . }}
{{- else if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}
{{- else }}{{ . }}
{{- end }}
{{- end }}
