-- Browsers that somebody has logged in with before: their tries have a count of their own. The id is in a cookie, and
-- only its SHA-256 is here.
CREATE TABLE devices (
    id_hash      TEXT PRIMARY KEY,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_ms   BIGINT NOT NULL,
    last_used_ms BIGINT NOT NULL,
    expires_ms   BIGINT NOT NULL,
    address      TEXT,
    user_agent   TEXT
);
CREATE INDEX devices_user ON devices (user_id, last_used_ms);
