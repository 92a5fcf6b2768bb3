import { z } from 'zod';
import type { KeptException } from '../drivers/sql/exception-store.js';

// OpenVEX 0.2.0 (github.com/openvex/spec).

const CONTEXT = 'https://openvex.dev/ns/v0.2.0';

/** An OpenVEX document, as far as it is read. */
export const vexDocument = z.looseObject({
  '@id': z.string().optional(),
  author: z.string().optional(),
  statements: z
    .array(
      z.looseObject({
        vulnerability: z.union([
          z.string(),
          z.looseObject({ name: z.string(), aliases: z.array(z.string()).optional() }),
        ]),
        products: z
          .array(
            z.looseObject({
              '@id': z.string().optional(),
              identifiers: z.looseObject({ purl: z.string().optional() }).optional(),
            }),
          )
          .optional(),
        status: z.enum(['not_affected', 'affected', 'fixed', 'under_investigation']),
        justification: z.string().optional(),
        impact_statement: z.string().optional(),
      }),
    )
    .max(10_000),
});

/**
 * The forms of exceptions that a VEX document asks for: one for each statement that something is not affected, or fixed.
 * @param by who answers for them; absent: the author of the document
 */
export function exceptionFormsOf(
  document: z.output<typeof vexDocument>,
  expires: string,
  by?: string,
): readonly object[] {
  const { author = 'nobody', statements } = document;
  return statements.flatMap(({ vulnerability, products = [], status, justification, impact_statement: impact }) => {
    if (status !== 'not_affected' && status !== 'fixed') return [];
    const purl = products
      .flatMap((product) => product.identifiers?.purl ?? product['@id'] ?? [])
      .filter((id) => id.startsWith('pkg:'));
    if (purl.length === 0) return [];
    const name = typeof vulnerability === 'string' ? vulnerability : vulnerability.name;
    const aliases = typeof vulnerability === 'string' ? [] : (vulnerability.aliases ?? []);
    const reason = [`VEX of ${author}: ${status}`, justification, impact]
      .filter((part) => part !== undefined)
      .join(': ')
      .slice(0, 500);
    return [{ purl, advisories: [name, ...aliases], kind: 'false-positive', reason, by: by ?? author, expires }];
  });
}

/** The exceptions for advisories that are in force, as an OpenVEX document. */
export function vexOf(exceptions: readonly KeptException[], now: number) {
  const statements = exceptions
    .filter(({ active, expiresAt }) => active && expiresAt > now)
    .flatMap(({ advisories = [], scope, kind, reason, createdAt }) =>
      advisories.map((name) => ({
        vulnerability: { name },
        products: (scope.purl ?? []).map((purl) => ({ '@id': purl })),
        timestamp: new Date(createdAt).toISOString(),
        ...(kind === 'false-positive'
          ? { status: 'not_affected', impact_statement: reason }
          : { status: 'affected', action_statement: `risk accepted: ${reason}` }),
      })),
    );
  const timestamp = new Date(now).toISOString();
  return {
    '@context': CONTEXT,
    '@id': `urn:entrepot:vex:${now}`,
    author: 'Entrepot',
    timestamp,
    version: 1,
    statements,
  };
}
