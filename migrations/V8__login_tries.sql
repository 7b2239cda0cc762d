-- Wrong passwords for each address that was typed, known or not, by the digest of its one spelling.
CREATE TABLE login_tries (
    address {bytes} NOT NULL PRIMARY KEY,
    since {int} NOT NULL,
    wrong {int} NOT NULL
) {clustered};
CREATE INDEX login_tries_by_time ON login_tries (since);
