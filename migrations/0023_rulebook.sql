-- How often what decides was changed: `rules` by a write to schedules, overrides, calendars or settings, `naps` by one to
-- naps. Whoever keeps what was read of them compares these numbers first. Triggers count (`db/engine`), in the
-- transaction of the write: of this process, of the command line beside it, or of anybody else.
CREATE TABLE rulebook (
    id    BIGINT PRIMARY KEY,
    rules BIGINT NOT NULL,
    naps  BIGINT NOT NULL
);
INSERT INTO rulebook (id, rules, naps) VALUES (1, 0, 0);
