-- One text for SQLite and PostgreSQL: TEXT ids made by the application, instants as unix milliseconds (UTC).

-- Facts about this installation: instance id, default time zone, newest instant seen.
CREATE TABLE settings (
    key        TEXT PRIMARY KEY,
    value      TEXT NOT NULL,
    updated_ms BIGINT NOT NULL
);

CREATE TABLE hosts (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);
INSERT INTO hosts (id, name, created_ms) VALUES ('local', 'local', 0);

CREATE TABLE users (
    id               TEXT PRIMARY KEY,
    name             TEXT NOT NULL,
    -- The name folded for comparison: two people may not differ by case alone.
    name_key         TEXT NOT NULL UNIQUE,
    role             TEXT NOT NULL,
    password_hash    TEXT NOT NULL,
    disabled         BOOLEAN NOT NULL,
    timezone         TEXT,
    theme            TEXT,
    password_set_ms  BIGINT NOT NULL,
    last_login_ms    BIGINT,
    rev              BIGINT NOT NULL,
    created_ms       BIGINT NOT NULL,
    updated_ms       BIGINT NOT NULL
);

-- Failed logins by login name (whether somebody has it or not: both are slowed down alike) and by address.
CREATE TABLE login_failures (
    -- 'name:' and a digest of the name, or 'address:' and the address (IPv6 by /64).
    key              TEXT PRIMARY KEY,
    since_ms         BIGINT NOT NULL,
    failures         BIGINT NOT NULL,
    -- Until then a try is refused unchecked.
    blocked_until_ms BIGINT NOT NULL
);

CREATE TABLE sessions (
    -- SHA-256 of the id in the cookie, hex.
    id_hash      TEXT PRIMARY KEY,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    data         TEXT NOT NULL,
    -- A form that was sent after the session had ended, until its sender has logged in again.
    kept_form    TEXT,
    created_ms   BIGINT NOT NULL,
    last_seen_ms BIGINT NOT NULL,
    expires_ms   BIGINT NOT NULL,
    address      TEXT,
    user_agent   TEXT
);
CREATE INDEX sessions_user ON sessions (user_id, created_ms);
CREATE INDEX sessions_expiry ON sessions (expires_ms);

-- Tokens given out by the API's login; a token without a row is dead.
CREATE TABLE tokens (
    jti        TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    address    TEXT
);
CREATE INDEX tokens_user ON tokens (user_id, created_ms);

CREATE TABLE schedules (
    id                TEXT PRIMARY KEY,
    name              TEXT NOT NULL,
    host_id           TEXT NOT NULL,
    target_type       TEXT NOT NULL,
    -- The stack's name, or the container's name when it was saved.
    target_name       TEXT NOT NULL,
    -- What is followed: the stack's name, or the container's identity.
    target_identity   TEXT NOT NULL,
    kind              TEXT NOT NULL,
    action            TEXT,
    cron              TEXT,
    at_ms             BIGINT,
    window_text       TEXT,
    timezone          TEXT,
    enabled           BOOLEAN NOT NULL,
    catch_up_s        BIGINT NOT NULL,
    policy            TEXT NOT NULL,
    mode              TEXT NOT NULL,
    wake              TEXT NOT NULL,
    priority          BIGINT NOT NULL,
    calendar_id       TEXT,
    calendar_effect   TEXT,
    stop_timeout_s    BIGINT,
    note              TEXT NOT NULL,
    source            TEXT NOT NULL,
    source_key        TEXT,
    owner_id          TEXT REFERENCES users (id) ON DELETE SET NULL,
    skip_at_ms        BIGINT,
    effective_from_ms BIGINT NOT NULL,
    -- NULL while disabled or deleted, and when it will never fire again.
    next_due_ms       BIGINT,
    rev               BIGINT NOT NULL,
    created_ms        BIGINT NOT NULL,
    updated_ms        BIGINT NOT NULL,
    deleted_ms        BIGINT,
    UNIQUE (source, source_key)
);
CREATE INDEX schedules_due ON schedules (next_due_ms);
CREATE INDEX schedules_target ON schedules (host_id, target_type, target_identity);

