import type { ServerResponse } from 'node:http';
import type { FileReader } from '../drivers/blob/file-reader.js';

/** Bytes a piece: large ones are what makes Node as fast as a web server that lets the kernel copy. */
const LARGE_PIECE = 524_288;
/** With many downloads at once each gets smaller pieces, so that their memory stays bounded. */
const SMALL_PIECE = 131_072;
const MANY_DOWNLOADS = 16;
/** The bound on buffers of either size that wait for the next download, in bytes: as many pairs as downloads get large ones. */
const SPARE_BYTES = 2 * LARGE_PIECE * MANY_DOWNLOADS;

type Pair = readonly [Buffer, Buffer];

/** Fresh memory costs more than reading a file into it: the kernel clears every page of it. */
const spare = { [LARGE_PIECE]: [] as Pair[], [SMALL_PIECE]: [] as Pair[] };
let running = 0;

/**
 * Sends what is left of `file`, reading the next piece while the last one is on its way. Two buffers are used in turn, each
 * only when the connection has taken what was in it: a stream gives its chunks away and has to make new ones, which
 * costs more than copying them. The caller ends the response and destroys the file.
 * @param sent is told of each piece
 * @throws when the file cannot be read, or the connection has closed
 */
export async function sendFile(
  file: FileReader,
  response: ServerResponse,
  sent: (bytes: number) => void,
): Promise<void> {
  running += 1;
  const pair = takePair();
  let reading = file.readInto(pair[0]);
  try {
    for (let turn = 0; ; turn ^= 1) {
      const length = await reading;
      if (length === 0) return;
      const piece = pair[turn as 0 | 1];
      const writing = write(response, length === piece.length ? piece : piece.subarray(0, length));
      // Its last bytes have left: the write of the turn before was waited for.
      reading = file.readInto(pair[(turn ^ 1) as 0 | 1]);
      await writing;
      sent(length);
    }
  } finally {
    running -= 1;
    // A read that is under way still writes into its buffer.
    await reading.catch(() => {});
    keepPair(pair);
  }
}

function takePair(): Pair {
  const size = running > MANY_DOWNLOADS ? SMALL_PIECE : LARGE_PIECE;
  return spare[size].pop() ?? [Buffer.allocUnsafeSlow(size), Buffer.allocUnsafeSlow(size)];
}

function keepPair(pair: Pair): void {
  const pairs = spare[pair[0].length as typeof LARGE_PIECE | typeof SMALL_PIECE];
  if (2 * pair[0].length * pairs.length < SPARE_BYTES) pairs.push(pair);
}

function write(response: ServerResponse, piece: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    response.write(piece, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
