-- Who changed what, in the order of the commits. Each row has the hash of the one before and its own, so that a
-- change of an earlier row is found. `docs/operations.md` describes how the hashes are computed.
CREATE TABLE audit (
    seq {int} NOT NULL PRIMARY KEY,
    at {int} NOT NULL,
    actor_type TEXT NOT NULL CHECK (actor_type IN ('USER', 'KEY', 'CLI', 'SYSTEM')),
    actor_id TEXT,
    actor_name TEXT NOT NULL,
    action TEXT NOT NULL,
    target_type TEXT NOT NULL,
    target_id TEXT,
    changes TEXT NOT NULL,
    request_id TEXT,
    address TEXT,
    previous {bytes} NOT NULL,
    hash {bytes} NOT NULL
) {strict};

CREATE INDEX audit_by_actor ON audit (actor_id, seq);
CREATE INDEX audit_by_target ON audit (target_id, seq);

-- Rows that have no number and no hash yet: only where several transactions write at once. The publisher moves
-- them to `audit` in the order of `id`. `digest` is that of the columns before it.
CREATE TABLE unsequenced_audit (
    id {serial} NOT NULL PRIMARY KEY,
    at {int} NOT NULL,
    actor_type TEXT NOT NULL,
    actor_id TEXT,
    actor_name TEXT NOT NULL,
    action TEXT NOT NULL,
    target_type TEXT NOT NULL,
    target_id TEXT,
    changes TEXT NOT NULL,
    request_id TEXT,
    address TEXT,
    digest {bytes} NOT NULL
) {strict};

{append_only_audit}
