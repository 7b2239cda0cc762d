// The pages that mails link to: they post the link's token when a person asks for it.
// The token lives in this module alone: it is taken out of the address at once, kept nowhere, and
// sent to the shop's own API only.

const TIMEOUT = 30_000; // ms
const LONGEST_WAIT = 3600; // s

// Paths are relative to the page: a proxy may serve the shop under a prefix.
const PAGES = {
  'verify-email': {
    path: 'api/v1/auth/verify-email',
    busy: 'Confirming your address…',
    done: (answer) => [
      'Your address is confirmed',
      answer?.user?.email ? `Thank you. The shop knows now that mails to ${answer.user.email} reach you.` : 'Thank you. The shop knows now that its mails reach you.',
      'You can close this page.',
    ],
    refused: [
      'This link does not work any more',
      'It was used already or has expired: it works once, for 24 hours.',
      'If you confirmed your address before, all is well. If not, sign in where you opened your account and ask for the mail again.',
    ],
  },
  'reset-password': {
    path: 'api/v1/auth/reset-password',
    busy: 'Setting your password…',
    done: () => [
      'Your password is set',
      'From now on sign in with the new password. Wherever you were signed in, you were signed out.',
      'You can close this page.',
    ],
    refused: [
      'This link does not work any more',
      'It was used already or has expired: it works once, for a limited time.',
      'If you set a password with it before, sign in with that one. If not, ask for a new link where you sign in.',
    ],
  },
};
const INCOMPLETE = [
  'This link is incomplete',
  'The part of it that tells the shop who you are is missing, or the page was loaded again.',
  'Open the link in the mail once more. If that does not help, copy the whole link into the address bar.',
];

const $ = (id) => document.getElementById(id);
const page = PAGES[document.querySelector('main').id];
const title = $('title').textContent;
const form = $('form');
const inputs = [...form.querySelectorAll('.field input')]; // none, or the password and its repetition

let token = null;
let turn = 0; // counts the links opened in this tab: what an earlier one still awaits is not shown
let busy = false;
let timer; // of a wait

