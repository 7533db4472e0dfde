//! The events of the audit log in words, and the pages of the objects they are about.

use crate::domain::audit::AuditRow;
use crate::domain::ids::HostId;
use crate::domain::target;

/// The events in words, for the place between the name of the actor and the name of the object.
pub const EVENTS: [(&str, &str); 83] = [
    ("schedule.create", "made the schedule"),
    ("schedule.update", "changed the schedule"),
    ("schedule.delete", "deleted the schedule"),
    ("schedule.restore", "took back the deletion of the schedule"),
    ("schedule.rezone", "timed anew by another zone or zone database the schedule"),
    ("schedule.enable", "switched on the schedule"),
    ("schedule.disable", "switched off the schedule"),
    ("schedule.skip_next", "skipped the next fire of"),
    ("schedule.unskip_next", "took back the skip of"),
    ("calendar.create", "made the calendar"),
    ("calendar.update", "changed the calendar"),
    ("calendar.delete", "deleted the calendar"),
    ("host.create", "added the host"),
    ("host.update", "changed the host"),
    ("host.enable", "enabled the host"),
    ("host.disable", "disabled the host"),
    ("host.delete", "deleted the host"),
    ("group.create", "made the group"),
    ("group.update", "changed the group"),
    ("group.delete", "deleted the group"),
    ("group.add_member", "added a member to the group"),
    ("group.remove_member", "took a member out of the group"),
    ("backup.create", "made the backup"),
    ("backup.download", "downloaded the backup"),
    ("backup.delete", "deleted the backup"),
    ("backup.confirm", "typed a wrong password for the"),
    ("backup.upload", "uploaded for a restore the"),
    ("backup.accept", "asked for a restore of the"),
    ("backup.discard", "discarded the uploaded"),
    ("override.create", "made an override of"),
    ("override.end", "ended the override of"),
    ("override.restore", "put back the override of"),
    ("order.add", "added the order"),
    ("order.remove", "took back the order"),
    ("run.finish", "finished a run on"),
    ("run.cancel", "called off a run on"),
    ("user.create", "made the account"),
    ("user.update", "changed the account"),
    ("user.delete", "removed the account"),
    ("user.login", "logged in as"),
    ("user.logout", "logged out as"),
    ("user.change_password", "changed the password of"),
    ("user.reset_password", "set a new password for"),
    ("user.end_sessions", "ended the sessions of"),
    ("user.end_session", "ended a session of"),
    ("user.invite", "invited"),
    ("user.make_link", "made a link to choose a password for"),
    ("user.revoke_link", "withdrew the link of"),
    ("user.use_link", "chose a password by link as"),
    ("user.forget_browser", "forgot a browser of"),
    ("user.feed_create", "made a calendar address for"),
    ("user.feed_revoke", "revoked a calendar address of"),
    ("user.unlock", "lifted the login delay of"),
    ("stack.start", "asked for a start of the stack"),
    ("stack.stop", "asked for a stop of the stack"),
    ("stack.restart", "asked for a restart of the stack"),
    ("stack.pause", "asked for a pause of the stack"),
    ("stack.unpause", "asked to unpause the stack"),
    ("container.start", "asked for a start of the container"),
    ("container.stop", "asked for a stop of the container"),
    ("container.restart", "asked for a restart of the container"),
    ("container.pause", "asked for a pause of the container"),
    ("container.unpause", "asked to unpause the container"),
    ("stack.undo", "asked to undo what was just done to the stack"),
    ("container.undo", "asked to undo what was just done to the container"),
    ("host.start", "asked for a start of all of the host"),
    ("host.stop", "asked for a stop of all of the host"),
    ("host.restart", "asked for a restart of all of the host"),
    ("host.pause", "asked for a pause of all of the host"),
    ("host.unpause", "asked to unpause all of the host"),
    ("host.undo", "asked to undo what was just done to all of the host"),
    ("group.start", "asked for a start of all of the group"),
    ("group.stop", "asked for a stop of all of the group"),
    ("group.restart", "asked for a restart of all of the group"),
    ("group.pause", "asked for a pause of all of the group"),
    ("group.unpause", "asked to unpause all of the group"),
    ("group.undo", "asked to undo what was just done to all of the group"),
    ("stack.lock", "locked the stack"),
    ("stack.unlock", "unlocked the stack"),
    ("container.lock", "locked the container"),
    ("container.unlock", "unlocked the container"),
    ("container.observe", "was seen to change the container"),
    ("container.give_up", "changed too often the container"),
];

/// An event in words. An event without words is shown as stored, so that a new event is never hidden.
pub fn deed(event: &str) -> String {
    let words = EVENTS.iter().find(|(known, _)| *known == event).map(|(_, words)| (*words).to_owned());
    words.unwrap_or_else(|| event.replace(['.', '_'], " "))
}

/// The path of the page of the object of a row; `None` if the object has none. `is_known` tells whether there is such a
/// host now.
pub fn page(row: &AuditRow, is_known: impl Fn(&HostId) -> bool) -> Option<String> {
    let id = row.object_id.as_deref()?;
    // Rows of versions that knew one host name none.
    let host = row.detail.host.clone().unwrap_or_else(HostId::local);
    match (row.object_type.as_str(), row.event.as_str()) {
        ("schedule", event) if event != "schedule.delete" => Some(format!("/schedules/{id}")),
        ("calendar", event) if event != "calendar.delete" => Some(format!("/calendars/{id}")),
        ("host", _) => is_known(&host).then(|| format!("/hosts/{id}")),
        ("group", event) if event != "group.delete" => Some(format!("/groups/{id}")),
        ("run", _) => Some(format!("/runs/{id}")),
        (kind @ ("stack" | "container"), _) => {
            is_known(&host).then(|| format!("/{kind}s/{}", target::key(&host, id)))
        }
        _ => None,
    }
}
