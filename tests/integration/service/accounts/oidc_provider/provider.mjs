// A certified OpenID Connect provider (https://github.com/panva/node-oidc-provider), with one client of jobserver's:
// node provider.mjs PORT CALLBACK POST_LOGOUT
import Provider from 'oidc-provider';

const [port, callback, postLogout] = process.argv.slice(2);
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: 'jobs',
    client_secret: 'a secret: with/signs',
    redirect_uris: [callback],
    post_logout_redirect_uris: [postLogout],
    application_type: 'native', // or else it wants https
  }],
  claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'], groups: ['groups'] },
  scopes: ['openid', 'profile', 'email', 'groups'],
  findAccount: async (_, sub) => ({
    accountId: sub,
    claims: async () => ({
      sub,
      name: `${sub} of the university`,
      preferred_username: `${sub}@uni.example`,
      email: `${sub}@uni.example`,
      email_verified: true,
      groups: ['staff'],
    }),
  }),
  pkce: { required: () => true },
  cookies: { keys: ['only for tests'] },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
