import { defineProtocolPlugin, type ClientSetup, type ClientSetupContext } from '@entrepot/core';
import type { RequestHead, Route } from '@entrepot/core';
import { z } from 'zod';
import * as hosted from './hosted.ts';
import { infoOf, readable } from './names.ts';
import * as proxy from './proxy.ts';

const documentPath = ({ name }: { readonly name: string }) => infoOf(name).path;

/** RubyGems: proxies by the compact index, and hosted repositories for `gem push`. */
export default defineProtocolPlugin({
  id: 'rubygems',
  options: z.strictObject({}),
  inject: {},
  names: { pattern: 'paths' },
  http: { credentials },
  clients: { setup },
  proxy: { classes: proxy.classes, create: () => ({ route: readable }), documentPath },
  hosted: { classes: hosted.classes, create: () => ({ route: hostedRoute }), documentPath },
});

/** Reads `Authorization: <key>`, as `gem push` sends it. A key is `user:password`, or a token. */
function credentials({ header }: RequestHead): string | undefined {
  const key = header('authorization') ?? '';
  if (key === '' || key.includes(' ')) return undefined;
  return key.includes(':') ? `Basic ${Buffer.from(key).toString('base64')}` : `Bearer ${key}`;
}

function hostedRoute(head: RequestHead): Route | undefined {
  const path = head.segments.join('/');
  if (path === 'api/v1/gems' && head.method === 'POST') return { class: 'push', key: path };
  if (path === 'api/v1/gems/yank' && head.method === 'DELETE') return { class: 'yank', key: path };
  const found = readable(head);
  return found !== undefined && 'class' in found && !(found.class in hosted.classes) ? undefined : found;
}

function setup({ baseUrl, repository: { kind } }: ClientSetupContext): readonly ClientSetup[] {
  const [source, text] = [`source '${baseUrl}/'`, `GEM_HOST_API_KEY=USER:PASSWORD gem push --host ${baseUrl} FILE`];
  const read: ClientSetup = { client: 'bundle', steps: [{ kind: 'file', path: 'Gemfile', text: source }] };
  const push: ClientSetup = { client: 'gem push', steps: [{ kind: 'command', text, needsKey: true }] };
  return kind === 'hosted' ? [read, push] : [read];
}
