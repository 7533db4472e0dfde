-- What has not ended, by target: found among these alone, however many runs a target has had. No plain comparison, as in
-- runs_touch.
CREATE INDEX runs_undone ON runs (host_id, target_type, target_identity, id)
    WHERE CASE WHEN state IN ('pending', 'executing') THEN 1 ELSE 0 END = 1;
-- The runs with a step on a container, in the order of the list of runs.
CREATE INDEX steps_touch ON steps (host_id, identity, run_id);
