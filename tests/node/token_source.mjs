// LiveKit's own JavaScript client asks for a token: TOKEN_ENDPOINT, CREDENTIAL, OPTIONS (JSON) in, what it got out.
import { TokenSource, decodeTokenPayload } from 'livekit-client';

const { TOKEN_ENDPOINT, CREDENTIAL, OPTIONS } = process.env;
const source = TokenSource.endpoint(TOKEN_ENDPOINT, { headers: { Authorization: `Bearer ${CREDENTIAL}` } });
const options = JSON.parse(OPTIONS);
try {
  const details = await source.fetch(options);
  const again = await source.fetch(options);
  const cached = again.participantToken === details.participantToken;
  console.log(JSON.stringify({ details, cached, claims: decodeTokenPayload(details.participantToken) }));
} catch (error) {
  console.log(JSON.stringify({ refused: String(error.message) }));
}
