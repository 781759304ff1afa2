// The authorization server of these tests: oidc-provider, its addresses and tokens laid out as Microsoft Entra's are.
//
//   node authority.mjs PACKAGES FOLDER PORT CONTROL_PORT        (environment: TENANT, CLIENT_SECRET)
//
// Any client id is an application, so that each test has one, with counts, faults and settings of its own. How it begins says
// what it is:
//
//   public-...   signs users in, has no secret
//   conf-...     signs users in and asks for itself, knows CLIENT_SECRET
//   jwt-...      as conf-..., but proves itself with the key of FOLDER/<client id>.crt or else FOLDER/app.crt
//   otherwise    asks for itself only, knows CLIENT_SECRET
//
// Any user name is a user. What signs the tokens lies in FOLDER: a second or a restarted authority signs with the same key, and
// its public half lies where Dovecot looks for it. A restarted one knows what it issued, and the settings; the counts begin anew.
// CONTROL_PORT speaks plain HTTP to the tests. Requests are those to the token and to the device code endpoint (for counts, the
// latter are of the grant `devicecode`, and not in the sum):
//
//   /count?client=ID[&grant=TYPE]                   how many token requests arrived, and how many got a token
//   /fault?client=ID&kind=KIND&times=N              the next N requests meet 503 | 429 | garbage | reset | hold | lose (is
//                                                   carried out, but not answered) | a word: answered 400 with this OAuth error
//   /release?client=ID                              answers those that are held
//   /tokens?client=ID&lifetime=SECONDS&padding=N    how long its tokens live, and by how many characters they are longer
//   /rotation?client=ID&on=0|1                      whether a refresh token is good once only (1, at first) or goes on (as Entra's)
//   /device?client=ID&interval=SECONDS&lifetime=SECONDS    how often it may poll, and how long its device codes live
//   /revoke?user=NAME                               ends what the user granted, and says how many grants that were
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createHash, createPublicKey, createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import * as pages from './pages.mjs';
import { Store } from './store.mjs';

const [packages, folder, port, controlPort] = process.argv.slice(2);
const { TENANT: tenant, CLIENT_SECRET: secret } = process.env;
const lib = `${packages}/node_modules/oidc-provider/lib`;
const { default: Provider, errors } = await import(pathToFileURL(`${lib}/index.js`));

const audience = 'https://outlook.office365.com';
const hosts = [audience, 'https://outlook.office.com'];
const roles = ['IMAP.AccessAsApp', 'POP.AccessAsApp', 'SMTP.SendAsApp'];
const rights = ['IMAP.AccessAsUser.All', 'POP.AccessAsUser.All', 'SMTP.Send'];
const scope = hosts.flatMap((host) => ['.default', ...rights].map((right) => `${host}/${right}`)).join(' ');
const personal = 'openid offline_access profile email';
const keyId = 'lab';
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';

const store = new Store(`${folder}/authority-${port}.json`);

const applications = new Map();
function application(id) {
  if (!applications.has(id)) applications.set(id, { requests: 0, tokens: 0, grants: {}, faults: [], held: [] });
  return applications.get(id);
}

const usual = { lifetime: 3600, padding: 0, rotation: true, interval: 1, deviceLifetime: 900 };
const settings = (id) => ({ ...usual, ...store.get(`Settings:${id}`) });
const set = (id, changes) => store.set(`Settings:${id}`, { ...store.get(`Settings:${id}`), ...changes });

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

/** The certificate that is registered for an application. Read anew each time: a test may change it. */
function certificate(id) {
  const own = `${folder}/${id}.crt`;
  return new X509Certificate(fs.readFileSync(fs.existsSync(own) ? own : `${folder}/app.crt`));
}

/** What Entra finds the certificate by; without it, it knows none (AADSTS50027, AADSTS700027). */
function assertThumbprint(_, __, { x5t, 'x5t#S256': x5tS256 }, client) {
  const digest = (name) => createHash(name).update(certificate(client.clientId).raw).digest('base64url');
  if (x5t === undefined && x5tS256 === undefined) throw new errors.InvalidClientAuth('neither x5t nor x5t#S256');
  if (![undefined, digest('sha1')].includes(x5t)) throw new errors.InvalidClientAuth('x5t of another certificate');
  if (![undefined, digest('sha256')].includes(x5tS256)) throw new errors.InvalidClientAuth('x5t#S256 of another certificate');
}

