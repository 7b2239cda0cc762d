// The client of the shop's public API. It keeps the session, and reports each call to the panel at the bottom.

/** The path of the shop, usually `/`. */
export const ROOT = new URL('..', import.meta.url).pathname;

/** The base of the API. */
export const API = `${ROOT}api/v1`;

/** Whether this is the demo's page. A real shop has the page at `/console`, for admins only. */
export const isDemo = !location.pathname.endsWith('/console');

/** Dispatches `call` for each call: its `detail` is {method, url, headers, body, status, milliseconds}. */
export const calls = new EventTarget();

/** An error response (RFC 9457). Status 0 means that there was no complete response. */
export class Problem extends Error {
  constructor(status, body = {}) {
    super(body.detail || body.title || `The server responded with status ${status}.`);
    Object.assign(this, { status, code: body.code, type: body.type, errors: body.errors ?? [], checks: body.checks });
  }
}

/** Returns the error of one field, which is found before a request is sent. */
export const invalid = (field, message) => new Problem(422, { detail: message, errors: [{ field, message }] });

// ---- Session. It is kept for this tab, so that two tabs can be two people.

const KEY = 'shop-session';
let current = JSON.parse(sessionStorage.getItem(KEY) ?? 'null'); // {accessToken, refreshToken, user}

/** Dispatches `change` when the user signs in or out. */
export const session = new EventTarget();

export const user = () => current?.user ?? null;
export const isAdmin = () => current?.user.role === 'ADMIN';

function store(tokens) {
  current = tokens;
  if (tokens) sessionStorage.setItem(KEY, JSON.stringify(tokens));
  else sessionStorage.removeItem(KEY);
}

/** Starts a session with the response to a sign-in. */
export function startSession(tokens) {
  store(tokens);
  session.dispatchEvent(new Event('change'));
}

export async function signOut() {
  const refreshToken = current?.refreshToken;
  store(null); // before the request, so that it works even if the server cannot be reached
  session.dispatchEvent(new Event('change'));
  if (refreshToken) await request('POST', '/auth/logout', { body: { refreshToken } });
}

// ---- The cart of a guest, which is kept for this tab, too

const CART_KEY = 'shop-cart';

/** Returns the token of the guest's cart, or `null`. */
export const cartToken = () => sessionStorage.getItem(CART_KEY);

/** Remembers the token of a guest's cart, or forgets it with `null`. */
export function setCartToken(token) {
  if (token) sessionStorage.setItem(CART_KEY, token);
  else sessionStorage.removeItem(CART_KEY);
}

// ---- Requests

/**
 * Sends one request. `path` is below `/api/v1`, unless it starts with one of the paths outside. `body` is sent as JSON,
 * unless it is a form (FormData) or a text with its `type`. A `quiet` call is not shown in the panel.
 */
async function request(method, path, { body, type, key, headers: more, quiet } = {}) {
  const url = /^\/(demo|readyz|healthz)\b/.test(path) ? ROOT + path.slice(1) : API + path;
  const headers = { ...more };
  if (current && !path.startsWith('/auth/')) headers.Authorization = `Bearer ${current.accessToken}`;
  else if (path.startsWith('/cart') && cartToken()) headers['Cart-Token'] = cartToken();
  if (key) headers['Idempotency-Key'] = key;
  if (type) headers['Content-Type'] = type;
  else if (body && !(body instanceof FormData)) headers['Content-Type'] = 'application/json';
  const isJson = headers['Content-Type'] === 'application/json';
  const started = performance.now();
  const report = (status) => {
    const milliseconds = Math.round(performance.now() - started);
    const detail = { method, url: new URL(url, location.href).href, headers, body, status, milliseconds };
    if (!quiet) calls.dispatchEvent(new CustomEvent('call', { detail }));
  };
  let response;
  let text;
  try {
    const init = { method, headers, body: isJson ? JSON.stringify(body) : body, cache: 'no-store', credentials: 'omit' };
    response = await fetch(url, { ...init, signal: AbortSignal.timeout(60_000) });
    text = await response.text();
  } catch {
    report(0);
    throw new Problem(0, { detail: 'The server does not answer. Is it still running?' });
  }
  report(response.status);
  let answer = {};
  try {
    if (text) answer = JSON.parse(text);
  } catch { /* an error of a proxy may be plain text: the status has to do */ }
  if (!response.ok) throw new Problem(response.status, answer);
  return { body: answer, headers: response.headers, status: response.status };
}

let refreshing = null;
/** Refreshes the tokens, once at a time: using a refresh token twice may end the session. */
function refresh() {
  const { refreshToken } = current;
  refreshing ??= request('POST', '/auth/refresh', { body: { refreshToken }, quiet: true })
    .then(({ body }) => store(body))
    .finally(() => { refreshing = null; });
  return refreshing;
}

/** Sends a request, and refreshes an expired access token once. Returns {body, headers, status}. Throws a Problem. */
export async function api(method, path, options) {
  try {
    return await request(method, path, options);
  } catch (problem) {
    if (problem.status !== 401 || !current || path.startsWith('/auth/')) throw problem;
  }
  try {
    await refresh();
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    startSession(null);
    throw new Problem(401, { detail: 'Your session has ended. Please sign in again.' });
  }
  return request(method, path, options);
}

/** Returns the body of a GET request. */
export const get = async (path, options) => (await api('GET', path, options)).body;

let currency = null;
/** Returns the shop's currency, for a signed-in user. */
export async function shopCurrency() {
  currency ??= (await get('/cart', { quiet: true })).currency;
  return currency;
}

/** Returns a path with a query, without the parameters that are empty. */
export function withQuery(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== '' && value !== null && value !== undefined && value !== false) query.set(name, value);
  }
  return query.size ? `${path}?${query}` : path;
}

/** Returns a random key. `randomUUID` does not exist on plain HTTP, except on localhost. */
export function newKey() {
  return crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
