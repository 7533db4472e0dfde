-- Hosts that people add in the page or by the API. The Engine of DOCKER_HOST and the hosts of docknap.toml have no row.
DROP TABLE hosts;
CREATE TABLE hosts (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    -- unix:///path or tcp://name:port.
    endpoint    TEXT NOT NULL,
    -- TCP without TLS, allowed by hand.
    insecure    BOOLEAN NOT NULL,
    -- PEM texts. The key is sealed with a key that is derived from the secret key of the installation.
    ca          TEXT,
    cert        TEXT,
    sealed_key  TEXT,
    -- NULL = the setting DOCKNAP_PARALLELISM.
    parallelism BIGINT,
    note        TEXT NOT NULL,
    enabled     BOOLEAN NOT NULL,
    source      TEXT NOT NULL,
    rev         BIGINT NOT NULL,
    created_ms  BIGINT NOT NULL,
    updated_ms  BIGINT NOT NULL
);
