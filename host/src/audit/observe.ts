import { packageUrl } from '@entrepot/core';
import type { ChangeRecord, DecisionRecord, EngineObserver } from '@entrepot/core/engine';
import type { AuditLog } from './audit-log.js';

/** The most keys of entries that a record names. */
const MOST_KEYS = 20;

/** An observer of the engines that also notes changes of hosted repositories and refusals by policy. */
export function auditing(observer: EngineObserver, audit: AuditLog): EngineObserver {
  return {
    ...observer,
    decided: (record) => {
      observer.decided?.(record);
      if (record.refused) noteRefusal(record, audit);
    },
    changed: (record) => {
      observer.changed?.(record);
      noteChange(record, audit);
    },
  };
}

function noteRefusal({ repository, coordinates, decision, context }: DecisionRecord, audit: AuditLog): void {
  const { action, rules } = decision;
  audit.denied({
    event: 'policy-refused',
    actor: context.caller.name,
    address: context.client,
    repository,
    subject: packageUrl(coordinates),
    detail: { action, rules: rules.map(({ id }) => id) },
  });
}

function noteChange(
  { repository, created, replaced, removed, context, ...record }: ChangeRecord,
  audit: AuditLog,
): void {
  const [first] = [...created, ...replaced, ...removed];
  const isRemoval = created.length + replaced.length === 0;
  const shown = (keys: readonly string[]): object | undefined =>
    keys.length === 0
      ? undefined
      : keys.length <= MOST_KEYS
        ? keys
        : [...keys.slice(0, MOST_KEYS), `${keys.length} in all`];
  audit.changed({
    event: isRemoval ? 'hosted-removed' : 'hosted-published',
    actor: context.caller.name,
    address: context.client,
    repository,
    subject: first,
    detail: { class: record.class, created: shown(created), replaced: shown(replaced), removed: shown(removed) },
  });
}
