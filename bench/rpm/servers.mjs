import { plain } from '../servers/plain.mjs';
import { launchEntrepot, prepare } from '../servers/entrepot.mjs';
import { nginx as nginxWithSendfile, nginxCopy as nginxWithout } from '../servers/nginx.mjs';

/** Each has `archive`, the URL of the repository on it. */
export const entrepot = {
  id: 'entrepot',
  prepare,
  async launch({ upstream, folder, nodeArguments }) {
    const repository = { type: 'rpm', upstream: upstream.origin, cache: { generations: { freshFor: '1h' } } };
    const server = await launchEntrepot({ folder, repositories: { rocky: repository }, nodeArguments });
    return { ...server, archive: `${server.base}/rocky` };
  },
};

export const nginx = plain(nginxWithSendfile);
export const nginxCopy = plain(nginxWithout);
