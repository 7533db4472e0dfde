-- What last changed each target is looked for on every page, among these runs alone. The condition is no plain
-- comparison of `state`: for that one SQLite would rather take runs_open, and sort.
CREATE INDEX runs_touch ON runs (host_id, target_type, target_identity, id)
    WHERE CASE WHEN state IN ('succeeded', 'partial') THEN 1 ELSE 0 END = 1;
