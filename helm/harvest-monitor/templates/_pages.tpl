{{/* Where people reach the service's pages, without a slash at the end; empty if that is not set. */}}
{{- define "harvest-monitor.publicUrl" -}}
{{- regexReplaceAll "/+$" (.Values.settings.public_url | default "") "" }}
{{- end }}

{{/* The dashboard, with a link from each panel to the page that shows what it counts, if there is an address. */}}
{{- define "harvest-monitor.dashboard" -}}
{{- $file := .Files.Get "dashboards/harvest-monitor.json" }}
{{- $address := include "harvest-monitor.publicUrl" . }}
{{- if $address }}
{{- $pages := .Files.Get "dashboards/page-links.json" | fromJson }}
{{- $dashboard := $file | fromJson }}
{{- range $panel := $dashboard.panels }}
{{- with ternary (dict) (get $pages $panel.title) (eq $panel.type "row") }}
{{- $link := dict "title" .title "url" (print $address .path) "targetBlank" true }}
{{- $_ := set $panel "links" (list $link) }}
{{- end }}
{{- end }}
{{- toPrettyJson $dashboard }}
{{- else }}
{{- $file }}
{{- end }}
{{- end }}