function proof(kind, id) {
  if (kind === 'public') return { token_endpoint_auth_method: 'none' };
  if (kind !== 'jwt') return { token_endpoint_auth_method: 'client_secret_post', client_secret: secret };
  const key = { ...certificate(id).publicKey.export({ format: 'jwk' }), use: 'sig' };
  return { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [key] } };
}

function client(id) {
  const kind = id.split('-')[0];
  const itself = kind === 'public' ? [] : ['client_credentials'];
  const users = ['authorization_code', 'refresh_token', deviceGrant];
  const application = { client_id: id, ...proof(kind, id) };
  if (!['public', 'conf', 'jwt'].includes(kind)) return { ...application, grant_types: itself, response_types: [], redirect_uris: [] };
  return {
    ...application,
    grant_types: [...users, ...itself],
    response_types: ['code'],
    // Of native applications oidc-provider takes any port, and asks their users for consent each time.
    application_type: 'native',
    redirect_uris: ['http://localhost', 'http://localhost/', 'http://127.0.0.1', 'http://127.0.0.1/', 'http://localhost:3017/'],
  };
}

const idOf = (name) => createHash('sha256').update(name).digest('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5');
const person = (user) => ({ upn: user, preferred_username: user, tid: tenant, oid: idOf(user) });

const trouble = ({ name }) => (name === 'AbortedError' ? 'You did not sign in.' : 'That code did not work. Check it and try again.');

