-- A disabled account cannot sign in.
ALTER TABLE users ADD COLUMN disabled_at {int};

-- How often a session's refresh token was exchanged, and the tokens that it has spent: one that is
-- sent again tells that it was stolen.
ALTER TABLE sessions ADD COLUMN generation {int} NOT NULL DEFAULT 0;
CREATE INDEX sessions_by_end ON sessions (expires_at);
CREATE TABLE spent_refresh_tokens (
    hash {bytes} NOT NULL PRIMARY KEY,
    session_id {id} NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    generation {int} NOT NULL,
    spent_at {int} NOT NULL
) {clustered};
CREATE INDEX spent_refresh_tokens_by_session ON spent_refresh_tokens (session_id);
CREATE INDEX spent_refresh_tokens_by_time ON spent_refresh_tokens (spent_at);

-- What links in mails carry, as hashes: good once, until `expires_at`.
CREATE TABLE link_tokens (
    hash {bytes} NOT NULL PRIMARY KEY,
    user_id {id} NOT NULL REFERENCES users (id),
    purpose TEXT NOT NULL CHECK (purpose IN ('verify', 'reset')),
    expires_at {int} NOT NULL
) {clustered};
CREATE INDEX link_tokens_by_user ON link_tokens (user_id);
CREATE INDEX link_tokens_by_end ON link_tokens (expires_at);

-- The code on its way to a phone, as a salted hash: one for each account, a new one kills the old.
CREATE TABLE phone_codes (
    user_id {id} NOT NULL PRIMARY KEY REFERENCES users (id),
    hash {bytes} NOT NULL,
    salt {bytes} NOT NULL,
    tries {int} NOT NULL,
    expires_at {int} NOT NULL
) {clustered};

-- Mails. `data`, which may hold a token, is erased once the mail is sent. `since` is when the tries
-- began, `due_at` when the next one is due; while one is under way `error` is empty.
CREATE TABLE outbox (
    id {id} NOT NULL PRIMARY KEY,
    recipient TEXT NOT NULL,
    template TEXT NOT NULL,
    data TEXT,
    message_id TEXT,
    subject TEXT,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'dead')),
    tries {int} NOT NULL,
    since {int} NOT NULL,
    due_at {int} NOT NULL,
    error TEXT,
    sent_at {int},
    created_at {int} NOT NULL
) {strict};
CREATE INDEX outbox_by_due ON outbox (due_at, id) WHERE state = 'waiting';
CREATE INDEX outbox_by_sending ON outbox (sent_at) WHERE state = 'sent';
