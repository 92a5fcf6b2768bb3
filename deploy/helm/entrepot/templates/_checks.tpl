{{/* Refuses what would lose data, or cannot start: each with what to set. */}}
{{- define "entrepot.checks" -}}
{{- include "entrepot.checkReplicas" . -}}
{{- include "entrepot.checkStores" . -}}
{{- include "entrepot.checkOverrides" . -}}
{{- include "entrepot.checkOthers" . -}}
{{- end -}}

{{- define "entrepot.checkReplicas" -}}
{{- $servers := include "entrepot.servers" . | int -}}
{{- $scanners := int .Values.replicaCount.scanner -}}
{{- $files := .Values.storage.filesystem -}}
{{- $many := ternary (printf "autoscaling.maxReplicas: %d" $servers) (printf "replicaCount.server: %d" $servers) .Values.autoscaling.enabled -}}
{{- if gt $servers 1 -}}
  {{- if include "entrepot.isSqlite" . -}}
    {{- fail (printf "%s: several servers cannot share a SQLite database. Set metadata.backend to postgresql, or run one server." $many) -}}
  {{- end -}}
  {{- if and (include "entrepot.isFilesystem" .) $files.useHostPath -}}
    {{- fail (printf "%s: a folder of a node (storage.filesystem.useHostPath) is another one on each node. Set storage.backend to s3, azure or gcs, or use a claim with accessMode ReadWriteMany, or run one server." $many) -}}
  {{- end -}}
  {{- if include "entrepot.isOwned" . -}}
    {{- fail (printf "%s: storage.filesystem.accessMode %s is for one server. Set it to ReadWriteMany with a class of volumes that can do that, or set storage.backend to s3, azure or gcs." $many $files.accessMode) -}}
  {{- end -}}
  {{- if not (include "entrepot.isCluster" .) -}}
    {{- fail (printf "%s: cluster.enabled is false, so the servers have no common secret, fetch everything several times, and lose uploads whose requests reach different servers. Set cluster.enabled to auto." $many) -}}
  {{- end -}}
  {{- if not .Values.auth.enabled -}}
    {{- fail (printf "%s: auth.enabled is false, so each server would make a token of its own for the administration, which ends with its pod. Set auth.enabled to true." $many) -}}
  {{- end -}}
{{- end -}}
{{- if gt $scanners 0 -}}
  {{- if include "entrepot.isSqlite" . -}}
    {{- fail (printf "replicaCount.scanner: %d: scan workers cannot share a SQLite database with the server. Set metadata.backend to postgresql, or replicaCount.scanner to 0: the server scans then." $scanners) -}}
  {{- end -}}
  {{- if include "entrepot.isOwned" . -}}
    {{- fail (printf "replicaCount.scanner: %d: scan workers cannot read the blobs of a volume that belongs to the server. Set storage.backend to s3, azure or gcs, or storage.filesystem.accessMode to ReadWriteMany, or replicaCount.scanner to 0." $scanners) -}}
  {{- end -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) $servers) -}}
  {{- fail (printf "autoscaling.minReplicas: %d: more than autoscaling.maxReplicas (%d). Set it to that or less." (int .Values.autoscaling.minReplicas) $servers) -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (not (or .Values.autoscaling.targetCPUUtilizationPercentage .Values.autoscaling.targetMemoryUtilizationPercentage)) -}}
  {{- fail "autoscaling.enabled: nothing is aimed at. Set autoscaling.targetCPUUtilizationPercentage or autoscaling.targetMemoryUtilizationPercentage." -}}
{{- end -}}
{{- end -}}

