/** The repository of one protocol in a new configuration. */
export interface InitialRepository {
  readonly type: string;
  readonly kinds: readonly ('proxy' | 'hosted')[];
  /** Found in the settings of its clients. Empty: nothing was found, the repository is only an example. */
  readonly upstreams: readonly {
    readonly url: string;
    readonly scope?: string | undefined;
    readonly fallback?: 'not-found' | 'any-error' | undefined;
    readonly source: string;
  }[];
}

/** A commented configuration. Only what was found on this machine is switched on; everything else is a comment. */
export function initialConfiguration(repositories: readonly InitialRepository[]): string {
  const found = repositories.filter(({ upstreams }) => upstreams.length > 0);
  const examples = repositories.filter(({ upstreams }) => upstreams.length === 0);
  return [
    HEAD,
    '',
    // A mapping without a key would be an empty value, which is refused.
    found.length === 0 ? '# repositories:' : 'repositories:',
    [...found.map(foundRepository), ...examples.map(exampleRepository)].join('\n\n'),
    '',
  ].join('\n');
}

function foundRepository({ type, upstreams }: InitialRepository): string {
  return [
    `  ${type}:`,
    `    type: ${type}`,
    '    # The upstream may be left out: at every start it is taken from the settings of the clients on this machine.',
    ...upstreams.map(
      ({ scope, source }) =>
        `    # Found now${scope === undefined ? '' : `, for ${oneLine(scope)}`}: ${oneLine(source)}`,
    ),
    ...upstreamLines(upstreams),
  ].join('\n');
}

function upstreamLines(upstreams: InitialRepository['upstreams']): string[] {
  const [first, ...others] = upstreams;
  if (first !== undefined && others.length === 0 && first.scope === undefined) return [`    # upstream: ${first.url}`];
  return [
    '    # upstreams:',
    ...upstreams.map(({ url, scope, fallback }) =>
      scope === undefined && fallback === undefined
        ? `    #   - ${url}`
        : `    #   - { url: ${JSON.stringify(url)}${flowPair('scope', scope)}${flowPair('fallback', fallback)} }`,
    ),
  ];
}

function flowPair(key: string, value: string | undefined): string {
  return value === undefined ? '' : `, ${key}: ${JSON.stringify(value)}`;
}

function exampleRepository({ type, kinds }: InitialRepository): string {
  const lines = [
    `  # ${type}:`,
    `  #   type: ${type}`,
    ...(kinds.includes('proxy') ? [`  #   upstream: https://${type}.example.com`] : []),
    ...(kinds.includes('hosted') ? [`  #   # kind: hosted  # instead of an upstream: clients publish here`] : []),
  ];
  return lines.join('\n');
}

/** Foreign text must not end its comment. */
function oneLine(text: string): string {
  return text.replace(/[\r\n\u0085\u2028\u2029]+/g, ' ');
}

const HEAD = `# The configuration of an Entrepot server. Every key is described in docs/configuration.md; what is commented out
# is the default or an example. \`entrepot validate\` checks this file, \`entrepot doctor\` also what it leads to.
# Secrets need not stand here: \${env:NAME} and \${file:PATH} are replaced in every text. Each key also has an environment
# variable that stands above this file, such as ENTREPOT_SERVER_LISTEN.

# server:
#   listen: 127.0.0.1:8080  # :8080 for every address of the machine
#   publicUrl: https://packages.example.com  # where clients reach it, when that is not what their requests say
#   trustProxy: [10.0.0.0/8]  # whose X-Forwarded-* headers are believed

# storage:
#   backend: filesystem
#   path: ./data/blobs

# metadata:
#   backend: sqlite
#   path: ./data/entrepot.db

# metrics:
#   path: /metrics
#   token: \${env:METRICS_TOKEN}`;
