{{/* The pod of a server or a scan worker: `component`, `settings` (its values), `command`. */}}
{{- define "entrepot.pod" -}}
{{- $isServer := eq .component "server" -}}
{{- with .root -}}
metadata:
  labels:
    {{- include "entrepot.selectorLabels" . | nindent 4 }}
    app.kubernetes.io/component: {{ $.component }}
    {{- with $.settings.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include "entrepot.config" . | sha256sum }}
    checksum/credentials: {{ printf "%s%s" (include "entrepot.credentials" .) .Values.auth.adminApiKey | sha256sum }}
    {{- with $.settings.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "entrepot.serviceAccountName" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with include "entrepot.pullSecrets" . | fromYamlArray }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $.settings.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  terminationGracePeriodSeconds: {{ include "entrepot.gracePeriod" . }}
  {{- with .Values.extraInitContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: entrepot
      image: {{ include "entrepot.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [{{ $.command }}, -c, /etc/entrepot/entrepot.yaml]
      {{- if $isServer }}
      ports:
        - { name: http, containerPort: 8080 }
        {{- if include "entrepot.isCluster" . }}
        - { name: cluster, containerPort: 8090 }
        {{- end }}
      {{- end }}
      env:
        {{- include "entrepot.env" . | trim | nindent 8 }}
        {{- with concat .Values.env $.settings.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if $isServer }}
      {{- range $probe := list "startupProbe" "livenessProbe" "readinessProbe" }}
      {{- with get $.settings $probe }}
      {{ $probe }}:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
      {{- end }}
      resources:
        {{- include "entrepot.resources" (dict "root" . "resources" $.settings.resources) | nindent 8 }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      volumeMounts:
        - { name: config, mountPath: /etc/entrepot/entrepot.yaml, subPath: entrepot.yaml, readOnly: true }
        - { name: tmp, mountPath: /tmp }
        {{- if include "entrepot.isFilesystem" . }}
        - { name: data, mountPath: /data }
        {{- end }}
        {{- if and (include "entrepot.isSqlite" .) .Values.metadata.sqlite.persistence.enabled }}
        - { name: metadata, mountPath: /data/metadata }
        {{- end }}
        {{- if not (include "entrepot.isOwned" .) }}
        - { name: work, mountPath: /var/lib/entrepot }
        {{- end }}
        {{- if and (eq .Values.storage.backend "gcs") .Values.storage.gcs.existingSecret }}
        - { name: gcs, mountPath: /etc/entrepot/gcs, readOnly: true }
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- include "entrepot.volumes" . | trim | nindent 4 }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $.settings.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $.settings.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $selector := dict "matchLabels" (merge (dict "app.kubernetes.io/component" $.component) (include "entrepot.selectorLabels" . | fromYaml)) }}
  affinity:
    {{- with $.settings.affinity }}
    {{- toYaml . | nindent 4 }}
    {{- else }}
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector: {{ toJson $selector }}
    {{- end }}
  topologySpreadConstraints:
    {{- with $.settings.topologySpreadConstraints }}
    {{- toYaml . | nindent 4 }}
    {{- else }}
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - { maxSkew: 1, topologyKey: {{ . }}, whenUnsatisfiable: ScheduleAnyway, labelSelector: {{ toJson $selector }} }
    {{- end }}
    {{- end }}
{{- end -}}
{{- end -}}

{{- define "entrepot.pullSecrets" -}}
{{- $names := list -}}
{{- range .Values.global.imagePullSecrets }}{{ $names = append $names .name }}{{ end -}}
{{- range keys .Values.imageCredentials | sortAlpha }}{{ $names = append $names . }}{{ end -}}
{{- range uniq $names }}
- name: {{ . }}
{{- end -}}
{{- end -}}

{{- define "entrepot.gracePeriod" -}}
{{- add (trimSuffix "s" .Values.server.drainDelay | int) (trimSuffix "s" .Values.server.drainTimeout | int) 20 -}}
{{- end -}}

{{/* An emptyDir counts as ephemeral storage of its pod. */}}
{{- define "entrepot.resources" -}}
{{- $own := deepCopy .resources -}}
{{- $limit := dig "limits" "ephemeral-storage" "" $own -}}
{{- if and (hasSuffix "Gi" $limit) (not (include "entrepot.isOwned" .root)) (not .root.Values.workVolume.storageClass) -}}
{{- $_ := set $own.limits "ephemeral-storage" (printf "%dGi" (add (trimSuffix "Gi" $limit | int) (trimSuffix "Gi" .root.Values.workVolume.size | int))) -}}
{{- end -}}
{{- toYaml $own -}}
{{- end -}}

{{- define "entrepot.secretVariable" -}}
- name: {{ .name }}
  valueFrom: { secretKeyRef: { name: {{ .secret | quote }}, key: {{ .key | quote }} } }
{{- end -}}

{{/* The variables that the configuration refers to. */}}
{{- define "entrepot.env" -}}
{{- $own := include "entrepot.secretName" . -}}
{{- $credentials := include "entrepot.credentialsName" . -}}
{{- with .Values.auth.secretKeys }}
{{ include "entrepot.secretVariable" (dict "name" "TOKEN_KEY" "secret" $own "key" .tokenKey) }}
{{- if $.Values.auth.enabled }}
{{ include "entrepot.secretVariable" (dict "name" "ADMIN_TOKEN" "secret" $own "key" .adminToken) }}
{{- end }}
{{- if $.Values.metrics.requireToken }}
{{ include "entrepot.secretVariable" (dict "name" "METRICS_TOKEN" "secret" $own "key" .metricsToken) }}
{{- end }}
{{- if include "entrepot.isCluster" $ }}
- name: POD_IP
  valueFrom: { fieldRef: { fieldPath: status.podIP } }
{{ include "entrepot.secretVariable" (dict "name" "CLUSTER_SECRET" "secret" $own "key" .clusterSecret) }}
{{- end }}
{{- end }}
{{- with .Values.metadata.postgresql }}{{ if eq $.Values.metadata.backend "postgresql" }}
{{- if .urlKey }}
{{ include "entrepot.secretVariable" (dict "name" "DATABASE_URL" "secret" .existingSecret "key" .urlKey) }}
{{- else if .existingSecret }}
{{ include "entrepot.secretVariable" (dict "name" "DATABASE_PASSWORD" "secret" .existingSecret "key" .passwordKey) }}
{{- else if .password }}
{{ include "entrepot.secretVariable" (dict "name" "DATABASE_PASSWORD" "secret" $credentials "key" "database-password") }}
{{- end }}
{{- end }}{{ end }}
{{- with .Values.storage.s3 }}{{ if and (eq $.Values.storage.backend "s3") (or .accessKeyId .existingSecret) }}
{{ include "entrepot.secretVariable" (dict "name" "S3_ACCESS_KEY_ID" "secret" (.existingSecret | default $credentials) "key" (ternary .accessKeyIdKey "access-key-id" (not (empty .existingSecret)))) }}
{{ include "entrepot.secretVariable" (dict "name" "S3_SECRET_ACCESS_KEY" "secret" (.existingSecret | default $credentials) "key" (ternary .secretAccessKeyKey "secret-access-key" (not (empty .existingSecret)))) }}
{{- end }}{{ end }}
{{- with .Values.storage.azure }}{{ if and (eq $.Values.storage.backend "azure") .existingSecret }}
{{ include "entrepot.secretVariable" (dict "name" "AZURE_ACCOUNT_KEY" "secret" .existingSecret "key" .accountKeyKey) }}
{{- end }}{{ end }}
{{- with .Values.redis }}{{ if and .enabled (or .password .existingSecret) }}
{{ include "entrepot.secretVariable" (dict "name" "REDIS_PASSWORD" "secret" (.existingSecret | default $credentials) "key" (ternary .passwordKey "redis-password" (not (empty .existingSecret)))) }}
{{- end }}{{ end }}
{{- if .Values.auth.enabled }}{{ range $index, $name := keys .Values.auth.users | sortAlpha }}{{ with get $.Values.auth.users $name }}{{ if .existingSecret }}
{{ include "entrepot.secretVariable" (dict "name" (printf "USER_PASSWORD_%d" $index) "secret" .existingSecret "key" .key) }}
{{- end }}{{ end }}{{ end }}{{ end }}
{{- end -}}

{{/* The volumes of a pod, besides those that a StatefulSet makes. */}}
{{- define "entrepot.volumes" -}}
- name: config
  configMap: { name: {{ include "entrepot.fullname" . }} }
- name: tmp
  emptyDir: { sizeLimit: 1Gi }
{{- if include "entrepot.isFilesystem" . }}{{ with .Values.storage.filesystem }}
{{- if .useHostPath }}
- name: data
  hostPath: { path: {{ .hostPath | quote }}, type: Directory }
{{- else if .existingClaim }}
- name: data
  persistentVolumeClaim: { claimName: {{ .existingClaim }} }
{{- else if include "entrepot.isShared" $ }}
- name: data
  persistentVolumeClaim: { claimName: {{ include "entrepot.fullname" $ }}-blobs }
{{- end }}
{{- end }}{{ end }}
{{- with .Values.metadata.sqlite.persistence }}{{ if and (include "entrepot.isSqlite" $) .enabled .existingClaim }}
- name: metadata
  persistentVolumeClaim: { claimName: {{ .existingClaim }} }
{{- end }}{{ end }}
{{- if not (include "entrepot.isOwned" .) }}
- name: work
  {{- if .Values.workVolume.storageClass }}
  ephemeral:
    volumeClaimTemplate:
      spec:
        accessModes: [ReadWriteOnce]
        {{- include "entrepot.storageClass" .Values.workVolume.storageClass | nindent 8 }}
        resources: { requests: { storage: {{ .Values.workVolume.size }} } }
  {{- else }}
  emptyDir: { sizeLimit: {{ .Values.workVolume.size }} }
  {{- end }}
{{- end }}
{{- if and (eq .Values.storage.backend "gcs") .Values.storage.gcs.existingSecret }}
- name: gcs
  secret:
    secretName: {{ .Values.storage.gcs.existingSecret }}
    items: [{ key: {{ .Values.storage.gcs.keyFileKey | quote }}, path: key.json }]
{{- end }}
{{- end -}}

{{- define "entrepot.storageClass" -}}
{{- if . }}storageClassName: {{ ternary "" . (eq . "-") | quote }}{{ end -}}
{{- end -}}
