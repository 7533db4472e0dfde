-- Addresses under which a calendar app fetches what is planned. The token in the address is the credential: only its
-- SHA-256 is here.
CREATE TABLE feeds (
    id         TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    digest     TEXT NOT NULL UNIQUE,
    created_ms BIGINT NOT NULL,
    -- NULL until it is fetched for the first time.
    used_ms    BIGINT
);
CREATE INDEX feeds_user ON feeds (user_id, created_ms);
