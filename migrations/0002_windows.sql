-- Wishes that outrank the windows for a while.
CREATE TABLE overrides (
    id              TEXT PRIMARY KEY,
    -- '' for everything.
    host_id         TEXT NOT NULL,
    -- 'all', 'host', 'stack', 'container'
    target_type     TEXT NOT NULL,
    target_name     TEXT NOT NULL,
    target_identity TEXT NOT NULL,
    -- 'awake', 'asleep', 'hold'
    state           TEXT NOT NULL,
    created_ms      BIGINT NOT NULL,
    until_ms        BIGINT NOT NULL,
    reason          TEXT NOT NULL,
    actor_kind      TEXT NOT NULL,
    actor_id        TEXT,
    actor_name      TEXT NOT NULL,
    -- Remembers what somebody did by hand inside a window.
    by_hand         BOOLEAN NOT NULL,
    -- NULL until its end has been dealt with.
    closed_ms       BIGINT,
    closed_reason   TEXT NOT NULL
);
-- At most one that counts for each target.
CREATE UNIQUE INDEX overrides_active ON overrides (host_id, target_type, target_identity) WHERE closed_ms IS NULL;
CREATE INDEX overrides_end ON overrides (closed_ms, until_ms);

-- What windows and overrides last made of each container: they act when what is wanted differs from this, never
-- because the container does.
CREATE TABLE applied (
    host_id     TEXT NOT NULL,
    identity    TEXT NOT NULL,
    -- 'awake', 'asleep'
    state       TEXT NOT NULL,
    at_ms       BIGINT NOT NULL,
    -- FALSE where the run for it failed: tried again when the host comes back.
    settled     BOOLEAN NOT NULL,
    -- Policy `enforce`: when it is put back, and how often that was done since `at_ms`.
    put_back_ms BIGINT,
    put_backs   BIGINT NOT NULL,
    PRIMARY KEY (host_id, identity)
);
CREATE INDEX applied_put_back ON applied (put_back_ms);

-- Whether what happens to a container is our own doing.
CREATE INDEX steps_container ON steps (host_id, identity, issued_ms);

-- Why a run was asked for, in words; its `reason` says how it stands.
ALTER TABLE runs ADD COLUMN why TEXT NOT NULL DEFAULT '';
