import {
  EntrepotError,
  packageUrl,
  type Finding,
  type FiredRule,
  type PackageCoordinates,
  type PolicyAction,
} from '@entrepot/core';
import { parsePackagePattern } from '@entrepot/core/engine';
import { z } from 'zod';
import type { Inquiry } from './inquiry.js';

/** The most parts that are judged. */
const MAX_PARTS = 20_000;
/** The deepest level of nested components that is read. */
const MAX_DEPTH = 16;

/** Nested components are parsed afterwards, a level at a time: a document may nest deeper than the stack allows. */
const component = z.looseObject({
  name: z.string().optional(),
  purl: z.string().optional(),
  components: z.array(z.unknown()).optional(),
});
const components = z.array(component);

type Component = z.output<typeof component>;

/** CycloneDX 1.x as JSON (ECMA-424). */
const cycloneDx = z.looseObject({ bomFormat: z.literal('CycloneDX'), components: components.default([]) });

/** SPDX 2.x as JSON (ISO/IEC 5962). */
const spdx = z.looseObject({
  spdxVersion: z.string().startsWith('SPDX-2.'),
  packages: z
    .array(
      z.looseObject({
        name: z.string().optional(),
        externalRefs: z.array(z.looseObject({ referenceType: z.string(), referenceLocator: z.string() })).default([]),
      }),
    )
    .default([]),
});

/** The components of a bill of materials. */
export interface Bill {
  /** Each once. */
  readonly parts: readonly PackageCoordinates[];
  /** The names of components without a versioned package URL, which cannot be judged. */
  readonly unnamed: readonly string[];
}

/**
 * Reads a bill of materials: CycloneDX or SPDX 2, as JSON.
 * @throws EntrepotError `bad-request` for anything else
 */
export function readBill(value: unknown): Bill {
  const { bomFormat } = (value ?? {}) as { readonly bomFormat?: unknown };
  const listed = bomFormat === undefined ? spdxParts(value) : cycloneDxParts(value);
  if (listed.length > MAX_PARTS) throw refused(`expected at most ${MAX_PARTS} parts, found ${listed.length}`);
  const parts = new Map<string, PackageCoordinates>();
  const unnamed = new Set<string>();
  for (const { name = '', purl = '' } of listed) {
    // Qualifiers and a path inside of it say nothing that rules look at.
    const coordinates = parsePackagePattern(purl.replace(/[?#].*$/s, '').replaceAll('*', '%2A'));
    if (coordinates?.version === undefined) unnamed.add(name === '' ? purl : name);
    else parts.set(packageUrl(coordinates), coordinates);
  }
  return { parts: [...parts.values()], unnamed: [...unnamed] };
}

function cycloneDxParts(value: unknown): Component[] {
  const parsed = cycloneDx.safeParse(value);
  if (!parsed.success) throw unreadable('CycloneDX', parsed.error);
  const all: Component[] = [];
  let level: readonly Component[] = parsed.data.components;
  for (let depth = 0; depth < MAX_DEPTH && level.length > 0; depth += 1) {
    for (const each of level) all.push(each);
    const below = components.safeParse(level.flatMap((each) => each.components ?? []));
    if (!below.success) throw unreadable('CycloneDX', below.error);
    level = below.data;
  }
  return all;
}

function spdxParts(value: unknown): Pick<Component, 'name' | 'purl'>[] {
  const parsed = spdx.safeParse(value);
  if (!parsed.success) throw unreadable('CycloneDX or SPDX 2', parsed.error);
  return parsed.data.packages.map(({ name, externalRefs }) => ({
    name,
    purl: externalRefs.find(({ referenceType }) => referenceType === 'purl')?.referenceLocator,
  }));
}

/** A component that policy does not simply allow, or that has findings. */
export interface JudgedPart {
  readonly purl: string;
  /** Absent: no repository serves its ecosystem, and only its findings are known. */
  readonly repository?: string | undefined;
  readonly action?: PolicyAction | undefined;
  /** The action if every rule were enforced; absent when it is the same. */
  readonly wouldBe?: PolicyAction | undefined;
  readonly rules: readonly FiredRule[];
  readonly findings: readonly Finding[];
  readonly kept: boolean;
}

export interface JudgedBill {
  /** The number of different parts that were judged. */
  readonly judged: number;
  /** The number of them that are denied or held. */
  readonly refused: number;
  readonly parts: readonly JudgedPart[];
  /**
   * Components that cannot be judged: package URLs of ecosystems that no repository serves, and names without a package
   * URL.
   */
  readonly unjudged: readonly string[];
}

/** Judges each part of a bill of materials, where it is kept or could be had from. */
export async function judgeBill(inquiry: Inquiry, { parts, unnamed }: Bill, repository?: string): Promise<JudgedBill> {
  const found: JudgedPart[] = [];
  const unjudged: string[] = [];
  const refused = new Set<string>();
  for (const coordinates of parts) {
    const purl = packageUrl(coordinates);
    const judged = await inquiry.judge(coordinates, repository);
    if (judged.length === 0) {
      unjudged.push(purl);
      const findings = await inquiry.findings(coordinates);
      if (findings.length > 0) found.push({ purl, rules: [], findings, kept: false });
    }
    for (const { decision, ...rest } of judged) {
      const { action, wouldBe, rules } = decision;
      if (action === 'deny' || action === 'hold') refused.add(purl);
      if (action !== 'allow' || wouldBe !== undefined || rest.findings.length > 0)
        found.push({ purl, action, wouldBe, rules, ...rest });
    }
  }
  return {
    judged: parts.length - unjudged.length,
    refused: refused.size,
    parts: found,
    unjudged: [...unjudged, ...unnamed],
  };
}

function unreadable(expected: string, { issues: [issue] }: z.ZodError): EntrepotError {
  return refused(`expected ${expected} as JSON: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
}

function refused(message: string): EntrepotError {
  return new EntrepotError('bad-request', `Bill of materials: ${message}`);
}
