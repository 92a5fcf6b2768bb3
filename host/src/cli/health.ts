import { get as getPlain, type IncomingMessage } from 'node:http';
import { get as getSecure } from 'node:https';
import { serverPlace } from './api-client.js';
import { EXIT, type CommandContext } from './context.js';

/** Limit of the server's answer, in milliseconds. */
const TIMEOUT = 10_000;

/** Asks the server where its configuration says that it listens whether it is ready, for whoever watches it from beside it. */
export async function health({ config: file }: { readonly config?: string }, context: CommandContext): Promise<number> {
  const { base } = await serverPlace(file, undefined, context);
  const { statusCode, text } = await ask(`${base}/-/readyz`);
  if (statusCode === 200) {
    context.write(text);
    return EXIT.ok;
  }
  context.writeError(`entrepot: ${base} is not ready: ${statusCode} ${text}`);
  return EXIT.failed;
}

/** Nothing secret is sent, and the certificate is one for other names than the address of this machine. */
function ask(url: string): Promise<{ readonly statusCode: number | undefined; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void =>
      reject(new Error(`no server answers at ${url} (${error.code ?? error.message}); is it running?`));
    const answered = (answer: IncomingMessage): void => {
      let text = '';
      answer
        .setEncoding('utf8')
        .on('data', (part: string) => (text += part))
        .on('end', () => resolve({ statusCode: answer.statusCode, text: text.trim() }))
        .on('error', failed);
    };
    const options = { signal: AbortSignal.timeout(TIMEOUT), agent: false };
    const request = url.startsWith('https:')
      ? getSecure(url, { ...options, rejectUnauthorized: false }, answered)
      : getPlain(url, options, answered);
    request.on('error', failed);
  });
}
