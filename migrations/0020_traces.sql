-- What others were last seen to do to each container: Docker keeps how a process ended, and not by whose doing.
CREATE TABLE traces (
    host_id      TEXT NOT NULL,
    identity     TEXT NOT NULL,
    -- Docker's id of the container at that time.
    container_id TEXT NOT NULL,
    -- 'started', 'unpaused', 'paused', 'stopped', 'killed', 'ended'
    did          TEXT NOT NULL,
    -- By the Engine's clock, as Docker's own time stamps are.
    at_ms        BIGINT NOT NULL,
    -- By our clock.
    seen_ms      BIGINT NOT NULL,
    PRIMARY KEY (host_id, identity)
);
