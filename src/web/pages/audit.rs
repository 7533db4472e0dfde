//! Who did what, day by day.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Html;

use crate::app::Result;
use crate::app::audit::{self, AuditFilter};
use crate::app::paging::Page;
use crate::domain::audit::{AuditRow, Change};
use crate::web::Web;
use crate::web::auth::{Caller, Viewer};
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;
use crate::web::view::{self, Choice, Now, Sampled, When};

pub(super) fn routes() -> Routes {
    Routes::new().get("/audit", Access::VIEWER, index)
}

/// The rows of one day.
#[derive(Clone, Debug)]
pub struct Day {
    /// `Today`, `Wednesday 25 November 2026`.
    pub title: String,
    /// The rows, newest first.
    pub rows: Vec<AuditLine>,
}

/// One row.
#[derive(Clone, Debug)]
pub struct AuditLine {
    /// Its id.
    pub id: String,
    /// When; `short` is the clock's time.
    pub when: When,
    /// Who.
    pub actor: String,
    /// From where.
    pub ip: Option<String>,
    /// What was done: `changed the schedule`.
    pub deed: String,
    /// To what.
    pub object: String,
    /// That thing's page.
    pub href: Option<String>,
    /// How it ended, where it was not simply done.
    pub outcome: Option<String>,
    /// It did not end well.
    pub bad: bool,
    /// Why.
    pub reason: String,
    /// What changed.
    pub changes: Vec<ChangeLine>,
    /// Nothing of it was there before, or is now: the values stand side by side.
    pub fresh: bool,
    /// The run it belongs to.
    pub run: Option<String>,
}

/// One field that changed.
#[derive(Clone, Debug)]
pub struct ChangeLine {
    /// The field.
    pub field: String,
    /// What it was; `None` where the thing is new.
    pub old: Option<String>,
    /// What it is; `None` where the thing is gone.
    pub new: Option<String>,
}

impl From<&Change> for ChangeLine {
    fn from(change: &Change) -> Self {
        let shown = |text: &Option<String>| text.as_deref().map(view::shown_name);
        Self { field: change.field.replace('_', " "), old: shown(&change.old), new: shown(&change.new) }
    }
}

/// An event in words, after the actor's name and before the object's. An event without words of its own is shown as
/// it is stored, so that a new one is never hidden.
fn deed(event: &str) -> String {
    let words = match event {
        "schedule.create" => "made the schedule",
        "schedule.update" => "changed the schedule",
        "schedule.delete" => "deleted the schedule",
        "schedule.enable" => "switched on the schedule",
        "schedule.disable" => "switched off the schedule",
        "schedule.skip_next" => "skipped the next fire of",
        "schedule.unskip_next" => "took back the skip of",
        "calendar.create" => "made the calendar",
        "calendar.update" => "changed the calendar",
        "calendar.delete" => "deleted the calendar",
        "override.create" => "made an override of",
        "override.end" => "ended the override of",
        "order.add" => "added the order",
        "order.remove" => "took back the order",
        "run.finish" => "finished a run on",
        "run.cancel" => "called off a run on",
        "user.create" => "made the account",
        "user.update" => "changed the account",
        "user.delete" => "removed the account",
        "user.login" => "logged in as",
        "user.logout" => "logged out as",
        "user.change_password" => "changed the password of",
        "user.reset_password" => "set a new password for",
        "user.end_sessions" => "ended the sessions of",
        "user.feed_create" => "made a calendar address for",
        "user.feed_revoke" => "revoked a calendar address of",
        "user.unlock" => "lifted the login delay of",
        "stack.start" => "asked for a start of the stack",
        "stack.stop" => "asked for a stop of the stack",
        "stack.restart" => "asked for a restart of the stack",
        "stack.pause" => "asked for a pause of the stack",
        "stack.unpause" => "asked to unpause the stack",
        "container.start" => "asked for a start of the container",
        "container.stop" => "asked for a stop of the container",
        "container.restart" => "asked for a restart of the container",
        "container.pause" => "asked for a pause of the container",
        "container.unpause" => "asked to unpause the container",
        "stack.lock" => "locked the stack",
        "stack.unlock" => "unlocked the stack",
        "container.lock" => "locked the container",
        "container.unlock" => "unlocked the container",
        "container.observe" => "was seen to change the container",
        "container.give_up" => "changed too often the container",
        _ => return event.replace(['.', '_'], " "),
    };
    words.to_owned()
}

impl AuditLine {
    fn new(row: &AuditRow, now: &Now) -> Self {
        let done = matches!(row.outcome.as_str(), "ok" | "succeeded");
        Self {
            id: row.id.to_string(),
            when: now.when(row.at),
            actor: view::shown_name(&row.actor.name),
            ip: row.ip.clone(),
            deed: deed(&row.event),
            object: view::shown_name(&row.object_name),
            href: match (row.object_type.as_str(), &row.object_id, row.event.as_str()) {
                ("schedule", Some(id), event) if event != "schedule.delete" => {
                    Some(format!("/schedules/{id}"))
                }
                ("calendar", Some(id), event) if event != "calendar.delete" => {
                    Some(format!("/calendars/{id}"))
                }
                _ => None,
            },
            outcome: (!done).then(|| row.outcome.clone()),
            bad: matches!(row.outcome.as_str(), "refused" | "failed" | "partial" | "interrupted"),
            reason: row.detail.reason.clone().unwrap_or_default(),
            fresh: row.detail.changes.iter().all(|change| change.old.is_none() || change.new.is_none()),
            changes: row.detail.changes.iter().map(ChangeLine::from).collect(),
            run: row.detail.run_id.clone(),
        }
    }
}

