-- How somebody wants times and weeks shown, and whether single keys do something.
-- '24', '12'
ALTER TABLE users ADD COLUMN clock TEXT NOT NULL DEFAULT '24';
-- 'mon', 'sun'
ALTER TABLE users ADD COLUMN week_start TEXT NOT NULL DEFAULT 'mon';
ALTER TABLE users ADD COLUMN keys BOOLEAN NOT NULL DEFAULT TRUE;

-- Links with which their owner chooses a password, once. The token in the link is never stored, only its digest.
CREATE TABLE user_links (
    -- SHA-256 of the token, hex.
    token_hash TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- 'invite', 'reset'
    kind       TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX user_links_user ON user_links (user_id);
