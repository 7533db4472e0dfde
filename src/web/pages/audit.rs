//! Who did what, day by day.

use std::fmt::Write as _;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};

use super::runs::filter::{Narrowed, day, query};
use crate::app::audit::{self, AuditFilter};
use crate::app::paging::{Page, Paged};
use crate::app::{Error, FieldError, Result};
use crate::domain::audit::{AuditRow, Change};
use crate::domain::ids::{HostId, RunId};
use crate::domain::target;
use crate::domain::text::capital;
use crate::web::Web;
use crate::web::auth::{Caller, Viewer};
use crate::web::export::{File, Form, instant};
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;
use crate::web::view::{self, Choice, Now, When};

pub(super) fn routes() -> Routes {
    Routes::new().get("/audit", Access::VIEWER, index).get("/audit.csv", Access::VIEWER, file).get(
        "/audit.json",
        Access::VIEWER,
        file,
    )
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
    pub id: String,
    /// When; `short` is the clock's time.
    pub when: When,
    /// Who.
    pub actor: String,
    /// From where.
    pub ip: Option<String>,
    /// What was done: `changed the schedule`.
    pub deed: String,
    pub object: String,
    /// That thing's page.
    pub href: Option<String>,
    /// How it ended, where it was not simply done.
    pub outcome: Option<String>,
    /// It did not end well.
    pub bad: bool,
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

/// Events in words, after the actor's name and before the object's.
const DEEDS: [(&str, &str); 54] = [
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
    ("stack.lock", "locked the stack"),
    ("stack.unlock", "unlocked the stack"),
    ("container.lock", "locked the container"),
    ("container.unlock", "unlocked the container"),
    ("container.observe", "was seen to change the container"),
    ("container.give_up", "changed too often the container"),
];

/// An event in words. One without words of its own is shown as it is stored, so that a new one is never hidden.
pub(super) fn deed(event: &str) -> String {
    let words = DEEDS.iter().find(|(known, _)| *known == event).map(|(_, words)| (*words).to_owned());
    words.unwrap_or_else(|| event.replace(['.', '_'], " "))
}

impl AuditLine {
    /// One row as pages show it.
    pub fn new(row: &AuditRow, now: &Now) -> Self {
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
                ("run", Some(id), _) => Some(format!("/runs/{id}")),
                (kind @ ("stack" | "container"), Some(identity), _) => {
                    Some(format!("/{kind}s/{}", target::key(&HostId::local(), identity)))
                }
                _ => None,
            },
            outcome: (!done).then(|| row.outcome.clone()),
            bad: matches!(row.outcome.as_str(), "refused" | "failed" | "partial" | "interrupted"),
            reason: super::runs::words::reason(row.detail.reason.as_deref().unwrap_or_default(), now),
            fresh: row.detail.changes.iter().all(|change| change.old.is_none() || change.new.is_none()),
            changes: row.detail.changes.iter().map(ChangeLine::from).collect(),
            // The row of a run's end names the run itself.
            run: row.detail.run_id.clone().filter(|_| row.object_type != "run"),
        }
    }
}

