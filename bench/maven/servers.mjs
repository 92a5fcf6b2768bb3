import { launchEntrepot, prepare } from '../servers/entrepot.mjs';
import { nginx as plainNginx } from '../servers/nginx.mjs';

/** Each has `maven`, the URL of the repository on it. */
export const entrepot = {
  id: 'entrepot',
  prepare,
  async launch({ origin, folder, nodeArguments }) {
    const repositories = { maven: { type: 'maven', upstream: origin } };
    const server = await launchEntrepot({ folder, repositories, nodeArguments });
    return { ...server, maven: `${server.base}/maven` };
  },
};

export const nginx = {
  ...plainNginx,
  async launch(settings) {
    const server = await plainNginx.launch(settings);
    return { ...server, maven: new URL(server.files).origin };
  },
};
