// The pages that links with a token open. They post the token when the user presses the button.
// The token is held only in this module: it is removed from the address bar immediately, never stored, and sent
// only to the shop's own API.

const TIMEOUT = 30_000; // ms
const MAX_WAIT = 3600; // s

// Paths are relative to the page, since a proxy may serve the shop under a path.
const PAGES = {
  'verify-email': {
    path: 'api/v1/auth/verify-email',
    source: 'in the email',
    busy: 'Confirming your email address…',
    done: (data) => [
      'Your email address is confirmed',
      data?.user?.email ? `Thank you for confirming ${data.user.email}.` : 'Thank you for confirming your email address.',
      'You can close this page.',
    ],
    invalid: [
      'This link is no longer valid',
      'It has already been used or has expired. A link works once, within 24 hours.',
      'If you have already confirmed your address, you do not need to do anything. Otherwise, sign in to your account and request a new email.',
    ],
  },
  'reset-password': {
    path: 'api/v1/auth/reset-password',
    source: 'in the email',
    busy: 'Setting your password…',
    done: () => [
      'Your password has been changed',
      'Sign in with your new password. You have been signed out on all devices.',
      'You can close this page.',
    ],
    invalid: [
      'This link is no longer valid',
      'It has already been used or has expired. A link works once, for a limited time.',
      'If you have already set a new password with it, sign in with that password. Otherwise, request a new link where you sign in.',
    ],
  },
  'first-admin': {
    path: 'first-admin',
    source: 'that the server printed',
    busy: 'Creating your account…',
    done: (data) => [
      'Your shop has its first admin',
      data?.user?.email ? `Sign in as ${data.user.email} with your password.` : 'Sign in with your email address and your password.',
    ],
    invalid: [
      'This link is no longer valid',
      'It works once, and only while the shop has no admin.',
      'If you have already created your account with it, sign in. Otherwise, restart the server, which prints a new link if there is no admin.',
    ],
  },
};

const $ = (id) => document.getElementById(id);
const page = PAGES[document.querySelector('main').id];
const title = $('title').textContent;
const form = $('form');
const inputs = [...form.querySelectorAll('.field input')];
const passwords = inputs.filter((input) => input.type === 'password'); // empty, or the password and its repetition
const incomplete = [
  'This link is incomplete',
  'Part of the link is missing, or the page was reloaded.',
  `Open the link ${page.source} again. If that does not help, copy the whole link into the address bar.`,
];

let token = null;
let generation = 0; // counts the links opened in this tab, so that responses for an earlier one are ignored
let busy = false;
let timer; // of the countdown

