-- What may hold back a schedule that puts to sleep, as JSON:
-- {"min_uptime_minutes","busy_cpu_percent","busy_wait_minutes","then"}; NULL = nothing.
ALTER TABLE schedules ADD COLUMN guard TEXT;

-- The same of the schedule that made a run, as it was then.
ALTER TABLE runs ADD COLUMN guard TEXT;
-- When the guard of a pending run looks again; NULL before its first look.
ALTER TABLE runs ADD COLUMN look_at_ms BIGINT;
-- Until when a pending run waits for busy containers; NULL while none were found busy.
ALTER TABLE runs ADD COLUMN busy_until_ms BIGINT;
