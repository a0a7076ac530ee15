{{/* Mistakes that the schema cannot refuse, or only with an unhelpful message. Reported all at once, without any value. */}}
{{- define "harvest-monitor.refusals" -}}
{{- $problems := list
      (include "harvest-monitor.imageProblem" .)
      (include "harvest-monitor.sourceProblem" .)
      (include "harvest-monitor.inlineProblems" .)
      (include "harvest-monitor.addressProblems" .)
      (include "harvest-monitor.variableProblems" .)
      | join "" | trim }}
{{- with $problems }}{{ fail (printf "\n%s\n" .) }}{{ end }}
{{- end }}

{{- define "harvest-monitor.imageProblem" -}}
{{- if not .Values.image.repository }}
image.repository is not set: build the image, push it to your registry, and set its name
{{- end }}
{{- end }}

{{- define "harvest-monitor.sourceProblem" -}}
{{- $given := list }}
{{- range $source := list "inline" "existingConfigMap" "existingSecret" "path" }}
{{- if get $.Values.tenants $source }}{{ $given = append $given (printf "tenants.%s" $source) }}{{ end }}
{{- end }}
{{- if not $given }}
no tenants to check: set one of tenants.inline, tenants.existingConfigMap, tenants.existingSecret and tenants.path
{{- else if gt (len $given) 1 }}
{{ join " and " $given }} are set: only one of them can hold the tenants
{{- end }}
{{- end }}

{{- define "harvest-monitor.inlineProblems" -}}
{{- with .Values.tenants.inline }}
{{- $rows := get (fromYaml .) "tenants" }}
{{- if not (kindIs "slice" $rows) }}
tenants.inline contains no list `tenants:`; it must be the text of a tenants file: --set-file tenants.inline=tenants.yaml
{{- else }}
{{- range $row := $rows }}
{{- if kindIs "map" $row }}
{{- $credentials := list (get $row "credential") }}
{{- if kindIs "slice" (get $row "credentials") }}{{ $credentials = get $row "credentials" }}{{ end }}
{{- range $credentials }}
{{- if kindIs "map" . }}
{{- range $field, $reference := pick . "key" "token" "client_id" "client_secret" }}
{{- if not (regexMatch "^((env|file|command|sealed):|mint$)" (toString $reference)) }}
tenants.inline: {{ get $row "id" }}: {{ $field }} is not a reference and may be a secret, so it is not shown: put it into a Secret, set existingSecret to its name, and write file:/etc/harvest-monitor/keys/NAME
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "harvest-monitor.addressProblems" -}}
{{- range $setting, $address := pick .Values.settings "smtp_url" "http_proxy" }}
{{- if and (contains "@" $address) (not (regexMatch "^(env|file):" $address)) }}
settings.{{ $setting }} may contain a password, so it is not shown: put the address into a Secret, set existingSecret to its name, and write file:/etc/harvest-monitor/keys/NAME
{{- end }}
{{- end }}
{{- with .Values.settings.oidc_client_secret }}
{{- if not (regexMatch "^(env|file):" .) }}
settings.oidc_client_secret is not a reference and may be the secret, so it is not shown: put it into a Secret, set existingSecret to its name, and write file:/etc/harvest-monitor/keys/NAME
{{- end }}
{{- end }}
{{- end }}

{{- define "harvest-monitor.variableProblems" -}}
{{- range .Values.extraEnv }}
{{- if hasPrefix "HARVEST_MONITOR_" .name }}
extraEnv: {{ .name }}: names with this prefix are settings: write it under settings
{{- end }}
{{- end }}
{{- end }}
