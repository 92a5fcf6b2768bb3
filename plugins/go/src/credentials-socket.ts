import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CredentialQuestion } from './credentials.js';
import type { Credential } from './netrc.js';

/** The largest question that is read, in bytes. */
const LARGEST_QUESTION = 64 * 1024;

/**
 * The credential helper of git: passes its question on to the socket, and the answer back. Git runs it in a shell; what it
 * is told stands in neither an argument nor a variable nor a file.
 */
const HELPER = `!"$ENTREPOT_NODE" -e 'const s=require("net").connect(process.env.ENTREPOT_CREDENTIALS);s.on("error",()=>{});s.write(process.argv[1]+"\\n");process.stdin.pipe(s);s.pipe(process.stdout)'`;

/** The settings of git for the helper. */
export const GIT_CREDENTIALS = [
  ['credential.helper', ''],
  ['credential.helper', HELPER],
  ['credential.useHttpPath', 'true'],
] as const;

type Find = (question: CredentialQuestion) => Promise<Credential | undefined>;

/**
 * Answers the credential helpers of one run of `go`, on a socket in a folder that only this user can enter. Git asks for
 * each connection, so that a token that ends meanwhile is followed by the next one.
 */
export class CredentialsSocket {
  readonly #find: Find;
  readonly #allowed: readonly string[];
  readonly #server: Server;
  readonly #connections = new Set<Socket>();
  #folder = '';
  /** The reason why an answer could not be had. */
  failure: unknown;
  /** Whether a host refused git what it was told. */
  rejected = false;
  /** The credentials that hosts were told. */
  readonly told: Credential[] = [];

  /** @param protocols that may be told secrets: `https` */
  constructor(find: Find, protocols: readonly string[]) {
    this.#find = find;
    this.#allowed = protocols;
    this.#server = createServer({ allowHalfOpen: true }, (connection) => this.#connected(connection));
  }

  async open(): Promise<void> {
    // Not in the folder of the run: the path of a socket has a hundred bytes at the most.
    this.#folder = await mkdtemp(join(tmpdir(), 'entrepot-go-'));
    this.#server.listen(this.#path);
    await once(this.#server, 'listening');
  }

  async close(): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, 'close') : undefined;
    this.#server.close();
    for (const connection of this.#connections) connection.destroy();
    await closed;
    if (this.#folder !== '') await rm(this.#folder, { recursive: true, force: true });
  }

  /** The variables with which git finds the helper, and no other one. */
  get environment(): Readonly<Record<string, string>> {
    return { ENTREPOT_NODE: process.execPath, ENTREPOT_CREDENTIALS: this.#path };
  }

  get #path(): string {
    return join(this.#folder, 'socket');
  }

  #connected(connection: Socket): void {
    this.#connections.add(connection);
    connection.on('close', () => this.#connections.delete(connection));
    connection.on('error', () => connection.destroy());
    let text = '';
    connection.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
      if (text.length > LARGEST_QUESTION) connection.destroy();
    });
    connection.on('end', () => {
      this.#answer(text).then(
        (answer) => connection.end(answer),
        (error: unknown) => {
          this.failure ??= error;
          // Neither another helper nor a person is asked then.
          connection.end('quit=1\n');
        },
      );
    });
  }

  async #answer(text: string): Promise<string> {
    const [operation, ...lines] = text.split('\n');
    const fields = new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
    const field = (name: string): string => fields.get(name) ?? '';
    // `go` tries what it was told on the root of the host, where it need not be good for anything (GOAUTH=git).
    if (operation === 'erase' && field('path') !== '') this.rejected = true;
    if (operation !== 'get' || !this.#allowed.includes(field('protocol'))) return '';
    const question = { protocol: field('protocol'), host: field('host'), path: field('path') };
    const found = await this.#find(question);
    if (found === undefined) return '';
    this.told.push(found);
    // `go` asks with the path of the page that says where the repository is, and would look for the answer below that.
    const forPage = question.path.includes('?');
    return `username=${found.username}\npassword=${found.password}\n${forPage ? 'path=\n' : ''}`;
  }
}
