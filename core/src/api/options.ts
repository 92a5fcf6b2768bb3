/** Version 1 of the Standard Schema interface (standardschema.dev), which zod and others implement. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

/** The result of a Standard Schema: the value, or every issue. */
export type StandardResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly StandardIssue[] };

/** One thing that is wrong with a value. */
export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** One configuration problem, with the dotted path of the key that it is about (`''` for the whole). */
export interface OptionProblem {
  readonly path: string;
  readonly message: string;
}

/**
 * Validates `value` by a plugin's schema.
 * @returns the parsed options, or every problem that the schema found. Never throws for a bad value.
 */
export async function parseOptions<Output>(
  schema: StandardSchema<Output>,
  value: unknown,
): Promise<
  | { readonly options: Output; readonly problems?: undefined }
  | { readonly options?: undefined; readonly problems: readonly OptionProblem[] }
> {
  const result = await schema['~standard'].validate(value);
  if (result.issues === undefined) return { options: result.value };
  return {
    problems: result.issues.map(({ message, path }) => ({ path: dottedPath(path ?? []), message })),
  };
}

/** Lists the options in `written` that repositories of the other kind have. */
export function optionsOfOtherKind(
  others: readonly string[] = [],
  kind: 'proxy' | 'hosted',
  written: unknown,
): readonly OptionProblem[] {
  const found = others.filter((key) => typeof written === 'object' && written !== null && Object.hasOwn(written, key));
  return found.map((path) => ({ path, message: `not an option of kind: ${kind}` }));
}

function dottedPath(path: NonNullable<StandardIssue['path']>): string {
  return path.map((step) => String(typeof step === 'object' ? step.key : step)).join('.');
}
