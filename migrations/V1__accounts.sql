-- Accounts. `email` is as typed; `email_key` is the one spelling that makes an account unique.
CREATE TABLE users (
    id {id} NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('CUSTOMER', 'ADMIN')),
    email_verified {int} NOT NULL,
    phone TEXT,
    phone_verified {int} NOT NULL,
    created_at {int} NOT NULL
) {clustered};

-- A sign-in. Access tokens carry its id and die with it; the refresh token is kept as a hash.
CREATE TABLE sessions (
    id {id} NOT NULL PRIMARY KEY,
    user_id {id} NOT NULL REFERENCES users (id),
    refresh_hash {bytes} NOT NULL UNIQUE,
    created_at {int} NOT NULL,
    expires_at {int} NOT NULL
) {clustered};
CREATE INDEX sessions_by_user ON sessions (user_id);
