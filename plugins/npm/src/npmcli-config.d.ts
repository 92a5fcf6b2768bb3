// The part of npm's configuration library that is used here. Source: its README, "config.load()" and the fields below it.
declare module '@npmcli/config' {
  interface ConfigLevel {
    /** The file, or words in parentheses where there is none. */
    readonly source: string | null;
  }
  export default class Config {
    constructor(options: object);
    /** All levels by name, the weakest first. */
    readonly data: ReadonlyMap<string, ConfigLevel>;
    /** All levels, the strongest first; each inherits from the next. */
    readonly list: readonly Readonly<Record<string, unknown>>[];
    load(): Promise<void>;
    get(key: string): unknown;
  }
}

declare module '@npmcli/config/lib/definitions/index.js' {
  const definitions: object;
  export default definitions;
}