/** Takes the token out of the address bar and shows the page for it. */
function open() {
  const found = /(?:^#|&)token=([\w-]+)/.exec(location.hash);
  history.replaceState(null, '', location.pathname);
  token = found && found[1];
  turn += 1;
  busy = false;
  clearTimeout(timer);
  empty();
  say();
  $('submit').disabled = false;
  if (token) {
    heading(title);
    $('result').replaceChildren();
    form.hidden = false;
  } else {
    end(INCOMPLETE);
  }
}

// ---- What the page says

function heading(text) {
  $('title').textContent = text;
  document.title = text;
}

function paragraph(text) {
  const node = document.createElement('p');
  node.textContent = text;
  return node;
}

/** The last word: the form goes, and so does what was typed into it. */
function end([head, ...texts]) {
  token = null;
  empty();
  form.hidden = true;
  heading(head);
  $('result').replaceChildren(...texts.map(paragraph));
  $('title').focus();
}

/** Says how it goes, above the button. */
function say(text = '', bad = false) {
  $('status').className = bad ? 'bad' : '';
  $('status').replaceChildren(...(text ? [paragraph(text)] : []));
}

/** Says what went wrong; the form stays. */
function fail(text) {
  say(text, true);
  $('status').focus();
}

function blame(input, text) {
  input.setAttribute('aria-invalid', 'true');
  $(`${input.id}-error`).textContent = text;
}

function clear(input) {
  input.removeAttribute('aria-invalid');
  $(`${input.id}-error`).textContent = '';
}

function reveal() {
  for (const input of inputs) input.type = $('show').checked ? 'text' : 'password';
}

function empty() {
  form.reset();
  inputs.forEach(clear);
  reveal();
}

// ---- Waiting

/** Keeps the button shut for so many seconds. The first and the last word are read out, the countdown is not. */
function wait(seconds, why) {
  const until = Date.now() + seconds * 1000;
  const countdown = document.createElement('span');
  countdown.setAttribute('aria-hidden', 'true');
  $('submit').disabled = true;
  fail(`${why} Please try again in ${long(seconds)}. `);
  $('status').firstChild.append(countdown);
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left > 0) {
      countdown.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`;
      timer = setTimeout(tick, 250);
    } else {
      $('submit').disabled = false;
      say('You can try again now.');
    }
  };
  tick();
}

function long(seconds) {
  const [count, unit] = seconds > 90 ? [Math.ceil(seconds / 60), 'minute'] : [seconds, 'second'];
  return count === 1 ? `a ${unit}` : `${count} ${unit}s`;
}

/** The seconds that `Retry-After` names: a number or a date (RFC 9110, 10.2.3). */
function pauseOf(header) {
  if (header === null) return null;
  const named = /^\d+$/.test(header) ? Number(header) : Math.ceil((Date.parse(header) - Date.now()) / 1000);
  return Number.isFinite(named) ? Math.min(Math.max(named, 1), LONGEST_WAIT) : null;
}

// ---- Sending

/** Whether the fields can be sent; the first that cannot takes the focus. */
function check() {
  inputs.forEach(clear);
  if (inputs.length > 0) {
    const [password, repetition] = inputs;
    const length = [...password.value.normalize('NFKC')].length; // as the server counts
    if (length === 0) blame(password, 'Type the new password.');
    else if (length < 8) blame(password, `This is too short: it has ${length} of at least 8 characters.`);
    else if (length > 128) blame(password, `This is too long: it has ${length} of at most 128 characters.`);
    else if (repetition.value === '') blame(repetition, 'Type the same password here.');
    else if (repetition.value !== password.value) blame(repetition, 'This is not the same password.');
  }
  return focusBlamed();
}

function focusBlamed() {
  const first = inputs.find((input) => input.hasAttribute('aria-invalid'));
  first?.focus();
  return !first;
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
  // What is no JSON comes from something between here and the shop: then the status alone counts.
  const answer = await response.json().catch(() => null);
  return { response, answer };
}

async function submit(event) {
  event.preventDefault();
  if (busy || token === null || $('submit').disabled) return;
  say();
  if (!check()) return;
  const mine = turn;
  busy = true;
  $('submit').disabled = true;
  say(page.busy);
  const body = inputs.length > 0 ? { token, password: inputs[0].value } : { token };
  const sent = await post(body).catch(() => null);
  if (mine !== turn) return;
  busy = false;
  $('submit').disabled = false;
  if (sent === null) {
    fail('The shop cannot be reached. Check your connection and press the button again: your link is kept here.');
  } else if (sent.response.ok) {
    end(page.done(sent.answer));
  } else {
    refuse(sent.response, sent.answer);
  }
}

function refuse(response, answer) {
  const errors = Array.isArray(answer?.errors) ? answer.errors : [];
  if (answer?.code === 'invalid-token' || errors.some((error) => error.field === 'token')) {
    end(page.refused);
    return;
  }
  const pause = pauseOf(response.headers.get('Retry-After'));
  if (response.status === 429) {
    wait(pause ?? 30, 'That was too often.');
    return;
  }
  if (response.status === 503 && pause !== null) {
    wait(pause, 'The shop is busy.');
    return;
  }
  say();
  for (const { field, message } of errors) {
    const input = inputs.find((each) => each.id === field);
    if (input) blame(input, sentence(`the password ${message}`)); // "must …", "is …"
  }
  if (!focusBlamed()) return;
  const known = response.status < 500 && answer?.detail;
  const reason = known ? sentence(answer.detail) : 'Something went wrong in the shop. Press the button again in a moment.';
  const help = answer?.requestId ? ` If it stays so, tell the shop this number: ${answer.requestId}` : '';
  fail(reason + help);
}

/** The API writes its messages in lower case and without a period. */
function sentence(text) {
  const plain = String(text).replaceAll('`', '');
  return plain.charAt(0).toUpperCase() + plain.slice(1) + (/[.!?]$/.test(plain) ? '' : '.');
}

$('host').textContent = location.host;
form.addEventListener('submit', submit);
for (const input of inputs) input.addEventListener('input', () => clear(input));
$('show')?.addEventListener('change', reveal);
// Another link opened in the same tab changes the fragment alone.
window.addEventListener('hashchange', open);
open();