{{- define "entrepot.checkStores" -}}
{{- $files := .Values.storage.filesystem -}}
{{- if and (include "entrepot.isFilesystem" .) $files.useHostPath -}}
  {{- if not (or .Values.server.nodeSelector .Values.server.affinity) -}}
    {{- fail "storage.filesystem.useHostPath: on another node the server would find an empty folder. Bind it to the node: set server.nodeSelector or server.affinity." -}}
  {{- end -}}
  {{- if not (hasPrefix "/" $files.hostPath) -}}
    {{- fail "storage.filesystem.hostPath: an absolute path was expected. Set it to the folder on the node." -}}
  {{- end -}}
{{- end -}}
{{- if and (include "entrepot.isSqlite" .) (not .Values.metadata.sqlite.persistence.enabled) -}}
  {{- if not (include "entrepot.isFilesystem" .) -}}
    {{- fail (printf "metadata.sqlite.persistence.enabled: false: with storage.backend %s the database, which says what the blobs are, would end with the pod. Set metadata.sqlite.persistence.enabled to true, or metadata.backend to postgresql." .Values.storage.backend) -}}
  {{- end -}}
  {{- if include "entrepot.isShared" . -}}
    {{- fail "metadata.sqlite.persistence.enabled: false: a SQLite database is damaged on a volume that several machines write to (ReadWriteMany). Set metadata.sqlite.persistence.enabled to true, or metadata.backend to postgresql." -}}
  {{- end -}}
{{- end -}}
{{- with .Values.storage.s3 }}{{ if eq $.Values.storage.backend "s3" -}}
  {{- if not .bucket }}{{ fail "storage.s3.bucket: storage.backend is s3, and no bucket is named. Set storage.s3.bucket to one that exists." }}{{ end -}}
  {{- if and (not .existingSecret) (ne (empty .accessKeyId) (empty .secretAccessKey)) }}{{ fail "storage.s3: an access key has two parts. Set both storage.s3.accessKeyId and storage.s3.secretAccessKey, or storage.s3.existingSecret, or none of them for the identity of the pod." }}{{ end -}}
{{- end }}{{ end -}}
{{- with .Values.storage.azure }}{{ if and (eq $.Values.storage.backend "azure") (not (and .account .container)) -}}
  {{- fail "storage.azure: storage.backend is azure. Set storage.azure.account, and storage.azure.container to one that exists." -}}
{{- end }}{{ end -}}
{{- with .Values.storage.gcs }}{{ if and (eq $.Values.storage.backend "gcs") (not .bucket) -}}
  {{- fail "storage.gcs.bucket: storage.backend is gcs, and no bucket is named. Set storage.gcs.bucket to one that exists." -}}
{{- end }}{{ end -}}
{{- with .Values.metadata.postgresql }}{{ if eq $.Values.metadata.backend "postgresql" -}}
  {{- if and .urlKey (not .existingSecret) }}{{ fail "metadata.postgresql.urlKey: the URL is in a secret. Set metadata.postgresql.existingSecret to its name." }}{{ end -}}
  {{- if not (or .urlKey .host) }}{{ fail "metadata.postgresql.host: metadata.backend is postgresql, and no server is named. Set metadata.postgresql.host, or metadata.postgresql.existingSecret and metadata.postgresql.urlKey." }}{{ end -}}
{{- end }}{{ end -}}
{{- if and .Values.redis.enabled (not .Values.redis.host) -}}
  {{- fail "redis.host: redis.enabled is true, and no server is named. Set redis.host." -}}
{{- end -}}
{{- if not (include "entrepot.isOwned" .) -}}
  {{- $cache := ternary 0 (trimSuffix "GiB" .Values.storage.cache.maxBytes | int) (not (empty (include "entrepot.isFilesystem" .))) -}}
  {{- $needed := add (trimSuffix "GiB" .Values.storage.spool.maxBytes | int) $cache -}}
  {{- if gt $needed (trimSuffix "Gi" .Values.workVolume.size | int64) -}}
    {{- fail (printf "workVolume.size: %s: the spool and the copies of blobs may take %dGi, and a pod that takes more than its volume is ended. Set workVolume.size to more than that, or storage.spool.maxBytes and storage.cache.maxBytes to less." .Values.workVolume.size $needed) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Volumes, ports and secrets are made from values: what says the same elsewhere would pass by the checks above. */}}
{{- define "entrepot.checkOverrides" -}}
{{- $owned := dict "server.listen" "service.port" "storage.backend" "storage.backend" "storage.path" "storage.filesystem" "storage.spool.path" "workVolume" "metadata.backend" "metadata.backend" "metadata.path" "metadata.sqlite" "cluster" "cluster.enabled" -}}
{{- range $key, $instead := $owned -}}
  {{- $at := $.Values.config -}}
  {{- range splitList "." $key }}{{ $at = ternary (get $at .) dict (and (kindIs "map" $at) (hasKey $at .)) }}{{ end -}}
  {{- if $at }}{{ fail (printf "config.%s: the chart makes volumes and ports from its own values. Set %s instead." $key $instead) }}{{ end -}}
  {{- $variable := printf "ENTREPOT_%s" ($key | replace "." "_" | upper) -}}
  {{- range concat $.Values.env $.Values.server.env $.Values.scanner.env -}}
    {{- if or (eq .name $variable) (and (eq $key "cluster") (hasPrefix "ENTREPOT_CLUSTER_" .name)) }}{{ fail (printf "env: %s would stand above the configuration. Set %s instead." .name $instead) }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- define "entrepot.checkOthers" -}}
{{- if and .Values.ingress.enabled (not (include "entrepot.ingressHost" .)) -}}
  {{- fail "ingress.host: ingress.enabled is true, and no host is named. Set ingress.host or global.domain." -}}
{{- end -}}
{{- with .Values.security }}{{ if .enabled -}}
  {{- with .scanners.osv }}{{ if and .enabled (not (or .from .api)) -}}
    {{- fail "security.scanners.osv.from: osv is enabled, and nothing says where its database comes from. Set security.scanners.osv.from, or security.scanners.osv.api." -}}
  {{- end }}{{ end -}}
  {{- if and .blockOnSeverity (not (or .scanners.osv.enabled .scanners.trivy.enabled .scanners.grype.enabled)) -}}
    {{- fail "security.blockOnSeverity: nothing scans, so nothing would be refused. Enable one of security.scanners." -}}
  {{- end -}}
{{- end }}{{ end -}}
{{- if and (gt (int .Values.replicaCount.scanner) 0) (not .Values.security.enabled) -}}
  {{- fail "replicaCount.scanner: security.enabled is false, so that nothing is scanned. Set security.enabled to true and enable one of security.scanners, or set replicaCount.scanner to 0." -}}
{{- end -}}
{{- range $name, $user := .Values.auth.users -}}
  {{- if and $user (not (or $user.passwordHash (and $user.existingSecret $user.key))) -}}
    {{- fail (printf "auth.users.%s: a user has a password. Set passwordHash to what `entrepot password` prints, or existingSecret and key." $name) -}}
  {{- end -}}
{{- end -}}
{{- end -}}
