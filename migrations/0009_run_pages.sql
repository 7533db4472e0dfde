-- A page of the list costs the same however long the list is, also where it is narrowed: each filter that may find
-- few has its rows in the list's order.
CREATE INDEX runs_schedule ON runs (schedule_id, id);
CREATE INDEX runs_action ON runs (action, id);
CREATE INDEX runs_trigger ON runs (trigger_kind, id);
CREATE INDEX runs_actor ON runs (actor_name, id);
-- Failed, wholly or in part, or cut off. No plain comparison, as in runs_touch.
CREATE INDEX runs_attention ON runs (id)
    WHERE CASE WHEN state IN ('failed', 'partial', 'interrupted') THEN 1 ELSE 0 END = 1;
-- How long the last runs of a target and action took that did all they set out to do.
CREATE INDEX runs_pace ON runs (host_id, target_type, target_identity, action, id, started_ms, finished_ms)
    WHERE CASE WHEN state = 'succeeded' AND started_ms IS NOT NULL AND finished_ms IS NOT NULL AND retry_of IS NULL
        AND SUBSTR(reason, 1, 13) <> 'nothing to do' THEN 1 ELSE 0 END = 1;

-- The same for the log. Names may be longer than PostgreSQL takes into an index.
CREATE INDEX audit_kind ON audit (object_type, id);
CREATE INDEX audit_event ON audit (event, id);
CREATE INDEX audit_who ON audit (SUBSTR(actor_name, 1, 64), id);
CREATE INDEX audit_what ON audit (SUBSTR(object_name, 1, 64), id);
CREATE INDEX audit_address ON audit (address, id);