/// The log.
#[derive(Template, Clone, Debug)]
#[template(path = "audit/index.html", blocks = ["rows"])]
pub struct AuditPage {
    /// The surroundings.
    pub shell: Shell,
    /// What the log can be narrowed to.
    pub kinds: Vec<Choice>,
    /// The rows by day.
    pub days: Vec<Day>,
    /// The reader sees their own rows only.
    pub own: bool,
    /// The next page.
    pub older: Option<String>,
    /// The first page, where this is not it.
    pub newest: Option<String>,
}

/// What the log can be narrowed to, by the kind of thing a row is about.
const KINDS: [(&str, &str); 7] = [
    ("", "All"),
    ("schedule", "Schedules"),
    ("calendar", "Calendars"),
    ("stack", "Stacks"),
    ("container", "Containers"),
    ("run", "Ends of runs"),
    ("user", "Accounts and logins"),
];

impl AuditPage {
    /// One page of the log.
    pub fn new(shell: Shell, kind: &str, rows: &[AuditRow], now: &Now) -> Self {
        let mut days: Vec<Day> = Vec::new();
        for row in rows {
            let title = now.day(row.at);
            let line = AuditLine::new(row, now);
            match days.last_mut() {
                Some(day) if day.title == title => day.rows.push(line),
                _ => days.push(Day { title, rows: vec![line] }),
            }
        }
        Self {
            own: !shell.user.as_ref().is_some_and(crate::web::shell::ShellUser::can_administer),
            kinds: KINDS
                .iter()
                .map(|(value, label)| Choice {
                    value: (*value).to_owned(),
                    label: (*label).to_owned(),
                    chosen: *value == kind,
                })
                .collect(),
            days,
            older: None,
            newest: None,
            shell,
        }
    }
}

/// What the log can be narrowed by, as the URL says it.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Wanted {
    /// The kind of thing.
    about: String,
    /// Where the page before ended.
    cursor: String,
}

async fn index(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    Query(wanted): Query<Wanted>,
    shell: Shell,
) -> Result<Html<String>> {
    let filter = AuditFilter {
        object_type: (!wanted.about.is_empty()).then(|| wanted.about.clone()),
        ..AuditFilter::default()
    };
    let page = Page::parse(None, Some(&wanted.cursor))?;
    let listed = audit::list(&web.app, &caller.actor, &filter, &page).await?;
    let now = super::now(&web, &shell);
    let href = |cursor: &str| {
        format!(
            "/audit?{}",
            serde_urlencoded::to_string([("about", &*wanted.about), ("cursor", cursor)]).unwrap_or_default()
        )
    };
    super::html(&AuditPage {
        older: listed.next_cursor.as_deref().map(href),
        newest: (!wanted.cursor.is_empty()).then(|| href("")),
        ..AuditPage::new(shell, &wanted.about, &listed.items, &now)
    })
}

impl Sampled for AuditPage {
    fn samples() -> Vec<Self> {
        let now = Now::sample();
        let line = |actor: &str, deed: &str, object: &str, seconds: i64| AuditLine {
            id: seconds.to_string(),
            when: now.plus(seconds),
            actor: actor.to_owned(),
            ip: Some("192.0.2.7".to_owned()),
            deed: deed.to_owned(),
            object: object.to_owned(),
            href: None,
            outcome: None,
            bad: false,
            reason: String::new(),
            changes: vec![],
            fresh: false,
            run: None,
        };
        let change = |field: &str, old: Option<&str>, new: Option<&str>| ChangeLine {
            field: field.to_owned(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        };
        let page = Self {
            days: vec![
                Day {
                    title: "Today".to_owned(),
                    rows: vec![
                        AuditLine {
                            href: Some("/schedules/1".to_owned()),
                            changes: vec![
                                change("cron", Some("0 22 * * *"), Some("0 23 * * 1-5")),
                                change("note", None, Some("Asked for by the team")),
                            ],
                            ..line("anna", "changed the schedule", "Nights", -300)
                        },
                        AuditLine {
                            ip: None,
                            run: Some("1".to_owned()),
                            outcome: Some("partial".to_owned()),
                            bad: true,
                            reason: "1 of 3 steps failed".to_owned(),
                            ..line("scheduler", "finished a run on", "media", -4000)
                        },
                    ],
                },
                Day {
                    title: "Yesterday".to_owned(),
                    rows: vec![
                        AuditLine {
                            outcome: Some("refused".to_owned()),
                            bad: true,
                            reason: "name or password is wrong".to_owned(),
                            ..line("ben", "logged in as", "ben", -90_000)
                        },
                        AuditLine {
                            changes: vec![change("cron", Some("0 4 * * *"), None)],
                            ..line("anna", "deleted the schedule", "Old nights", -91_000)
                        },
                    ],
                },
            ],
            older: Some("/audit?cursor=1".to_owned()),
            ..Self::new(Shell { here: "audit", ..Shell::sample() }, "", &[], &now)
        };
        vec![
            Self { days: vec![], older: None, own: true, newest: Some("/audit".to_owned()), ..page.clone() },
            page,
        ]
    }
}
