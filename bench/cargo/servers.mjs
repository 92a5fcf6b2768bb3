import { launchEntrepot, prepare } from '../servers/entrepot.mjs';
import * as koaServer from '../servers/koa.mjs';
import { nginx as nginxWithSendfile, nginxCopy as nginxWithout } from '../servers/nginx.mjs';

/** Each has `index`, the URL of a sparse index. */
export const entrepot = {
  id: 'entrepot',
  prepare,
  async launch({ upstream, folder, nodeArguments }) {
    const repository = { type: 'cargo', upstream: `${upstream.origin}/index/` };
    const cache = { index: { freshFor: '1h' }, config: { freshFor: '1h' } };
    const server = await launchEntrepot({ folder, repositories: { crates: { ...repository, cache } }, nodeArguments });
    return { ...server, index: `${server.base}/crates` };
  },
};

export const nginx = plain(nginxWithSendfile);
export const nginxCopy = plain(nginxWithout);
export const koa = koaServer;

/** A plain cache: the origin's `config.json` has to lead to it. */
function plain(server) {
  return {
    ...server,
    async launch(settings) {
      const launched = await server.launch(settings);
      return { ...launched, index: `http://127.0.0.1:${launched.port}/via/${launched.port}/index` };
    },
  };
}
