/**
 * The ceiling: a Koa that sends a buffer it was given, with the headers it was given. Told over the channel by
 * `{ path, encoding, status, headers, body }` (body in base64). A request for anything else is 404.
 */
import Koa from 'koa';

const answers = new Map();
const app = new Koa();

app.use((context) => {
  if (context.path === '/-/ping') {
    context.body = '{}';
    return;
  }
  const encoding = context.get('accept-encoding').includes('gzip') ? 'gzip' : 'identity';
  const answer = answers.get(`${encoding} ${context.path}`);
  if (!answer) return;
  context.set(answer.headers);
  context.status = 200;
  if (context.fresh) {
    context.status = 304;
    return;
  }
  context.body = answer.body;
});

process.on('message', ({ path, encoding, headers, body }) => {
  answers.set(`${encoding} ${path}`, { headers, body: Buffer.from(body, 'base64') });
  process.send('stored');
});
process.on('disconnect', () => process.exit(0));
app.listen(Number(process.argv[2]), '127.0.0.1').keepAliveTimeout = 120_000;
