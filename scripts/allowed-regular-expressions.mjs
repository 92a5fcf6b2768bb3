/**
 * Regular expressions that take a power of their input's length, with what bounds that input.
 * @type {Readonly<Record<string, string>>}
 */
export const ALLOWED = {
  "/unknown revision|no matching versions|repository '[^']*' not found|Repository not found|404 Not Found|410 Gone|returned error: (?:404|410)|no go-import meta tags|invalid \\S+ import path|missing \\S*go\\.mod|has non-\\S* module path|has post-v\\d+ module path|module declares its path as|can't use @|go\\.mod:\\d+/":
    '4096 characters: LONGEST in plugins/go/src/direct-errors.ts',
  '/git [^\\n]*? in \\S+: exit status \\d+:\\s*/g': '4096 characters: LONGEST in plugins/go/src/direct-errors.ts',
  '/(\\d+(?:\\.\\d+)?)(ms|s|m|h|d|w)/g': '64 characters: LONGEST_DURATION_TEXT in core/src/api/quantities.ts',
};
