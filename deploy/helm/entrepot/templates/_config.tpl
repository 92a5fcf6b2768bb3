{{/* The configuration as the values say it, before `config` is merged over it. */}}
{{- define "entrepot.baseConfig" -}}
{{- $work := include "entrepot.workFolder" . -}}
server:
  listen: ':8080'
  tokenKey: ${env:TOKEN_KEY}
  drainDelay: {{ .Values.server.drainDelay }}
  drainTimeout: {{ .Values.server.drainTimeout }}
  workers: {{ .Values.server.workers }}
  {{- with include "entrepot.publicUrl" . }}
  publicUrl: {{ . }}
  {{- end }}
  {{- with .Values.server.trustProxy }}
  trustProxy: {{ toJson . }}
  {{- end }}
storage:
  {{- include "entrepot.storageConfig" . | nindent 2 }}
  {{- with .Values.storage.maxBytes }}
  maxBytes: {{ . }}
  {{- end }}
  spool:
    path: {{ $work }}/spool
    maxBytes: {{ .Values.storage.spool.maxBytes }}
metadata:
  {{- include "entrepot.metadataConfig" . | nindent 2 }}
{{- with .Values.redis }}{{ if .enabled }}
cache:
  backend: redis
  url: {{ printf "%s://%s:%v/%v" (ternary "rediss" "redis" .tls) .host .port .database }}
  {{- with .user }}
  user: {{ . | quote }}
  {{- end }}
  {{- if or .password .existingSecret }}
  password: ${env:REDIS_PASSWORD}
  {{- end }}
  {{- with .ca }}
  ca: {{ . }}
  {{- end }}
{{- end }}{{ end }}
{{- if include "entrepot.isCluster" . }}
cluster:
  secret: ${env:CLUSTER_SECRET}
  listen: ':8090'
  advertise: {{ .Values.cluster.advertise | quote }}
{{- end }}
{{- if .Values.metrics.requireToken }}
metrics:
  token: ${env:METRICS_TOKEN}
{{- end }}
{{- if .Values.auth.enabled }}
admin:
  token: ${env:ADMIN_TOKEN}
  {{- with include "entrepot.users" (dict "root" . "admin" true) | fromYaml }}
  users: {{ toJson . }}
  {{- end }}
{{- end }}
{{- with .Values.security }}{{ if .enabled }}
policy:
  preset: {{ .preset }}
  mode: {{ .mode | quote }}
  rules:
    {{- with .blockOnSeverity }}
    - id: block-on-severity
      when: { vuln: { severity: {{ printf ">=%s" . | quote }} } }
      action: deny
    {{- end }}
    {{- with .rules }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- if not (or .blockOnSeverity .rules) }} []{{ end }}
{{- end }}{{ end }}
scanners: {{ include "entrepot.scanners" . | fromYamlArray | toJson }}
{{- with .Values.plugins }}
plugins: {{ toJson . }}
{{- end }}
{{- with include "entrepot.repositories" . | fromYaml }}
repositories:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The whole configuration. */}}
{{- define "entrepot.config" -}}
{{- $base := include "entrepot.baseConfig" . | fromYaml -}}
{{- with $base.Error }}{{ fail (printf "the values make no configuration: %s" .) }}{{ end -}}
{{- mustMergeOverwrite $base (deepCopy .Values.config) | toYaml -}}
{{- end -}}

{{- define "entrepot.ingressHost" -}}
{{- .Values.ingress.host | default .Values.global.domain -}}
{{- end -}}

{{- define "entrepot.publicUrl" -}}
{{- if .Values.server.publicUrl -}}{{ .Values.server.publicUrl }}
{{- else if .Values.ingress.enabled -}}
{{ ternary "https" "http" .Values.ingress.tls.enabled }}://{{ include "entrepot.ingressHost" . }}
{{- end -}}
{{- end -}}

