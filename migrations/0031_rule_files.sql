-- The key of a schedule in a rules file, unique among the schedules of one target; made from its name when it is first
-- written to a file or read from one.
ALTER TABLE schedules ADD COLUMN slug TEXT;

-- When the rule of a schedule left its label or file; NULL while it is there. The migration for rules by label adds the
-- same column: only one of the two keeps this statement.
ALTER TABLE schedules ADD COLUMN gone_ms BIGINT;
