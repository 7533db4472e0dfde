-- What somebody does not want to see under "Needs attention" for a while. `need` stands for a thing with what happened to
-- it: when something new happens to the same thing, that is another one.
CREATE TABLE hidden_needs (
    user_id   TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    need      TEXT NOT NULL,
    hidden_ms BIGINT NOT NULL,
    until_ms  BIGINT NOT NULL,
    PRIMARY KEY (user_id, need)
);

-- The name of the account that kept a schedule, where that account is gone and nobody else keeps the schedule yet.
ALTER TABLE schedules ADD COLUMN left_by TEXT;
UPDATE schedules SET left_by = (
    SELECT MIN(actor_name) FROM audit
    WHERE event = 'schedule.create' AND object_id = schedules.id AND actor_kind = 'user' AND actor_id IS NOT NULL
) WHERE owner_id IS NULL AND source <> 'label';
CREATE INDEX schedules_left ON schedules (left_by) WHERE left_by IS NOT NULL;

-- For a start: the containers that nobody watched as they ended, and that were asked for all the same; JSON, a list of
-- identities.
ALTER TABLE runs ADD COLUMN also TEXT;
