// Opens the reference, and signs in for its requests. The session is kept for this tab.
"use strict";

const element = (id) => document.getElementById(id);

const dark = matchMedia("(prefers-color-scheme: dark)");
const setTheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", setTheme);
setTheme();

const KEY = "docs-session";
let session = null; // the response to a sign-in, and when to refresh it

// A request of this page waits for the end of the response, and it cannot open a WebSocket.
const streams = ["/api/v1/inventory/events", "/api/v1/ws"];
const withoutStreams = () => ({
  statePlugins: { spec: { wrapSelectors: { allowTryItOutFor: () => (_, path) => !streams.includes(path) } } },
});

const reference = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  onComplete: resume,
  plugins: [withoutStreams],
  tryItOutEnabled: true,
  validatorUrl: null,
});

function show(user, message, isBad = false) {
  element("sign-in").hidden = user !== null;
  element("signed-in").hidden = user === null;
  element("user").textContent = user ? `${user.email} (${user.role})` : "";
  element("status").textContent = message;
  element("status").classList.toggle("bad", isBad);
}

function showSignedIn() {
  show(session.user, "Requests from this page carry your access token.");
}

async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(`api/v1/auth/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const text = await response.text();
  const answer = text ? JSON.parse(text) : null;
  if (!response.ok) throw new Error(answer?.errors?.[0]?.message ?? answer?.detail ?? response.statusText);
  return answer;
}

/** Gets tokens, and uses them from now on. */
async function start(path, body) {
  const tokens = await post(path, body);
  use({ ...tokens, refreshAt: Date.now() + tokens.expiresIn * 900 });
}

function use(next) {
  session = next;
  sessionStorage.setItem(KEY, JSON.stringify(session));
  reference.preauthorizeApiKey("bearer", session.accessToken);
  clearTimeout(use.timer);
  use.timer = setTimeout(refresh, session.refreshAt - Date.now());
}

/** Continues the session from before a reload. */
function resume() {
  const kept = sessionStorage.getItem(KEY);
  if (!kept) return;
  use(JSON.parse(kept));
  showSignedIn();
}

async function refresh() {
  try {
    await start("refresh", { refreshToken: session.refreshToken });
  } catch {
    end("The session has ended. Sign in again.");
  }
}

function end(message) {
  clearTimeout(use.timer);
  session = null;
  sessionStorage.removeItem(KEY);
  reference.authActions.logout(["bearer"]);
  show(null, message);
}

element("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  element("submit").disabled = true;
  try {
    await start("login", { email: form.email.value, password: form.password.value });
    form.reset();
    showSignedIn();
    element("sign-out").focus();
  } catch (error) {
    show(null, error.message, true);
  } finally {
    element("submit").disabled = false;
  }
});

element("sign-out").addEventListener("click", async () => {
  const { refreshToken } = session;
  end("You are signed out.");
  element("sign-in").email.focus();
  await post("logout", { refreshToken }).catch(() => {});
});
