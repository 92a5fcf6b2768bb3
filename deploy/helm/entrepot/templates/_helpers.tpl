{{- define "entrepot.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change: selectors and claims are immutable. */}}
{{- define "entrepot.selectorLabels" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "entrepot.labels" -}}
{{ include "entrepot.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "entrepot.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "entrepot.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "entrepot.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* The most servers that there can be. */}}
{{- define "entrepot.servers" -}}
{{- ternary .Values.autoscaling.maxReplicas .Values.replicaCount.server .Values.autoscaling.enabled | int -}}
{{- end -}}

{{/* `true` or nothing, as the definitions below. Pods of a Deployment stand beside each other at least while one replaces another. */}}
{{- define "entrepot.isCluster" -}}
{{- if eq (toString .Values.cluster.enabled) "auto" -}}
{{- if not (include "entrepot.isStateful" .) }}true{{ end -}}
{{- else if eq (toString .Values.cluster.enabled) "true" -}}true{{- end -}}
{{- end -}}

{{- define "entrepot.isFilesystem" -}}
{{- if eq .Values.storage.backend "filesystem" }}true{{ end -}}
{{- end -}}

{{/* A volume of blobs that several pods may write to. */}}
{{- define "entrepot.isShared" -}}
{{- with .Values.storage -}}
{{- if and (eq .backend "filesystem") (not .filesystem.useHostPath) (eq .filesystem.accessMode "ReadWriteMany") }}true{{ end -}}
{{- end -}}
{{- end -}}

{{/* A volume of blobs that belongs to the one server. */}}
{{- define "entrepot.isOwned" -}}
{{- if and (include "entrepot.isFilesystem" .) (not (include "entrepot.isShared" .)) }}true{{ end -}}
{{- end -}}

{{- define "entrepot.isSqlite" -}}
{{- if eq .Values.metadata.backend "sqlite" }}true{{ end -}}
{{- end -}}

{{/* Volumes of one pod make it a StatefulSet: a Deployment would start the next pod beside it. */}}
{{- define "entrepot.isStateful" -}}
{{- if or (include "entrepot.isSqlite" .) (include "entrepot.isOwned" .) }}true{{ end -}}
{{- end -}}

{{/* The folder for what need not be kept. On the volume of the blobs where that belongs to the one server: downloads are linked there. */}}
{{- define "entrepot.workFolder" -}}
{{- ternary "/data" "/var/lib/entrepot" (not (empty (include "entrepot.isOwned" .))) -}}
{{- end -}}

{{/* The secret with what the chart generates. */}}
{{- define "entrepot.secretName" -}}
{{- .Values.auth.existingSecret | default (include "entrepot.fullname" .) -}}
{{- end -}}

{{/* The secret with the credentials that stand in the values. */}}
{{- define "entrepot.credentialsName" -}}
{{- printf "%s-credentials" (include "entrepot.fullname" .) -}}
{{- end -}}

{{/* The credentials that stand in the values, by their keys in that secret. */}}
{{- define "entrepot.credentials" -}}
{{- with .Values.metadata.postgresql }}{{ if and (eq $.Values.metadata.backend "postgresql") .password (not .existingSecret) }}
database-password: {{ .password | quote }}
{{- end }}{{ end }}
{{- with .Values.storage.s3 }}{{ if and (eq $.Values.storage.backend "s3") .accessKeyId (not .existingSecret) }}
access-key-id: {{ .accessKeyId | quote }}
secret-access-key: {{ .secretAccessKey | quote }}
{{- end }}{{ end }}
{{- with .Values.redis }}{{ if and .enabled .password (not .existingSecret) }}
redis-password: {{ .password | quote }}
{{- end }}{{ end }}
{{- end -}}

{{- define "entrepot.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "entrepot.labels" .root | nindent 2 }}
  {{- with .component }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
