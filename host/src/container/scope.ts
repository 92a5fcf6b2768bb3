// tsyringe throws on import when this is missing.
import 'reflect-metadata';
import { container, instanceCachingFactory, type DependencyContainer } from 'tsyringe';
import type { Injected, Scope as TokenScope, Token, TokenRecord } from '@entrepot/core';

/** The tokens that a service of scope `S` may depend on: a root service on root services only. */
export type DependenciesOf<S extends TokenScope> = S extends 'root'
  ? Readonly<Record<string, Token<unknown, 'root'>>>
  : TokenRecord;

type Disposal = () => void | Promise<void>;

/** Ends a service. Absent: its `dispose` method is called, when it has one. */
type End<T> = (instance: T) => void | Promise<void>;

/**
 * A container that owns what is registered in it. The only code that knows tsyringe, of which it keeps the registry and
 * the instance cache and replaces the lifetimes: there, a parent's singleton is built with the values of whichever
 * child asks first, and disposal neither reaches children nor has an order (docs/architecture.md, section 9).
 *
 * A service is always built from the scope that it was registered in. Register first, then `get`: the first `get`
 * closes the scope for registrations, so that what a token means cannot depend on who asked earlier.
 */
export class Scope {
  readonly name: string;
  readonly #container: DependencyContainer;
  readonly #parent: Scope | undefined;
  readonly #children = new Set<Scope>();
  readonly #registered = new Set<symbol>();
  /** Services that are being built, to name a cycle instead of overflowing the stack. */
  readonly #building: string[] = [];
  readonly #disposals: Disposal[] = [];
  /** Functions that `start` calls, in this order. */
  readonly #openings: (() => Promise<void>)[] = [];
  #started = false;
  #disposed: Promise<void> | undefined;

  /** Makes a root scope; a child comes from `child`. */
  constructor(name: string, parent?: Scope) {
    this.name = name;
    this.#parent = parent;
    // Never the global container: two hosts in one process would share it.
    this.#container =
      parent === undefined ? container.createChildContainer() : parent.#container.createChildContainer();
  }

  /** A scope that sees this one's services and is disposed before them. */
  child(name: string): Scope {
    this.#refuseWhenDisposed();
    const child = new Scope(name, this);
    this.#children.add(child);
    return child;
  }

  /**
   * Registers an instance that exists already. The scope owns it only when `dispose` says how to end it.
   * @throws Error when the token is taken, is of the other scope, or the scope has started.
   */
  value<T>(token: Token<T>, instance: T, dispose?: Disposal): void {
    this.#claim(token);
    this.#container.register(token.symbol, { useValue: instance });
    if (dispose !== undefined) this.#disposals.push(dispose);
  }

  /**
   * Registers a service that is created at the first `get`, once, from `dependencies` as *this* scope sees them.
   * @throws Error as `value`, and when a root token depends on one of a repository.
   */
  single<T, S extends TokenScope, const Dependencies extends DependenciesOf<S>>(
    token: Token<T, S>,
    dependencies: Dependencies,
    create: (services: Injected<Dependencies>) => T,
    end?: End<T>,
  ): void {
    this.#refuseStray(token, dependencies);
    this.#claim(token);
    this.#register(token, () => this.#refuseCircle(token, () => this.#own(create(this.#resolve(dependencies)), end)));
  }

