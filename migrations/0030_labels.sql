-- Schedules from labels of containers. `source_key` holds host, label and target while such a schedule is not deleted.

-- The label, such as `docknap.stack.sleep`; NULL for every other schedule.
ALTER TABLE schedules ADD COLUMN label_name TEXT;
-- The identity and the name of the container that carries the label.
ALTER TABLE schedules ADD COLUMN carrier TEXT;
ALTER TABLE schedules ADD COLUMN carrier_name TEXT;
-- What the label and the ones that go with it said when the schedule was last made from them.
ALTER TABLE schedules ADD COLUMN label_text TEXT;
-- Why DockNap switched the schedule off: 'gone', 'copied', 'setting', 'faulty'; NULL if it did not.
ALTER TABLE schedules ADD COLUMN off_reason TEXT;
-- Since when no container carries the label; NULL while one does.
ALTER TABLE schedules ADD COLUMN gone_ms BIGINT;
