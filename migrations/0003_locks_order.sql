-- Stacks and containers that somebody wants never touched.
CREATE TABLE locks (
    host_id         TEXT NOT NULL,
    target_type     TEXT NOT NULL,
    target_identity TEXT NOT NULL,
    target_name     TEXT NOT NULL,
    reason          TEXT NOT NULL,
    actor_id        TEXT,
    actor_name      TEXT NOT NULL,
    created_ms      BIGINT NOT NULL,
    PRIMARY KEY (host_id, target_type, target_identity)
);

-- What people add to the order that labels tell: the dependant starts after the dependency, and stops before it.
CREATE TABLE order_edges (
    id                  TEXT PRIMARY KEY,
    host_id             TEXT NOT NULL,
    dependant_type      TEXT NOT NULL,
    dependant_identity  TEXT NOT NULL,
    dependant_name      TEXT NOT NULL,
    dependency_type     TEXT NOT NULL,
    dependency_identity TEXT NOT NULL,
    dependency_name     TEXT NOT NULL,
    -- 'service_started', 'service_healthy', 'service_completed_successfully'
    condition           TEXT NOT NULL,
    -- How long it is waited for; NULL = the usual time.
    wait_s              BIGINT,
    actor_id            TEXT,
    actor_name          TEXT NOT NULL,
    created_ms          BIGINT NOT NULL,
    UNIQUE (host_id, dependant_type, dependant_identity, dependency_type, dependency_identity)
);
