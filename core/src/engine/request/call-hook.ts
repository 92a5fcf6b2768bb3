import { asEntrepotError } from '../../api/errors.js';
import type { DocumentBytes, RenderedDocument } from '../../api/protocol.js';

/** Calls a hook; what fails in it is the plugin's. */
export async function hook<Result>(
  plugin: string,
  name: string,
  call: () => Result | Promise<Result>,
): Promise<Result> {
  try {
    return await call();
  } catch (error) {
    throw asEntrepotError(error, 'plugin', `${name} of plugin ${plugin} failed`);
  }
}

/** Calls a hook that makes a document; what fails in it, also later, is the plugin's. */
export async function made(
  plugin: string,
  name: string,
  call: () => DocumentBytes | RenderedDocument | Promise<DocumentBytes | RenderedDocument>,
): Promise<RenderedDocument> {
  const result = await hook(plugin, name, call);
  const isBytes = typeof result === 'string' || Symbol.asyncIterator in result || Symbol.iterator in result;
  const { bytes, headers } = isBytes ? { bytes: result as DocumentBytes } : (result as RenderedDocument);
  return { bytes: guarded(plugin, name, bytes), headers };
}

async function* guarded(plugin: string, name: string, bytes: DocumentBytes): AsyncGenerator<Uint8Array | string> {
  try {
    yield* bytes;
  } catch (error) {
    throw asEntrepotError(error, 'plugin', `${name} of plugin ${plugin} failed`);
  }
}
