-- Named lists of dates, shared by schedules (schedules.calendar_id).
CREATE TABLE calendars (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    -- The name folded for comparison: two calendars may not differ by case alone.
    name_key   TEXT NOT NULL UNIQUE,
    -- JSON: ["2026-12-25"]
    dates      TEXT NOT NULL,
    -- JSON: [["2026-12-24","2026-12-31"]]
    ranges     TEXT NOT NULL,
    -- JSON: ["12-25"]
    yearly     TEXT NOT NULL,
    -- A calendar file as it was given.
    ics        TEXT,
    rev        BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);
CREATE INDEX schedules_calendar ON schedules (calendar_id);