/// How much was done in each of 24 hours.
#[derive(Clone, Debug)]
pub struct Activity {
    /// `The last 24 hours`, `24 hours until 26 Nov 00:00`.
    pub title: String,
    /// The same as the picture, in words.
    pub told: String,
    /// State and path data of the bars.
    pub paths: [(&'static str, String); 2],
    /// The hours in which something was done, the newest first.
    pub hours: Vec<Hour>,
}

/// One hour of it.
#[derive(Clone, Debug)]
pub struct Hour {
    /// When it begins.
    pub when: When,
    /// Rows written in it.
    pub all: i64,
    /// Those among them that did not end well.
    pub bad: i64,
}

impl Activity {
    /// How many hours it shows.
    const HOURS: usize = 24;
    /// The highest bar.
    const HIGH: i64 = 44;

    /// The first of the hours up to `end`: full ones of the reader's clock.
    fn start(end: Timestamp, now: &Now) -> Timestamp {
        let last = end - SignedDuration::from_millis(1);
        let local = last.to_zoned(now.zone.clone());
        let into = i64::from(local.minute()) * 60_000 + i64::from(local.second()) * 1000;
        let hour = last.as_millisecond() - i64::from(local.millisecond()) - into;
        let hours = i64::try_from(Self::HOURS - 1).unwrap_or(0);
        crate::domain::time::from_ms(hour - hours * 3_600_000)
    }

    fn new(
        start: Timestamp,
        until: Option<Timestamp>,
        counted: &[(usize, i64, i64)],
        now: &Now,
    ) -> Option<Self> {
        let most = counted.iter().map(|(_, all, _)| *all).max().filter(|most| *most > 0)?;
        let mut paths = [("executing", String::new()), ("failed", String::new())];
        let mut hours = Vec::new();
        for (at, all, bad) in counted.iter().filter(|(at, ..)| *at < Self::HOURS) {
            let high = |count: i64| if count == 0 { 0 } else { (count * (Self::HIGH - 2) / most).max(2) };
            let (x, well) = (12 * at + 6, high(all - bad));
            if well > 0 {
                let _ = write!(paths[0].1, "M{x} {}v-{well}", Self::HIGH);
            }
            if *bad > 0 {
                let _ = write!(paths[1].1, "M{x} {}v-{}", Self::HIGH - well, high(*bad));
            }
            let begins = start + SignedDuration::from_hours(i64::try_from(*at).unwrap_or(0));
            hours.push(Hour { when: now.when(begins), all: *all, bad: *bad });
        }
        hours.reverse();
        let sum = |of: fn(&Hour) -> i64| hours.iter().map(of).sum::<i64>();
        let (all, bad) = (sum(|hour| hour.all), sum(|hour| hour.bad));
        let title = match until {
            Some(until) => format!("24 hours until {}", now.when(until).short),
            None => "The last 24 hours".to_owned(),
        };
        let rows = view::count(usize::try_from(all).unwrap_or_default(), "row");
        Some(Self { told: format!("{title}: {rows}, {bad} of them did not end well"), title, paths, hours })
    }
}

/// The log.
#[derive(Template, Clone, Debug)]
#[template(path = "audit/index.html", blocks = ["rows"])]
pub struct AuditPage {
    pub shell: Shell,
    /// What the log can be narrowed to, each a link.
    pub kinds: Vec<Choice>,
    /// What else narrows it, each removable.
    pub narrowed: Vec<Narrowed>,
    /// What is typed into the form.
    pub typed: Typed,
    /// What can be done, to pick from.
    pub events: Vec<Choice>,
    /// What is wrong with what was typed.
    pub errors: Vec<FieldError>,
    /// How much was done when.
    pub activity: Option<Activity>,
    /// The rows by day.
    pub days: Vec<Day>,
    /// The reader sees their own rows only.
    pub own: bool,
    pub older: Option<String>,
    /// The first page, where this is not it.
    pub newest: Option<String>,
    /// The query of the files.
    pub query: String,
}

/// The fields of the filter, as the URL says them. `about` and `run` are not in the form.
const FIELDS: [&str; 8] = ["about", "who", "what", "event", "ip", "from", "to", "run"];

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
    pub fn new(shell: Shell, typed: Typed, rows: &[AuditRow], now: &Now) -> Self {
        let mut days: Vec<Day> = Vec::new();
        for row in rows {
            let title = now.day(row.at);
            let line = AuditLine::new(row, now);
            match days.last_mut() {
                Some(day) if day.title == title => day.rows.push(line),
                _ => days.push(Day { title, rows: vec![line] }),
            }
        }
        let choice =
            |value: &str, label: String, chosen: bool| Choice { value: value.to_owned(), label, chosen };
        let words = [
            ("who", "By "),
            ("what", "About "),
            ("event", ""),
            ("ip", "From address "),
            ("from", "From "),
            ("to", "Until "),
            ("run", "One run"),
        ];
        let narrowed = words.into_iter().filter_map(|(field, before)| {
            let value = typed.filled(field)?;
            let label = match field {
                "run" => before.to_owned(),
                "event" => capital(&deed(&view::shown_name(value))),
                _ => format!("{before}{}", view::shown_name(value)),
            };
            Some(Narrowed { label, href: href(&typed, &[(field, "")]) })
        });
        Self {
            own: !shell.can_administer(),
            narrowed: narrowed.collect(),
            kinds: KINDS
                .iter()
                .map(|(value, label)| {
                    let link = href(&typed, &[("about", value)]);
                    choice(&link, (*label).to_owned(), *value == typed.get("about"))
                })
                .collect(),
            events: DEEDS
                .iter()
                .map(|(event, words)| choice(event, capital(words), *event == typed.get("event")))
                .collect(),
            errors: Vec::new(),
            activity: None,
            days,
            older: None,
            newest: None,
            query: query(&typed, &FIELDS, &[]),
            typed,
            shell,
        }
    }

    /// What is wrong with a field.
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

fn href(typed: &Typed, changed: &[(&str, &str)]) -> String {
    format!("/audit{}", query(typed, &FIELDS, changed))
}

/// What the URL asks for, and what is wrong with it.
fn filter(typed: &Typed, now: &Now) -> (AuditFilter, Vec<FieldError>) {
    let mut errors = Vec::new();
    let (from, to) = (day(typed, "from", now, false, &mut errors), day(typed, "to", now, true, &mut errors));
    if from.is_some_and(|from| to.is_some_and(|to| to <= from)) {
        errors.push(FieldError::new("to", "use the first day or a later one"));
    }
    let text = |field: &str| typed.filled(field).map(|text| text.trim().to_owned());
    let filter = AuditFilter {
        object_type: text("about"),
        object_id: None,
        object_name: text("what"),
        event: text("event"),
        actor: text("who"),
        ip: text("ip"),
        run: text("run").map(RunId),
        from,
        to,
    };
    (filter, errors)
}

async fn index(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    Query(fields): Query<Vec<(String, String)>>,
    shell: Shell,
) -> Result<Response> {
    let (app, actor, typed) = (&web.app, &caller.actor, Typed::of(fields));
    let now = super::now(&web, &shell);
    let page = Page::parse(None, Some(typed.get("cursor")))?;
    let (wanted, errors) = filter(&typed, &now);
    let listed = if errors.is_empty() {
        audit::list(app, actor, &wanted, &page).await?
    } else {
        Paged { items: Vec::new(), next_cursor: None }
    };
    let activity = if errors.is_empty() && page.cursor.is_none() && wanted.run.is_none() {
        let until = wanted.to.filter(|to| *to < now.at);
        // What is done at this very instant is part of it.
        let end = until.unwrap_or(now.at + SignedDuration::from_millis(1));
        let start = Activity::start(end, &now);
        let hour = SignedDuration::from_hours(1);
        let counted = audit::activity(app, actor, &wanted, start, hour).await?;
        Activity::new(start, until, &counted, &now)
    } else {
        None
    };
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = AuditPage {
        older: listed.next_cursor.as_deref().map(|cursor| href(&typed, &[("cursor", cursor)])),
        newest: page.cursor.is_some().then(|| href(&typed, &[])),
        activity,
        errors,
        ..AuditPage::new(shell, typed, &listed.items, &now)
    };
    Ok((status, super::html(&page)?).into_response())
}

/// The columns of the log as CSV.
const COLUMNS: [&str; 13] = [
    "id",
    "at",
    "actor_kind",
    "actor",
    "ip",
    "event",
    "object_type",
    "object",
    "outcome",
    "reason",
    "trigger",
    "run_id",
    "changes",
];

fn cells(row: &AuditRow) -> Vec<String> {
    let changes = row.detail.changes.iter().map(|change| {
        let value = |value: &Option<String>| value.as_deref().map(view::shown_name).unwrap_or_default();
        format!("{}: {} -> {}", change.field, value(&change.old), value(&change.new))
    });
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        row.id.to_string(),
        instant(Some(row.at)),
        row.actor.kind.clone(),
        view::shown_name(&row.actor.name),
        text(&row.ip),
        row.event.clone(),
        row.object_type.clone(),
        view::shown_name(&row.object_name),
        row.outcome.clone(),
        text(&row.detail.reason),
        text(&row.detail.trigger),
        text(&row.detail.run_id),
        changes.collect::<Vec<_>>().join("; "),
    ]
}

async fn file(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    form: Form,
    Query(fields): Query<Vec<(String, String)>>,
    shell: Shell,
) -> Result<Response> {
    let now = super::now(&web, &shell);
    let (wanted, errors) = filter(&Typed::of(fields), &now);
    if !errors.is_empty() {
        return Err(Error::Invalid(errors));
    }
    let (app, actor) = (web.app.clone(), caller.actor.clone());
    let json = |row: AuditRow| serde_json::to_value(row).unwrap_or_default();
    let file = File { form, name: "audit", columns: &COLUMNS, cells, json };
    file.answer(now.at, move |page| {
        let (app, actor, wanted) = (app.clone(), actor.clone(), wanted.clone());
        async move { audit::list(&app, &actor, &wanted, &page).await }
    })
    .await
}
