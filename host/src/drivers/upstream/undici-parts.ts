import { createRequire } from 'node:module';
import type { buildConnector as BuildConnector, Dispatcher, Agent as UndiciAgent, Pool as UndiciPool } from 'undici';
import type { ProxyAgent as UndiciProxyAgent } from 'undici';

// The parts of undici that the transport stands on, without its index: that loads fetch, WebSocket, caches and mocks as well,
// some 10 MiB that an idle server would hold. The version of undici is pinned, and the transport suite runs on these files.
const load = createRequire(import.meta.url);

// As the index does it: dispatchers get their `request` and `connect` from here.
const { prototype } = load('undici/lib/dispatcher/dispatcher.js') as typeof Dispatcher;
Object.assign(prototype, load('undici/lib/api'));

export const Agent = load('undici/lib/dispatcher/agent.js') as typeof UndiciAgent;
export const Pool = load('undici/lib/dispatcher/pool.js') as typeof UndiciPool;
export const ProxyAgent = load('undici/lib/dispatcher/proxy-agent.js') as typeof UndiciProxyAgent;
export const buildConnector = load('undici/lib/core/connect.js') as typeof BuildConnector;
