/** The scope of a service: one for the process, or one for each repository. */
export type Scope = 'root' | 'repository';

declare const service: unique symbol;

/**
 * The name of a service of type `T`. Plugins list tokens in `inject`; the host gives them exactly those services.
 * The symbol is made by `Symbol.for`, so that two installed copies of core name the same service.
 */
export interface Token<T, S extends Scope = Scope> {
  readonly id: string;
  readonly scope: S;
  readonly symbol: symbol;
  readonly [service]?: T;
}

/** Makes the token `id`. Two calls with one id name one service. */
export function createToken<T, S extends Scope = Scope>(id: string, scope: S): Token<T, S> {
  return Object.freeze({ id, scope, symbol: Symbol.for(`entrepot:${id}`) });
}

/** The instance types behind a record of tokens. */
export type Injected<Deps extends TokenRecord> = {
  readonly [Name in keyof Deps]: Deps[Name] extends Token<infer T> ? T : never;
};

/** A record of tokens, as plugins write it in `inject`. */
export type TokenRecord = Readonly<Record<string, Token<unknown>>>;
