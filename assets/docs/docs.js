// Opens the reference, and signs in for its requests. The token stays in this page's memory.
"use strict";

const element = (id) => document.getElementById(id);

const dark = matchMedia("(prefers-color-scheme: dark)");
const setTheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", setTheme);
setTheme();

let session = null;

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

async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(`api/v1/auth/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const text = await response.text();
  const answer = text ? JSON.parse(text) : null;
  if (!response.ok) throw new Error(answer?.errors?.[0]?.message ?? answer?.detail ?? response.statusText);
  return answer;
}

function use(next) {
  session = next;
  reference.preauthorizeApiKey("bearer", session.accessToken);
  clearTimeout(use.timer);
  use.timer = setTimeout(refresh, session.expiresIn * 900);
}

async function refresh() {
  try {
    use(await post("refresh", { refreshToken: session.refreshToken }));
  } catch {
    end("The session has ended. Sign in again.");
  }
}

function end(message) {
  clearTimeout(use.timer);
  session = null;
  reference.authActions.logout(["bearer"]);
  show(null, message);
}

element("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  element("submit").disabled = true;
  try {
    use(await post("login", { email: form.email.value, password: form.password.value }));
    form.reset();
    show(session.user, "Requests from this page carry your access token.");
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
