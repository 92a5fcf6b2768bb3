import type { Clock, Logger } from '@entrepot/core';
import type { AuditSettings, AuditSink } from '../audit/audit-log.js';
import { FileSink } from '../audit/file-sink.js';
import { type AuditConfig, DEFAULT_TRANSPORT } from '../config/schema.js';
import { openTransport } from '../drivers/upstream/open-transport.js';
import { Webhooks } from '../events/webhooks.js';

/** The settings of the audit log that a configuration has, with its file and its webhooks. */
export function auditSettings(
  { file, webhooks, ...bounds }: AuditConfig,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): AuditSettings {
  const sinks: AuditSink[] = file === undefined ? [] : [new FileSink(file, logger)];
  if (webhooks.length > 0) {
    const told = webhooks.map((webhook) => ({ ...webhook, events: ['audit' as const] }));
    const posts = new Webhooks({ webhooks: told, transport: openTransport(DEFAULT_TRANSPORT), clock, logger });
    sinks.push({ write: (records) => posts.audited(records), dispose: () => posts.dispose() });
  }
  return { ...bounds, sinks };
}
