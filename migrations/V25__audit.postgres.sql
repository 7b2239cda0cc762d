CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- Moves all committed rows of `unsequenced_audit` to `audit`, with their numbers and hashes. The caller holds the
-- publisher's lock. A hash is SHA-256 of the hash before, the number in eight bytes, and the digest.
CREATE FUNCTION sequence_audit() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    entry RECORD;
    number BIGINT;
    before BYTEA;
    own BYTEA;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM unsequenced_audit) THEN
        RETURN;
    END IF;
    SELECT a.seq, a.hash INTO number, before FROM audit a ORDER BY a.seq DESC LIMIT 1;
    IF NOT FOUND THEN
        number := 0;
        before := decode(repeat('00', 32), 'hex');
    END IF;
    FOR entry IN SELECT * FROM unsequenced_audit u ORDER BY u.id LOOP
        number := number + 1;
        own := sha256(before || int8send(number) || entry.digest);
        INSERT INTO audit (seq, at, actor_type, actor_id, actor_name, action, target_type, target_id,
                           changes, request_id, address, previous, hash)
        VALUES (number, entry.at, entry.actor_type, entry.actor_id, entry.actor_name, entry.action,
                entry.target_type, entry.target_id, entry.changes, entry.request_id, entry.address,
                before, own);
        DELETE FROM unsequenced_audit u WHERE u.id = entry.id;
        before := own;
    END LOOP;
END
$$;