  /**
   * Registers a service that takes time to open. `start` opens it, after those that were registered before it.
   * @throws Error as `single`.
   */
  open<T, S extends TokenScope, const Dependencies extends DependenciesOf<S>>(
    token: Token<T, S>,
    dependencies: Dependencies,
    create: (services: Injected<Dependencies>) => Promise<T>,
    end?: End<T>,
  ): void {
    this.#refuseStray(token, dependencies);
    this.#claim(token);
    let opened: { readonly instance: T } | undefined;
    this.#openings.push(async () => {
      opened = { instance: this.#own(await create(this.#resolve(dependencies)), end) };
    });
    this.#register(token, () => {
      if (opened === undefined)
        throw new Error(`Service ${token.id} is asked for before ${this.#path()} has opened it`);
      return opened.instance;
    });
  }

  /**
   * Opens what `open` registered, one after the other, and closes the scope for registrations. When one fails, the
   * others stay as they are: the caller disposes the scope.
   */
  async start(): Promise<void> {
    this.#refuseWhenDisposed();
    this.#started = true;
    for (const opening of this.#openings.splice(0)) await opening();
  }

  /**
   * The service of `token`, from this scope or one above it.
   * @throws Error when it is not registered, or the scope is disposed
   */
  get<T>(token: Token<T>): T {
    this.#refuseWhenDisposed();
    const owner = this.#ownerOf(token);
    if (owner === undefined) throw new Error(`Nothing is registered for ${token.id} in ${this.#path()}`);
    this.#started = true;
    owner.#started = true;
    return owner.#container.resolve<T>(token.symbol);
  }

  /**
   * Disposes the children, then what this scope created, last first, one after the other. Goes on when one fails.
   * A second call waits for the first.
   * @throws AggregateError with everything that failed.
   */
  dispose(): Promise<void> {
    this.#disposed ??= this.#disposeAll();
    return this.#disposed;
  }

  async #disposeAll(): Promise<void> {
    const errors: unknown[] = [];
    for (const child of [...this.#children].reverse()) {
      await child.dispose().catch((error: unknown) => errors.push(...(error as AggregateError).errors));
    }
    for (const dispose of this.#disposals.splice(0).reverse()) {
      try {
        await dispose();
      } catch (error) {
        errors.push(error);
      }
    }
    await this.#container.dispose();
    if (this.#parent !== undefined) this.#parent.#children.delete(this);
    if (errors.length > 0)
      throw new AggregateError(errors, `${errors.length} services of ${this.#path()} failed to end`);
  }

  #register<T>(token: Token<T>, create: () => T): void {
    this.#container.register(token.symbol, {
      // The closure decides which container the dependencies come from; the factory's argument is whoever asked first.
      useFactory: instanceCachingFactory(create),
    });
  }

  #resolve<Dependencies extends TokenRecord>(dependencies: Dependencies): Injected<Dependencies> {
    const services = Object.entries(dependencies).map(([name, dependency]) => [name, this.get(dependency)]);
    return Object.fromEntries(services) as Injected<Dependencies>;
  }

  #own<T>(instance: T, end: End<T> | undefined): T {
    if (end !== undefined) this.#disposals.push(() => end(instance));
    else if (isDisposable(instance)) this.#disposals.push(() => instance.dispose());
    return instance;
  }

  #refuseCircle<T>(token: Token<T>, create: () => T): T {
    if (this.#building.includes(token.id)) {
      throw new Error(`Services depend on each other in a circle: ${[...this.#building, token.id].join(' -> ')}`);
    }
    this.#building.push(token.id);
    try {
      return create();
    } finally {
      this.#building.pop();
    }
  }

  #refuseStray(token: Token<unknown>, dependencies: TokenRecord): void {
    const stray = Object.values<Token<unknown>>(dependencies).find(({ scope }) => scope === 'repository');
    if (token.scope !== 'root' || stray === undefined) return;
    throw new Error(`Service ${token.id} is one for the process and may not depend on ${stray.id}, one per repository`);
  }

  #claim(token: Token<unknown>): void {
    this.#refuseWhenDisposed();
    const wanted = this.#parent === undefined ? 'root' : 'repository';
    if (token.scope !== wanted) {
      throw new Error(`Service ${token.id} is of scope ${token.scope} and cannot be registered in ${this.#path()}`);
    }
    if (this.#ownerOf(token) !== undefined)
      throw new Error(`Service ${token.id} is registered twice in ${this.#path()}`);
    if (this.#started)
      throw new Error(`Service ${token.id} is registered after ${this.#path()} was first asked for one`);
    this.#registered.add(token.symbol);
  }

  #ownerOf(token: Token<unknown>): Scope | undefined {
    if (this.#registered.has(token.symbol)) return this;
    return this.#parent === undefined ? undefined : this.#parent.#ownerOf(token);
  }

  #refuseWhenDisposed(): void {
    if (this.#disposed !== undefined) throw new Error(`The scope ${this.#path()} is disposed`);
  }

  #path(): string {
    return this.#parent === undefined ? this.name : `${this.#parent.#path()}/${this.name}`;
  }
}

function isDisposable(instance: unknown): instance is { dispose(): void | Promise<void> } {
  return (
    typeof instance === 'object' && instance !== null && 'dispose' in instance && typeof instance.dispose === 'function'
  );
}
