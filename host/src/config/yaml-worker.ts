import { parentPort } from 'node:worker_threads';
import { parseYamlValue } from './read-yaml.js';

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
parentPort?.on('message', (text: string) => parentPort?.postMessage(parseYamlValue(text)));
