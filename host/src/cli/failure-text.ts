import { ConfigurationError, type ConfigurationProblem } from '../config/configuration-error.js';
import { printListenAddress } from '../config/listen-address.js';

/** Says in one line what ended something that is no fault of the configuration alone. */
export function failureText(error: unknown): string {
  return listenMessage(error) ?? messageOf(error);
}

/** The problems that an error tells, one where it is none of the configuration. */
export function failureProblems(error: unknown): readonly ConfigurationProblem[] {
  if (error instanceof ConfigurationError) return (error as ConfigurationError).problems;
  return [{ path: '', message: failureText(error) }];
}

const LISTEN_FAULTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there already; stop it, or set another address',
  EADDRNOTAVAIL: 'this machine has no such address; set one of its own, or 0.0.0.0 for all',
  EACCES: 'this user may not listen there; set a port from 1024 on',
  ENOTFOUND: 'there is no such host; set an IP address, or a name that resolves',
};

/** Explains why a listener could not be opened. The host throws the system's error as it is. */
function listenMessage(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { syscall, code = '', address, hostname, port } = error as ListenError;
  if (syscall !== 'listen' && syscall !== 'getaddrinfo') return undefined;
  const place = port === undefined ? hostname : printListenAddress({ host: address, port });
  return `cannot listen on ${place}: ${LISTEN_FAULTS[code] ?? code}`;
}

interface ListenError extends NodeJS.ErrnoException {
  readonly address?: string;
  readonly hostname?: string;
  readonly port?: number;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/(?<!\s)\s*\n\s*/g, ' ') : String(error);
}
