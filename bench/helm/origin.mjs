/** The suite for Helm has no upstream but its own servers: this one is asked for nothing. */
import { serveOrigin } from '../lib/origin-server.mjs';

serveOrigin({ answer: () => undefined, roundTrip: 0 });
