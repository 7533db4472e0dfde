-- Named sets of hosts, stacks and containers, across hosts.
CREATE TABLE groups (
    -- A slug, which never changes: labels and schedules name it.
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    colour     TEXT NOT NULL,
    note       TEXT NOT NULL,
    -- 'ui', 'api', 'label', 'file'
    source     TEXT NOT NULL,
    rev        BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);

-- The members that people have added in the page or by the API. Those by label or file have no row.
CREATE TABLE group_members (
    group_id        TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    host_id         TEXT NOT NULL,
    -- 'host', 'stack', 'container'
    target_type     TEXT NOT NULL,
    target_identity TEXT NOT NULL,
    target_name     TEXT NOT NULL,
    source          TEXT NOT NULL,
    created_ms      BIGINT NOT NULL,
    PRIMARY KEY (group_id, host_id, target_type, target_identity)
);

-- Stacks and containers whose `docknap.` labels name groups, as they were last seen: a group keeps its members while they
-- are away, and before a host has answered.
CREATE TABLE targets (
    host_id         TEXT NOT NULL,
    target_type     TEXT NOT NULL,
    target_identity TEXT NOT NULL,
    target_name     TEXT NOT NULL,
    -- The groups, as a JSON object by the identity of the container that carries the label.
    labels          TEXT NOT NULL,
    -- Written together with another column only.
    last_seen_ms    BIGINT NOT NULL,
    -- When a container that carries the label was found missing; NULL while all are there.
    gone_ms         BIGINT,
    PRIMARY KEY (host_id, target_type, target_identity)
);

-- The nominal instant of a scheduled run. A schedule of a group makes one run on each host, so it is unique by host;
-- `fire_at_ms` is no longer written.
ALTER TABLE runs ADD COLUMN due_ms BIGINT;
UPDATE runs SET due_ms = fire_at_ms;
CREATE UNIQUE INDEX runs_due ON runs (schedule_id, due_ms, host_id);
-- Binds the runs of one fire of a group's schedule together.
ALTER TABLE runs ADD COLUMN batch_id TEXT;
-- Containers that the run leaves to another schedule, with the reasons: a JSON object by identity.
ALTER TABLE runs ADD COLUMN leaves TEXT;
