import 'reflect-metadata';
import { createToken } from '@entrepot/core';
import { container as globalContainer } from 'tsyringe';
import { describe, expect, it } from 'vitest';
import { Scope } from '../../src/container/scope.js';

interface Named {
  readonly name: string;
}

const SECRET = createToken<string, 'repository'>('test-secret', 'repository');
const CLIENT = createToken<Named, 'repository'>('test-client', 'repository');
const DATABASE = createToken<Named, 'root'>('test-database', 'root');
const USER = createToken<Named, 'root'>('test-user', 'root');
const SETTING = createToken<string, 'root'>('test-setting', 'root');

/** A service that writes down when it ends. */
function recorded(log: string[], name: string, end?: () => void | Promise<void>) {
  return {
    name,
    async dispose() {
      await end?.();
      log.push(name);
    },
  };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('what tsyringe does otherwise (docs/architecture.md, section 9)', () => {
  it('1: two repositories never share what was built with the values of one of them', () => {
    const root = new Scope('root');
    const scopes = ['a', 'b'].map((name) => {
      const scope = root.child(name);
      scope.value(SECRET, `secret of ${name}`);
      scope.single(CLIENT, { secret: SECRET }, ({ secret }) => ({ name: secret }));
      return scope;
    });

    expect(scopes.map((scope) => scope.get(CLIENT).name)).toEqual(['secret of a', 'secret of b']);
  });

  it('1: a root service is refused values of a repository', () => {
    const root = new Scope('root');

    expect(() =>
      // @ts-expect-error a root token depends on root tokens only
      root.single(DATABASE, { secret: SECRET }, ({ secret }) => ({ name: secret as string })),
    ).toThrow('Service test-database is one for the process and may not depend on test-secret, one per repository');
  });

  it('1: a root service that a repository asks for first is the one that every repository gets', () => {
    let created = 0;
    const root = new Scope('root');
    root.single(DATABASE, {}, () => ({ name: `database ${(created += 1)}` }));
    const [a, b] = [root.child('a'), root.child('b')];

    expect(a.get(DATABASE)).toBe(b.get(DATABASE));
    expect(root.get(DATABASE)).toBe(a.get(DATABASE));
    expect(created).toBe(1);
  });

  it('2: ending the repository that asked first leaves the root service alone; ending the root ends it', async () => {
    const log: string[] = [];
    const root = new Scope('root');
    root.single(DATABASE, {}, () => recorded(log, 'database'));
    const [a, b] = [root.child('a'), root.child('b')];
    a.get(DATABASE);

    await a.dispose();
    expect(log).toEqual([]);
    expect(b.get(DATABASE).name).toBe('database');

    await root.dispose();
    expect(log).toEqual(['database']);
  });

  it('3: a registration that comes after the first use is refused, so order cannot change what a token means', () => {
    const root = new Scope('root');
    root.value(SETTING, 'x');
    root.child('a').get(SETTING);

    expect(() => root.single(DATABASE, {}, () => ({ name: 'late' }))).toThrow(
      'Service test-database is registered after root was first asked for one',
    );
  });

  it('4: ending the root ends its children first, and they refuse to serve afterwards', async () => {
    const log: string[] = [];
    const root = new Scope('root');
    root.single(DATABASE, {}, () => recorded(log, 'database'));
    for (const name of ['a', 'b']) {
      const scope = root.child(name);
      scope.single(CLIENT, { database: DATABASE }, () => recorded(log, `client of ${name}`));
      scope.get(CLIENT);
    }
    const late = root.child('c');

    await root.dispose();

    expect(log).toEqual(['client of b', 'client of a', 'database']);
    expect(() => late.get(DATABASE)).toThrow('The scope root/c is disposed');
    expect(() => root.child('d')).toThrow('The scope root is disposed');
  });

  it('5: values are ended when the scope was told how, factories always', async () => {
    const log: string[] = [];
    const root = new Scope('root');
    root.value(USER, recorded(log, 'borrowed'));
    root.value(DATABASE, { name: 'owned' }, () => void log.push('owned'));
    root.get(DATABASE);

    await root.dispose();

    expect(log).toEqual(['owned']);
  });

  it('6: a service ends before what it was built from, and each end is awaited', async () => {
    const log: string[] = [];
    const root = new Scope('root');
    // Registered first, created last: the order of creation counts.
    root.single(USER, { database: DATABASE }, () => recorded(log, 'user', turn));
    root.single(DATABASE, {}, () => recorded(log, 'database'));
    root.get(USER);

    await root.dispose();

    expect(log).toEqual(['user', 'database']);
  });

  it('7: everything is ended although some ends fail, and every failure is reported', async () => {
    const log: string[] = [];
    const root = new Scope('root');
    const scope = root.child('a');
    root.single(DATABASE, {}, () => recorded(log, 'database'));
    root.single(USER, { database: DATABASE }, () => ({
      name: 'user',
      dispose() {
        throw new Error('user broke');
      },
    }));
    scope.single(CLIENT, { user: USER }, () =>
      recorded(log, 'client', () => Promise.reject(new Error('client broke'))),
    );
    scope.get(CLIENT);

    const failure = await root.dispose().then(
      () => undefined,
      (error: unknown) => error as AggregateError,
    );

    expect(failure).toBeInstanceOf(AggregateError);
    expect(failure?.errors.map(({ message }) => message)).toEqual(['client broke', 'user broke']);
    expect(log).toEqual(['database']);
  });
});

describe('Scope', () => {
  it('ends once, however often it is asked to', async () => {
    const log: string[] = [];
    const root = new Scope('root');
    root.single(DATABASE, {}, () => recorded(log, 'database', turn));
    root.get(DATABASE);

    await Promise.all([root.dispose(), root.dispose()]);
    await root.dispose();

    expect(log).toEqual(['database']);
  });

  it('does not create what nobody asked for', async () => {
    let created = 0;
    const root = new Scope('root');
    root.single(DATABASE, {}, () => ({ name: `database ${(created += 1)}` }));

    await root.dispose();

    expect(created).toBe(0);
  });

  it('refuses a second registration, also of what a scope above has', () => {
    const root = new Scope('root');
    const scope = root.child('a');
    scope.value(SECRET, 'one');

    expect(() => scope.value(SECRET, 'two')).toThrow('Service test-secret is registered twice in root/a');
    expect(() => scope.child('deeper').value(SECRET, 'three')).toThrow('is registered twice in root/a/deeper');
  });

  it('refuses a token in a scope of the other kind', () => {
    const root = new Scope('root');

    expect(() => root.value(SECRET, 'x')).toThrow(
      'test-secret is of scope repository and cannot be registered in root',
    );
    expect(() => root.child('a').value(SETTING, 'x')).toThrow('test-setting is of scope root and cannot be registered');
  });

  it('names the token and the scope when nothing is registered, instead of making something up', () => {
    const root = new Scope('root');
    root.child('a').value(SECRET, 'of a');

    expect(() => root.child('b').get(SECRET)).toThrow('Nothing is registered for test-secret in root/b');
    expect(() => root.get(SECRET)).toThrow('Nothing is registered for test-secret in root');
  });

  it('names a circle', () => {
    const root = new Scope('root');
    root.single(DATABASE, { user: USER }, () => ({ name: 'database' }));
    root.single(USER, { database: DATABASE }, () => ({ name: 'user' }));

    expect(() => root.get(DATABASE)).toThrow('in a circle: test-database -> test-user -> test-database');
  });

  it('keeps out of the global container', () => {
    const root = new Scope('root');
    root.value(SETTING, 'x');

    expect(globalContainer.isRegistered(SETTING.symbol, true)).toBe(false);
  });

  it('finds the service by a token that another copy of core made', () => {
    const root = new Scope('root');
    root.value(SETTING, 'x');

    expect(root.get({ id: 'test-setting', scope: 'root', symbol: Symbol.for('entrepot:test-setting') })).toBe('x');
  });
});

describe('start', () => {
  it('opens in the order of registration, each from those before it, and ends in reverse', async () => {
    const log: string[] = [];
    const root = new Scope('root');
    root.open(DATABASE, {}, async () => {
      await turn();
      log.push('open database');
      return recorded(log, 'end database');
    });
    root.open(USER, { database: DATABASE }, ({ database }) => {
      log.push(`open user of ${database.name}`);
      return Promise.resolve(recorded(log, 'end user'));
    });

    await root.start();
    expect(root.get(USER).name).toBe('end user');
    await root.dispose();

    expect(log).toEqual(['open database', 'open user of end database', 'end user', 'end database']);
  });

  it('leaves what was opened before a failure to be ended', async () => {
    const log: string[] = [];
    const root = new Scope('root');
    root.open(DATABASE, {}, () => Promise.resolve(recorded(log, 'database')));
    root.open(USER, {}, () => Promise.reject(new Error('no space')));

    await expect(root.start()).rejects.toThrow('no space');
    await root.dispose();

    expect(log).toEqual(['database']);
  });

  it('is missed by who asks too early', () => {
    const root = new Scope('root');
    root.open(DATABASE, {}, () => Promise.resolve({ name: 'database' }));

    expect(() => root.get(DATABASE)).toThrow('test-database is asked for before root has opened it');
  });

  it('ends a service in the way that it was told', async () => {
    const log: string[] = [];
    const root = new Scope('root');
    root.open(
      DATABASE,
      {},
      () => Promise.resolve(recorded(log, 'by itself')),
      () => void log.push('as told'),
    );
    root.single(
      USER,
      {},
      () => recorded(log, 'by itself'),
      ({ name }) => void log.push(`user ${name} as told`),
    );
    await root.start();
    root.get(USER);

    await root.dispose();

    expect(log).toEqual(['user by itself as told', 'as told']);
  });
});
