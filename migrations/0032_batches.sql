-- The runs of one fire of a group's schedule, which lists show as one line.
CREATE INDEX runs_batch ON runs (batch_id, id) WHERE batch_id IS NOT NULL;