/** Removes the token from the address bar and shows the form for it. */
function open() {
  const found = /(?:^#|&)token=([\w-]+)/.exec(location.hash);
  history.replaceState(null, '', location.pathname);
  token = found && found[1];
  generation += 1;
  busy = false;
  clearTimeout(timer);
  resetForm();
  showStatus();
  $('submit').disabled = false;
  if (token) {
    heading(title);
    $('result').replaceChildren();
    form.hidden = false;
  } else {
    end(incomplete);
  }
}

// ---- Output

function heading(text) {
  $('title').textContent = text;
  document.title = text;
}

function paragraph(text) {
  const node = document.createElement('p');
  node.textContent = text;
  return node;
}

/** Shows the final result, and clears and hides the form. */
function end([head, ...texts]) {
  token = null;
  resetForm();
  form.hidden = true;
  heading(head);
  $('result').replaceChildren(...texts.map(paragraph));
  $('title').focus();
}

/** Shows a status message above the button. */
function showStatus(text = '', bad = false) {
  $('status').className = bad ? 'bad' : '';
  $('status').replaceChildren(...(text ? [paragraph(text)] : []));
}

/** Shows an error. The form remains. */
function showError(text) {
  showStatus(text, true);
  $('status').focus();
}

function showFieldError(input, text) {
  input.setAttribute('aria-invalid', 'true');
  $(`${input.id}-error`).textContent = text;
}

function clearFieldError(input) {
  input.removeAttribute('aria-invalid');
  $(`${input.id}-error`).textContent = '';
}

function updateVisibility() {
  for (const input of passwords) input.type = $('show').checked ? 'text' : 'password';
}

function resetForm() {
  form.reset();
  inputs.forEach(clearFieldError);
  updateVisibility();
}

// ---- Waiting

/** Disables the button for a number of seconds. Screen readers announce the start and the end, not the countdown. */
function wait(seconds, reason) {
  const until = Date.now() + seconds * 1000;
  const countdown = document.createElement('span');
  countdown.setAttribute('aria-hidden', 'true');
  $('submit').disabled = true;
  showError(`${reason} Try again in ${formatDuration(seconds)}. `);
  $('status').firstChild.append(countdown);
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left > 0) {
      countdown.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`;
      timer = setTimeout(tick, 250);
    } else {
      $('submit').disabled = false;
      showStatus('You can try again now.');
    }
  };
  tick();
}

function formatDuration(seconds) {
  const [count, unit] = seconds > 90 ? [Math.ceil(seconds / 60), 'minute'] : [seconds, 'second'];
  return count === 1 ? `a ${unit}` : `${count} ${unit}s`;
}

/** Returns the seconds in `Retry-After`, which is a number or a date (RFC 9110, section 10.2.3). */
function retryAfter(header) {
  if (header === null) return null;
  const seconds = /^\d+$/.test(header) ? Number(header) : Math.ceil((Date.parse(header) - Date.now()) / 1000);
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 1), MAX_WAIT) : null;
}

// ---- Sending

/** Validates the fields and focuses the first invalid one. Returns whether all are valid. */
function validate() {
  inputs.forEach(clearFieldError);
  for (const input of inputs) {
    const value = input.value.trim();
    if (!passwords.includes(input) && value === '') showFieldError(input, 'Fill in this field.');
    // The server decides; this finds what is obviously no address together with the other errors.
    else if (input.type === 'email' && !/.@./.test(value)) showFieldError(input, 'Enter an email address, such as you@example.com.');
  }
  if (passwords.length > 0) {
    const [password, repetition] = passwords;
    const length = [...password.value.normalize('NFKC')].length; // as the server counts
    if (length === 0) showFieldError(password, 'Enter a new password.');
    else if (length < 8) showFieldError(password, `The password must have at least 8 characters; this one has ${length}.`);
    else if (length > 128) showFieldError(password, `The password can have at most 128 characters; this one has ${length}.`);
    else if (repetition.value === '') showFieldError(repetition, 'Enter the password again.');
    else if (repetition.value !== password.value) showFieldError(repetition, 'The passwords do not match.');
  }
  return focusFirstInvalid();
}

function focusFirstInvalid() {
  const first = inputs.find((input) => input.hasAttribute('aria-invalid'));
  first?.focus();
  return !first;
}

/** Returns the token and the fields by their ids. The repetition stays here. */
function content() {
  const sent = inputs.filter((input) => input !== passwords[1]);
  return { token, ...Object.fromEntries(sent.map((input) => [input.id, input.value])) };
}

async function post(body) {
  const response = await fetch(page.path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json, application/problem+json' },
    body: JSON.stringify(body),
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
    referrerPolicy: 'no-referrer',
    signal: AbortSignal.timeout(TIMEOUT),
  });
  // A body that is not JSON comes from a proxy; then only the status counts.
  const data = await response.json().catch(() => null);
  return { response, data };
}

async function submit(event) {
  event.preventDefault();
  if (busy || token === null || $('submit').disabled) return;
  showStatus();
  if (!validate()) return;
  const current = generation;
  busy = true;
  $('submit').disabled = true;
  showStatus(page.busy);
  const sent = await post(content()).catch(() => null);
  if (current !== generation) return;
  busy = false;
  $('submit').disabled = false;
  if (sent === null) {
    showError('The shop cannot be reached. Keep this page open, check your connection and press the button again.');
  } else if (sent.response.ok) {
    end(page.done(sent.data));
    const next = $('next');
    if (next) $('result').append(next.content.cloneNode(true));
  } else {
    showFailure(sent.response, sent.data);
  }
}

function showFailure(response, data) {
  const errors = Array.isArray(data?.errors) ? data.errors : [];
  if (data?.code === 'invalid-token' || errors.some((error) => error.field === 'token')) {
    end(page.invalid);
    return;
  }
  const pause = retryAfter(response.headers.get('Retry-After'));
  if (response.status === 429) {
    wait(pause ?? 30, 'Too many attempts.');
    return;
  }
  if (response.status === 503 && pause !== null) {
    wait(pause, 'The shop is busy.');
    return;
  }
  showStatus();
  for (const { field, message } of errors) {
    const input = inputs.find((each) => each.id === field);
    if (input) showFieldError(input, sentence(`the ${field} ${message}`)); // "must …", "is …"
  }
  if (!focusFirstInvalid()) return;
  const known = response.status < 500 && data?.detail;
  const reason = known ? sentence(data.detail) : 'Something went wrong. Wait a moment and press the button again.';
  const help = data?.requestId ? ` If the problem persists, contact the shop and mention this ID: ${data.requestId}` : '';
  showError(reason + help);
}

/** Makes a sentence of a message of the API, which is in lower case and without a period. */
function sentence(text) {
  const plain = String(text).replaceAll('`', '');
  return plain.charAt(0).toUpperCase() + plain.slice(1) + (/[.!?]$/.test(plain) ? '' : '.');
}

form.addEventListener('submit', submit);
for (const input of inputs) input.addEventListener('input', () => clearFieldError(input));
$('show')?.addEventListener('change', updateVisibility);
// Opening another link in the same tab changes only the fragment.
window.addEventListener('hashchange', open);
open();