const provider = new Provider(`https://localhost/${tenant}/v2.0`, {
  adapter: store.adapter(client),
  jwks: { keys: [signingKey()] },
  cookies: { keys: ['of the tests'] },
  scopes: personal.split(' '),
  claims: { openid: ['sub', 'upn', 'preferred_username', 'tid', 'oid'], profile: ['name'], email: ['email'] },
  findAccount: (_, user) => ({ accountId: user, claims: () => ({ sub: user, name: user, email: user, ...person(user) }) }),
  routes: {
    authorization: `/${tenant}/oauth2/v2.0/authorize`,
    token: `/${tenant}/oauth2/v2.0/token`,
    device_authorization: `/${tenant}/oauth2/v2.0/devicecode`,
    code_verification: `/${tenant}/oauth2/v2.0/deviceauth`,
    jwks: `/${tenant}/discovery/v2.0/keys`,
  },
  interactions: { url: (_, { uid }) => `/interaction/${uid}` },
  renderError: (context, error) => { context.type = 'html'; context.body = pages.error(error); },
  rotateRefreshToken: (context) => settings(context.oidc.client.clientId).rotation,
  expiresWithSession: () => false,
  assertJwtClientAuthClaimsAndHeader: assertThumbprint,
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    deviceFlow: {
      enabled: true,
      mask: '*********',
      userCodeInputSource: (context, form, _, error) => { context.body = pages.code(form, error && trouble(error)); },
      userCodeConfirmSource: (context, form, { clientId }, _, userCode) => { context.body = pages.confirm(form, clientId, userCode); },
      successSource: (context) => { context.body = pages.done(); },
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, __, { clientId }) => ({
        audience, scope, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256', kid: keyId } },
        accessTokenTTL: settings(clientId).lifetime,
      }),
    },
  },
  ttl: {
    ClientCredentials: (_, token) => settings(token.clientId).lifetime,
    AccessToken: (_, token) => settings(token.clientId).lifetime,
    DeviceCode: (_, { clientId }) => settings(clientId).deviceLifetime,
    AuthorizationCode: 60, RefreshToken: 86400, Grant: 86400, IdToken: 3600, Interaction: 3600, Session: 3600,
  },
  extraTokenClaims: (_, token) => ({
    appid: token.clientId, tid: tenant, ver: '1.0',
    ...(token.kind === 'ClientCredentials'
      ? { idtyp: 'app', oid: '5d3c3a52-0000-4000-8000-000000000001', roles }
      : { ...person(token.accountId), scp: granted(token) }),
    // Entra's own tokens run to some 1,700 characters.
    xms_pad: 'x'.repeat(700 + settings(token.clientId).padding),
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

/** The rights in a user's token, as Entra writes them: without the resource before them, `.default` being all there are. */
function granted(token) {
  const words = [...token.scopes].map((word) => word.slice(word.lastIndexOf('/') + 1));
  return (words.includes('.default') ? rights : [...new Set(words)]).join(' ');
}

provider.on('server_error', (_, error) => console.error('server_error', error));
provider.use(async (context, next) => {
  await next();
  const { body, oidc } = context;
  if (oidc?.route === 'device_authorization' && body?.user_code) {
    delete body.verification_uri_complete;
    body.interval = settings(oidc.client.clientId).interval;
    const { verification_uri: page, user_code: code } = body;
    body.message = `To sign in, use a web browser to open the page ${page} and enter the code ${code} to authenticate.`;
  }
  if (oidc?.route !== 'token') return;
  // Entra's word for a user who said no to a device.
  if (body?.error === 'access_denied' && oidc.params?.grant_type === deviceGrant) body.error = 'authorization_declined';
  if (!body?.access_token) return;
  const app = application(oidc.client.clientId);
  app.tokens += 1;
  app.grants[oidc.params.grant_type].tokens += 1;
  body.ext_expires_in = body.expires_in;
});

const sorry = (response, status, headers, body) => response.writeHead(status, headers).end(body);
const html = (response, body, status = 200) => sorry(response, status, { 'content-type': 'text/html; charset=utf-8' }, body);
const json = (response, status, body, headers = {}) =>
  sorry(response, status, { 'content-type': 'application/json', ...headers }, JSON.stringify(body));

/** The login form, then the consent page: what stands between a browser and the application's redirect. */
async function interact(request, response) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  const { login, answer } = request.body ?? {};
  if (answer === 'no') {
    const declined = { error: 'access_denied', error_description: 'AADSTS65004: User declined to consent to access the app.' };
    return provider.interactionFinished(request, response, declined);
  }
  if (prompt.name === 'login') {
    if (!login) return html(response, pages.login(params.login_hint));
    return provider.interactionFinished(request, response, { login: { accountId: login } });
  }
  if (answer !== 'yes') return html(response, pages.consent(session.accountId, params.client_id, params.scope));
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(personal);
  grant.addResourceScope(audience, scope);
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
}

/** What oidc-provider wants to be asked otherwise than Entra: it drops offline_access unless the request says that the user is to be
 * asked for consent, does not know select_account, and has one tenant. */
function asEntraTakesIt(address) {
  const url = new URL(address.replace(/^\/(common|organizations|consumers)\//, `/${tenant}/`), 'https://localhost');
  const prompt = url.searchParams.get('prompt') ?? '';
  if (url.pathname.endsWith('/authorize') && prompt !== 'none') {
    url.searchParams.set('prompt', ['login', 'select_account'].includes(prompt) ? 'login consent' : 'consent');
  }
  return url.pathname + url.search;
}

const descriptions = {
  invalid_grant: 'AADSTS700082: The refresh token has expired due to inactivity.',
  invalid_client: 'AADSTS7000222: The provided client secret keys for app are expired.',
  interaction_required: 'AADSTS50076: Due to a configuration change made by your administrator, you must use multi-factor authentication.',
  temporarily_unavailable: 'AADSTS90033: A transient error has occurred. Please try again.',
};
const faults = {
  503: (_, response) => html(response, '<html>Service Unavailable</html>', 503),
  429: (_, response) => json(response, 429, { error: 'temporarily_unavailable' }, { 'retry-after': '1' }),
  garbage: (_, response) => sorry(response, 200, { 'content-type': 'application/json' }, '{"access_token": 12, nope'),
  reset: (request) => request.socket.destroy(),
};

function refuse(response, error) {
  const description = descriptions[error] ?? `AADSTS000000: ${error}`;
  return json(response, 400, { error, error_description: description, error_codes: [Number(/\d+/.exec(description)[0])] });
}

/** RFC 8628 §3.5: who polls sooner than it was told to is told to slow down. A tenth is forgiven, for clocks differ. */
const polls = new Map();
function polledTooSoon({ grant_type: grant, device_code: code, client_id: id }) {
  if (grant !== deviceGrant) return false;
  const last = polls.get(code) ?? -Infinity;
  polls.set(code, performance.now());
  return performance.now() - last < settings(id).interval * 900;
}

/** A request of an application: counted, and let through to oidc-provider, unless a test wants otherwise. */
async function asked(request, response, isToken) {
  const form = request.body;
  const app = application(form.client_id ?? '');
  const grant = isToken ? form.grant_type : 'devicecode';
  app.grants[grant] ??= { requests: 0, tokens: 0 };
  app.grants[grant].requests += 1;
  if (isToken) app.requests += 1;
  console.log(`request of ${form.client_id}: ${grant}`);
  const fault = app.faults.shift();
  if (fault in faults) return faults[fault](request, response);
  if (fault === 'hold') await new Promise((resolve) => app.held.push(resolve));
  else if (fault === 'lose') response.end = () => request.socket.destroy();
  else if (fault) return refuse(response, fault);
  if (polledTooSoon(form)) return refuse(response, 'slow_down');
  return answer(request, response);
}

function readAll(request) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks).toString())).on('error', reject);
  });
}

