// A real OpenID provider on 127.0.0.1: PORT, JWKS (private keys, the first signs) and CLIENTS (JSON) in.
// A client stands for a person: its client_id is the subject, its `claims` go into the access token.
import Provider from 'oidc-provider';

const { PORT, JWKS, CLIENTS, AUDIENCE } = process.env;
const people = JSON.parse(CLIENTS);
const issuer = `http://127.0.0.1:${PORT}`;
const { keys } = JSON.parse(JWKS);
const signedWith = keys[0].alg;

const provider = new Provider(issuer, {
  jwks: { keys },
  clients: people.map(({ id, secret }) => ({
    client_id: id,
    client_secret: secret,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: signedWith,
  })),
  extraTokenClaims: (_ctx, token) => people.find(({ id }) => id === token.clientId)?.claims,
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => AUDIENCE,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: '',
        audience: AUDIENCE,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: signedWith } },
      }),
    },
  },
});
provider.listen(Number(PORT), '127.0.0.1', () => console.log('listening'));
