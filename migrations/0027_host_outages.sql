-- When a host could not be reached, for at least a minute. Nothing is written while all is well.
CREATE TABLE host_outages (
    host_id TEXT NOT NULL,
    from_ms BIGINT NOT NULL,
    -- NULL while it goes on.
    to_ms   BIGINT,
    reason  TEXT NOT NULL,
    PRIMARY KEY (host_id, from_ms)
);
