/** A package that brings the host together with plugins. Without one, only what the configuration names is loaded. */
export interface Distribution {
  /** The packages of the formats that need not be configured, by the type of their repositories. */
  readonly formats: Readonly<Record<string, string>>;
  /** The folder of a file of the distribution. Its plugins are found from there. */
  readonly folder: string;
}
