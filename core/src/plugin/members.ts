/** The members that each object of a declaration may have, by its place. `*` stands for any name. */
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  '': ['kind', 'apiVersion', 'id', 'options', 'inject', 'names', 'http', 'clients', 'proxy', 'hosted'],
  names: ['pattern', 'claimTypes'],
  http: [
    'sharedMounts',
    'mountAlone',
    'select',
    'credentials',
    'replyHeaders',
    'warnsStale',
    'dotSegments',
    'forwards',
    'otherBytes',
  ],
  clients: ['discoverUpstreams', 'setup'],
};

const SIDE = ['classes', 'create', 'ownOptions', 'renderError', 'documentPath', 'partPath', 'challenge'];

const SIDES = { proxy: [...SIDE, 'roots'], hosted: [...SIDE, 'cleanup'] } as const;

const CLEANUP = ['versions', 'stored', 'retire'];
const ROOTS = ['list', 'refresh', 'heldKeys'];
const VERSIONS = ['order', 'isPrerelease'];

const CLASSES: Readonly<Record<string, readonly string[]>> = {
  artifact: ['kind', 'about', 'cache', 'upstream', 'reply', 'trust', 'policy'],
  document: ['kind', 'about', 'cache', 'upstream', 'reply', 'trust', 'policy', 'parse', 'summarize', 'table'],
  passthrough: ['kind', 'about', 'method', 'upstream', 'policy', 'adapt', 'shareFor'],
  alias: ['kind', 'about', 'policy', 'resolve', 'resolveMissing', 'replyHeaders', 'storedKeys'],
  listing: ['kind', 'about', 'reply', 'policy', 'entries', 'render', 'join'],
  change: ['kind', 'about', 'action', 'policy', 'bounds', 'make'],
  session: ['kind', 'about', 'policy', 'maxBytes', 'step', 'reply'],
};

const FRESHNESS = [
  'policy',
  'freshFor',
  'expireAfter',
  'busy',
  'staleIfError',
  'staleAfter',
  'staleWhileRevalidate',
  'negativeFor',
  'negativeIfError',
  'onGone',
  'respectNoStore',
];

const GROUPS: Readonly<Record<string, readonly string[]>> = {
  cache: [...FRESHNESS, 'except', 'cachedOnly', 'oneCopy', 'alternative', 'listsBelow'],
  upstream: [
    'accept',
    'headers',
    'expects',
    'maxBytes',
    'order',
    'among',
    'redirects',
    'tokenScope',
    'mayLack',
    'produce',
    'locate',
  ],
  reply: [
    'mediaType',
    'fallbackMediaType',
    'mediaTypeOf',
    'filename',
    'cacheControl',
    'vary',
    'headers',
    'digestHeader',
    'sumHeaders',
    'keepHeaders',
    'keepsCoding',
    'severalRanges',
    'render',
  ],
  trust: [
    'describedBy',
    'describedBrieflyBy',
    'promisedInHeaders',
    'describedFor',
    'readFor',
    'descriptionOptional',
    'verify',
    'verifiedBy',
    'publishedWith',
    'addressed',
  ],
  policy: [
    'accessName',
    'forAnyName',
    'sidecar',
    'sidecarOf',
    'undated',
    'refusedOnlyIfMalicious',
    'refusal',
    'parts',
    'names',
  ],
  adapt: ['answerPath', 'request', 'reply'],
  bounds: ['of', 'maxBytes', 'overwrite', 'mediaType', 'exclusive'],
  table: ['maker', 'revision', 'parameters', 'open'],
};

/**
 * Lists what a declaration has and no core reads, by its place: `proxy.classes.tarball.trust.verfy`. A misspelt check must not be no
 * check.
 */
export function unknownMembers(plugin: object): readonly string[] {
  const found: string[] = [];
  const look = (value: unknown, place: string, known: readonly string[] | undefined): void => {
    if (typeof value !== 'object' || value === null || known === undefined) return;
    for (const name of Object.keys(value)) {
      if (!known.includes(name)) found.push(place === '' ? name : `${place}.${name}`);
    }
  };
  const members = plugin as Readonly<Record<string, unknown>>;
  look(plugin, '', MEMBERS['']);
  for (const group of ['names', 'http', 'clients']) look(members[group], group, MEMBERS[group]);
  for (const side of ['proxy', 'hosted'] as const) {
    look(members[side], side, SIDES[side]);
    const { classes, cleanup, roots } = (members[side] ?? {}) as {
      classes?: Readonly<Record<string, unknown>>;
      cleanup?: { versions?: unknown };
      roots?: unknown;
    };
    look(cleanup, `${side}.cleanup`, CLEANUP);
    look(roots, `${side}.roots`, ROOTS);
    look(cleanup?.versions, `${side}.cleanup.versions`, VERSIONS);
    for (const [name, declared] of Object.entries(classes ?? {})) {
      if (typeof declared !== 'object' || declared === null) continue;
      const place = `${side}.classes.${name}`;
      const { kind } = declared as { kind?: string };
      look(declared, place, CLASSES[kind ?? '']);
      for (const [group, known] of Object.entries(GROUPS)) {
        const value: unknown = (declared as Readonly<Record<string, unknown>>)[group];
        // A session's `reply` is a hook.
        if (typeof value === 'object') look(value, `${place}.${group}`, known);
      }
    }
  }
  return found;
}
