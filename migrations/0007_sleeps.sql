-- When what slept, and what that gave back. `naps` holds what sleeps now, and the order to wake it in; this one remembers.
CREATE TABLE sleeps (
    host_id        TEXT NOT NULL,
    identity       TEXT NOT NULL,
    -- 'stop' or 'pause'
    action         TEXT NOT NULL,
    run_id         TEXT NOT NULL,
    -- By our clock.
    from_ms        BIGINT NOT NULL,
    -- NULL while it sleeps.
    until_ms       BIGINT,
    -- In use just before; NULL where nobody could look.
    memory_bytes   BIGINT,
    -- Thousandths of a core, on average since it came up.
    cpu_millicores BIGINT,
    PRIMARY KEY (host_id, identity, from_ms)
);
CREATE UNIQUE INDEX sleeps_open ON sleeps (host_id, identity) WHERE until_ms IS NULL;
CREATE INDEX sleeps_until ON sleeps (until_ms);

-- What sleeps already.
INSERT INTO sleeps (host_id, identity, action, run_id, from_ms)
SELECT host_id, identity, action, run_id, since_ms FROM naps;
