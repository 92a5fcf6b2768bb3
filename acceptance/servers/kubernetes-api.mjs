import { writeFile } from 'node:fs/promises';
import { Origin } from '@entrepot/fixtures/origin';

/** Replies of an empty cluster; `helm install --dry-run` asks for no more. */
const ANSWERS = {
  '/version': { major: '1', minor: '31', gitVersion: 'v1.31.0' },
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
  '/api/v1': {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [{ name: 'configmaps', singularName: 'configmap', namespaced: true, kind: 'ConfigMap', verbs: ['get'] }],
  },
};

/** Stands where the API server of a Kubernetes cluster would, which no test machine has. */
export class KubernetesApi extends Origin {
  constructor() {
    super((request, response) => {
      const [path = ''] = (request.url ?? '').split('?');
      const answer = /** @type {Record<string, unknown>} */ (ANSWERS)[path];
      response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer ?? { kind: 'Status', status: 'Failure', reason: 'NotFound', code: 404 }));
    });
  }

  /** Writes a kubeconfig that names it. @param {string} file */
  async configure(file) {
    const configuration = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'empty', cluster: { server: this.url } }],
      contexts: [{ name: 'empty', context: { cluster: 'empty', user: 'nobody' } }],
      users: [{ name: 'nobody', user: {} }],
      'current-context': 'empty',
    };
    await writeFile(file, JSON.stringify(configuration), { mode: 0o600 });
  }
}
