// A real identity provider on a free port of this machine, and a browser and an application that get tokens from it. Each
// command is a line of JSON on standard input, and each result a line of JSON on standard output.

import { createHash, createPrivateKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

// The provider's own messages must not be mixed with the results.
console.info = console.error;

const SCOPES = "Contacts.Read Contacts.ReadWrite Contacts.Read.Shared Contacts.ReadWrite.Shared";
const ALGORITHMS = ["RS256", "ES256", "EdDSA"];
// No server listens there; the browser stops at this redirect.
const REDIRECT = "https://app.example/signed-in";

let generation = 0;
let keys = [];
let provider;
let issuer;
let server;

// Creates new keys. The old ones stay published if `keep` is set.
function rotate({ keep = false }) {
  generation += 1;
  const pairs = { RS256: ["rsa", { modulusLength: 2048 }], ES256: ["ec", { namedCurve: "P-256" }], EdDSA: ["ed25519", {}] };
  const newKeys = ALGORITHMS.map((alg) => {
    const [type, options] = pairs[alg];
    // Node.js can lock up if it frees what made a key while that key is exported as JSON. So the exported key is a copy.
    const encoding = { publicKeyEncoding: { type: "spki", format: "pem" }, privateKeyEncoding: { type: "pkcs8", format: "pem" } };
    const { privateKey } = generateKeyPairSync(type, { ...options, ...encoding });
    return { ...createPrivateKey(privateKey).export({ format: "jwk" }), alg, use: "sig", kid: `${alg}-${generation}` };
  });
  // The first matching key signs.
  keys = [...newKeys, ...(keep ? keys : [])];
  provider = new Provider(issuer, {
    jwks: { keys },
    clients: ALGORITHMS.flatMap((alg) => [
      // A client that acts for a user.
      { client_id: `web-${alg}`, client_secret: "s", redirect_uris: [REDIRECT] },
      // A client that acts for itself.
      { client_id: `app-${alg}`, client_secret: "s", grant_types: ["client_credentials"], redirect_uris: [], response_types: [] },
    ]),
    cookies: { keys: ["k"] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    extraTokenClaims(_, token) {
      if (token.kind === "ClientCredentials") return { roles: token.scope ? undefined : roles };
      const login = token.accountId;
      return { name: `${login} of the provider`, preferred_username: `${login}@example.org`, ...extraClaims.get(login) };
    },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource, client) => ({
          scope: SCOPES,
          audience: resource,
          accessTokenTTL: 600,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: client.clientId.split("-")[1] } },
        }),
      },
    },
  });
  return {};
}

// The roles in the next token of an application.
let roles;

// Additional claims in the tokens of a user, by login.
const extraClaims = new Map();

function say({ login, claims }) {
  extraClaims.set(login, claims);
  return {};
}

async function token(parameters, client) {
  const answer = await fetch(`${issuer}/token`, {
    method: "POST",
    headers: { Authorization: `Basic ${Buffer.from(`${client}:s`).toString("base64")}` },
    body: new URLSearchParams(parameters),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(JSON.stringify(body));
  return { token: body.access_token };
}

function app({ audience, alg = "RS256", roles: granted }) {
  roles = granted;
  return token({ grant_type: "client_credentials", resource: audience }, `app-${alg}`);
}

// Signs a user in like a browser: opens and submits the forms, and gets a code.
async function user({ login, scope, audience, alg = "RS256" }) {
  const verifier = randomBytes(32).toString("base64url");
  const cookies = new Map();
  let url = new URL(`${issuer}/auth`);
  url.search = new URLSearchParams({
    client_id: `web-${alg}`, response_type: "code", redirect_uri: REDIRECT, scope: `openid ${scope}`, resource: audience,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"), code_challenge_method: "S256",
  });
  let form;
  for (let step = 0; step < 12; step += 1) {
    const answer = await fetch(url, {
      redirect: "manual",
      method: form ? "POST" : "GET",
      headers: { Cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
      body: form && new URLSearchParams(form),
    });
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      cookies.set(name, value);
    }
    const page = await answer.text();
    const location = answer.headers.get("location");
    form = undefined;
    if (location?.startsWith(REDIRECT)) {
      const code = new URL(location).searchParams.get("code");
      if (!code) throw new Error(location);
      return token({ grant_type: "authorization_code", code, redirect_uri: REDIRECT, code_verifier: verifier }, `web-${alg}`);
    }
    if (location) {
      url = new URL(location, url);
    } else if (page.includes('name="login"')) {
      form = { prompt: "login", login, password: "x" };
    } else if (page.includes('value="consent"')) {
      form = { prompt: "consent" };
    } else {
      throw new Error(`${answer.status} ${url}: ${page}`);
    }
  }
  throw new Error("too many steps");
}

// The port stays the same, and with it the issuer.
function start() {
  server = createServer((request, answer) => {
    // An open connection would be lost when the server stops.
    answer.setHeader("Connection", "close");
    return provider.callback()(request, answer);
  });
  return new Promise((resolve) => server.listen(issuer ? new URL(issuer).port : 0, "127.0.0.1", () => resolve({})));
}

function stop() {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve({})));
}

await start();
issuer = `http://127.0.0.1:${server.address().port}`;
rotate({});
console.log(JSON.stringify({ issuer }));
const commands = { app, rotate, say, start, stop, user };
for await (const line of createInterface({ input: process.stdin })) {
  const { do: command, ...parameters } = JSON.parse(line);
  try {
    console.log(JSON.stringify(await commands[command](parameters)));
  } catch (error) {
    console.log(JSON.stringify({ error: `${error}` }));
  }
}
process.exit();