async function serve(request, response) {
  request.url = asEntraTakesIt(request.url);
  // The form is read here, to know whose request it is, and handed on as oidc-provider takes it from a body parser.
  if (request.method === 'POST') request.body = Object.fromEntries(new URLSearchParams(await readAll(request)));
  if (request.url.startsWith('/interaction/')) return interact(request, response);
  if (request.method === 'POST' && request.url.endsWith('/token')) return asked(request, response, true);
  if (request.method === 'POST' && request.url.endsWith('/devicecode')) return asked(request, response, false);
  return answer(request, response);
}

const answer = provider.callback();
const credentials = { key: fs.readFileSync(`${folder}/server.key`), cert: fs.readFileSync(`${folder}/server.pem`) };
https.createServer(credentials, (request, response) => {
  serve(request, response).catch((error) => html(response, pages.error({ ...error, error: error.message }), 400));
}).listen(Number(port), '127.0.0.1');

/** Forgets what a user granted, and with it the codes and refresh tokens. Access tokens live on, as everywhere. */
function revoke(user) {
  store.forget((key, value) => /^(RefreshToken|AuthorizationCode|DeviceCode|Session):/.test(key) && value.accountId === user);
  return store.forget((key, value) => key.startsWith('Grant:') && value.accountId === user);
}

http.createServer((request, response) => {
  const { pathname, searchParams: query } = new URL(request.url, 'http://localhost');
  const id = query.get('client');
  const app = application(id);
  const number = (name) => Number(query.get(name));
  switch (pathname) {
    case '/count': break;
    case '/fault': app.faults = Array(number('times')).fill(query.get('kind')); break;
    case '/release': app.faults = []; app.held.splice(0).forEach((resolve) => resolve()); break;
    case '/tokens': set(id, { lifetime: number('lifetime'), padding: number('padding') }); break;
    case '/rotation': set(id, { rotation: number('on') === 1 }); break;
    case '/device': set(id, { interval: number('interval'), deviceLifetime: number('lifetime') }); break;
    case '/revoke': return sorry(response, 200, {}, `${revoke(query.get('user'))}`);
    default: return sorry(response, 404, {}, '');
  }
  const { requests, tokens } = query.has('grant') ? app.grants[query.get('grant')] ?? { requests: 0, tokens: 0 } : app;
  return sorry(response, 200, {}, `${requests} ${tokens}`);
}).listen(Number(controlPort), '127.0.0.1');
