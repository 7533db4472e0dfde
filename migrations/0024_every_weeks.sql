-- The weeks in which a schedule acts: every n-th, counted from the week of a date (YYYY-MM-DD). Both are NULL for every
-- week.
ALTER TABLE schedules ADD COLUMN every_weeks BIGINT;
ALTER TABLE schedules ADD COLUMN anchor TEXT;