{{- define "entrepot.storageConfig" -}}
backend: {{ .Values.storage.backend }}
{{- if include "entrepot.isFilesystem" . }}
path: /data/blobs
{{- else }}
{{- with .Values.storage.cache.maxBytes }}{{ if ne . "0GiB" }}
cache: { path: /var/lib/entrepot/cache, maxBytes: {{ . }} }
{{- end }}{{ end }}
{{- with .Values.storage.redirect }}{{ if .enabled }}
redirect: { minSize: {{ .minSize }}, expires: {{ .expires }} }
{{- end }}{{ end }}
{{- end }}
{{- if eq .Values.storage.backend "s3" }}{{ with .Values.storage.s3 }}
bucket: {{ .bucket | quote }}
{{- with .region }}
region: {{ . | quote }}
{{- end }}
{{- with .endpoint }}
endpoint: {{ ternary . (printf "https://%s" .) (contains "://" .) }}
{{- end }}
{{- with .prefix }}
prefix: {{ . | quote }}
{{- end }}
{{- if kindIs "bool" .pathStyle }}
pathStyle: {{ .pathStyle }}
{{- end }}
{{- if or .accessKeyId .existingSecret }}
credentials: { accessKeyId: '${env:S3_ACCESS_KEY_ID}', secretAccessKey: '${env:S3_SECRET_ACCESS_KEY}' }
{{- end }}
{{- with .encryption }}
encryption: {{ toJson . }}
{{- end }}
{{- end }}{{ end }}
{{- if eq .Values.storage.backend "azure" }}{{ with .Values.storage.azure }}
account: {{ .account | quote }}
container: {{ .container | quote }}
{{- with .endpoint }}
endpoint: {{ . }}
{{- end }}
{{- with .prefix }}
prefix: {{ . | quote }}
{{- end }}
{{- if .existingSecret }}
accountKey: ${env:AZURE_ACCOUNT_KEY}
{{- end }}
{{- end }}{{ end }}
{{- if eq .Values.storage.backend "gcs" }}{{ with .Values.storage.gcs }}
bucket: {{ .bucket | quote }}
{{- with .prefix }}
prefix: {{ . | quote }}
{{- end }}
{{- if .existingSecret }}
keyFile: /etc/entrepot/gcs/key.json
{{- end }}
{{- end }}{{ end }}
{{- end -}}

{{- define "entrepot.metadataConfig" -}}
backend: {{ .Values.metadata.backend }}
{{- if include "entrepot.isSqlite" . }}
path: /data/metadata/entrepot.db
{{- else }}{{ with .Values.metadata.postgresql }}
maxConnections: {{ .maxConnections }}
{{- if .urlKey }}
url: ${env:DATABASE_URL}
{{- else }}
host: {{ .host | quote }}
port: {{ .port }}
database: {{ .database | quote }}
user: {{ .user | quote }}
{{- if or .password .existingSecret }}
password: ${env:DATABASE_PASSWORD}
{{- end }}
{{- end }}
tls:
  mode: {{ .tls.mode }}
  {{- with .tls.ca }}
  ca: {{ . }}
  {{- end }}
{{- end }}{{ end }}
{{- end -}}

{{/* Users of the administration, or of repositories, with their passwords. */}}
{{- define "entrepot.users" -}}
{{- $found := dict -}}
{{- range $index, $name := keys .root.Values.auth.users | sortAlpha -}}
{{- $user := get $.root.Values.auth.users $name -}}
{{- if and $user (or (not $.admin) $user.admin) -}}
{{- $own := dict -}}
{{- if $user.existingSecret -}}{{- $_ := set $own "password" (printf "${env:USER_PASSWORD_%d}" $index) -}}
{{- else -}}{{- $_ := set $own "passwordHash" (toString $user.passwordHash) -}}{{- end -}}
{{- if not $.admin -}}{{- $_ := set $own "may" ($user.may | default "read") -}}{{- end -}}
{{- $_ := set $found $name $own -}}
{{- end -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}

{{/* Repositories; those without `access` have the users of `auth`. */}}
{{- define "entrepot.repositories" -}}
{{- $found := dict -}}
{{- range $name, $repository := .Values.repositories -}}
{{- if $repository -}}
{{- $own := deepCopy $repository -}}
{{- if and $.Values.auth.enabled $.Values.auth.users (not (hasKey $own "access")) -}}
{{- $users := include "entrepot.users" (dict "root" $ "admin" false) | fromYaml -}}
{{- $_ := set $own "access" (dict "anonymous" $.Values.auth.anonymous "users" $users) -}}
{{- end -}}
{{- $_ := set $found $name $own -}}
{{- end -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}

{{/* Programs scan where they are: on workers, if there are any. The database of OSV judges documents as they are served, by servers. */}}
{{- define "entrepot.scanners" -}}
{{- $folder := printf "%s/scanners" (include "entrepot.workFolder" .) -}}
{{- $where := ternary "worker" "server" (gt (int .Values.replicaCount.scanner) 0) -}}
{{- $found := list -}}
{{- if .Values.security.enabled -}}
{{- with .Values.security.scanners.osv }}{{ if .enabled }}
{{- $own := dict "type" "osv" -}}
{{- if .api }}{{ $_ := set $own "api" .api }}{{ else }}{{ $_ := set $own "from" .from }}{{ $_ := set $own "directory" (printf "%s/osv" $folder) }}{{ end -}}
{{- $found = append $found (mustMergeOverwrite $own (deepCopy .options)) -}}
{{- end }}{{ end -}}
{{- range $type := list "trivy" "grype" }}{{ with get $.Values.security.scanners $type }}{{ if .enabled }}
{{- $own := dict "type" $type "command" .command "where" $where "directory" (printf "%s/%s" $folder $type) -}}
{{- $found = append $found (mustMergeOverwrite $own (deepCopy .options)) -}}
{{- end }}{{ end }}{{ end -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}
