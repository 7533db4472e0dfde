//! Two schedules that meet on one target in one minute (semantics §4).
