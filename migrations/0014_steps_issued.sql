-- What happens to a container is compared with what was asked of it, not with what is still to be: a step gets here when it
-- is issued.
DROP INDEX steps_container;
CREATE INDEX steps_container ON steps (host_id, identity, issued_ms) WHERE issued_ms IS NOT NULL;
