-- What shares a container is found among the ids of a target alone, without a look at each of its rows.
DROP INDEX schedules_target;
CREATE INDEX schedules_target ON schedules (host_id, target_type, target_identity, id);
