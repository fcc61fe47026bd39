// LiveKit's own server SDK signs a webhook: BODY, TTL_SECONDS, API_KEY, API_SECRET in, the token out.
import { createHash } from 'node:crypto';
import { AccessToken } from 'livekit-server-sdk';

const { BODY, TTL_SECONDS, API_KEY, API_SECRET } = process.env;
const token = new AccessToken(API_KEY, API_SECRET, { ttl: Number(TTL_SECONDS) });
token.sha256 = createHash('sha256').update(BODY).digest('base64');
console.log(JSON.stringify({ token: await token.toJwt() }));
