-- The key of a schedule in a rules file, unique among the schedules of one target; made from its name when it is first
-- written to a file or read from one.
ALTER TABLE schedules ADD COLUMN slug TEXT;
