// Keeps a server busy: URLS (JSON), KEY, SECONDS, CONNECTIONS in; what it answered, and how fast, out.
import autocannon from 'autocannon';

const { URLS, KEY, SECONDS, CONNECTIONS } = process.env;
const urls = JSON.parse(URLS).map((url) => new URL(url));
const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
const requests = urls.map(({ pathname }, number) => ({
  method: 'POST',
  path: pathname,
  headers,
  body: JSON.stringify({ userId: `user-${number}`, userName: 'Ann' }),
}));
const connections = Number(CONNECTIONS);
const load = (duration) => autocannon({ url: urls[0].origin, connections, duration, requests, timeout: 30 });
await load(Math.ceil(Number(SECONDS) / 4)); // so that what compiles itself has done so
const done = await load(Number(SECONDS));
console.log(
  JSON.stringify({
    perSecond: done['2xx'] / done.duration,
    p99Ms: done.latency.p99,
    created: done['2xx'],
    failed: done.non2xx + done.errors + done.timeouts,
  }),
);
