-- A mail with a link says what the link is for and whose it is. Each attempt to send the mail makes a
-- token of its own, so that the outbox holds none.
ALTER TABLE outbox ADD COLUMN link_purpose TEXT;
ALTER TABLE outbox ADD COLUMN link_user_id {id} REFERENCES users (id);
CREATE INDEX outbox_by_link ON outbox (link_user_id) WHERE link_user_id IS NOT NULL;

-- Mails that are still to be sent held a token in `data`: the next attempt makes another one, and the
-- account's earlier tokens end.
UPDATE outbox SET link_purpose = template,
    link_user_id = (SELECT id FROM users WHERE users.email = outbox.recipient),
    data = {data_without_link}
WHERE template IN ('verify', 'reset') AND data IS NOT NULL;
DELETE FROM link_tokens WHERE user_id IN
    (SELECT link_user_id FROM outbox WHERE link_user_id IS NOT NULL);
