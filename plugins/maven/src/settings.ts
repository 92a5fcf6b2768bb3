import { XmlReader } from '@entrepot/core/formats';

/** A repository by its id. */
export interface NamedUrl {
  readonly id: string;
  readonly url: string;
}

/** Repositories in settings of Maven. */
export interface Settings {
  /** Mirrors that are not blocked. */
  readonly mirrors: readonly (NamedUrl & { readonly of: string })[];
  /** Repositories of active profiles. */
  readonly repositories: readonly NamedUrl[];
  /** Servers with a password that is not encrypted. */
  readonly servers: readonly { readonly id: string; readonly username: string; readonly password: string }[];
}

type Fields = Readonly<Record<string, string>>;

/** Elements that are read with those in them, and the rest of their path. */
const ITEMS = ['/settings/mirrors/mirror', '/settings/servers/server', '/settings/profiles/profile'] as const;

/**
 * Reads `settings.xml`, or a POM for its repositories.
 * @param value of a `${name}`. `undefined`: it is not known, and stays
 */
export function readSettings(
  bytes: Uint8Array,
  subject: string,
  value: (name: string) => string | undefined,
): Settings {
  const items: Record<(typeof ITEMS)[number], Fields[]> = {
    '/settings/mirrors/mirror': [],
    '/settings/servers/server': [],
    '/settings/profiles/profile': [],
  };
  const active = new Set<string>();
  const own: NamedUrl[] = [];
  let fields: Record<string, string> = {};
  let repository: Record<string, string> = {};
  let ofProfile: NamedUrl[] = [];
  const profiles: { readonly id: string; readonly isActive: boolean; readonly repositories: NamedUrl[] }[] = [];
  const reader = new XmlReader(subject, {
    open(path) {
      if ((ITEMS as readonly string[]).includes(path)) [fields, ofProfile] = [{}, []];
      if (path.endsWith('/repositories/repository')) repository = {};
    },
    close(path, raw) {
      const text = raw.replace(/\$\{([A-Za-z0-9_.]{1,100})\}/g, (whole, name: string) => value(name) ?? whole);
      const item = ITEMS.find((one) => path === one);
      const within = ITEMS.find((one) => path.startsWith(`${one}/`));
      if (path === '/settings/activeProfiles/activeProfile') active.add(text);
      else if (path.endsWith('/repositories/repository')) {
        const { id = '', url = '' } = repository;
        (path.startsWith('/settings/') ? ofProfile : own).push({ id, url });
      } else if (/\/repositories\/repository\/(?:id|url)$/.test(path))
        repository[path.slice(path.lastIndexOf('/') + 1)] = text;
      else if (item === '/settings/profiles/profile')
        profiles.push({
          id: fields['id'] ?? '',
          isActive: fields['activation/activeByDefault'] === 'true',
          repositories: ofProfile,
        });
      else if (item !== undefined) items[item].push(fields);
      else if (within !== undefined) fields[path.slice(within.length + 1)] = text;
    },
  });
  reader.write(bytes);
  reader.end();
  return {
    mirrors: items['/settings/mirrors/mirror']
      .filter(({ blocked }) => blocked !== 'true')
      .map(({ id = '', url = '', mirrorOf = '' }) => ({ id, url, of: mirrorOf })),
    repositories: [
      ...profiles.filter(({ id, isActive }) => isActive || active.has(id)).flatMap((one) => one.repositories),
      ...own,
    ],
    servers: items['/settings/servers/server'].flatMap(({ id = '', username, password }) =>
      // `{…}` is encrypted, with a key that only Maven reads.
      username && password && !/^\{.*\}$/.test(password) ? [{ id, username, password }] : [],
    ),
  };
}
