-- Only what people and programs did has an account and an address: what the scheduler does is not found by either, and
-- a thousand rows of it in one minute need not be sorted in.
DROP INDEX audit_actor;
CREATE INDEX audit_actor ON audit (actor_id, id) WHERE actor_id IS NOT NULL;
DROP INDEX audit_address;
CREATE INDEX audit_address ON audit (address, id) WHERE address IS NOT NULL;
