/**
 * A trace from numbers: many applications that share packages, whose builds ask for all that their lockfiles say; lockfiles that move to
 * newer versions; images of a few large layers; and walks over packages that nobody asks for again.
 */
import { randomFrom, shuffled } from './random.mjs';
import { traceOf } from './trace.mjs';

const APPLICATIONS = 150;
const PACKAGES = 6_000;
/** The exponents of Zipf's law: how unequally applications are built, and packages are depended upon. */
const BUILD_SKEW = 0.9;
const PACKAGE_SKEW = 0.7;
const LEAST_DEPENDENCIES = 40;
const MORE_DEPENDENCIES = 500;
const LAYERS = 5;
/** Of builds: those before which the lockfile moves, and the share of its dependencies that do. */
const UPDATES = 0.08;
const MOVED = 0.15;
/** Of builds: those after which something walks over packages. */
const WALKS = 0.02;
const WALKED = 400;
/** Mean and deviation of the logarithm of sizes in bytes. */
const PACKAGE_SIZE = { mean: 10.2, deviation: 1.8 };
const LAYER_SIZE = { mean: 16.5, deviation: 1.5 };

/** Gives the trace that follows from the seed, of at least so many requests. */
export function syntheticTrace({ seed = 1, atLeast = 400_000 } = {}) {
  const random = randomFrom(seed);
  const objects = [];
  const requests = [];
  const made = (kind, { mean, deviation }) =>
    objects.push({ kind, size: Math.max(200, Math.round(Math.exp(mean + deviation * normal(random)))) }) - 1;
  const ask = (number) => requests.push(number);

  /** The newest version of each package, as a number of an object; made when it is first needed. */
  const newest = Array.from({ length: PACKAGES });
  const pickPackage = zipf(PACKAGES, PACKAGE_SKEW, random);
  const pickApplication = zipf(APPLICATIONS, BUILD_SKEW, random);
  const applications = Array.from({ length: APPLICATIONS }, () => newApplication());

  while (requests.length < atLeast) {
    const application = applications[pickApplication()];
    if (random() < UPDATES) update(application);
    for (const number of shuffled([...application.locked.values(), ...application.layers], random)) ask(number);
    if (random() < WALKS) for (let count = 0; count < WALKED; count += 1) ask(made('walked', PACKAGE_SIZE));
  }
  // Versions that were never asked for are no part of it.
  return traceOf(requests.map((number) => ({ object: number, ...objects[number] })));

  function newApplication() {
    const count = LEAST_DEPENDENCIES + Math.floor(random() ** 2 * MORE_DEPENDENCIES);
    const locked = new Map();
    while (locked.size < count) {
      const name = pickPackage();
      newest[name] ??= made('package', PACKAGE_SIZE);
      locked.set(name, newest[name]);
    }
    return { locked, layers: Array.from({ length: LAYERS }, () => made('layer', LAYER_SIZE)) };
  }

  function update(application) {
    for (const name of application.locked.keys()) {
      if (random() >= MOVED) continue;
      // Somebody is the first to move; others come to the same version.
      if (random() < 0.5 || newest[name] === application.locked.get(name)) newest[name] = made('package', PACKAGE_SIZE);
      application.locked.set(name, newest[name]);
    }
    application.layers[LAYERS - 1] = made('layer', LAYER_SIZE);
  }
}

/** Draws from 0 to `count - 1`, the first ones most often. */
function zipf(count, exponent, random) {
  const sums = [];
  let sum = 0;
  for (let rank = 1; rank <= count; rank += 1) sums.push((sum += 1 / rank ** exponent));
  return () => {
    const wanted = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

function normal(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
