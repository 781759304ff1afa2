// The authorization server of these tests: oidc-provider, its addresses and tokens laid out as Microsoft Entra's are.
//
//   node authority.mjs PACKAGES FOLDER PORT CONTROL_PORT        (environment: TENANT, CLIENT_SECRET)
//
// Any client id is an application that knows CLIENT_SECRET, so that each test has one, with counts, faults and token lifetimes
// of its own. What signs the tokens lies in FOLDER: a second or a restarted authority signs with the same key, and its public
// half lies where Dovecot looks for it. CONTROL_PORT speaks plain HTTP to the tests:
//
//   /count?client=ID                                how many token requests arrived, and how many got a token
//   /fault?client=ID&kind=KIND&times=N              the next N requests meet 503 | 429 | garbage | reset | hold
//   /release?client=ID                              answers those that are held
//   /tokens?client=ID&lifetime=SECONDS&padding=N    how long its tokens live, and by how many characters they are longer
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createPublicKey, createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const [packages, folder, port, controlPort] = process.argv.slice(2);
const { TENANT: tenant, CLIENT_SECRET: secret } = process.env;
const { default: Provider } = await import(pathToFileURL(`${packages}/node_modules/oidc-provider/lib/index.js`));

const audience = 'https://outlook.office365.com';
const scope = `${audience}/.default`;
const keyId = 'lab';

const applications = new Map();
function application(id) {
  if (!applications.has(id)) applications.set(id, { requests: 0, tokens: 0, faults: [], held: [], lifetime: 3600, padding: 0 });
  return applications.get(id);
}

function signingKey() {
  const file = `${folder}/signing.pem`;
  if (!fs.existsSync(file)) {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    fs.writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  }
  const pem = fs.readFileSync(file);
  const lookup = `${folder}/keys/default/RS256`;
  fs.mkdirSync(lookup, { recursive: true });
  fs.writeFileSync(`${lookup}/${keyId}`, createPublicKey(pem).export({ type: 'spki', format: 'pem' }));
  return { ...createPrivateKey(pem).export({ format: 'jwk' }), kid: keyId, use: 'sig', alg: 'RS256' };
}

// Clients are made up as they are asked for; nothing else is kept, since the tokens carry all that is said about them.
const adapter = (model) => ({
  find: async (id) => (model !== 'Client' ? undefined : {
    client_id: id, client_secret: secret, token_endpoint_auth_method: 'client_secret_post',
    grant_types: ['client_credentials'], response_types: [], redirect_uris: [],
  }),
  upsert: async () => {}, consume: async () => {}, destroy: async () => {}, revokeByGrantId: async () => {},
  findByUid: async () => undefined, findByUserCode: async () => undefined,
});

const provider = new Provider(`https://localhost/${tenant}/v2.0`, {
  adapter,
  jwks: { keys: [signingKey()] },
  cookies: { keys: ['unused'] },
  routes: { token: `/${tenant}/oauth2/v2.0/token` },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      getResourceServerInfo: (_, __, client) => ({
        audience, scope, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256', kid: keyId } },
        accessTokenTTL: application(client.clientId).lifetime,
      }),
    },
  },
  ttl: { ClientCredentials: (_, token) => application(token.clientId).lifetime },
  extraTokenClaims: (_, token) => ({
    appid: token.clientId, tid: tenant, idtyp: 'app', ver: '1.0', oid: '5d3c3a52-0000-4000-8000-000000000001',
    roles: ['IMAP.AccessAsApp', 'POP.AccessAsApp', 'SMTP.SendAsApp'],
    // Entra's own tokens run to some 1,700 characters.
    xms_pad: 'x'.repeat(700 + application(token.clientId).padding),
  }),
  formats: {
    customizers: {
      jwt: (_, __, jwt) => {
        delete jwt.payload.scope;
        delete jwt.payload.client_id;
        jwt.payload.nbf = jwt.payload.iat;
        jwt.header = { ...jwt.header, typ: 'JWT' };
      },
    },
  },
});
provider.on('server_error', (_, error) => console.error('server_error', error));
provider.use(async (context, next) => {
  await next();
  if (context.body?.access_token) {
    application(context.oidc.client.clientId).tokens += 1;
    context.body.ext_expires_in = context.body.expires_in;
  }
});

const sorry = (response, status, headers, body) => response.writeHead(status, headers).end(body);
const faults = {
  503: (_, response) => sorry(response, 503, { 'content-type': 'text/html' }, '<html>Service Unavailable</html>'),
  429: (_, response) => sorry(response, 429, { 'content-type': 'application/json', 'retry-after': '1' }, '{"error":"temporarily_unavailable"}'),
  garbage: (_, response) => sorry(response, 200, { 'content-type': 'application/json' }, '{"access_token": 12, nope'),
  reset: (request) => request.socket.destroy(),
};

function readAll(request) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks).toString())).on('error', reject);
  });
}

const answer = provider.callback();
const credentials = { key: fs.readFileSync(`${folder}/server.key`), cert: fs.readFileSync(`${folder}/server.pem`) };
https.createServer(credentials, async (request, response) => {
  // The form is read here, to know whose request it is, and handed on as oidc-provider takes it from a body parser.
  const form = Object.fromEntries(new URLSearchParams(await readAll(request)));
  const app = application(form.client_id ?? '');
  app.requests += 1;
  console.log(`request ${app.requests} of ${form.client_id}`);
  const fault = app.faults.shift();
  if (fault in faults) return faults[fault](request, response);
  if (fault === 'hold') await new Promise((resolve) => app.held.push(resolve));
  request.body = form;
  return answer(request, response);
}).listen(Number(port), '127.0.0.1');

http.createServer((request, response) => {
  const { pathname, searchParams: query } = new URL(request.url, 'http://localhost');
  const app = application(query.get('client'));
  switch (pathname) {
    case '/count': break;
    case '/fault': app.faults = Array(Number(query.get('times'))).fill(query.get('kind')); break;
    case '/release': app.faults = []; app.held.splice(0).forEach((resolve) => resolve()); break;
    case '/tokens': app.lifetime = Number(query.get('lifetime')); app.padding = Number(query.get('padding')); break;
    default: return sorry(response, 404, {}, '');
  }
  return sorry(response, 200, {}, `${app.requests} ${app.tokens}`);
}).listen(Number(controlPort), '127.0.0.1');
