import { z } from 'zod';
import { COMMON_REPOSITORY_KEYS, configSchema } from './schema.js';

/** The parts of JSON Schema (2020-12) that the configuration's schema is made of. */
export interface JsonSchema {
  [keyword: string]: unknown;
  type?: string | string[];
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  properties?: Record<string, JsonSchema>;
  additionalProperties?: boolean | JsonSchema;
  propertyNames?: JsonSchema;
  required?: string[];
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
  pattern?: string;
  /**
   * The form of a value, for people: `duration`, `size`, `URL`. Not part of JSON Schema; left out of the published
   * file.
   */
  form?: string;
}

/** The options of a bundled plugin, where its schema can be converted. */
export interface PluginOptionsSchema {
  /** The plugin's id: the `type` of its repositories. */
  readonly type: string;
  /** The options as an object schema in input form. Absent when the plugin's schema cannot be converted. */
  readonly options?: JsonSchema | undefined;
}

let cached: JsonSchema | undefined;

/** The configuration's input form, with the `form` of each value. Made once; not to be changed. */
export function configJsonSchema(): JsonSchema {
  cached ??= z.toJSONSchema(configSchema, { io: 'input' }) as unknown as JsonSchema;
  return cached;
}

/**
 * The options of a plugin as JSON Schema in input form, by the JSON Schema extension of Standard Schema
 * (standardschema.dev/json-schema), which zod implements. `undefined` when the schema cannot tell.
 */
export function optionsJsonSchema(schema: object): JsonSchema | undefined {
  const standard = (schema as { readonly '~standard'?: StandardJsonSchema })['~standard'];
  if (standard?.jsonSchema === undefined) return undefined;
  try {
    const { $schema: _dialect, ...json } = standard.jsonSchema.input({ target: 'draft-2020-12' });
    return json.type === 'object' ? json : undefined;
  } catch {
    // A schema with parts that JSON Schema cannot express.
    return undefined;
  }
}

interface StandardJsonSchema {
  readonly jsonSchema?: { readonly input: (options: { readonly target: string }) => JsonSchema };
}

/** The JSON Schema that editors use: the configuration's, with the options of the `plugins`. */
export function publishedJsonSchema(plugins: readonly PluginOptionsSchema[]): JsonSchema {
  const { $schema, ...root } = structuredClone(configJsonSchema());
  const repositories = (root.properties as Record<string, JsonSchema>)['repositories'] as JsonSchema;
  const repository = repositories.additionalProperties as JsonSchema;
  const known = plugins.filter(({ options }) => options !== undefined);
  if (known.length > 0) repository.allOf = known.map(optionsOfType);
  const published = {
    $schema,
    title: 'Entrepot configuration',
    description: 'The configuration of an Entrepot server. Generated from host/src/config/schema.ts.',
    ...root,
  } as JsonSchema;
  return admitReferences(published) as JsonSchema;
}

function optionsOfType({ type, options = {} }: PluginOptionsSchema): JsonSchema {
  const keys = Object.keys(options.properties ?? {});
  const closed = options.additionalProperties === false;
  return {
    if: { properties: { type: { const: type } }, required: ['type'] },
    // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema (2020-12, 10.2.2.2)
    then: {
      properties: options.properties ?? {},
      ...(options.required !== undefined && options.required.length > 0 && { required: options.required }),
      ...(closed && { propertyNames: { enum: [...COMMON_REPOSITORY_KEYS, ...keys] } }),
    },
  };
}

/** A copy of `schema` whose patterns also take `${env:…}` and `${file:…}`, and that says nothing of forms. */
function admitReferences(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(admitReferences);
  if (typeof schema !== 'object' || schema === null) return schema;
  const copy: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword === 'pattern' && typeof value === 'string' && !('propertyNames' in schema)) {
      copy[keyword] = `${value}|\\$\\{(env|file):`;
    } else if (keyword !== 'form') {
      copy[keyword] = keyword === 'propertyNames' || keyword === 'default' ? value : admitReferences(value);
    }
  }
  return copy;
}

/** The keys that `schema` knows in a mapping, over all of its alternatives. */
export function knownKeys(schema: JsonSchema): string[] {
  return [...new Set(alternatives(schema).flatMap(({ properties = {} }) => Object.keys(properties)))];
}

/** The schema of `key` in a mapping that `schema` describes; `undefined` when it knows no such key. */
export function childSchema(schema: JsonSchema, key: string): JsonSchema | undefined {
  const all = alternatives(schema);
  const known = all.flatMap(({ properties = {} }) => (Object.hasOwn(properties, key) ? [properties[key]] : []));
  const others = all.flatMap(({ additionalProperties, items }) =>
    typeof additionalProperties === 'object' ? [additionalProperties] : (items ?? []),
  );
  // An alternative that takes any key says nothing of one that another alternative knows.
  const found = (known.length > 0 ? known : others) as JsonSchema[];
  // A key that drivers share is one key.
  const different = [...new Map(found.map((one) => [JSON.stringify(one), one])).values()];
  return different.length > 1 ? { anyOf: different } : different[0];
}

/** Whether a mapping may hold any key (`repositories`, `cache` of a repository), and what its values are. */
export function recordSchema(schema: JsonSchema): JsonSchema | undefined {
  const { additionalProperties, propertyNames } = schema;
  return propertyNames !== undefined && typeof additionalProperties === 'object' ? additionalProperties : undefined;
}

/** Whether every value that `schema` allows can be written as text: a variable is then taken as it is, not read as YAML. */
export function isTextSchema(schema: JsonSchema): boolean {
  const all = alternatives(schema);
  const types = new Set(all.map(({ type }) => type));
  // Beside single words, a number has to be one.
  const isNumberOrWord =
    types.has('integer') && all.every(({ type, const: word }) => type !== 'string' || word !== undefined);
  return types.has('string') && !isNumberOrWord && !types.has('object') && !types.has('array');
}

/** The schemas any of which a value has to meet. */
export function alternatives(schema: JsonSchema): JsonSchema[] {
  const parts = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  return parts.length === 0 ? [schema] : parts.flatMap(alternatives);
}
