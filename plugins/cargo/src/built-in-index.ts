import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Milliseconds; cargo takes some hundred. */
const TIMEOUT = 10_000;
/** A proxy that refuses: the discard port. Cargo says what it would have asked for, and nothing leaves the machine. */
const REFUSING = 'http://127.0.0.1:9';

/**
 * Asks the cargo of this machine for the index that is built into it: no setting says where that is. `undefined`: there is no
 * cargo, or one that does not say it.
 */
export async function builtInIndex(surroundings: NodeJS.ProcessEnv): Promise<string | undefined> {
  // A root that nothing can be written to has no cargo that could be asked.
  const folder = await mkdtemp(join(tmpdir(), 'entrepot-cargo-')).catch(() => undefined);
  if (folder === undefined) return undefined;
  // No settings but these: nobody's are in a new folder, and none of the environment are taken over.
  const env = {
    ...Object.fromEntries(['PATH', 'HOME', 'RUSTUP_HOME', 'SystemRoot'].map((name) => [name, surroundings[name]])),
    CARGO_HOME: folder,
    CARGO_HTTP_PROXY: REFUSING,
    CARGO_NET_RETRY: '0',
    CARGO_REGISTRIES_CRATES_IO_PROTOCOL: 'sparse',
    CARGO_TERM_COLOR: 'never',
  };
  try {
    const asked = promisify(execFile)('cargo', ['search', '--limit', '1', 'a'], { env, cwd: folder, timeout: TIMEOUT });
    const said = await asked.then(
      ({ stderr }) => stderr,
      (error: { readonly stderr?: string }) => error.stderr ?? '',
    );
    return urlIn(said);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Finds the index in what cargo says of a failure: newer ones name its host alone, and it is at the root of that. */
function urlIn(said: string): string | undefined {
  const url = /`(https:\/\/[^`\s]{1,500})\/config\.json`/.exec(said)?.[1];
  if (url !== undefined) return url;
  const host = /Failed to connect to ([A-Za-z0-9.-]{1,253})(?::| port )443 /.exec(said)?.[1];
  return host && `https://${host}`;
}
