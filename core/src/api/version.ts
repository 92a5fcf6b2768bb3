/**
 * The version of the plugin API: an integer, raised by one for every change that an existing plugin could notice.
 * `define…Plugin` stamps it into the plugin, the host compares it before anything else of the plugin is looked at.
 */
export const API_VERSION = 1;

/** The oldest `apiVersion` that this core still serves. */
export const OLDEST_API_VERSION = 1;

/** Whether a plugin that was stamped with `apiVersion` can run on this core. */
export function isCompatible(apiVersion: number): boolean {
  return Number.isInteger(apiVersion) && apiVersion >= OLDEST_API_VERSION && apiVersion <= API_VERSION;
}
