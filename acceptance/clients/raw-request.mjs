import { connect } from 'node:net';

/**
 * @typedef {object} RawAnswer
 * @property {readonly number[]} statuses of every response on the connection, in order
 * @property {string} text everything that was received, as latin1
 */

/**
 * Sends bytes as they are, which no HTTP client would, and reads until the server closes or is silent.
 * @param {number} port
 * @param {string | Buffer} bytes text is sent as latin1
 * @param {{ silence?: number, hangUp?: boolean, halfClose?: boolean }} [options] `silence` in milliseconds; `hangUp`: ends the
 *   connection at once; `halfClose`: says that nothing more comes, and waits for the answer
 * @returns {Promise<RawAnswer>}
 */
export function rawRequest(port, bytes, { silence = 1500, hangUp = false, halfClose = false } = {}) {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ port, host: '127.0.0.1' });
    socket.setTimeout(silence, () => socket.destroy());
    socket.setEncoding('latin1');
    socket.on('data', (chunk) => (text += chunk));
    // A reset after the answer is the server's right; without an answer there are no statuses.
    socket.on('error', () => {});
    socket.on('close', () => {
      const statuses = [...text.matchAll(/^HTTP\/1\.[01] (\d{3})/gm)].map((match) => Number(match[1]));
      resolve({ statuses, text });
    });
    socket.write(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes, 'latin1'), () => {
      if (hangUp) socket.destroy();
      else if (halfClose) socket.end();
    });
  });
}
