import { fileURLToPath } from 'node:url';
import { scenarios as goScenarios } from './go/scenarios.mjs';
import * as goServers from './go/servers.mjs';
import { scenarios as ociScenarios } from './oci/scenarios.mjs';
import * as ociServers from './oci/servers.mjs';
import { scenarios as helmScenarios } from './helm/scenarios.mjs';
import * as helmServers from './helm/servers.mjs';
import { scenarios as cargoScenarios } from './cargo/scenarios.mjs';
import * as cargoServers from './cargo/servers.mjs';
import { scenarios as debScenarios } from './deb/scenarios.mjs';
import * as debServers from './deb/servers.mjs';
import { scenarios as rpmScenarios } from './rpm/scenarios.mjs';
import * as rpmServers from './rpm/servers.mjs';
import { scenarios as pypiScenarios } from './pypi/scenarios.mjs';
import * as pypiServers from './pypi/servers.mjs';
import { launchOrigin as launchMavenOrigin } from './maven/origin.mjs';
import { scenarios as mavenScenarios } from './maven/scenarios.mjs';
import * as mavenServers from './maven/servers.mjs';
import { makeCertificate } from './lib/install.mjs';
import { bursts } from './scenarios/bursts.mjs';
import { coldLargePackument } from './scenarios/cold-large-packument.mjs';
import { footprint } from './scenarios/footprint.mjs';
import { hits } from './scenarios/hits.mjs';
import { coldCrowd } from './scenarios/cold-crowd.mjs';
import { installs } from './scenarios/installs.mjs';
import { misses } from './scenarios/misses.mjs';
import * as entrepot from './servers/entrepot.mjs';
import * as koa from './servers/koa.mjs';
import { nginx, nginxAuto, nginxCopy } from './servers/nginx.mjs';
import { launchOrigin } from './servers/origin.mjs';
import * as verdaccio from './servers/verdaccio.mjs';

const MINUTE = 60_000;
/** The round trip to a public index, in milliseconds. */
const ROUND_TRIP = 20;

const REMARKS = [`injected round trip to the upstream: ${ROUND_TRIP} ms`];

function programAt(path) {
  return fileURLToPath(new URL(path, import.meta.url));
}

/** With a certificate for the checksum database, where one can be made. `size`: `small` for few modules. */
async function launchGoOrigin(temporary, size = '') {
  const { key = '', certificate = '' } = (await makeCertificate(temporary)) ?? {};
  return launchOrigin(programAt('go/origin.mjs'), [String(ROUND_TRIP), key, certificate, size]);
}

/** Suites: servers and scenarios on one upstream, with a file for the results of a full run. */
export const SUITES = {
  npm: {
    servers: [entrepot, verdaccio, nginx, nginxAuto, nginxCopy, koa],
    scenarios: [footprint, ...hits, ...misses, coldCrowd, ...installs, ...bursts, coldLargePackument],
    launchOrigin: () => launchOrigin(),
    remarks: [],
    runs: 5,
    deadline: 15 * MINUTE,
    results: 'RESULTS.md',
  },
  pypi: {
    servers: Object.values(pypiServers),
    scenarios: pypiScenarios,
    launchOrigin: () => launchOrigin(programAt('pypi/origin.mjs'), [String(ROUND_TRIP)]),
    remarks: REMARKS,
    runs: 3,
    deadline: 11 * MINUTE,
    results: 'RESULTS-pypi.md',
  },
  go: {
    servers: Object.values(goServers),
    scenarios: goScenarios,
    launchOrigin: launchGoOrigin,
    remarks: REMARKS,
    runs: 3,
    deadline: 11 * MINUTE,
    results: 'RESULTS-go.md',
  },
  helm: {
    servers: Object.values(helmServers),
    scenarios: helmScenarios,
    launchOrigin: () => launchOrigin(programAt('helm/origin.mjs')),
    remarks: [],
    runs: 3,
    deadline: 20 * MINUTE,
    results: 'RESULTS-helm.md',
  },
  cargo: {
    servers: Object.values(cargoServers),
    scenarios: cargoScenarios,
    launchOrigin: (_temporary, ...argv) => launchOrigin(programAt('cargo/origin.mjs'), [String(ROUND_TRIP), ...argv]),
    remarks: REMARKS,
    runs: 3,
    deadline: 15 * MINUTE,
    results: 'RESULTS-cargo.md',
  },
  deb: {
    servers: Object.values(debServers),
    scenarios: debScenarios,
    launchOrigin: () => launchOrigin(programAt('deb/origin.mjs'), [String(ROUND_TRIP)]),
    remarks: REMARKS,
    runs: 3,
    deadline: 11 * MINUTE,
    results: 'RESULTS-deb.md',
  },
  rpm: {
    servers: Object.values(rpmServers),
    scenarios: rpmScenarios,
    launchOrigin: () => launchOrigin(programAt('rpm/origin.mjs'), [String(ROUND_TRIP)]),
    remarks: REMARKS,
    runs: 3,
    deadline: 11 * MINUTE,
    results: 'RESULTS-rpm.md',
  },
  maven: {
    servers: Object.values(mavenServers),
    scenarios: mavenScenarios,
    launchOrigin: launchMavenOrigin,
    remarks: [
      'the client is Maven 3.9.11; the upstream on loopback is nginx',
      'Reposilite is left out: the repository of this machine has no archive of it',
    ],
    runs: 3,
    deadline: 45 * MINUTE,
    results: 'RESULTS-maven.md',
  },
  oci: {
    servers: Object.values(ociServers),
    scenarios: ociScenarios,
    launchOrigin: () => launchOrigin(programAt('oci/origin.mjs'), [String(ROUND_TRIP)]),
    remarks: REMARKS,
    runs: 3,
    deadline: 11 * MINUTE,
    results: 'RESULTS-oci.md',
  },
};
