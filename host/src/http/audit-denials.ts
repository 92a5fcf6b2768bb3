import type { AuditLog } from '../audit/audit-log.js';
import type { ExchangeObserver, ExchangeRecord } from './exchange.js';

/** Codes of errors by which access control refuses a request for a repository. */
const REFUSALS: ReadonlySet<string> = new Set([
  'ACCESS_DENIED',
  'FOREIGN_PAGE',
  'KEY_REFUSED',
  'TOKEN_INSUFFICIENT',
  'TOKEN_REFUSED',
  'UNAUTHORIZED',
]);
/** The API of administration notes its denials itself: it knows who asked. */
const API = '/-/api/v1/';

/** Notes requests that access control refused. Equal ones are those of one caller and address at one repository, whatever they asked for. */
export function auditDenials(audit: AuditLog): ExchangeObserver {
  return (record) => {
    if (record.status >= 400) noteRefusal(audit, record);
  };
}

function noteRefusal(audit: AuditLog, record: ExchangeRecord): void {
  const { status, repository, outcome, path } = record;
  const code = outcome?.code;
  if (repository === undefined) {
    if ((status === 401 || status === 403) && path.startsWith('/-/') && !path.startsWith(API))
      note(audit, record, status === 401);
  } else if (code !== undefined && REFUSALS.has(code)) {
    note(audit, record, code !== 'ACCESS_DENIED' && code !== 'FOREIGN_PAGE', code);
  }
}

function note(
  audit: AuditLog,
  { repository, outcome, method, path, client: address }: ExchangeRecord,
  isUnknown: boolean,
  code?: string,
): void {
  audit.denied(
    {
      event: isUnknown ? 'access-unauthorized' : 'access-forbidden',
      actor: outcome?.caller,
      address,
      repository,
      subject: path,
      detail: { method, code },
    },
    `${method} ${code ?? path}`,
  );
}
