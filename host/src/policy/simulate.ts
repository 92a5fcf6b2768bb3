import { packageUrl, type PolicyDecision } from '@entrepot/core';
import type { PolicyDocument } from '@entrepot/core/engine';
import type { Download } from '../drivers/sql/download-history.js';
import { readKeptVersions } from '../drivers/sql/kept-versions.js';
import type { Inquiry } from './inquiry.js';

/** Served downloads that a candidate policy would refuse. */
export interface Simulated {
  /** The number of different downloads. */
  readonly judged: number;
  readonly refused: readonly {
    readonly repository: string;
    readonly purl: string;
    readonly action: PolicyDecision['action'];
    readonly rules: PolicyDecision['rules'];
    readonly callers: readonly string[];
    readonly addresses: readonly string[];
    readonly times: number;
  }[];
}

const MAX_DOWNLOADS = 100_000;

/** Judges what was served in the last `days` by `document`. */
export async function simulatePolicy(inquiry: Inquiry, document: PolicyDocument, days: number): Promise<Simulated> {
  const { governance, database, clock } = inquiry;
  const candidate = governance.policy.candidate({ ...document, mode: 'enforce' });
  const since = clock.now() - days * 86_400_000;
  const served = new Map<string, Download[]>();
  for (const download of await governance.downloads.list({ since, limit: MAX_DOWNLOADS })) {
    const key = `${download.repository}\n${packageUrl(download.coordinates)}\n${download.digest ?? ''}`;
    served.set(key, [...(served.get(key) ?? []), download]);
  }
  const refused: Simulated['refused'][number][] = [];
  for (const group of served.values()) {
    const [{ repository, coordinates, digest }] = group as [Download];
    const kept = (await readKeptVersions(database, coordinates)).find(
      (one) => one.repository === repository && (digest === undefined || one.digest === digest),
    );
    const { input } = await inquiry.input(inquiry.placeOf(repository), coordinates, { kept });
    const { action, rules } = candidate.evaluate(input);
    if (action !== 'deny' && action !== 'hold') continue;
    refused.push({
      repository,
      purl: packageUrl(coordinates),
      action,
      rules,
      callers: distinct(group.map(({ caller }) => caller)),
      addresses: distinct(group.map(({ address }) => address)),
      times: group.reduce((sum, { times }) => sum + times, 0),
    });
  }
  return { judged: served.size, refused };
}

function distinct(values: readonly (string | undefined)[]): string[] {
  return [...new Set(values.filter((value) => value !== undefined))];
}
