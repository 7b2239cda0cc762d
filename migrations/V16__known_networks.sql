-- `address` is the digest of what is counted and for whom. `subject` is the digest of the email address
-- whose counts a password reset deletes together.
ALTER TABLE login_tries ADD COLUMN subject {bytes};
CREATE INDEX login_tries_by_subject ON login_tries (subject) WHERE subject IS NOT NULL;

-- The networks (IPv4 /24, IPv6 /48) that an account was used from, as keyed hashes.
CREATE TABLE known_networks (
    user_id {id} NOT NULL REFERENCES users (id),
    network {bytes} NOT NULL,
    seen_at {int} NOT NULL,
    PRIMARY KEY (user_id, network)
) {clustered};
CREATE INDEX known_networks_by_time ON known_networks (seen_at);
