// LiveKit's own server SDK reads a token: TOKEN, API_KEY, API_SECRET in, the claims that it verified out.
import { TokenVerifier } from 'livekit-server-sdk';

const { TOKEN, API_KEY, API_SECRET } = process.env;
console.log(JSON.stringify(await new TokenVerifier(API_KEY, API_SECRET).verify(TOKEN)));
