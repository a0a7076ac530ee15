{{/* Where people reach the service's pages, without a slash at the end; empty if that is not set. */}}
{{- define "harvest-monitor.publicUrl" -}}
{{- regexReplaceAll "/+$" (.Values.settings.public_url | default "") "" }}
{{- end }}

{{/* Where people read the folder docs/, likewise. */}}
{{- define "harvest-monitor.docsUrl" -}}
{{- regexReplaceAll "/+$" .Values.docsUrl "" }}
{{- end }}

{{/* The alert rules, with a link to the runbook and one to a page from each alert, as far as there are addresses. */}}
{{- define "harvest-monitor.rules" -}}
{{- $rules := .Files.Get "alerts/harvest-monitor.rules.yaml" }}
{{- with include "harvest-monitor.publicUrl" . }}
{{- $rules = replace "# link: PUBLIC_URL" (printf "link: %s" .) $rules }}
{{- end }}
{{- with include "harvest-monitor.docsUrl" . }}
{{- $rules = replace " runbook: docs/" (printf " runbook_url: %s/" .) $rules }}
{{- end }}
{{- $rules }}
{{- end }}

{{/* The dashboard, with a link from each panel to the page that shows what it counts and one to its runbook, likewise. */}}
{{- define "harvest-monitor.dashboard" -}}
{{- $file := .Files.Get "dashboards/harvest-monitor.json" }}
{{- $address := include "harvest-monitor.publicUrl" . }}
{{- $docs := include "harvest-monitor.docsUrl" . }}
{{- if or $address $docs }}
{{- $pages := .Files.Get "dashboards/page-links.json" | fromJson }}
{{- $runbooks := .Files.Get "dashboards/runbook-links.json" | fromJson }}
{{- $dashboard := $file | fromJson }}
{{- range $panel := $dashboard.panels }}
{{- if ne $panel.type "row" }}
{{- $links := list }}
{{- with and $address (get $pages $panel.title) }}
{{- $links = append $links (dict "title" .title "url" (print $address .path) "targetBlank" true) }}
{{- end }}
{{- with and $docs (get $runbooks $panel.title) }}
{{- $links = append $links (dict "title" "Runbook" "url" (print $docs "/" .) "targetBlank" true) }}
{{- end }}
{{- if $links }}
{{- $_ := set $panel "links" $links }}
{{- end }}
{{- end }}
{{- end }}
{{- toPrettyJson $dashboard }}
{{- else }}
{{- $file }}
{{- end }}
{{- end }}