CREATE TABLE runs (
    id              TEXT PRIMARY KEY,
    schedule_id     TEXT REFERENCES schedules (id),
    schedule_name   TEXT,
    host_id         TEXT NOT NULL,
    target_type     TEXT NOT NULL,
    target_name     TEXT NOT NULL,
    target_identity TEXT NOT NULL,
    action          TEXT NOT NULL,
    trigger_kind    TEXT NOT NULL,
    actor_kind      TEXT NOT NULL,
    actor_id        TEXT,
    actor_name      TEXT NOT NULL,
    -- The nominal instant of a scheduled run.
    fire_at_ms      BIGINT,
    created_ms      BIGINT NOT NULL,
    started_ms      BIGINT,
    finished_ms     BIGINT,
    state           TEXT NOT NULL,
    reason          TEXT NOT NULL,
    deadline_ms     BIGINT NOT NULL,
    attempt         BIGINT NOT NULL,
    stop_timeout_s  BIGINT,
    retry_of        TEXT,
    missed_first_ms BIGINT,
    missed_last_ms  BIGINT,
    missed_count    BIGINT,
    restore         BOOLEAN NOT NULL,
    owner_epoch     BIGINT NOT NULL,
    UNIQUE (schedule_id, fire_at_ms)
);
CREATE INDEX runs_open ON runs (state, id);
CREATE INDEX runs_target ON runs (host_id, target_type, target_identity, id);

CREATE TABLE steps (
    id          TEXT PRIMARY KEY,
    run_id      TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    ordinal     BIGINT NOT NULL,
    wave        BIGINT NOT NULL,
    host_id     TEXT NOT NULL,
    container   TEXT NOT NULL,
    identity    TEXT NOT NULL,
    action      TEXT NOT NULL,
    -- JSON: [{"container","identity","condition"}]
    wait_for    TEXT NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    -- Committed before the Docker call; the outcome after it.
    issued_ms   BIGINT,
    finished_ms BIGINT,
    duration_ms BIGINT,
    exit_code   BIGINT,
    error       TEXT,
    output      TEXT
);
CREATE INDEX steps_run ON steps (run_id, ordinal);

-- What DockNap has put to sleep and nobody has woken since.
CREATE TABLE naps (
    host_id   TEXT NOT NULL,
    identity  TEXT NOT NULL,
    -- 'stop' or 'pause'
    action    TEXT NOT NULL,
    run_id    TEXT NOT NULL,
    since_ms  BIGINT NOT NULL,
    PRIMARY KEY (host_id, identity)
);

CREATE TABLE audit (
    id          TEXT PRIMARY KEY,
    at_ms       BIGINT NOT NULL,
    actor_kind  TEXT NOT NULL,
    actor_id    TEXT,
    actor_name  TEXT NOT NULL,
    address     TEXT,
    event       TEXT NOT NULL,
    object_type TEXT NOT NULL,
    object_id   TEXT,
    object_name TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    -- JSON: {"changes":[{"field","old","new"}],"run_id","trigger","reason"}
    detail      TEXT NOT NULL
);
CREATE INDEX audit_actor ON audit (actor_id, id);

-- Answers already given to a POST that acts, by Idempotency-Key; kept a day.
CREATE TABLE idempotency (
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key        TEXT NOT NULL,
    request    TEXT NOT NULL,
    status     BIGINT NOT NULL,
    body       TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (user_id, key)
);

-- Who drives, when several processes share the database. SQLite has one process: epoch 0.
CREATE TABLE leases (
    name     TEXT PRIMARY KEY,
    epoch    BIGINT NOT NULL,
    holder   TEXT NOT NULL,
    until_ms BIGINT NOT NULL
);
